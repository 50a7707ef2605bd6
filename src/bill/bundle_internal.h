/* SPDX-License-Identifier: Apache-2.0
 * What the files of a bundle's check share. */
#ifndef FG_BILL_BUNDLE_INTERNAL_H
#define FG_BILL_BUNDLE_INTERNAL_H

#include "bill/bundle.h"

struct fg_bill_opened {
        FILE *f;
        fg_bill_found_t found;
        void *user;
        struct fg_bill_bundle result;
        struct fg_bill_sums sums;
        struct fg_bill_prices *list; /* all price lists, in their order */
        size_t lists;
        struct fg_bill_window window; /* the one before the usage at hand */
        int64_t last, last_usage;     /* numbers; -1: none yet */
        int64_t time;                 /* start of the last window */
        bool has_node, has_window, has_invoice;
};

__attribute__((format(printf, 4, 5))) void fg_bill_opened_say(struct fg_bill_opened *opened, int64_t record, const char *type,
                                                              const char *format, ...);
/* A record that is what was signed: does it make sense behind those before it? -ENOMEM. */
int fg_bill_opened_take(struct fg_bill_opened *opened, const struct fg_bill_record *record);
/* All are there: makes the invoice again. -ENOMEM. */
int fg_bill_opened_end(struct fg_bill_opened *opened);

#endif
