/* SPDX-License-Identifier: Apache-2.0
 *
 * An invoice: what a project owes for a span of time in one currency. A line is a vGPU and a kind; its cost is exact
 * and rounded once, half to even, to the currency's coin. The canonical text is what the log's invoice record has the
 * SHA-256 of:
 *
 *      fastgpu invoice 1
 *      number lab-2026-11-1
 *      project lab
 *      from 2026-11-01T00:00:00Z
 *      until 2026-12-01T00:00:00Z
 *      currency EUR
 *      records 2880 first 17 last 8123
 *      line 1 reserved 5f9e… train quantity 1800000000000000 price 2000000000 amount 1000000000
 *      payable 1000000000
 *
 * Lines are sorted by vGPU and kind. Quantities are ppm*us, amounts nano-units; "price -" where it changed. */
#ifndef FG_BILL_INVOICE_H
#define FG_BILL_INVOICE_H

#include "base/cleanup.h"
#include "bill/sums.h"

enum fg_bill_kind { FG_BILL_RESERVED, FG_BILL_BURST, FG_BILL_CREDIT, FG_BILL_REBATE, FG_BILL_ROUNDING, FG_BILL_KINDS };

struct fg_bill_line {
        const char *vgpu, *name; /* of the sums; "-" for rounding */
        enum fg_bill_kind kind;
        fg_int128 quantity; /* ppm*us; below 0 for credits and rebates */
        fg_int128 cost;     /* exact, see sched/money.h */
        int64_t price;      /* -1: it changed */
        int64_t amount;     /* nano-units, whole coins */
        int64_t last;       /* seq of the last record in it */
};

struct fg_bill_bill {
        char number[FG_BILL_NAME_MAX], project[FG_BILL_NAME_MAX], currency[FG_BILL_WORD_MAX];
        int64_t from, until;
        struct fg_bill_line *line; /* allocated */
        size_t lines;
        int64_t payable, first, last, records;
};
void fg_bill_bill_clear(struct fg_bill_bill *bill);

static inline void fg_bill_cleanup_billp(struct fg_bill_bill *bill)
{
        fg_bill_bill_clear(bill);
}

const char *fg_bill_kind_name(enum fg_bill_kind kind);

/* Of whole UTC days: -EINVAL else. Without usage there are no lines. -EOVERFLOW: beyond what money can be. The lines'
 * texts are the sums'. */
int fg_bill_make(const struct fg_bill_sums *sums, const char *project, const char *currency, int64_t from, int64_t until,
                 const char *number, struct fg_bill_bill *ret, struct fg_error *err);

/* Is the cell on it? */
bool fg_bill_covers(const struct fg_bill_sums *sums, const struct fg_bill_bill *bill, const struct fg_bill_cell *cell);
/* What a kind takes of a cell, ppm*us. */
int64_t fg_bill_quantity(const struct fg_bill_cell *cell, enum fg_bill_kind kind);

/* Allocated; *ret_size without the NUL. -ENOMEM. */
int fg_bill_text(const struct fg_bill_bill *bill, char **ret, size_t *ret_size);
/* SHA-256 of the text in hex, as `sha256sum` prints it. -ENOMEM. */
int fg_bill_hash(const struct fg_bill_bill *bill, char ret[65]);
/* The log's record of it, but for seq and time. -ENOMEM. */
int fg_bill_record_of(const struct fg_bill_bill *bill, struct fg_bill_invoice *ret);
/* Does a record say what the records it covers make? -EBADMSG names the first figure that differs. */
int fg_bill_invoice_compare(const struct fg_bill_invoice *found, const struct fg_bill_invoice *right, struct fg_error *err);

#endif
