/* SPDX-License-Identifier: Apache-2.0
 * May this record stand here? Each answer names the field, what it says and what it should say. */
#include "bill/books_internal.h"
#include "base/cleanup.h"
#include "tlog/tlog.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW 60 /* s */

static int wrong(struct fg_error *err, const char *what, int64_t found, int64_t wanted)
{
        return fg_error_set(err, -EBADMSG, "its %s is %" PRId64 ", not %" PRId64, what, found, wanted);
}

static int no_memory(struct fg_error *err)
{
        return fg_error_set(err, -ENOMEM, "out of memory");
}

static int judge_node(const struct fg_bill_books *books, const struct fg_bill_node *node, struct fg_error *err)
{
        uint8_t key[32];
        if (node->seq != 0 || books->has_node)
                return fg_error_set(err, -EBADMSG, "a node stands only at the beginning of a log");
        if (node->format != FG_BILL_FORMAT)
                return fg_error_set(err, -EBADMSG, "its format is %" PRId64 ", this program reads %d", node->format,
                                    FG_BILL_FORMAT);
        if (node->node[0] == '\0' || fg_tlog_unbase64(node->key, strlen(node->key), key, sizeof(key)) < 0)
                return fg_error_set(err, -EBADMSG, "it has no name or no key");
        return 0;
}

static int judge_price(const struct fg_bill_books *books, const struct fg_bill_price *price, struct fg_error *err)
{
        if (price->list != books->prices.list + 1)
                return wrong(err, "list", price->list, books->prices.list + 1);
        if (price->rows < 1 || price->rows > FG_BILL_PRICES_MAX)
                return fg_error_set(err, -EBADMSG, "a price list has 1 to %u rows, not %" PRId64, FG_BILL_PRICES_MAX, price->rows);
        return 0;
}

static int judge_window_head(struct fg_bill_books *books, const struct fg_bill_window *window, struct fg_error *err)
{
        uint32_t device;
        if (window->device[0] == '\0' || window->start % WINDOW)
                return fg_error_set(err, -EBADMSG, "a window is of a device and begins with a minute");
        if (window->lines > FG_METER_LINES)
                return fg_error_set(err, -EBADMSG, "%" PRId64 " vGPUs in one window: at most %u", window->lines, FG_METER_LINES);
        if (window->beta > FG_PPM)
                return fg_error_set(err, -EBADMSG, "its beta is %" PRId64 ": at most %d", window->beta, FG_PPM);
        if (fg_bill_books_number(books, window->device, &device) < 0)
                return no_memory(err);
        if (window->start < books->mark[device].next_window)
                return fg_error_set(err, -EBADMSG, "minute %" PRId64 " of device %s is on record already", window->start,
                                    window->device);
        return 0;
}

static int judge_budget(struct fg_bill_books *books, const struct fg_bill_budget *budget, struct fg_error *err)
{
        char currency[FG_CURRENCY_MAX];
        if (budget->project[0] == '\0')
                return fg_error_set(err, -EBADMSG, "it is of no project");
        return fg_currency_parse(budget->currency, currency, err) < 0 ? -EBADMSG : 0;
}

int fg_bill_judge_head(struct fg_bill_books *books, const struct fg_bill_record *record, struct fg_error *err)
{
        if (!books->has_node && record->type != FG_BILL_NODE)
                return fg_error_set(err, -EBADMSG, "a log begins with its node");
        switch (record->type) {
        case FG_BILL_NODE:
                return judge_node(books, &record->node, err);
        case FG_BILL_PRICE:
                return judge_price(books, &record->price, err);
        case FG_BILL_WINDOW:
                return judge_window_head(books, &record->window, err);
        case FG_BILL_INVOICE:
                return fg_bill_judge_invoice(books, &record->invoice, err);
        case FG_BILL_GAP:
                return record->gap.until > record->gap.start ? 0 : fg_error_set(err, -EBADMSG, "a gap of no time");
        case FG_BILL_BUDGET:
                return judge_budget(books, &record->budget, err);
        default:
                return fg_error_set(err, -EBADMSG, "a usage without its window");
        }
}

static struct fg_bill_entry *new_entry(struct fg_bill_books *books)
{
        if (books->entries == books->entry_room) {
                size_t room = books->entry_room ? 2 * books->entry_room : 16;
                struct fg_bill_entry *more = reallocarray(books->entry, room, sizeof(*more));
                if (!more)
                        return NULL;
                books->entry = more;
                books->entry_room = room;
        }
        memset(&books->entry[books->entries], 0, sizeof(books->entry[0]));
        return &books->entry[books->entries];
}

/* The price in force when the window began, of the list that stood before it. */
static int judge_usage_price(const struct fg_bill_books *books, const struct fg_bill_usage *usage, struct fg_error *err)
{
        const struct fg_bill_window *window = &books->head.window;
        const struct fg_bill_price *price =
                fg_bill_prices_find(&books->prices, window->device, window->model, usage->mode, window->start);
        const char *currency = price ? price->currency : "";
        int64_t nano = price ? price->price : 0;
        if (usage->price != nano || strcmp(usage->currency, currency) != 0)
                return fg_error_set(err, -EBADMSG, "its price is %" PRId64 " %s; in force was %" PRId64 " %s", usage->price,
                                    usage->currency, nano, currency);
        return 0;
}

/* Where it belongs: its window, its line, and the project's records before it. */
static int judge_usage_place(const struct fg_bill_books *books, const struct fg_bill_usage *usage,
                             const struct fg_bill_cell *cell, struct fg_error *err)
{
        const struct fg_bill_mark *project = &books->mark[cell->project], *vgpu = &books->mark[cell->vgpu];
        int64_t prev = project->open_group == books->group ? project->open_usage : project->last_usage;
        if (usage->window != books->seq)
                return wrong(err, "window", usage->window, books->seq);
        if (usage->start != books->head.window.start)
                return wrong(err, "start", usage->start, books->head.window.start);
        if (usage->line != (int64_t)books->entries)
                return wrong(err, "line", usage->line, (int64_t)books->entries);
        if (usage->prev != prev)
                return wrong(err, "prev", usage->prev, prev);
        if (usage->start < vgpu->next_billed)
                return fg_error_set(err, -EBADMSG, "minute %" PRId64 " of vGPU %s is billed already", usage->start, usage->vgpu);
        if (usage->start < project->invoiced)
                return fg_error_set(err, -EBADMSG, "it is of a time for which project %s has its invoice", usage->project);
        if (vgpu->billed_in == books->group)
                return fg_error_set(err, -EBADMSG, "vGPU %s is in this window twice", usage->vgpu);
        return 0;
}

static void claim_of(const struct fg_bill_usage *usage, int64_t ret[CLAIMS])
{
        const int64_t claim[CLAIMS] = {usage->conserved, usage->conserved_cap, usage->reserved, usage->burst,
                                       usage->surcharge, usage->unused,        usage->credit,   usage->rebate};
        memcpy(ret, claim, sizeof(claim));
}

int fg_bill_judge_usage(struct fg_bill_books *books, const struct fg_bill_usage *usage, struct fg_error *err)
{
        struct fg_bill_entry *entry = new_entry(books);
        if (!entry || fg_bill_cell_of(&books->sums.texts, usage, books->head.window.device, &entry->cell) < 0 ||
            fg_bill_books_mark(books) < 0)
                return no_memory(err);
        if (usage->vgpu[0] == '\0' || usage->project[0] == '\0')
                return fg_error_set(err, -EBADMSG, "it is of no vGPU or no project");
        if (fg_bill_segments_read(usage->segments, &entry->line) < 0)
                return fg_error_set(err, -EBADMSG, "its segments make no sense");
        if (strcmp(usage->mode, fg_bill_mode(&entry->line)) != 0)
                return fg_error_set(err, -EBADMSG, "its mode is %s, its segments are %s", usage->mode,
                                    fg_bill_mode(&entry->line));
        int r = judge_usage_place(books, usage, &entry->cell, err);
        if (r == 0)
                r = judge_usage_price(books, usage, err);
        if (r < 0)
                return r;
        entry->line.begin = usage->begin, entry->line.end = usage->end;
        entry->line.busy_us = usage->busy, entry->line.busy_cap_us = usage->busy_cap;
        claim_of(usage, entry->claim);
        struct fg_bill_mark *project = &books->mark[entry->cell.project];
        project->open_group = books->group;
        project->open_usage = usage->seq;
        books->mark[entry->cell.vgpu].billed_in = books->group;
        books->entries++;
        return 0;
}

static int compare(struct fg_bill_books *books, size_t number, struct fg_error *err)
{
        static const char *const name[CLAIMS] = {"conserved", "conserved_cap", "reserved", "burst",
                                                 "surcharge", "unused",        "credit",   "rebate"};
        const struct fg_bill_entry *entry = &books->entry[number];
        const struct fg_meter_line *line = &entry->line;
        const int64_t right[CLAIMS] = {line->conserved_us, line->conserved_cap_us, line->reserved, line->burst,
                                       line->surcharge,    line->unused,           line->credit,   line->rebate};
        for (unsigned i = 0; i < CLAIMS; i++)
                if (entry->claim[i] != right[i]) {
                        books->blame = entry->cell.last;
                        return fg_error_set(err, -EBADMSG, "its %s is %" PRId64 ", the rule gives %" PRId64, name[i],
                                            entry->claim[i], right[i]);
                }
        return 0;
}

int fg_bill_judge_window(struct fg_bill_books *books, struct fg_error *err)
{
        const struct fg_bill_window *record = &books->head.window;
        struct fg_meter_window window = {.wall_us = record->wall, .beta_ppm = (uint32_t)record->beta};
        fg_autofree struct fg_meter_line **line = calloc(books->entries + 1, sizeof(*line));
        if (!line)
                return no_memory(err);
        for (size_t i = 0; i < books->entries; i++)
                line[i] = &books->entry[i].line;
        int r = fg_meter_settle(&window, line, books->entries, err);
        books->blame = record->seq;
        if (r < 0)
                return r == -ENOMEM ? r : -EBADMSG;
        for (size_t i = 0; i < books->entries; i++)
                if ((r = compare(books, i, err)) < 0)
                        return r;
        if (record->idle != window.idle)
                return fg_error_set(err, -EBADMSG, "its idle is %" PRId64 ", the rule gives %" PRId64, record->idle, window.idle);
        return 0;
}

static bool is_covered(const struct fg_bill_books *books, const struct fg_bill_invoice *invoice)
{
        for (size_t i = 0; i < books->invoices; i++) {
                const struct fg_bill_invoice *other = &books->invoice[i];
                if (strcmp(other->number, invoice->number) == 0 ||
                    (strcmp(other->project, invoice->project) == 0 && strcmp(other->currency, invoice->currency) == 0 &&
                     invoice->from < other->until && other->from < invoice->until))
                        return true;
        }
        return false;
}

int fg_bill_judge_invoice(struct fg_bill_books *books, const struct fg_bill_invoice *invoice, struct fg_error *err)
{
        FG_CLEANUP(fg_bill_cleanup_billp) struct fg_bill_bill bill = {0};
        struct fg_bill_invoice right;
        uint32_t project;
        if (is_covered(books, invoice))
                return fg_error_set(err, -EBADMSG, "invoice %s: its number or its time is on an invoice already", invoice->number);
        if (fg_bill_books_number(books, invoice->project, &project) < 0)
                return no_memory(err);
        int r = fg_bill_make(&books->sums, invoice->project, invoice->currency, invoice->from, invoice->until,
                             invoice->number, &bill, err);
        if (r < 0)
                return r == -ENOMEM ? r : -EBADMSG;
        if (fg_bill_record_of(&bill, &right) < 0)
                return no_memory(err);
        return fg_bill_invoice_compare(invoice, &right, err);
}
