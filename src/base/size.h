/* SPDX-License-Identifier: Apache-2.0
 * Sizes, shares and counts as people write them. */
#ifndef FG_BASE_SIZE_H
#define FG_BASE_SIZE_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

/* "4096", "256M", "1.5GiB", "64K", "2T", "25%" (of `whole`; refused when whole is 0). K M G T P and their "iB", "B" forms are
 * powers of 1024, case does not matter. 1..2^50 bytes. -EINVAL: not a size; -ERANGE: zero, negative or absurd. */
int fg_size_parse(const char *text, uint64_t whole, uint64_t *ret_bytes, struct fg_error *err);

/* "70", "70%", "12.5" percent -> 1..1000 permille. */
int fg_share_parse(const char *text, uint32_t *ret_permille, struct fg_error *err);

/* "90", "90s", "30m", "12h", "2d" -> seconds, at most `max`. `what` names it in the error. */
int fg_duration_parse(const char *what, const char *text, uint64_t max, uint64_t *ret_seconds, struct fg_error *err);

/* A whole number within [min, max]; `what` names it in the error. */
int fg_count_parse(const char *what, const char *text, uint64_t min, uint64_t max, uint64_t *ret, struct fg_error *err);

/* "256 MiB", "1.5 GiB", "17 B": exact when it divides, else three significant digits. Returns buf. */
char *fg_size_format(uint64_t bytes, char *buf, size_t len);
/* The same, and never more than there is: of what somebody is told to ask for. */
char *fg_size_floor(uint64_t bytes, char *buf, size_t len);

/* A vGPU's name: 1..63 of a-z A-Z 0-9 . _ -, starting with a letter or digit. */
int fg_name_check(const char *name, struct fg_error *err);

/* "NAME" or "NAME/I": copies NAME (at most 63 characters and NUL) and sets *ret_index to I, or -1 for all. */
int fg_target_parse(const char *text, char ret_name[64], int64_t *ret_index, struct fg_error *err);

/* The same with "PROJECT:" in front, if it is there: ret_project is "" when it is not. */
int fg_target_split(const char *text, char ret_project[64], char ret_name[64], int64_t *ret_index, struct fg_error *err);

#endif
