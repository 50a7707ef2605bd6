/* SPDX-License-Identifier: Apache-2.0
 * The books as bytes, so that whoever opens a long log need not read it again. They are the machine's own: another build may
 * lay its structs out otherwise, and then reads the log instead. */
#include "bill/books_internal.h"
#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct head {
        uint32_t format, node, price, span, cell, mark, invoice, budget; /* sizes of structs, and the log's format */
        int64_t seq, list;
        uint64_t group, prices, lists, texts, cells, invoices, budgets;
        struct fg_bill_node owner;
};

static const struct head form = {.format = FG_BILL_FORMAT,
                                 .node = sizeof(struct fg_bill_node),
                                 .price = sizeof(struct fg_bill_price),
                                 .span = sizeof(struct fg_bill_span),
                                 .cell = sizeof(struct fg_bill_cell),
                                 .mark = sizeof(struct fg_bill_mark),
                                 .invoice = sizeof(struct fg_bill_invoice),
                                 .budget = sizeof(struct fg_bill_budget)};
#define FORM_SIZE offsetof(struct head, seq)

int fg_bill_books_save(const struct fg_bill_books *books, FILE *f)
{
        const struct fg_bill_texts *texts = &books->sums.texts;
        struct head head = form;
        if (!books->has_node || books->taken)
                return -EINVAL;
        head.seq = books->seq, head.list = books->prices.list, head.group = books->group;
        head.prices = books->prices.count, head.lists = books->lists, head.texts = texts->count;
        head.cells = books->sums.count, head.invoices = books->invoices, head.budgets = books->budgets;
        head.owner = books->node;
        fwrite(&head, sizeof(head), 1, f);
        for (uint32_t i = 0; i < texts->count; i++)
                fwrite(texts->text[i], strlen(texts->text[i]) + 1, 1, f);
        const struct {
                const void *data;
                size_t size, count;
        } part[] = {
                {books->prices.row, sizeof(*books->prices.row), books->prices.count},
                {books->list, sizeof(*books->list), books->lists},
                {books->sums.cell, sizeof(*books->sums.cell), books->sums.count},
                {books->mark, sizeof(*books->mark), texts->count},
                {books->invoice, sizeof(*books->invoice), books->invoices},
                {books->budget, sizeof(*books->budget), books->budgets},
        };
        for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++)
                if (part[i].count)
                        fwrite(part[i].data, part[i].size, part[i].count, f);
        return ferror(f) ? -EIO : 0;
}

struct source {
        const char *at;
        size_t left;
};

/* A copy of the next `count`, allocated. */
static int take(struct source *from, size_t size, uint64_t count, void **ret)
{
        if (count > from->left / size)
                return -EBADMSG;
        void *copy = malloc(size * count + 1);
        if (!copy)
                return -ENOMEM;
        memcpy(copy, from->at, size * count);
        from->at += size * count;
        from->left -= size * count;
        free(*ret);
        *ret = copy;
        return 0;
}

static int take_texts(struct source *from, uint64_t count, struct fg_bill_books *books)
{
        uint32_t number;
        for (uint64_t i = 0; i < count; i++) {
                const char *end = memchr(from->at, '\0', from->left);
                if (!end)
                        return -EBADMSG;
                int r = fg_bill_books_number(books, from->at, &number);
                if (r < 0 || number != i)
                        return r < 0 ? r : -EBADMSG;
                from->left -= (size_t)(end + 1 - from->at);
                from->at = end + 1;
        }
        return 0;
}

static int take_cells(struct source *from, uint64_t count, struct fg_bill_books *books)
{
        fg_autofree struct fg_bill_cell *cell = NULL;
        uint32_t texts = books->sums.texts.count;
        int r = count > UINT32_MAX ? -EBADMSG : take(from, sizeof(*cell), count, (void **)&cell);
        if (r == 0)
                r = fg_bill_sums_reserve(&books->sums, (uint32_t)count);
        for (uint64_t i = 0; r == 0 && i < count; i++) {
                const struct fg_bill_cell *c = &cell[i];
                if (c->device >= texts || c->vgpu >= texts || c->name >= texts || c->project >= texts || c->user >= texts ||
                    c->currency >= texts)
                        return -EBADMSG;
                fg_bill_sums_add(&books->sums, c);
        }
        return r < 0 || books->sums.count == count ? r : -EBADMSG;
}

static int take_marks(struct source *from, struct fg_bill_books *books)
{
        fg_autofree struct fg_bill_mark *mark = NULL;
        int r = take(from, sizeof(*mark), books->sums.texts.count, (void **)&mark);
        if (r == 0 && books->sums.texts.count)
                memcpy(books->mark, mark, books->sums.texts.count * sizeof(*mark));
        return r;
}

static int take_all(struct source *from, struct fg_bill_books *books)
{
        struct head head;
        if (from->left < sizeof(head) || memcmp(from->at, &form, FORM_SIZE) != 0)
                return -EBADMSG;
        memcpy(&head, from->at, sizeof(head));
        from->at += sizeof(head);
        from->left -= sizeof(head);
        books->seq = head.seq, books->group = head.group, books->node = head.owner, books->has_node = true;
        books->prices.list = head.list;
        int r = fg_bill_books_mark(books);
        if (r == 0)
                r = take_texts(from, head.texts, books);
        if (r == 0)
                r = take(from, sizeof(*books->prices.row), head.prices, (void **)&books->prices.row);
        if (r == 0)
                r = take(from, sizeof(*books->list), head.lists, (void **)&books->list);
        if (r == 0)
                r = take_cells(from, head.cells, books);
        if (r == 0)
                r = take_marks(from, books);
        if (r == 0)
                r = take(from, sizeof(*books->invoice), head.invoices, (void **)&books->invoice);
        if (r == 0)
                r = take(from, sizeof(*books->budget), head.budgets, (void **)&books->budget);
        if (r < 0)
                return r;
        books->prices.count = head.prices, books->lists = head.lists;
        books->invoices = head.invoices, books->budgets = head.budgets;
        return from->left == 0 ? 0 : -EBADMSG;
}

int fg_bill_books_load(const void *data, size_t size, struct fg_bill_books **ret)
{
        FG_CLEANUP(fg_bill_cleanup_booksp) struct fg_bill_books *books = NULL;
        struct source from = {data, size};
        int r = fg_bill_books_new(&books);
        if (r == 0)
                r = take_all(&from, books);
        if (r == 0)
                *ret = FG_TAKE_PTR(books);
        return r;
}
