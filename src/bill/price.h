/* SPDX-License-Identifier: Apache-2.0
 *
 * A price list: what a GPU-hour costs, by device, model and class, with dates of validity. One list has one currency,
 * and a new list replaces the one before as a whole.
 *
 *      device,model,class,from,until,currency,price
 *      ,,,,,EUR,2.00
 *      ,NVIDIA H100 80GB HBM3,cap,2026-11-01,2027-01-01,EUR,2.4
 *
 * The header names the columns, in any order; `currency` and `price` have to be there. Empty is any, or no bound. Of the
 * rows that fit, the one that names the device wins; then one with the model; then one with the class. Two rows for
 * the same at the same time are refused. */
#ifndef FG_BILL_PRICE_H
#define FG_BILL_PRICE_H

#include "bill/record.h"

#define FG_BILL_PRICES_MAX   1000u
#define FG_BILL_PRICES_BYTES (512u * 1024u) /* of a CSV file */

struct fg_bill_prices {
        int64_t list; /* its number, from 1; 0: there is none */
        size_t count;
        struct fg_bill_price *row; /* allocated */
};
void fg_bill_prices_clear(struct fg_bill_prices *prices);

/* -EINVAL names the line and the column, -E2BIG, -ENOMEM. Fills all but seq, time and list of each row. Touches *ret
 * only on success. */
int fg_bill_prices_parse(const char *csv, size_t size, struct fg_bill_prices *ret, struct fg_error *err);

/* Do the rows fit each other: one currency, nothing twice? -EINVAL says which does not: by its `line` in a file, or with
 * NULL by its number. */
int fg_bill_prices_judge(const struct fg_bill_prices *prices, const unsigned *line, struct fg_error *err);

/* The row in force at `when`, or NULL. `class` is "cap" or "share". */
const struct fg_bill_price *fg_bill_prices_find(const struct fg_bill_prices *prices, const char *device,
                                                const char *model, const char *class, int64_t when);

#endif
