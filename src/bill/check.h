/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole log, judged offline: that it is whole and in order, that its records make sense in the books (every window is
 * settled again, every price and invoice is looked up and made again), and that it is what was signed: in each checkpoint
 * that anybody kept. Each finding names the record.
 *
 * Reads files, line by line; memory is that of the books. */
#ifndef FG_BILL_CHECK_H
#define FG_BILL_CHECK_H

#include "bill/books.h"
#include "tlog/tlog.h"

#include <stdio.h>

#define FG_BILL_CHECKPOINTS 64u /* that one check looks at */

/* Where an earlier check ended, whose books are at hand: the first `records`, which have so many bytes and make that tree. */
struct fg_bill_point {
        int64_t records, bytes;
        struct fg_tlog_tree tree;
};

struct fg_bill_log {
        FILE *records;         /* a line each */
        FILE *hashes;          /* the leaf hashes, 32 bytes each; NULL: none were kept. Not trusted but where signed */
        const uint8_t *public; /* the key that signs; NULL: the one in the first record */
        const char *const *note; /* signed checkpoints, in any order */
        size_t notes;
        const struct fg_bill_point *from; /* NULL: the whole log. Else what is before is not looked at, nor are smaller checkpoints' roots */
};

/* `record`: its number, -1: of no record in particular; `type`: "" where it cannot be said. */
typedef void (*fg_bill_found_t)(void *user, int64_t record, const char *type, const char *text);

struct fg_bill_verdict {
        int64_t records;    /* in whole groups, from the beginning up to the first that is wrong */
        int64_t bytes;      /* of these */
        int64_t torn;       /* bytes of a last group that was not written to its end, and that nobody signed; 0: none */
        int64_t invoices, windows; /* of those that were looked at */
        uint64_t signed_size; /* of the largest checkpoint */
        size_t findings;      /* 0: all is well */
        bool are_hashes_stale; /* they are not these records': make them again */
        bool are_hashes_wrong; /* nor were they when they were signed */
        struct fg_tlog_tree tree; /* of the `records` */
};

/* 0, whatever was found: see ret->findings. What the books hold is what the whole groups say. -EIO …: a file cannot be
 * read; -ENOMEM. `books` are new ones, or those of log->from. */
int fg_bill_check(const struct fg_bill_log *log, struct fg_bill_books *books, fg_bill_found_t found, void *user,
                  struct fg_bill_verdict *ret, struct fg_error *err);

#endif
