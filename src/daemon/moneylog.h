/* SPDX-License-Identifier: Apache-2.0
 *
 * The log of money on disk: STATE/money/
 *
 *      key            the seed of the Ed25519 key, base64, mode 0600
 *      records.log    a record on each line
 *      hashes         32 bytes for each: its leaf in the tree. Made again when it is not right
 *      index          a row for each 64: where they are, and their node in the tree. The same
 *      checkpoint     the newest signed checkpoint
 *      checkpoints/   the first of each day, FGD_MONEYLOG_DAYS at most
 *      books          what the books held not long ago, signed: a start reads the log from there on. May be removed
 *
 * A group of records (a window with its usage, a price list …) is one append: it is in the books and acknowledged once
 * it is on the disk, and is cut off again when it is not. What a killed daemon left of a group is cut at the next start.
 *
 * Damaged: the log is not what was signed, or makes no sense. Then nothing is ever written, and everything that would be
 * is refused with the reason.
 *
 * Of one thread. Does not need a manager. */
#ifndef FGD_MONEYLOG_H
#define FGD_MONEYLOG_H

#include "bill/check.h"

struct fgd_moneylog;

/* `folder` is made if it is not there. 0 also when the log is damaged: fgd_moneylog_trouble(). `now`: unix s.
 * -errno: the disk does not let us. */
int fgd_moneylog_open(const char *folder, int64_t now, struct fgd_moneylog **ret, struct fg_error *err);
void fgd_moneylog_close(struct fgd_moneylog *log); /* NULL is fine */

static inline void fgd_cleanup_moneylogp(struct fgd_moneylog **log)
{
        fgd_moneylog_close(*log);
}

/* "": all is well; else why nothing is billed. */
const char *fgd_moneylog_trouble(const struct fgd_moneylog *log);
const struct fg_bill_books *fgd_moneylog_books(const struct fgd_moneylog *log);
/* The newest checkpoint, signed; "": there is none. */
const char *fgd_moneylog_note(const struct fgd_moneylog *log);
uint64_t fgd_moneylog_size(const struct fgd_moneylog *log);   /* records */
uint64_t fgd_moneylog_signed(const struct fgd_moneylog *log); /* of them in the checkpoint */
uint64_t fgd_moneylog_trusted(const struct fgd_moneylog *log); /* of them not read when it was opened: what was kept said what they say */

/* --- writing a group: begin, add each record (its seq is filled in), end. All or nothing --- */

void fgd_moneylog_begin(struct fgd_moneylog *log);
/* -EBADMSG: the books do not take it. After an error the group is gone. */
int fgd_moneylog_add(struct fgd_moneylog *log, struct fg_bill_record *record, struct fg_error *err);
/* before() is asked ahead of each write; -errno: nothing is written. */
void fgd_moneylog_follow(struct fgd_moneylog *log, int (*before)(void *user), void *user);
/* 0: it is on the disk. -EINVAL: the group is not complete. -errno: it is not there; it can be offered again. */
int fgd_moneylog_end(struct fgd_moneylog *log, struct fg_error *err);

/* Signs what there is and keeps that; no effect when nothing was added. */
int fgd_moneylog_sign(struct fgd_moneylog *log, int64_t now, struct fg_error *err);

/* Keeps what the books hold, so that the next start need not read what is before. Signs. */
int fgd_moneylog_keep(struct fgd_moneylog *log, int64_t now, struct fg_error *err);
uint64_t fgd_moneylog_kept(const struct fgd_moneylog *log); /* records in what was kept last; 0: nothing */
void fgd_moneylog_forget(struct fgd_moneylog *log); /* that is thrown away: the next start reads all */
/* Somebody has found the log not to be what was signed: nothing more is written. */
void fgd_moneylog_blame(struct fgd_moneylog *log, const char *trouble);

/* --- groups that need no more than this --- */

int fgd_moneylog_prices(struct fgd_moneylog *log, const struct fg_bill_prices *prices, int64_t now, struct fg_error *err);
/* Makes the invoice, puts its record, and signs. -ENODATA: nothing to bill. */
int fgd_moneylog_invoice(struct fgd_moneylog *log, const char *project, const char *currency, int64_t from, int64_t until,
                         int64_t now, struct fg_error *err);

/* --- reading --- */

/* A record's text, without newline. -ENOENT, -EIO. */
int fgd_moneylog_line(struct fgd_moneylog *log, uint64_t record, char ret[FG_TLOG_RECORD_MAX + 1], size_t *ret_size);
/* In the tree of the first `size` records. -EINVAL, -ENOENT, -EIO. */
int fgd_moneylog_prove(struct fgd_moneylog *log, uint64_t record, uint64_t size, struct fg_tlog_proof *ret);
int fgd_moneylog_prove_consistency(struct fgd_moneylog *log, uint64_t old_size, uint64_t size, struct fg_tlog_proof *ret);

/* The whole log as it lies in a folder, changed by nothing. What is found is said through `found`. -errno: cannot be read. */
int fgd_moneylog_check(const char *folder, fg_bill_found_t found, void *user, struct fg_bill_verdict *ret, struct fg_error *err);

#endif
