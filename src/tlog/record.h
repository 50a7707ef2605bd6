/* SPDX-License-Identifier: Apache-2.0
 * Records of the money log: one line of JSON in one canonical form, so that its bytes can be hashed and a person can
 * grep it.
 *
 *      {"type":"charge","seq":17,"account":"lab-7","amount":"-12500000000000000000000"}
 *
 * An object without white space; "type" first, the others in the order in which they were added; every key once. A
 * value is an integer of 64 bits or a string; larger integers are strings of their decimal digits. Integers have no
 * leading zero and no "-0". Strings are UTF-8 with \" and \\ and no other escape: characters that could break a line or
 * deceive a reader (controls, line separators, changes of direction) are refused. So a record has exactly one text, and
 * that text has no newline.
 *
 * Nothing here allocates. A record is about 5 KiB and belongs to one thread at a time. */
#ifndef FG_TLOG_RECORD_H
#define FG_TLOG_RECORD_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FG_TLOG_RECORD_MAX 4096u /* bytes of the text, without a NUL or newline */
#define FG_TLOG_FIELDS_MAX 64u
#define FG_TLOG_KEY_MAX    32u /* a-z, 0-9 and '_', a letter first; types likewise */
#define FG_TLOG_BIG_MAX    41u /* "-170141183460469231731687303715884105728" and its NUL */

/* Where it is in the text: the key without its quotes, the value with them if it is a string. */
struct fg_tlog_field {
        uint16_t key, key_size, value, value_size;
};

struct fg_tlog_record {
        char text[FG_TLOG_RECORD_MAX + 1]; /* NUL-terminated once ended */
        uint32_t size;                     /* 0: not begun, or failed */
        uint32_t fields;
        struct fg_tlog_field field[FG_TLOG_FIELDS_MAX];
        bool is_ended;
        struct fg_error error; /* the first thing that went wrong */
};

/* --- writing: begin, add, end. What goes wrong on the way is remembered and is end's result --- */

void fg_tlog_record_begin(struct fg_tlog_record *record, const char *type);
void fg_tlog_record_add_int(struct fg_tlog_record *record, const char *key, int64_t value);
/* An integer of 128 bits as decimal digits, "-5": no sign but '-', no leading zero. */
void fg_tlog_record_add_big(struct fg_tlog_record *record, const char *key, const char *decimal);
void fg_tlog_record_add_string(struct fg_tlog_record *record, const char *key, const char *value);
/* 0, and `text` is the record. -EMSGSIZE: longer than FG_TLOG_RECORD_MAX or more than FG_TLOG_FIELDS_MAX; -EILSEQ: a
 * string that may not stand in a record; -EINVAL: a key or number that may not, a key twice, or not begun. After an
 * error size is 0. */
int fg_tlog_record_end(struct fg_tlog_record *record, struct fg_error *err);

/* --- reading --- */

/* One record, `size` without a newline. -EBADMSG with the reason for everything that is not byte for byte what writing
 * its fields again gives. Touches *ret only on success. */
int fg_tlog_record_parse(const char *text, size_t size, struct fg_tlog_record *ret, struct fg_error *err);

/* Are these exactly its keys after "type", in this order, and is this its type? What the form cannot know, a schema of
 * each type can: that nothing is missing, nothing is extra, and the order is the one. 0 or -EBADMSG with the first that
 * differs. */
int fg_tlog_record_expect(const struct fg_tlog_record *record, const char *type, const char *const *keys, size_t count,
                          struct fg_error *err);

/* -ENOENT: no such key; -EBADMSG: its value is of another kind; -ENOBUFS: does not fit into `len` with its NUL. */
int fg_tlog_record_get_int(const struct fg_tlog_record *record, const char *key, int64_t *ret);
int fg_tlog_record_get_big(const struct fg_tlog_record *record, const char *key, char ret[FG_TLOG_BIG_MAX]);
int fg_tlog_record_get_string(const struct fg_tlog_record *record, const char *key, char *ret, size_t len);

#endif
