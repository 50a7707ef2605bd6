/* SPDX-License-Identifier: Apache-2.0
 * What comes from elsewhere into the books: price lists, records, bundles, logs.
 *
 * The first byte says what the rest is: 'p' a price list, 'r' a record, 'b' a bundle, 'l' a log; anything else is tried as all
 * of them. */
#include "bill/bundle.h"
#include "bill/price.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_prices(const char *text, size_t size)
{
        struct fg_bill_prices prices = {0};
        struct fg_error err = {0};
        int r = fg_bill_prices_parse(text, size, &prices, &err);
        assert((r < 0) == (err.code != 0) && (r < 0) == (err.text[0] != '\0'));
        if (r < 0) {
                assert(!prices.row);
                return;
        }
        assert(prices.count > 0 && prices.count <= FG_BILL_PRICES_MAX && fg_bill_prices_judge(&prices, NULL, NULL) == 0);
        for (size_t i = 0; i < prices.count; i++) {
                const struct fg_bill_price *row = &prices.row[i], *found;
                assert(row->price >= 0 && row->price <= FG_PRICE_MAX);
                /* A row holds at its own beginning, unless a narrower one does. */
                found = fg_bill_prices_find(&prices, row->device, row->model, row->class, row->from);
                assert(found && strcmp(found->currency, row->currency) == 0);
        }
        fg_bill_prices_clear(&prices);
}

/* What is read is written as the same bytes. */
static void try_record(const char *text, size_t size)
{
        struct fg_bill_record record;
        struct fg_tlog_record again;
        struct fg_meter_line line;
        struct fg_error err = {0};
        if (fg_bill_read(text, size, &record, &err) < 0) {
                assert(err.code < 0 && err.text[0]);
                return;
        }
        assert(fg_bill_write(&record, &again, NULL) == 0);
        assert(again.size == size && memcmp(again.text, text, size) == 0);
        if (record.type == FG_BILL_USAGE && fg_bill_segments_read(record.usage.segments, &line) == 0) {
                char segments[FG_BILL_SEGMENTS_MAX];
                assert(fg_bill_segments_write(&line, segments) == 0 && strcmp(segments, record.usage.segments) == 0);
        }
}

static void on_found(void *user, int64_t record, const char *type, const char *text)
{
        assert(record >= -1 && type && text[0]);
        ++*(size_t *)user;
}

static void try_bundle(FILE *f)
{
        struct fg_bill_bundle bundle = {0};
        struct fg_error err = {0};
        size_t found = 0;
        rewind(f);
        int r = fg_bill_bundle_check(f, NULL, on_found, &found, &bundle, &err);
        assert(r < 0 ? err.text[0] != '\0' : bundle.findings == found);
        fg_bill_bundle_clear(&bundle);
}

static void try_log(FILE *f)
{
        struct fg_bill_log log = {.records = f};
        struct fg_bill_verdict verdict = {0};
        struct fg_bill_books *books = NULL;
        size_t found = 0;
        if (fg_bill_books_new(&books) < 0)
                return;
        assert(fg_bill_check(&log, books, on_found, &found, &verdict, NULL) == 0);
        assert(verdict.findings == found && verdict.records == fg_bill_books_next(books) && verdict.bytes >= 0);
        assert((uint64_t)verdict.records == verdict.tree.size);
        fg_bill_books_free(books);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char kind = size ? (char)data[0] : 0;
        const char *text = (const char *)data + (size > 0);
        bool is_any = !strchr("prbl", kind) || !kind;
        size_t rest = size ? size - 1 : 0;
        if (is_any || kind == 'p')
                try_prices(text, rest);
        if (is_any || kind == 'r')
                try_record(text, rest);
        if (rest == 0 || (!is_any && kind != 'b' && kind != 'l'))
                return 0;
        FILE *f = fmemopen((void *)(uintptr_t)text, rest, "r");
        if (!f)
                return 0;
        if (is_any || kind == 'b')
                try_bundle(f);
        if (is_any || kind == 'l')
                try_log(f);
        fclose(f);
        return 0;
}
