/* SPDX-License-Identifier: Apache-2.0
 * Groups are taken, completed and committed here; what may stand in them is judged in books_judge.c. */
#include "bill/books_internal.h"
#include "base/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES_KEPT 64u /* of a group that is over: one has about 2 KiB */

int fg_bill_books_new(struct fg_bill_books **ret)
{
        struct fg_bill_books *books = calloc(1, sizeof(*books));
        if (!books)
                return -ENOMEM;
        *ret = books;
        return 0;
}

void fg_bill_books_free(struct fg_bill_books *books)
{
        if (!books)
                return;
        fg_bill_prices_clear(&books->prices);
        fg_bill_prices_clear(&books->draft);
        fg_bill_sums_clear(&books->sums);
        free(books->mark);
        free(books->list);
        free(books->invoice);
        free(books->budget);
        free(books->entry);
        free(books);
}

int fg_bill_books_mark(struct fg_bill_books *books)
{
        uint32_t room = books->sums.texts.room;
        if (room <= books->marks)
                return 0;
        struct fg_bill_mark *mark = realloc(books->mark, room * sizeof(*mark));
        if (!mark)
                return -ENOMEM;
        memset(mark + books->marks, 0, (room - books->marks) * sizeof(*mark));
        books->mark = mark;
        books->marks = room;
        return 0;
}

int fg_bill_books_number(struct fg_bill_books *books, const char *text, uint32_t *ret)
{
        int r = fg_bill_texts_number(&books->sums.texts, text, ret);
        return r < 0 ? r : fg_bill_books_mark(books);
}

void fg_bill_books_drop(struct fg_bill_books *books)
{
        books->taken = 0;
        books->is_complete = false;
        books->entries = 0;
        if (books->entry_room > ENTRIES_KEPT) {
                free(books->entry);
                books->entry = NULL;
                books->entry_room = 0;
        }
        fg_bill_prices_clear(&books->draft);
}

int64_t fg_bill_books_blame(const struct fg_bill_books *books)
{
        return books->blame;
}

/* -ENOMEM now, so that committing cannot fail. */
static int make_room(struct fg_bill_books *books)
{
        if (books->head.type == FG_BILL_INVOICE) {
                void *more = reallocarray(books->invoice, books->invoices + 1, sizeof(*books->invoice));
                books->invoice = more ? more : books->invoice;
                return more ? 0 : -ENOMEM;
        }
        if (books->head.type == FG_BILL_PRICE) {
                void *more = reallocarray(books->list, books->lists + 1, sizeof(*books->list));
                books->list = more ? more : books->list;
                return more ? 0 : -ENOMEM;
        }
        if (books->head.type == FG_BILL_BUDGET) {
                void *more = reallocarray(books->budget, books->budgets + 1, sizeof(*books->budget));
                books->budget = more ? more : books->budget;
                return more ? 0 : -ENOMEM;
        }
        return fg_bill_sums_reserve(&books->sums, (uint32_t)books->entries);
}

static int take_price(struct fg_bill_books *books, const struct fg_bill_price *row, struct fg_error *err)
{
        struct fg_bill_prices *draft = &books->draft;
        const struct fg_bill_price *head = &books->head.price;
        if (row->row != (int64_t)draft->count || row->rows != head->rows || row->list != head->list || row->time != head->time)
                return fg_error_set(err, -EBADMSG, "it is not row %zu of the price list before it", draft->count);
        struct fg_bill_price *more = reallocarray(draft->row, draft->count + 1, sizeof(*more));
        if (!more)
                return fg_error_set(err, -ENOMEM, "out of memory");
        draft->row = more;
        draft->row[draft->count++] = *row;
        if ((int64_t)draft->count < row->rows)
                return 0;
        draft->list = row->list;
        return fg_bill_prices_judge(draft, NULL, err) < 0 ? -EBADMSG : 1;
}

/* Into the group that is open. */
static int take(struct fg_bill_books *books, const struct fg_bill_record *record, struct fg_error *err)
{
        if (record->type == FG_BILL_PRICE && books->head.type == FG_BILL_PRICE)
                return take_price(books, &record->price, err);
        if (books->head.type == FG_BILL_WINDOW && record->type == FG_BILL_USAGE) {
                int r = fg_bill_judge_usage(books, &record->usage, err);
                if (r < 0 || (int64_t)books->entries < books->head.window.lines)
                        return r;
                r = fg_bill_judge_window(books, err);
                return r < 0 ? r : 1;
        }
        return fg_error_set(err, -EBADMSG, "a %s stands where %s belongs", fg_bill_type_name(record->type),
                            books->head.type == FG_BILL_WINDOW ? "a usage of the window before it" : "a row of the price list before it");
}

static int begin(struct fg_bill_books *books, const struct fg_bill_record *record, struct fg_error *err)
{
        int r = fg_bill_judge_head(books, record, err);
        if (r < 0)
                return r;
        books->head = *record;
        if (record->type == FG_BILL_PRICE)
                return take_price(books, &record->price, err);
        if (record->type == FG_BILL_WINDOW && record->window.lines > 0)
                return 0;
        if (record->type == FG_BILL_WINDOW && (r = fg_bill_judge_window(books, err)) < 0)
                return r;
        return 1;
}

int fg_bill_books_offer(struct fg_bill_books *books, const struct fg_bill_record *record, struct fg_error *err)
{
        int64_t place = books->seq + books->taken;
        int r;
        books->blame = place;
        books->group += books->taken == 0;
        if (record->seq != place)
                r = fg_error_set(err, -EBADMSG, "its seq is %" PRId64 ", its place %" PRId64, record->seq, place);
        else
                r = books->taken ? take(books, record, err) : begin(books, record, err);
        if (r == 1 && make_room(books) < 0)
                r = fg_error_set(err, -ENOMEM, "out of memory");
        if (r < 0) {
                fg_bill_books_drop(books);
                return r;
        }
        books->taken++;
        books->is_complete = r == 1;
        return r;
}

static void commit_window(struct fg_bill_books *books)
{
        const struct fg_bill_window *window = &books->head.window;
        uint32_t device = fg_bill_texts_find(&books->sums.texts, window->device);
        books->mark[device].next_window = window->start + 60;
        for (size_t i = 0; i < books->entries; i++) {
                const struct fg_bill_cell *cell = &books->entry[i].cell;
                books->mark[cell->project].last_usage = cell->last;
                books->mark[cell->vgpu].next_billed = window->start + 60;
                fg_bill_sums_add(&books->sums, cell);
        }
}

static void commit_invoice(struct fg_bill_books *books)
{
        const struct fg_bill_invoice *invoice = &books->head.invoice;
        struct fg_bill_mark *mark = &books->mark[fg_bill_texts_find(&books->sums.texts, invoice->project)];
        books->invoice[books->invoices++] = *invoice;
        if (invoice->until > mark->invoiced)
                mark->invoiced = invoice->until;
}

static void commit_budget(struct fg_bill_books *books)
{
        size_t at = 0;
        while (at < books->budgets && strcmp(books->budget[at].project, books->head.budget.project) != 0)
                at++;
        books->budget[at] = books->head.budget;
        books->budgets += at == books->budgets;
}

void fg_bill_books_commit(struct fg_bill_books *books)
{
        if (!books->is_complete)
                return;
        switch (books->head.type) {
        case FG_BILL_NODE:
                books->node = books->head.node;
                books->has_node = true;
                break;
        case FG_BILL_PRICE:
                fg_bill_prices_clear(&books->prices);
                books->prices = books->draft;
                books->list[books->lists++] = (struct fg_bill_span){books->seq, (int64_t)books->draft.count};
                books->draft = (struct fg_bill_prices){0};
                break;
        case FG_BILL_WINDOW:
                commit_window(books);
                break;
        case FG_BILL_INVOICE:
                commit_invoice(books);
                break;
        case FG_BILL_BUDGET:
                commit_budget(books);
                break;
        default:
                break;
        }
        books->seq += books->taken;
        fg_bill_books_drop(books);
}

int64_t fg_bill_books_next(const struct fg_bill_books *books)
{
        return books->seq + books->taken;
}

bool fg_bill_books_is_open(const struct fg_bill_books *books)
{
        return books->taken > 0 && !books->is_complete;
}

const struct fg_bill_node *fg_bill_books_node(const struct fg_bill_books *books)
{
        return books->has_node ? &books->node : NULL;
}

const struct fg_bill_prices *fg_bill_books_prices(const struct fg_bill_books *books)
{
        return &books->prices;
}

const struct fg_bill_span *fg_bill_books_lists(const struct fg_bill_books *books, size_t *ret_count)
{
        *ret_count = books->lists;
        return books->list;
}

const struct fg_bill_sums *fg_bill_books_sums(const struct fg_bill_books *books)
{
        return &books->sums;
}

static const struct fg_bill_mark *mark_of(const struct fg_bill_books *books, const char *text)
{
        static const struct fg_bill_mark none;
        uint32_t number = fg_bill_texts_find(&books->sums.texts, text);
        return number < books->marks ? &books->mark[number] : &none;
}

int fg_bill_books_place(const struct fg_bill_books *books, struct fg_bill_usage *usage)
{
        const struct fg_bill_window *window = &books->head.window;
        const struct fg_bill_mark *mark = mark_of(books, usage->project);
        if (!fg_bill_books_is_open(books) || books->head.type != FG_BILL_WINDOW)
                return -EINVAL;
        const struct fg_bill_price *price =
                fg_bill_prices_find(&books->prices, window->device, window->model, usage->mode, window->start);
        usage->seq = fg_bill_books_next(books);
        usage->window = window->seq;
        usage->start = window->start;
        usage->line = (int64_t)books->entries;
        usage->prev = mark->open_group == books->group ? mark->open_usage : mark->last_usage;
        usage->price = price ? price->price : 0;
        snprintf(usage->currency, sizeof(usage->currency), "%s", price ? price->currency : "");
        return 0;
}

int64_t fg_bill_books_last_usage(const struct fg_bill_books *books, const char *project)
{
        return mark_of(books, project)->last_usage;
}

int64_t fg_bill_books_last_window(const struct fg_bill_books *books, const char *device)
{
        int64_t next = mark_of(books, device)->next_window;
        return next ? next - 60 : -1;
}

const struct fg_bill_invoice *fg_bill_books_invoices(const struct fg_bill_books *books, size_t *ret_count)
{
        *ret_count = books->invoices;
        return books->invoice;
}

const struct fg_bill_budget *fg_bill_books_budgets(const struct fg_bill_books *books, size_t *ret_count)
{
        *ret_count = books->budgets;
        return books->budget;
}
