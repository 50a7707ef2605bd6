/* SPDX-License-Identifier: Apache-2.0
 * What jobs cost: a row for each job and currency, found by a hash. Part of sums.h. */
#ifndef FG_BILL_SPEND_H
#define FG_BILL_SPEND_H

#include "sched/money.h"

struct fg_bill_spend {
        int64_t job; /* 0: the row is vacant */
        uint32_t currency;
        fg_int128 cost; /* exact, as fg_bill_cell_cost() */
};

/* Equation: at most half of the rows are taken. */
struct fg_bill_spends {
        struct fg_bill_spend *row;
        uint32_t count, rows; /* rows: a power of 2, or 0 */
};

/* Makes room for `more`, so that adding cannot fail. -ENOMEM. */
int fg_bill_spends_reserve(struct fg_bill_spends *spends, uint32_t more);
void fg_bill_spends_add(struct fg_bill_spends *spends, int64_t job, uint32_t currency, fg_int128 cost);
fg_int128 fg_bill_spends_get(const struct fg_bill_spends *spends, int64_t job, uint32_t currency);
void fg_bill_spends_clear(struct fg_bill_spends *spends);

#endif
