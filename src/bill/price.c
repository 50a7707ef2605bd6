/* SPDX-License-Identifier: Apache-2.0
 * The rows of a list against each other and against a question. */
#include "bill/price.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void fg_bill_prices_clear(struct fg_bill_prices *prices)
{
        free(prices->row);
        *prices = (struct fg_bill_prices){0};
}

static bool is_before_end(int64_t when, const struct fg_bill_price *row)
{
        return row->until == 0 || when < row->until;
}

static bool is_overlap(const struct fg_bill_price *a, const struct fg_bill_price *b)
{
        return strcmp(a->device, b->device) == 0 && strcmp(a->model, b->model) == 0 &&
               strcmp(a->class, b->class) == 0 && is_before_end(a->from, b) && is_before_end(b->from, a);
}

int fg_bill_prices_judge(const struct fg_bill_prices *prices, const unsigned *line, struct fg_error *err)
{
        const char *word = line ? "line" : "row";
        char currency[FG_CURRENCY_MAX];
        for (size_t i = 0; i < prices->count; i++) {
                const struct fg_bill_price *row = &prices->row[i], *first = &prices->row[0];
                unsigned number = line ? line[i] : (unsigned)i + 1;
                if (fg_currency_parse(row->currency, currency, err) < 0)
                        return fg_error_wrap(err, -EINVAL, "%s %u, column \"currency\"", word, number);
                if (strcmp(row->currency, first->currency) != 0)
                        return fg_error_set(err, -EINVAL, "%s %u, column \"currency\": %s after %s; a list has one currency",
                                            word, number, row->currency, first->currency);
                if (row->price > FG_PRICE_MAX)
                        return fg_error_set(err, -EINVAL, "%s %u, column \"price\": more than a million an hour", word,
                                            number);
                if (row->until && row->until <= row->from)
                        return fg_error_set(err, -EINVAL, "%s %u, column \"until\": it ends before it begins", word, number);
                for (size_t k = 0; k < i; k++)
                        if (is_overlap(row, &prices->row[k]))
                                return fg_error_set(err, -EINVAL, "%s %u, column \"from\": the same as %s %u at the same time",
                                                    word, number, word, line ? line[k] : (unsigned)k + 1);
        }
        return 0;
}

static bool fits(const char *wanted, const char *found)
{
        return wanted[0] == '\0' || strcmp(wanted, found) == 0;
}

static int weight(const struct fg_bill_price *row)
{
        return (row->device[0] ? 4 : 0) + (row->model[0] ? 2 : 0) + (row->class[0] ? 1 : 0);
}

const struct fg_bill_price *fg_bill_prices_find(const struct fg_bill_prices *prices, const char *device,
                                                const char *model, const char *class, int64_t when)
{
        const struct fg_bill_price *best = NULL;
        for (size_t i = 0; i < prices->count; i++) {
                const struct fg_bill_price *row = &prices->row[i];
                if (fits(row->device, device) && fits(row->model, model) && fits(row->class, class) &&
                    when >= row->from && is_before_end(when, row) && (!best || weight(row) > weight(best)))
                        best = row;
        }
        return best;
}
