/* SPDX-License-Identifier: Apache-2.0
 * Tables as CSV, without quotes: the first line names the columns, which are found by their names; others are passed over. Errors name
 * line and column, what was found and what is allowed. */
#ifndef FG_REPLAY_CSV_H
#define FG_REPLAY_CSV_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FG_CSV_COLUMNS_MAX 64u /* of a file */
#define FG_CSV_WANTED_MAX  10u
#define FG_CSV_FILE_MAX    (256u << 20) /* bytes */

struct fg_csv_field {
        const char *text;
        size_t len;
};

struct fg_csv_column {
        const char *name;
        int64_t min, max; /* of a whole number; both 0: text */
        bool optional;
        const char *other_name; /* that it may have instead; NULL: none */
};

/* One file while it is read. */
struct fg_csv {
        const char *name, *at, *end;
        unsigned line;
        const struct fg_csv_column *want;
        size_t wants;
        int place[FG_CSV_WANTED_MAX]; /* of each wanted column; -1: not there */
        unsigned columns;
        struct fg_csv_field field[FG_CSV_COLUMNS_MAX];
        int64_t value[FG_CSV_WANTED_MAX]; /* of the line, in the order wanted; 0 of what is text or not there */
};

/* Reads the first line. `name` stands for the file in errors; nothing is copied. Lines that begin with # are passed over. */
int fg_csv_open(struct fg_csv *c, const char *name, const char *text, size_t len, const struct fg_csv_column *want, size_t wants,
                struct fg_error *err);
/* The next line. 1; 0: the end; -EINVAL. */
int fg_csv_next(struct fg_csv *c, struct fg_error *err);
/* The text of a wanted column of this line; NULL: the file does not have it. */
const struct fg_csv_field *fg_csv_text(const struct fg_csv *c, size_t wanted);
/* "FILE:LINE: column N (NAME): "found"; ALLOWED". Returns -EINVAL. */
int fg_csv_refuse(const struct fg_csv *c, size_t wanted, const char *allowed, struct fg_error *err);

/* Room for one more of `size` bytes in an array of `count`. -ENOMEM. */
int fg_csv_grow(void *array, size_t count, size_t size);

/* A whole file. -errno of the file; -EINVAL: none; -EFBIG; -ENOMEM. */
int fg_csv_read_file(const char *path, char **ret, size_t *ret_len, struct fg_error *err);

#endif
