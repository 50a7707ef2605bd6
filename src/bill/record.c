/* SPDX-License-Identifier: Apache-2.0
 * One table says what the types' fields are, in what order, and what may stand in them. */
#include "bill/record.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define LARGEST_RECORD 48u /* fields of one type */

enum kind { WHOLE, TEXT };

struct field {
        const char *key;
        enum kind kind;
        uint16_t offset, size;
        const char *words; /* TEXT: one of these, with a '|' behind each; NULL: anything */
};

#define INT(type, member)         {#member, WHOLE, offsetof(struct fg_bill_##type, member), 0, NULL}
#define STR(type, member)         WORD(type, member, NULL)
#define WORD(type, member, words) \
        {#member, TEXT, offsetof(struct fg_bill_##type, member), sizeof(((struct fg_bill_##type *)0)->member), words}

static const struct field node_fields[] = {
        INT(node, seq), INT(node, time), STR(node, node), STR(node, key), INT(node, format),
};
static const struct field price_fields[] = {
        INT(price, seq),   INT(price, time),  INT(price, list),
        INT(price, row),   INT(price, rows),  STR(price, device),
        STR(price, model), WORD(price, class, "|cap|share|"),
        INT(price, from),  INT(price, until), STR(price, currency),
        INT(price, price),
};
static const struct field window_fields[] = {
        INT(window, seq),   INT(window, start), STR(window, device), STR(window, model), INT(window, wall),
        INT(window, beta),  INT(window, lines), INT(window, idle),   STR(window, boot),  INT(window, unbilled),
};
static const struct field usage_fields[] = {
        INT(usage, seq),           INT(usage, window),   INT(usage, start),
        INT(usage, line),          INT(usage, prev),     STR(usage, vgpu),
        STR(usage, name),          STR(usage, project),  STR(usage, user),
        STR(usage, job),           WORD(usage, mode, "cap|share|"),
        INT(usage, begin),         INT(usage, end),      STR(usage, segments),
        INT(usage, busy),          INT(usage, busy_cap), INT(usage, conserved),
        INT(usage, conserved_cap), INT(usage, reserved), INT(usage, burst),
        INT(usage, surcharge),     INT(usage, unused),   INT(usage, credit),
        INT(usage, rebate),        STR(usage, currency), INT(usage, price),
};
static const struct field invoice_fields[] = {
        INT(invoice, seq),      INT(invoice, time),  STR(invoice, number),  STR(invoice, project), INT(invoice, from),
        INT(invoice, until),    STR(invoice, currency), INT(invoice, lines), INT(invoice, payable), INT(invoice, first),
        INT(invoice, last),     INT(invoice, records), STR(invoice, hash),
};
static const struct field gap_fields[] = {
        INT(gap, seq), INT(gap, start), INT(gap, until), STR(gap, device), STR(gap, reason),
};
static const struct field budget_fields[] = {
        INT(budget, seq),      INT(budget, time),   STR(budget, project),
        STR(budget, currency), INT(budget, amount), WORD(budget, on_limit, "suspend|stop|notify|"),
};

#define ROW(type) {#type, type##_fields, sizeof(type##_fields) / sizeof(type##_fields[0])}
static const struct {
        const char *name;
        const struct field *field;
        size_t count;
} types[FG_BILL_TYPES] = {ROW(node), ROW(price), ROW(window), ROW(usage), ROW(invoice), ROW(gap), ROW(budget)};

static char *place_of(const struct fg_bill_record *record, const struct field *field)
{
        return (char *)&record->node + field->offset;
}

const char *fg_bill_type_name(enum fg_bill_type type)
{
        return (unsigned)type < FG_BILL_TYPES ? types[type].name : "?";
}

/* Whole words only: "cap" is in "cap|share|", "ca" is not. */
static bool is_one_of(const char *words, const char *text)
{
        size_t size = strlen(text);
        for (const char *s = words; *s; s = strchr(s, '|') + 1)
                if (strncmp(s, text, size) == 0 && s[size] == '|')
                        return true;
        return false;
}

/* 0, or `code` with the reason. */
static int judge(const struct fg_bill_record *record, const struct field *field, int code, struct fg_error *err)
{
        const char *at = place_of(record, field);
        int64_t value;
        if (field->kind == TEXT && field->words && !is_one_of(field->words, at))
                return fg_error_set(err, code, "\"%s\" is \"%s\", not one of %s", field->key, at, field->words);
        if (field->kind == TEXT)
                return 0;
        memcpy(&value, at, sizeof(value));
        return value < 0 ? fg_error_set(err, code, "\"%s\" is %" PRId64 ", below 0", field->key, value) : 0;
}

int fg_bill_write(const struct fg_bill_record *record, struct fg_tlog_record *ret, struct fg_error *err)
{
        fg_tlog_record_begin(ret, fg_bill_type_name(record->type));
        for (size_t i = 0; i < types[record->type].count; i++) {
                const struct field *field = &types[record->type].field[i];
                const char *at = place_of(record, field);
                int64_t value;
                int r = judge(record, field, -EINVAL, err);
                if (r < 0)
                        return r;
                if (field->kind == TEXT) {
                        fg_tlog_record_add_string(ret, field->key, at);
                        continue;
                }
                memcpy(&value, at, sizeof(value));
                fg_tlog_record_add_int(ret, field->key, value);
        }
        return fg_tlog_record_end(ret, err);
}

static int take(const struct fg_tlog_record *text, const struct field *field, struct fg_bill_record *ret,
                struct fg_error *err)
{
        char *at = place_of(ret, field);
        int64_t value;
        int r;
        if (field->kind == TEXT) {
                r = fg_tlog_record_get_string(text, field->key, at, field->size);
        } else if ((r = fg_tlog_record_get_int(text, field->key, &value)) == 0) {
                memcpy(at, &value, sizeof(value));
        }
        if (r == -ENOBUFS)
                return fg_error_set(err, -EBADMSG, "\"%s\" is longer than %u bytes", field->key, field->size - 1u);
        if (r < 0)
                return fg_error_set(err, -EBADMSG, "\"%s\" is not %s", field->key,
                                    field->kind == TEXT ? "a text" : "a whole number");
        return judge(ret, field, -EBADMSG, err);
}

static int find_type(const struct fg_tlog_record *text, enum fg_bill_type *ret, struct fg_error *err)
{
        char name[FG_TLOG_KEY_MAX + 1] = "";
        fg_tlog_record_get_string(text, "type", name, sizeof(name));
        for (int i = 0; i < FG_BILL_TYPES; i++)
                if (strcmp(types[i].name, name) == 0) {
                        *ret = (enum fg_bill_type)i;
                        return 0;
                }
        return fg_error_set(err, -EBADMSG, "there is no type of record \"%s\"", name);
}

int fg_bill_read(const char *text, size_t size, struct fg_bill_record *ret, struct fg_error *err)
{
        struct fg_tlog_record parsed;
        struct fg_bill_record record = {.type = 0};
        const char *keys[LARGEST_RECORD];
        int r = fg_tlog_record_parse(text, size, &parsed, err);
        if (r == 0)
                r = find_type(&parsed, &record.type, err);
        if (r < 0)
                return r;
        size_t count = types[record.type].count;
        for (size_t i = 0; i < count; i++)
                keys[i] = types[record.type].field[i].key;
        r = fg_tlog_record_expect(&parsed, types[record.type].name, keys, count, err);
        for (size_t i = 0; r == 0 && i < count; i++)
                r = take(&parsed, &types[record.type].field[i], &record, err);
        if (r == 0)
                *ret = record;
        return r;
}
