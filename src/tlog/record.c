/* SPDX-License-Identifier: Apache-2.0
 * The writer. It is what says what a record is: the reader feeds it with what it read and compares. */
#include "tlog/record_internal.h"
#include "base/utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MOST_NEGATIVE "170141183460469231731687303715884105728" /* 2^127 */

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

static bool is_key(const char *key)
{
        size_t size = strnlen(key, FG_TLOG_KEY_MAX + 1);
        for (size_t i = 0; i < size; i++)
                if (!(key[i] >= 'a' && key[i] <= 'z') && (i == 0 || !(is_digit(key[i]) || key[i] == '_')))
                        return false;
        return size > 0 && size <= FG_TLOG_KEY_MAX;
}

/* Not for a line that people read: C0, DEL and C1, line and paragraph separator, marks, embeddings, overrides and
 * isolates of the direction of writing. */
static bool is_harmful(uint32_t code)
{
        return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x061c || code == 0x200e || code == 0x200f ||
               (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

bool fg_tlog_record_is_big(const char *decimal)
{
        bool is_negative = decimal[0] == '-';
        const char *digits = decimal + is_negative;
        size_t size = strnlen(digits, FG_TLOG_BIG_MAX), most = strlen(MOST_NEGATIVE);
        for (size_t i = 0; i < size; i++)
                if (!is_digit(digits[i]))
                        return false;
        if (size == 0 || size > most || (digits[0] == '0' && (size > 1 || is_negative)))
                return false;
        int order = size < most ? -1 : strcmp(digits, MOST_NEGATIVE);
        return is_negative ? order <= 0 : order < 0;
}

const struct fg_tlog_field *fg_tlog_record_find(const struct fg_tlog_record *record, const char *key)
{
        size_t size = strlen(key);
        for (uint32_t i = 0; i < record->fields; i++) {
                const struct fg_tlog_field *field = &record->field[i];
                if (field->key_size == size && memcmp(record->text + field->key, key, size) == 0)
                        return field;
        }
        return NULL;
}

__attribute__((cold)) static void fail(struct fg_tlog_record *r, int code, const char *key, const char *what)
{
        if (r->error.code == 0)
                fg_error_set(&r->error, code, "record field \"%.*s\": %s", (int)FG_TLOG_KEY_MAX, key, what);
}

/* The last byte is left to the closing brace. */
static void put(struct fg_tlog_record *r, const char *bytes, size_t size)
{
        if (r->error.code)
                return;
        if (size > FG_TLOG_RECORD_MAX - 1 - r->size) {
                fg_error_set(&r->error, -EMSGSIZE, "record is longer than %u bytes", FG_TLOG_RECORD_MAX);
                return;
        }
        memcpy(r->text + r->size, bytes, size);
        r->size += (uint32_t)size;
}

/* Writes what stands before a value; the field counts once close_field() has seen it whole. */
static bool open_field(struct fg_tlog_record *r, const char *key)
{
        if (r->error.code)
                return false;
        if (r->size == 0 || r->is_ended)
                fail(r, -EINVAL, key, "its record is not begun");
        else if (!is_key(key))
                fail(r, -EINVAL, key, "not a key: a-z, 0-9 and '_', a letter first, at most 32");
        else if (fg_tlog_record_find(r, key))
                fail(r, -EINVAL, key, "is there twice");
        else if (r->fields == FG_TLOG_FIELDS_MAX)
                fail(r, -EMSGSIZE, key, "one too many");
        if (r->error.code)
                return false;
        put(r, ",", r->fields ? 1 : 0);
        put(r, "\"", 1);
        struct fg_tlog_field *field = &r->field[r->fields];
        size_t size = strlen(key);
        *field = (struct fg_tlog_field){.key = (uint16_t)r->size, .key_size = (uint16_t)size};
        put(r, key, size);
        put(r, "\":", 2);
        field->value = (uint16_t)r->size;
        return r->error.code == 0;
}

static void close_field(struct fg_tlog_record *r)
{
        if (r->error.code)
                return;
        struct fg_tlog_field *field = &r->field[r->fields++];
        field->value_size = (uint16_t)(r->size - field->value);
}

void fg_tlog_record_add_int(struct fg_tlog_record *record, const char *key, int64_t value)
{
        char text[32];
        int size = snprintf(text, sizeof(text), "%" PRId64, value);
        if (!open_field(record, key))
                return;
        put(record, text, (size_t)size);
        close_field(record);
}

void fg_tlog_record_add_string(struct fg_tlog_record *record, const char *key, const char *value)
{
        if (!open_field(record, key))
                return;
        put(record, "\"", 1);
        for (size_t len; *value && record->error.code == 0; value += len) {
                uint32_t code = 0;
                len = fg_utf8_decode(value, FG_UTF8_MAX, &code);
                if (len == 0 || is_harmful(code))
                        fail(record, -EILSEQ, key, len ? "a control character" : "not UTF-8");
                put(record, "\\", *value == '"' || *value == '\\' ? 1 : 0);
                put(record, value, len);
        }
        put(record, "\"", 1);
        close_field(record);
}

void fg_tlog_record_add_big(struct fg_tlog_record *record, const char *key, const char *decimal)
{
        if (fg_tlog_record_is_big(decimal))
                fg_tlog_record_add_string(record, key, decimal);
        else
                fail(record, -EINVAL, key, "not an integer of 128 bits in decimal digits");
}

void fg_tlog_record_begin(struct fg_tlog_record *record, const char *type)
{
        record->size = record->fields = 0;
        record->is_ended = false;
        record->error = (struct fg_error){0};
        put(record, "{", 1);
        if (is_key(type))
                fg_tlog_record_add_string(record, "type", type);
        else
                fail(record, -EINVAL, "type", "not a type: a-z, 0-9 and '_', a letter first, at most 32");
}

int fg_tlog_record_end(struct fg_tlog_record *record, struct fg_error *err)
{
        if (record->error.code == 0 && (record->size == 0 || record->is_ended))
                fg_error_set(&record->error, -EINVAL, "record is not begun");
        if (record->error.code) {
                record->size = record->fields = 0;
                record->text[0] = '\0';
                if (err)
                        *err = record->error;
                return record->error.code;
        }
        memcpy(record->text + record->size++, "}", 2);
        record->is_ended = true;
        return 0;
}
