/* SPDX-License-Identifier: Apache-2.0
 * CSV as RFC 4180 has it: cells divided by commas, in quotes where they hold one, a quote doubled. Lines end with LF or
 * CRLF. Every complaint names line and column. */
#include "base/cleanup.h"
#include "base/utf8.h"
#include "bill/price.h"
#include "bill/when.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum column { DEVICE, MODEL, CLASS, FROM, UNTIL, CURRENCY, PRICE, COLUMNS };
static const char *const column_name[COLUMNS] = {"device", "model", "class", "from", "until", "currency", "price"};

struct reader {
        const char *s, *end;
        unsigned line, next_line; /* of the cell, and behind it */
        struct fg_error *err;
        char cell[FG_BILL_NAME_MAX];
        bool is_last; /* of its line */
};

static int take_cell(struct reader *in)
{
        size_t n = 0;
        bool is_quoted = in->s < in->end && *in->s == '"';
        in->s += is_quoted;
        in->line = in->next_line;
        for (; in->s < in->end; in->s++) {
                char c = *in->s;
                if (is_quoted && c == '"' && (in->s + 1 == in->end || in->s[1] != '"'))
                        break;
                if (is_quoted && c == '"')
                        in->s++;
                if (!is_quoted && (c == ',' || c == '\n' || c == '\r' || c == '"'))
                        break;
                if ((unsigned char)c < 0x20 || n + 1 >= sizeof(in->cell))
                        return fg_error_set(in->err, -EINVAL, "line %u: a cell has %s", in->line,
                                            n + 1 >= sizeof(in->cell) ? "more than 159 bytes" : "a control character");
                in->cell[n++] = c;
        }
        in->cell[n] = '\0';
        if (is_quoted && in->s == in->end)
                return fg_error_set(in->err, -EINVAL, "line %u: a quote is not closed", in->line);
        in->s += is_quoted;
        if (in->s + 1 < in->end && in->s[0] == '\r' && in->s[1] == '\n')
                in->s++;
        in->is_last = in->s == in->end || *in->s == '\n';
        if (!in->is_last && *in->s != ',')
                return fg_error_set(in->err, -EINVAL, "line %u: after \"%s\" there is neither comma nor line's end",
                                    in->line, in->cell);
        in->next_line += in->s < in->end && in->is_last;
        in->s += in->s < in->end;
        return 0;
}

static bool is_text(const char *text)
{
        for (size_t len; *text; text += len)
                if ((len = fg_utf8_decode(text, FG_UTF8_MAX, NULL)) == 0)
                        return false;
        return true;
}

/* *ret_at[i]: which column the i-th cell of a line is. */
static int take_header(struct reader *in, enum column at[COLUMNS], unsigned *ret_count)
{
        unsigned seen = 0, count = 0;
        do {
                int r = take_cell(in), c = 0;
                if (r < 0)
                        return r;
                while (c < COLUMNS && strcmp(column_name[c], in->cell) != 0)
                        c++;
                if (c == COLUMNS)
                        return fg_error_set(in->err, -EINVAL, "line %u: there is no column \"%s\"; there are device, model, "
                                            "class, from, until, currency, price", in->line, in->cell);
                if (seen & 1u << c)
                        return fg_error_set(in->err, -EINVAL, "line %u: column \"%s\" is there twice", in->line, in->cell);
                seen |= 1u << c;
                at[count++] = (enum column)c;
        } while (!in->is_last);
        for (int c = CURRENCY; c <= PRICE; c++)
                if (!(seen & 1u << c))
                        return fg_error_set(in->err, -EINVAL, "line %u: column \"%s\" is missing", in->line, column_name[c]);
        *ret_count = count;
        return 0;
}

static int take_word(const char *cell, char *ret, size_t len, struct fg_error *err)
{
        if (strlen(cell) >= len || !is_text(cell))
                return fg_error_set(err, -EINVAL, "\"%s\" is longer than %zu bytes, or not UTF-8", cell, len - 1);
        strcpy(ret, cell);
        return 0;
}

static int take_value(enum column column, const char *cell, struct fg_bill_price *row, struct fg_error *err)
{
        char currency[FG_CURRENCY_MAX];
        switch (column) {
        case DEVICE:
                return take_word(cell, row->device, sizeof(row->device), err);
        case MODEL:
                return take_word(cell, row->model, sizeof(row->model), err);
        case CLASS:
                if (cell[0] && strcmp(cell, "cap") != 0 && strcmp(cell, "share") != 0)
                        return fg_error_set(err, -EINVAL, "\"%s\" is not \"cap\", \"share\" or empty", cell);
                return take_word(cell, row->class, sizeof(row->class), err);
        case FROM:
                return cell[0] ? fg_bill_when_parse(cell, &row->from, err) : 0;
        case UNTIL:
                return cell[0] ? fg_bill_when_parse(cell, &row->until, err) : 0;
        case CURRENCY:
                if (fg_currency_parse(cell, currency, err) < 0)
                        return -EINVAL;
                return take_word(cell, row->currency, sizeof(row->currency), err);
        default:
                return fg_price_parse(cell, &row->price, err) < 0 ? -EINVAL : 0;
        }
}

static int take_row(struct reader *in, const enum column *at, unsigned count, struct fg_bill_price *row)
{
        unsigned cells = 0, line = in->next_line;
        *row = (struct fg_bill_price){0};
        do {
                int r = take_cell(in);
                if (r < 0)
                        return r;
                if (cells == count)
                        return fg_error_set(in->err, -EINVAL, "line %u has more cells than the header's %u", line, count);
                enum column column = at[cells++];
                if (take_value(column, in->cell, row, in->err) < 0)
                        return fg_error_wrap(in->err, -EINVAL, "line %u, column \"%s\"", line, column_name[column]);
        } while (!in->is_last);
        if (cells < count)
                return fg_error_set(in->err, -EINVAL, "line %u, column \"%s\": the cell is missing", line,
                                    column_name[at[cells]]);
        return 0;
}

static int take_rows(struct reader *in, struct fg_bill_prices *ret)
{
        enum column at[COLUMNS];
        unsigned count = 0, line[FG_BILL_PRICES_MAX];
        int r = take_header(in, at, &count);
        while (r == 0 && in->s < in->end) {
                if (ret->count == FG_BILL_PRICES_MAX)
                        return fg_error_set(in->err, -E2BIG, "line %u: more than %u rows", in->next_line, FG_BILL_PRICES_MAX);
                line[ret->count] = in->next_line;
                r = take_row(in, at, count, &ret->row[ret->count++]);
        }
        if (r == 0 && ret->count == 0)
                return fg_error_set(in->err, -EINVAL, "line %u: there is no row below the header", in->next_line);
        return r < 0 ? r : fg_bill_prices_judge(ret, line, in->err);
}

int fg_bill_prices_parse(const char *csv, size_t size, struct fg_bill_prices *ret, struct fg_error *err)
{
        fg_autofree struct fg_bill_price *row = calloc(FG_BILL_PRICES_MAX, sizeof(*row));
        struct fg_bill_prices prices = {.row = row};
        struct reader in = {.s = csv, .end = csv + size, .next_line = 1, .err = err};
        if (!row)
                return fg_error_set(err, -ENOMEM, "out of memory");
        if (size > FG_BILL_PRICES_BYTES)
                return fg_error_set(err, -E2BIG, "a price list of %zu bytes: at most %u", size, FG_BILL_PRICES_BYTES);
        if (size == 0)
                return fg_error_set(err, -EINVAL, "line 1: there is no header");
        int r = take_rows(&in, &prices);
        if (r < 0)
                return r;
        for (size_t i = 0; i < prices.count; i++) {
                prices.row[i].row = (int64_t)i;
                prices.row[i].rows = (int64_t)prices.count;
        }
        *ret = prices;
        ret->row = FG_TAKE_PTR(row);
        return 0;
}
