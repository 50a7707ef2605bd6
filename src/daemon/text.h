/* SPDX-License-Identifier: Apache-2.0
 * JSON written straight into one growing buffer: a list of 10 000 vGPUs costs its own size, not a tree of objects. */
#ifndef FGD_TEXT_H
#define FGD_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct fgd_text {
        char *data; /* NUL-terminated once something was added */
        size_t size, room;
        bool failed; /* out of memory: the text is void */
};

void fgd_text_clear(struct fgd_text *text);
/* An answer that was sent. */
void fgd_text_free(void *data);
/* Room for `more` bytes and a NUL behind them; false: out of memory. */
bool fgd_text_reserve(struct fgd_text *text, size_t more);

static inline void fgd_text_bytes(struct fgd_text *text, const char *bytes, size_t size)
{
        if (text->size + size >= text->room && !fgd_text_reserve(text, size))
                return;
        memcpy(text->data + text->size, bytes, size);
        text->size += size;
        text->data[text->size] = 0;
}

static inline void fgd_text_add(struct fgd_text *text, const char *piece)
{
        fgd_text_bytes(text, piece, strlen(piece));
}

__attribute__((format(printf, 2, 3))) void fgd_text_addf(struct fgd_text *text, const char *format, ...);
/* A JSON string with its quotes. Bytes that are not UTF-8 become '?'. */
void fgd_text_string(struct fgd_text *text, const char *value);
/* "name": "value" — with a comma in front unless it opens an object. */
void fgd_text_field(struct fgd_text *text, const char *name, const char *value);
/* The same of what has nothing to escape: names, words of ours. */
void fgd_text_word(struct fgd_text *text, const char *name, const char *value);
void fgd_text_digits(struct fgd_text *text, uint64_t value);
void fgd_text_number(struct fgd_text *text, const char *name, uint64_t value);
void fgd_text_bool(struct fgd_text *text, const char *name, bool value);
/* 2026-11-23T12:00:00.123Z of a unix time in ms, "" before 1970 and after 9999. Returns buf. */
char *fgd_time_format(int64_t ms, char buf[32]);
/* 2026-11-23T12:00:00Z of a unix time in s. Returns buf. */
char *fgd_date_format(int64_t seconds, char buf[32]);
/* "name": then the caller's own value. */
void fgd_text_name(struct fgd_text *text, const char *name);

#endif
