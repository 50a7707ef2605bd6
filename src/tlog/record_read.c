/* SPDX-License-Identifier: Apache-2.0
 * The reader takes a text apart with as little judgement as it can, hands the parts to the writer and compares what it
 * writes with what was read: whatever is not in canonical form comes out different. */
#include "tlog/record_internal.h"

#include <errno.h>
#include <string.h>

struct cursor {
        const char *s, *end;
};

static bool take(struct cursor *c, char wanted)
{
        bool is_there = c->s < c->end && *c->s == wanted;
        c->s += is_there;
        return is_there;
}

/* A string with its quotes, without its escapes, into ret, which has room for any string of a record. */
static int take_string(struct cursor *c, char ret[FG_TLOG_RECORD_MAX + 1])
{
        size_t n = 0;
        if (!take(c, '"'))
                return -EBADMSG;
        while (c->s < c->end && *c->s != '"') {
                bool is_escaped = take(c, '\\');
                if (c->s == c->end || *c->s == '\0' || (is_escaped && *c->s != '"' && *c->s != '\\'))
                        return -EBADMSG;
                ret[n++] = *c->s++;
        }
        ret[n] = '\0';
        return take(c, '"') ? 0 : -EBADMSG;
}

/* Counted downwards: there is one more negative number than positive ones. */
static int take_int(struct cursor *c, int64_t *ret)
{
        bool is_negative = take(c, '-');
        const char *first = c->s;
        int64_t value = 0;
        for (; c->s < c->end && *c->s >= '0' && *c->s <= '9'; c->s++)
                if (__builtin_mul_overflow(value, 10, &value) || __builtin_sub_overflow(value, *c->s - '0', &value))
                        return -EBADMSG;
        if (c->s == first || (!is_negative && __builtin_sub_overflow(0, value, &value)))
                return -EBADMSG;
        *ret = value;
        return 0;
}

static int copy_field(struct cursor *c, struct fg_tlog_record *record)
{
        char key[FG_TLOG_RECORD_MAX + 1], text[FG_TLOG_RECORD_MAX + 1];
        int64_t value = 0;
        if (take_string(c, key) < 0 || !take(c, ':'))
                return -EBADMSG;
        bool is_string = c->s < c->end && *c->s == '"';
        if ((is_string ? take_string(c, text) : take_int(c, &value)) < 0)
                return -EBADMSG;
        if (record->size == 0 && (!is_string || strcmp(key, "type") != 0))
                return fg_error_set(&record->error, -EBADMSG, "record does not begin with its type");
        if (record->size == 0)
                fg_tlog_record_begin(record, text);
        else if (is_string)
                fg_tlog_record_add_string(record, key, text);
        else
                fg_tlog_record_add_int(record, key, value);
        return record->error.code;
}

int fg_tlog_record_parse(const char *text, size_t size, struct fg_tlog_record *ret, struct fg_error *err)
{
        struct fg_tlog_record record = {.size = 0};
        if (size == 0 || size > FG_TLOG_RECORD_MAX)
                return fg_error_set(err, -EBADMSG, "record has %zu bytes, not 1 to %u", size, FG_TLOG_RECORD_MAX);
        struct cursor c = {.s = text, .end = text + size};
        int r = take(&c, '{') ? 0 : -EBADMSG;
        do
                r = r < 0 ? r : copy_field(&c, &record);
        while (r == 0 && take(&c, ','));
        if (r == 0 && (!take(&c, '}') || c.s != c.end))
                r = -EBADMSG;
        if (record.error.code || (r == 0 && fg_tlog_record_end(&record, NULL) < 0))
                return fg_error_set(err, -EBADMSG, "%s", record.error.text);
        if (r < 0)
                return fg_error_set(err, -EBADMSG, "record is not one at byte %td", c.s - text);
        if (record.size != size || memcmp(record.text, text, size) != 0)
                return fg_error_set(err, -EBADMSG, "record is not in canonical form, which is %s", record.text);
        *ret = record;
        return 0;
}

int fg_tlog_record_expect(const struct fg_tlog_record *record, const char *type, const char *const *keys, size_t count,
                          struct fg_error *err)
{
        char found[FG_TLOG_KEY_MAX + 1] = "";
        if (fg_tlog_record_get_string(record, "type", found, sizeof(found)) < 0 || strcmp(found, type) != 0)
                return fg_error_set(err, -EBADMSG, "record is a \"%s\", not a \"%s\"", found, type);
        for (size_t i = 0; i < count; i++) {
                const struct fg_tlog_field *field = fg_tlog_record_find(record, keys[i]);
                if (!field || (size_t)(field - record->field) != i + 1)
                        return fg_error_set(err, -EBADMSG, "record \"%s\" %s \"%s\"", type,
                                            field ? "has in another place" : "lacks", keys[i]);
        }
        if (record->fields > count + 1) {
                const struct fg_tlog_field *field = &record->field[count + 1];
                return fg_error_set(err, -EBADMSG, "record \"%s\" has an unknown \"%.*s\"", type, (int)field->key_size,
                                    record->text + field->key);
        }
        return 0;
}

static int find_value(const struct fg_tlog_record *record, const char *key, bool is_string, struct cursor *ret)
{
        const struct fg_tlog_field *field = fg_tlog_record_find(record, key);
        if (!field)
                return -ENOENT;
        ret->s = record->text + field->value;
        ret->end = ret->s + field->value_size;
        return (*ret->s == '"') == is_string ? 0 : -EBADMSG;
}

int fg_tlog_record_get_int(const struct fg_tlog_record *record, const char *key, int64_t *ret)
{
        struct cursor c;
        int r = find_value(record, key, false, &c);
        return r < 0 ? r : take_int(&c, ret);
}

int fg_tlog_record_get_string(const struct fg_tlog_record *record, const char *key, char *ret, size_t len)
{
        char text[FG_TLOG_RECORD_MAX + 1];
        struct cursor c;
        int r = find_value(record, key, true, &c);
        if (r == 0)
                r = take_string(&c, text);
        if (r < 0)
                return r;
        if (strlen(text) >= len)
                return -ENOBUFS;
        strcpy(ret, text);
        return 0;
}

int fg_tlog_record_get_big(const struct fg_tlog_record *record, const char *key, char ret[FG_TLOG_BIG_MAX])
{
        char text[FG_TLOG_BIG_MAX];
        int r = fg_tlog_record_get_string(record, key, text, sizeof(text));
        if (r == -ENOBUFS || (r == 0 && !fg_tlog_record_is_big(text)))
                return -EBADMSG;
        if (r == 0)
                strcpy(ret, text);
        return r;
}
