/* SPDX-License-Identifier: Apache-2.0
 *
 * Exports of an invoice, as CSV with a header: FOCUS 1.2 (all 21 mandatory columns, the conditional ones that apply, x_ columns
 * of ours), and plain. A row is a vGPU, a day and a kind. Equation: the sum of BilledCost over the rows of an invoice is what
 * is payable: what rounding its lines made of it stands in one row of category Adjustment. */
#ifndef FG_BILL_FOCUS_H
#define FG_BILL_FOCUS_H

#include "bill/invoice.h"

#include <stdio.h>

struct fg_bill_focus {
        const char *provider; /* of the service, and who invoices */
        const char *account;  /* the organisation */
        bool is_draft;        /* nothing was invoiced yet: InvoiceId is empty */
};

int fg_bill_focus_head(FILE *f); /* -EIO */
int fg_bill_focus_rows(FILE *f, const struct fg_bill_sums *sums, const struct fg_bill_bill *bill, const struct fg_bill_focus *focus);
/* The metadata file, JSON. */
int fg_bill_focus_metadata(FILE *f, const char *provider, int64_t now);

int fg_bill_csv_head(FILE *f);
int fg_bill_csv_rows(FILE *f, const struct fg_bill_sums *sums, const struct fg_bill_bill *bill);

/* A cell of a CSV file, in quotes where it has to be. */
void fg_bill_csv_cell(FILE *f, const char *text);

#endif
