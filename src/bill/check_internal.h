/* SPDX-License-Identifier: Apache-2.0
 * What the files of a check share. */
#ifndef FG_BILL_CHECK_INTERNAL_H
#define FG_BILL_CHECK_INTERNAL_H

#include "bill/check.h"

struct fg_bill_check {
        const struct fg_bill_log *log;
        struct fg_bill_books *books;
        fg_bill_found_t found;
        void *user;
        struct fg_bill_verdict verdict;
        struct fg_tlog_tree all; /* of every line, right or wrong */
        struct fg_tlog_tree begin; /* of what is before the first line that is looked at */

        /* Checkpoints by size; those whose signature or form is wrong are not among them. */
        struct fg_tlog_checkpoint checkpoint[FG_BILL_CHECKPOINTS];
        size_t checkpoints, passed; /* how many of them have been compared */
        uint64_t agreed;            /* size of the largest that agreed */
        bool are_hashes_signed;     /* they make the root of the largest one */

        int64_t next;      /* number that the next line should have */
        int64_t offset;    /* of the line at hand */
        bool is_stopped;   /* the books take nothing any more */
        bool is_tail_bad;  /* the last group has a line that is no record: torn, if nothing follows */
        int64_t tail_record; /* its number */
        char tail_text[FG_ERROR_MAX];
};

__attribute__((format(printf, 4, 5))) void fg_bill_check_say(struct fg_bill_check *check, int64_t record, const char *type,
                                                            const char *format, ...);

/* Opens the notes: the key is known. */
int fg_bill_check_notes(struct fg_bill_check *check, const uint8_t public[32], const char *node, struct fg_error *err);
/* Every checkpoint of this size against the tree of all lines so far. */
void fg_bill_check_root(struct fg_bill_check *check);
/* After the last line: what was signed and is not there. */
void fg_bill_check_end(struct fg_bill_check *check);
/* The hash that was kept of a record: 1, or 0 where nobody signed it. */
int fg_bill_check_kept(struct fg_bill_check *check, int64_t record, struct fg_tlog_hash *ret);

#endif
