/* SPDX-License-Identifier: Apache-2.0
 *
 * The books: what the log says, record by record, each judged by all before it. The daemon that writes the log and
 * everybody who checks one read it through these functions, so that what is written has passed the check.
 *
 * Records come in groups that are written as one: a window with its usage records, the rows of a price list; every
 * other record is a group of its own. offer() takes a record into the open group; the one that completes it has the
 * whole group judged (a window is settled again); commit() puts the group into the books, drop() forgets it.
 *
 * Equation: seq + (records of the open group) == seq that the next record has to have. */
#ifndef FG_BILL_BOOKS_H
#define FG_BILL_BOOKS_H

#include "bill/invoice.h"
#include "bill/price.h"

#include <stdio.h>

struct fg_bill_books;

int fg_bill_books_new(struct fg_bill_books **ret); /* -ENOMEM */
void fg_bill_books_free(struct fg_bill_books *books);

static inline void fg_bill_cleanup_booksp(struct fg_bill_books **books)
{
        fg_bill_books_free(*books);
}

/* 0: the group goes on; 1: it is complete and right; -EBADMSG: the record, or one before it in its group, is wrong: *err
 * says what, fg_bill_books_blame() which, and the group is dropped; -ENOMEM. */
int fg_bill_books_offer(struct fg_bill_books *books, const struct fg_bill_record *record, struct fg_error *err);
/* Only after offer() said 1. Cannot fail. */
void fg_bill_books_commit(struct fg_bill_books *books);
void fg_bill_books_drop(struct fg_bill_books *books);
int64_t fg_bill_books_blame(const struct fg_bill_books *books); /* seq of the record that offer() refused */

/* All that the books hold, for this build of this machine: the log's records up to fg_bill_books_next(). No group may be open. -EINVAL,
 * -EIO. Who loads it has to know that nobody else wrote it. -EBADMSG: of another build, or damaged; -ENOMEM. */
int fg_bill_books_save(const struct fg_bill_books *books, FILE *f);
int fg_bill_books_load(const void *data, size_t size, struct fg_bill_books **ret);

/* For who writes a usage record into the open window: fills in seq, window, start, line, prev, currency and price by its
 * project and mode. -EINVAL: no window is open. */
int fg_bill_books_place(const struct fg_bill_books *books, struct fg_bill_usage *usage);

int64_t fg_bill_books_next(const struct fg_bill_books *books); /* seq of the next record, of an open group too */
bool fg_bill_books_is_open(const struct fg_bill_books *books); /* a group has begun and is not complete */

/* What holds by now; NULL or 0: nothing yet. */
const struct fg_bill_node *fg_bill_books_node(const struct fg_bill_books *books);
const struct fg_bill_prices *fg_bill_books_prices(const struct fg_bill_books *books);
/* Where the price lists are: the first record of each, and how many. */
struct fg_bill_span {
        int64_t first, count;
};
const struct fg_bill_span *fg_bill_books_lists(const struct fg_bill_books *books, size_t *ret_count);
const struct fg_bill_sums *fg_bill_books_sums(const struct fg_bill_books *books);
int64_t fg_bill_books_last_usage(const struct fg_bill_books *books, const char *project); /* seq */
int64_t fg_bill_books_last_window(const struct fg_bill_books *books, const char *device); /* start; -1: none */
const struct fg_bill_invoice *fg_bill_books_invoices(const struct fg_bill_books *books, size_t *ret_count);
const struct fg_bill_budget *fg_bill_books_budgets(const struct fg_bill_books *books, size_t *ret_count);

#endif
