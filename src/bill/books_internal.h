/* SPDX-License-Identifier: Apache-2.0
 * What the files of the books share. */
#ifndef FG_BILL_BOOKS_INTERNAL_H
#define FG_BILL_BOOKS_INTERNAL_H

#include "bill/books.h"

#define CLAIMS 8u /* results of settling that a usage record states */

/* A usage record of the open group. */
struct fg_bill_entry {
        struct fg_meter_line line;
        int64_t claim[CLAIMS];
        struct fg_bill_cell cell;
};

/* Of each text, for whatever it names: a project, a device or a vGPU. */
struct fg_bill_mark {
        int64_t last_usage;  /* project: seq of its last usage record */
        int64_t open_usage;  /* the same, the open group's included; counts while open_group is the group's number */
        uint64_t open_group;
        int64_t invoiced;    /* project: all before is on an invoice */
        int64_t next_window; /* device: the first second that may begin a window */
        int64_t next_billed; /* vGPU: the same of its usage */
        uint64_t billed_in;  /* vGPU: number of the last group that has a line of it */
};

struct fg_bill_books {
        int64_t seq; /* of the first record that is not in the books */
        struct fg_bill_node node;
        bool has_node;
        struct fg_bill_prices prices;
        struct fg_bill_span *list;
        size_t lists;
        struct fg_bill_sums sums;
        struct fg_bill_mark *mark; /* by number of the text */
        uint32_t marks;
        struct fg_bill_invoice *invoice;
        size_t invoices;
        struct fg_bill_budget *budget; /* one of each project */
        size_t budgets;

        /* The open group: its records are seq .. seq + taken - 1. */
        int64_t taken;
        uint64_t group; /* its number: counts those that were dropped too */
        int64_t blame;  /* seq of the record that was found wrong */
        bool is_complete;
        struct fg_bill_record head; /* its first record */
        struct fg_bill_entry *entry;
        size_t entries, entry_room;
        struct fg_bill_prices draft;
};

/* Room for marks of all texts there are. -ENOMEM. */
int fg_bill_books_mark(struct fg_bill_books *books);
/* The number of a text, with room for its mark. -ENOMEM. */
int fg_bill_books_number(struct fg_bill_books *books, const char *text, uint32_t *ret);

/* Of a record that begins a group, by itself and with what is in the books. */
int fg_bill_judge_head(struct fg_bill_books *books, const struct fg_bill_record *record, struct fg_error *err);
/* Of a usage record in the open window; adds the entry. */
int fg_bill_judge_usage(struct fg_bill_books *books, const struct fg_bill_usage *usage, struct fg_error *err);
/* Of a window whose records are all there: settles it again. */
int fg_bill_judge_window(struct fg_bill_books *books, struct fg_error *err);
int fg_bill_judge_invoice(struct fg_bill_books *books, const struct fg_bill_invoice *invoice, struct fg_error *err);

#endif
