/* SPDX-License-Identifier: Apache-2.0 */
#include "bill/invoice.h"
#include "base/cleanup.h"
#include "bill/when.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[FG_BILL_KINDS] = {"reserved", "burst", "credit", "rebate", "rounding"};

const char *fg_bill_kind_name(enum fg_bill_kind kind)
{
        return (unsigned)kind < FG_BILL_KINDS ? names[kind] : "?";
}

void fg_bill_bill_clear(struct fg_bill_bill *bill)
{
        free(bill->line);
        *bill = (struct fg_bill_bill){0};
}

bool fg_bill_covers(const struct fg_bill_sums *sums, const struct fg_bill_bill *bill, const struct fg_bill_cell *cell)
{
        return cell->day >= bill->from && cell->day < bill->until &&
               strcmp(fg_bill_texts_get(&sums->texts, cell->project), bill->project) == 0 &&
               strcmp(fg_bill_texts_get(&sums->texts, cell->currency), bill->currency) == 0;
}

int64_t fg_bill_quantity(const struct fg_bill_cell *cell, enum fg_bill_kind kind)
{
        const int64_t row[FG_BILL_KINDS] = {cell->reserved, cell->surcharge, -cell->credit, -cell->rebate, 0};
        return row[kind];
}

static bool is_same_line(const struct fg_bill_line *a, const struct fg_bill_line *b)
{
        return strcmp(a->vgpu, b->vgpu) == 0 && a->kind == b->kind;
}

static int by_vgpu(const void *a, const void *b)
{
        const struct fg_bill_line *x = a, *y = b;
        int order = strcmp(x->vgpu, y->vgpu);
        if (order)
                return order;
        return x->kind != y->kind ? (int)x->kind - (int)y->kind : (x->last > y->last) - (x->last < y->last);
}

/* Of equal vGPU and kind, which stand together, one line is left; the last name counts. Lines of nothing go. */
static int join(struct fg_bill_bill *bill)
{
        size_t kept = 0;
        for (size_t i = 0; i < bill->lines; i++) {
                struct fg_bill_line *line = &bill->line[i], *last = kept ? &bill->line[kept - 1] : NULL;
                if (line->quantity == 0)
                        continue;
                if (!last || !is_same_line(last, line)) {
                        bill->line[kept++] = *line;
                        continue;
                }
                if (__builtin_add_overflow(last->cost, line->cost, &last->cost))
                        return -EOVERFLOW;
                last->quantity += line->quantity;
                last->name = line->name;
                last->last = line->last;
                if (last->price != line->price)
                        last->price = -1;
        }
        bill->lines = kept;
        return 0;
}

static int pay(struct fg_bill_bill *bill)
{
        unsigned decimals = fg_currency_decimals(bill->currency);
        for (size_t i = 0; i < bill->lines; i++) {
                struct fg_bill_line *line = &bill->line[i];
                line->amount = fg_money_round(line->cost, decimals);
                if (__builtin_add_overflow(bill->payable, line->amount, &bill->payable) || bill->payable > FG_MONEY_MAX ||
                    bill->payable < -FG_MONEY_MAX || line->amount == FG_MONEY_MAX || line->amount == -FG_MONEY_MAX)
                        return -EOVERFLOW;
        }
        /* Exact costs never add up to less than 0; a coin below it comes from rounding alone, and nobody is asked for it. */
        if (bill->payable < 0) {
                bill->line[bill->lines++] = (struct fg_bill_line){
                        .vgpu = "-", .name = "-", .kind = FG_BILL_ROUNDING, .price = -1, .amount = -bill->payable};
                bill->payable = 0;
        }
        return 0;
}

static int add_lines(const struct fg_bill_sums *sums, const struct fg_bill_cell *cell, struct fg_bill_bill *bill)
{
        for (int kind = 0; kind < FG_BILL_ROUNDING; kind++) {
                struct fg_bill_line *line = &bill->line[bill->lines++];
                *line = (struct fg_bill_line){
                        .vgpu = fg_bill_texts_get(&sums->texts, cell->vgpu),
                        .name = fg_bill_texts_get(&sums->texts, cell->name),
                        .kind = (enum fg_bill_kind)kind,
                        .quantity = fg_bill_quantity(cell, (enum fg_bill_kind)kind),
                        .price = cell->price,
                        .last = cell->last,
                };
                if (fg_cost_of(line->quantity, cell->price, &line->cost) < 0)
                        return -EOVERFLOW;
        }
        return 0;
}

static void cover(struct fg_bill_bill *bill, const struct fg_bill_cell *cell)
{
        bill->first = bill->records == 0 || cell->first < bill->first ? cell->first : bill->first;
        bill->last = cell->last > bill->last ? cell->last : bill->last;
        bill->records += cell->records;
}

static int fill(const struct fg_bill_sums *sums, struct fg_bill_bill *bill)
{
        uint32_t project = fg_bill_texts_find(&sums->texts, bill->project), count = 0;
        uint32_t currency = fg_bill_texts_find(&sums->texts, bill->currency);
        fg_autofree uint32_t *chosen = calloc((size_t)sums->count + 1, sizeof(*chosen));
        if (!chosen)
                return -ENOMEM;
        for (uint32_t i = 0; i < sums->count; i++) {
                const struct fg_bill_cell *cell = &sums->cell[i];
                if (cell->project == project && cell->currency == currency && cell->day >= bill->from &&
                    cell->day < bill->until)
                        chosen[count++] = i;
        }
        /* One more than the cells make: for the rounding. */
        bill->line = calloc((size_t)count * FG_BILL_ROUNDING + 1, sizeof(*bill->line));
        int r = bill->line ? 0 : -ENOMEM;
        for (uint32_t i = 0; r == 0 && i < count; i++) {
                cover(bill, &sums->cell[chosen[i]]);
                r = add_lines(sums, &sums->cell[chosen[i]], bill);
        }
        if (r < 0)
                return r;
        qsort(bill->line, bill->lines, sizeof(*bill->line), by_vgpu);
        r = join(bill);
        return r < 0 ? r : pay(bill);
}

int fg_bill_make(const struct fg_bill_sums *sums, const char *project, const char *currency, int64_t from, int64_t until,
                 const char *number, struct fg_bill_bill *ret, struct fg_error *err)
{
        FG_CLEANUP(fg_bill_cleanup_billp) struct fg_bill_bill bill = {.from = from, .until = until};
        if (from < 0 || until <= from || from % FG_BILL_DAY || until % FG_BILL_DAY)
                return fg_error_set(err, -EINVAL, "an invoice is of whole days in UTC");
        if (strlen(number) >= sizeof(bill.number) || strlen(project) >= sizeof(bill.project) ||
            strlen(currency) >= sizeof(bill.currency))
                return fg_error_set(err, -EINVAL, "a name is too long for an invoice");
        strcpy(bill.number, number);
        strcpy(bill.project, project);
        strcpy(bill.currency, currency);
        int r = fill(sums, &bill);
        if (r < 0)
                return fg_error_set(err, r, r == -EOVERFLOW ? "invoice %s is beyond all money" : "invoice %s: out of memory",
                                    number);
        *ret = bill;
        bill.line = NULL;
        return 0;
}
