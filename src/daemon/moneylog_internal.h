/* SPDX-License-Identifier: Apache-2.0
 * What the files of the money log share. */
#ifndef FGD_MONEYLOG_INTERNAL_H
#define FGD_MONEYLOG_INTERNAL_H

#include "daemon/moneylog.h"

#include "base/cleanup.h"

#include <limits.h>
#include <stdio.h>

#define FGD_MONEYLOG_BLOCK 6u  /* 2^6 records: a row of the index */
#define FGD_MONEYLOG_LEVEL 12u /* from this level on the tree's nodes are in memory: 64 bytes for each 4096 records */
#define FGD_MONEYLOG_DAYS  60u /* checkpoints that are kept besides the newest */

/* Of each full block: where its first record is, and its root. */
struct fgd_moneylog_row {
        int64_t at;
        struct fg_tlog_hash node;
};

struct fgd_moneylog {
        int folder, records, hashes, index; /* descriptors */
        struct fg_bill_books *books;
        bool is_forgotten; /* what was kept is wrong: nothing is kept until a start has read all again */
        struct fg_tlog_key key;
        bool has_key;
        struct fg_tlog_tree tree;
        int64_t bytes;   /* of records.log, as far as it counts */
        uint64_t hashed; /* how many hashes are right */
        uint64_t signed_size;
        uint64_t kept;   /* records in the file "books" */
        uint64_t trusted; /* records that were not read at the start, because "books" had them */
        char note[FG_TLOG_NOTE_MAX];
        int64_t day;     /* of the newest of the checkpoints that are kept, unix days; -1: none */
        char trouble[FG_ERROR_MAX];
        bool is_dirty; /* the file may be longer than `bytes` */
        int (*before)(void *user); /* NULL: nothing comes before it */
        void *before_user;

        /* Roots of the full subtrees of 2^FGD_MONEYLOG_LEVEL leaves and more: 64 bytes for each. */
        struct {
                struct fg_tlog_hash *node;
                size_t count, room;
        } level[64];
        bool is_short;             /* there was no memory for one of them */
        struct fg_tlog_tree chunk; /* the blocks behind the last of them */
        struct fg_tlog_tree block; /* the leaves behind the last of those */
        int64_t block_at;          /* where the first of these leaves' records is */

        /* The index: equation: indexed + fresh_count == tree.size >> FGD_MONEYLOG_BLOCK, between groups. */
        uint64_t indexed; /* rows on disk */
        struct fgd_moneylog_row *fresh; /* rows that are not there yet */
        size_t fresh_count, fresh_room;

        /* The open group. */
        char *text;
        size_t text_size, text_room, group;
        struct fg_tlog_hash *leaf;
        size_t leaf_room;
        bool is_complete;
};

/* moneylog_file.c */
int fgd_moneylog_write_all(int fd, const void *data, size_t size, int64_t at);
/* Reads a small file whole, with a NUL: its size, or -errno; -EFBIG. */
int fgd_moneylog_read(int folder, const char *name, char *ret, size_t room);
/* Replaces it: after a crash there is the old or the new one. */
int fgd_moneylog_replace(int folder, const char *name, const void *data, size_t size);
/* Makes room for the rows of `records` more. -ENOMEM. */
int fgd_moneylog_reserve(struct fgd_moneylog *log, size_t records);
/* Adds a leaf, whose record is at `at`, to the tree's nodes and the index. Where memory is short the upper nodes stay behind,
 * and proofs that need them fail with -ENOENT. */
void fgd_moneylog_grow(struct fgd_moneylog *log, const struct fg_tlog_hash *leaf, int64_t at);
/* Writes rows that are not on disk. What cannot be written stays in memory. */
int fgd_moneylog_index_up(struct fgd_moneylog *log);
/* -ENOENT, -EIO. */
int fgd_moneylog_row(const struct fgd_moneylog *log, uint64_t block, struct fgd_moneylog_row *ret);
void fgd_moneylog_tree_clear(struct fgd_moneylog *log);
/* The nodes and the open block of a tree whose index and hashes are on disk. 0; -EBADMSG: they are not those of `tree`; -errno. */
int fgd_moneylog_tree_load(struct fgd_moneylog *log, const struct fg_bill_point *point, int64_t block_at);
/* Writes the hashes that are missing. */
int fgd_moneylog_hash_up(struct fgd_moneylog *log);


/* --- moneylog_open.c --- */

int fgd_moneylog_open_file(int folder, const char *name, int flags); /* a descriptor, or -errno */
FILE *fgd_moneylog_stream(int fd);

static inline void fgd_moneylog_drop_file(FILE **f)
{
        if (*f)
                fclose(*f);
}
#define FGD_AUTOFILE FG_CLEANUP(fgd_moneylog_drop_file)

/* --- moneylog_notes.c --- */

struct fgd_moneylog_notes {
        size_t count;
        const char *note[FG_BILL_CHECKPOINTS];
        char text[FG_BILL_CHECKPOINTS][FG_TLOG_NOTE_MAX];
};
/* All signed checkpoints there are, `newest` ("": none) and what the file "books" has among them. What cannot be read is one
 * that makes no sense. *ret is the caller's to free. -ENOMEM. */
int fgd_moneylog_notes(int folder, const char *newest, struct fgd_moneylog_notes **ret);
/* Keeps this one if it is the first of its day, and throws away what is too old. */
int fgd_moneylog_note_keep(struct fgd_moneylog *log, int64_t now, const char *note);
int64_t fgd_moneylog_note_day(int folder);

/* --- moneylog_kept.c --- */

/* 1: *ret_books are what the log's first ret->records say, as this log's key signed it, and the tree is loaded; 0: there is
 * nothing of the kind, or it does not fit: read the log. */
int fgd_moneylog_recall(struct fgd_moneylog *log, struct fg_bill_point *ret, struct fg_bill_books **ret_books);
/* The checkpoint in the file "books"; "": none. */
void fgd_moneylog_recall_note(int folder, char ret[FG_TLOG_NOTE_MAX]);

/* --- moneylog_judge.c --- */

/* Checks the log from `point` on (NULL: all of it). What is found is the trouble. */
int fgd_moneylog_judge(struct fgd_moneylog *log, const struct fg_bill_point *point, struct fg_bill_verdict *ret, struct fg_error *err);
/* After that: cuts what is torn, and brings hashes and index up to the records. */
int fgd_moneylog_take_over(struct fgd_moneylog *log, const struct fg_bill_point *point, const struct fg_bill_verdict *verdict,
                           struct fg_error *err);

#endif
