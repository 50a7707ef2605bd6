/* SPDX-License-Identifier: Apache-2.0
 *
 * What usage records add up to: one cell for each vGPU, UTC day and price. Invoices, budgets and exports are made of
 * cells, so that none of them reads the log again. Everything is a whole number; nothing is rounded here. */
#ifndef FG_BILL_SUMS_H
#define FG_BILL_SUMS_H

#include "bill/record.h"
#include "bill/spend.h"

/* Texts that come again and again, by number. Number 0 is "". */
struct fg_bill_texts {
        char **text;
        uint32_t count, room;
        uint32_t *bucket; /* number + 1; 0: vacant */
        uint32_t buckets; /* a power of 2, or 0 */
        uint8_t key[16];  /* of the hash: tenants choose names */
};
int fg_bill_texts_number(struct fg_bill_texts *texts, const char *text, uint32_t *ret); /* -ENOMEM */
/* UINT32_MAX: it is not there. */
uint32_t fg_bill_texts_find(const struct fg_bill_texts *texts, const char *text);
const char *fg_bill_texts_get(const struct fg_bill_texts *texts, uint32_t number);

struct fg_bill_cell {
        /* The key. */
        int64_t day; /* its first second */
        int64_t price;
        uint32_t device, vgpu, name, project, user, currency; /* texts */
        bool cap;
        int64_t job; /* whose the vGPU is, by its number; 0: nobody's. One vGPU has one job at most */
        /* The sums: ppm*us, busy (conserved device time) and time (that the vGPU existed) in us. */
        int64_t time, busy, reserved, burst, surcharge, credit, rebate;
        int64_t first, last, records; /* seq of its records, and how many */
};

struct fg_bill_sums {
        struct fg_bill_texts texts;
        struct fg_bill_cell *cell; /* in the order in which they were begun */
        uint32_t count, room;
        uint32_t *bucket, buckets;
        struct fg_bill_spends spends; /* of the cells with a job */
};
void fg_bill_sums_clear(struct fg_bill_sums *sums);

/* Makes room for `more` cells, so that adding cannot fail. -ENOMEM. */
int fg_bill_sums_reserve(struct fg_bill_sums *sums, uint32_t more);
/* Adds to the cell with this key. */
void fg_bill_sums_add(struct fg_bill_sums *sums, const struct fg_bill_cell *more);

/* The cell of one usage record. -ENOMEM. */
int fg_bill_cell_of(struct fg_bill_texts *texts, const struct fg_bill_usage *usage, const char *device,
                    struct fg_bill_cell *ret);
/* What a cell costs, exactly: reserved + surcharge - credit - rebate at its price. */
fg_int128 fg_bill_cell_cost(const struct fg_bill_cell *cell);

#endif
