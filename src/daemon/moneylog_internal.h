/* SPDX-License-Identifier: Apache-2.0
 * What the files of the money log share. */
#ifndef FGD_MONEYLOG_INTERNAL_H
#define FGD_MONEYLOG_INTERNAL_H

#include "daemon/moneylog.h"

#include <limits.h>

#define FGD_MONEYLOG_LEVEL 6u
#define FGD_MONEYLOG_STEP  64u /* every so many records the place in the file is remembered */

struct fgd_moneylog {
        int folder, records, hashes; /* descriptors */
        struct fg_bill_books *books;
        struct fg_tlog_key key;
        struct fg_tlog_tree tree;
        int64_t bytes;      /* of records.log, as far as it counts */
        uint64_t hashed;    /* how many hashes are right */
        uint64_t signed_size;
        char note[FG_TLOG_NOTE_MAX];
        char trouble[FG_ERROR_MAX];
        bool is_dirty; /* the file may be longer than `bytes` */

        /* Roots of the full subtrees of 2^FGD_MONEYLOG_LEVEL leaves and more: a byte for each record. */
        struct {
                struct fg_tlog_hash *node;
                size_t count, room;
        } level[64];
        struct fg_tlog_tree block; /* the leaves behind the last of them */

        int64_t *place; /* of record i * FGD_MONEYLOG_STEP */
        size_t places, place_room;

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
/* Remembers where record `number` is. -ENOMEM. */
int fgd_moneylog_place(struct fgd_moneylog *log, uint64_t number, int64_t at);
/* Adds a leaf to the levels. Where memory is short a level stays behind, and its proofs fail with -ENOENT. */
void fgd_moneylog_grow(struct fgd_moneylog *log, const struct fg_tlog_hash *leaf);
/* Writes the hashes that are missing. */
int fgd_moneylog_hash_up(struct fgd_moneylog *log);

#endif
