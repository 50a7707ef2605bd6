/* SPDX-License-Identifier: Apache-2.0
 * What can be said of a project's records without those of others: everything but how a credit or a rebate was divided. */
#include "bill/bundle_internal.h"
#include "base/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static int take_node(struct fg_bill_opened *opened, const struct fg_bill_node *node)
{
        uint8_t key[32];
        char origin[FG_TLOG_NAME_MAX];
        snprintf(origin, sizeof(origin), "fastgpu/%.100s", node->node);
        if (node->seq != 0 || fg_tlog_unbase64(node->key, strlen(node->key), key, sizeof(key)) < 0 ||
            memcmp(key, opened->result.public, sizeof(key)) != 0 || strcmp(origin, opened->result.checkpoint.origin) != 0)
                fg_bill_opened_say(opened, node->seq, "node", "it is of another node or key than the checkpoint");
        opened->has_node = true;
        return 0;
}

static int take_price(struct fg_bill_opened *opened, const struct fg_bill_price *price)
{
        struct fg_bill_prices *at = opened->lists ? &opened->list[opened->lists - 1] : NULL;
        if (price->row == 0) {
                struct fg_bill_prices *more = reallocarray(opened->list, opened->lists + 1, sizeof(*more));
                if (!more)
                        return -ENOMEM;
                opened->list = more;
                at = &more[opened->lists++];
                *at = (struct fg_bill_prices){.list = price->list};
        }
        if (!at || price->row != (int64_t)at->count || price->list != at->list || price->list != (int64_t)opened->lists) {
                fg_bill_opened_say(opened, price->seq, "price", "a row or a list of prices before it is missing");
                return 0;
        }
        struct fg_bill_price *row = reallocarray(at->row, at->count + 1, sizeof(*row));
        if (!row)
                return -ENOMEM;
        at->row = row;
        at->row[at->count++] = *price;
        return 0;
}

/* The list that stood in the log when the window was put there. */
static const struct fg_bill_price *price_of(const struct fg_bill_opened *opened, const struct fg_bill_usage *usage)
{
        for (size_t i = opened->lists; i > 0; i--)
                if (opened->list[i - 1].count && opened->list[i - 1].row[0].seq < usage->window)
                        return fg_bill_prices_find(&opened->list[i - 1], opened->window.device, opened->window.model, usage->mode,
                                                   opened->window.start);
        return NULL;
}

static const char *judge_place(const struct fg_bill_opened *opened, const struct fg_bill_usage *usage)
{
        const struct fg_bill_price *price = price_of(opened, usage);
        if (!opened->has_window || usage->window != opened->window.seq || usage->start != opened->window.start ||
            usage->line >= opened->window.lines || usage->seq != usage->window + 1 + usage->line)
                return "its window is not the one before it";
        if (opened->last_usage >= 0 && usage->prev != opened->last_usage)
                return "a record of the project between it and the one before it is missing";
        if (usage->price != (price ? price->price : 0) || strcmp(usage->currency, price ? price->currency : "") != 0)
                return "its price is not the one that was in force";
        return NULL;
}

/* Settled by itself with the device time that was conserved: all but the parts of credit and rebate comes out the same. */
static const char *judge_amounts(const struct fg_bill_opened *opened, const struct fg_bill_usage *usage)
{
        struct fg_meter_line line = {.begin = usage->begin, .end = usage->end}, *view = &line;
        struct fg_meter_window window = {.wall_us = opened->window.wall, .beta_ppm = (uint32_t)opened->window.beta};
        if (fg_bill_segments_read(usage->segments, &line) < 0 || strcmp(usage->mode, fg_bill_mode(&line)) != 0)
                return "its segments make no sense";
        if (usage->conserved_cap > usage->conserved || usage->conserved - usage->conserved_cap > usage->busy ||
            usage->conserved_cap > usage->busy_cap)
                return "it has more device time than was used";
        line.busy_us = usage->conserved - usage->conserved_cap;
        line.busy_cap_us = usage->conserved_cap;
        if (fg_meter_settle(&window, &view, 1, NULL) < 0)
                return "it does not fit its window";
        if (line.reserved != usage->reserved || line.burst != usage->burst || line.surcharge != usage->surcharge)
                return "its amounts are not what the rule gives";
        if (usage->rebate > usage->reserved || usage->unused > usage->reserved - usage->rebate || usage->credit > usage->unused)
                return "its credit or rebate is larger than can be";
        return NULL;
}

static int take_usage(struct fg_bill_opened *opened, const struct fg_bill_usage *usage)
{
        struct fg_bill_cell cell;
        const char *wrong = judge_place(opened, usage);
        if (!wrong)
                wrong = judge_amounts(opened, usage);
        if (wrong)
                fg_bill_opened_say(opened, usage->seq, "usage", "%s", wrong);
        opened->last_usage = usage->seq;
        opened->result.usages++;
        if (fg_bill_cell_of(&opened->sums.texts, usage, opened->window.device, &cell) < 0 || fg_bill_sums_reserve(&opened->sums, 1) < 0)
                return -ENOMEM;
        fg_bill_sums_add(&opened->sums, &cell);
        return 0;
}

int fg_bill_opened_take(struct fg_bill_opened *opened, const struct fg_bill_record *record)
{
        if (!opened->has_node && record->type != FG_BILL_NODE) {
                fg_bill_opened_say(opened, record->seq, fg_bill_type_name(record->type), "it stands before the node's record");
                return 0;
        }
        switch (record->type) {
        case FG_BILL_NODE:
                return take_node(opened, &record->node);
        case FG_BILL_PRICE:
                return take_price(opened, &record->price);
        case FG_BILL_WINDOW:
                if (record->window.beta > FG_PPM)
                        fg_bill_opened_say(opened, record->seq, "window", "its beta cannot be");
                opened->window = record->window;
                opened->has_window = true;
                opened->result.windows++;
                return 0;
        case FG_BILL_USAGE:
                return take_usage(opened, &record->usage);
        case FG_BILL_INVOICE:
                if (opened->has_invoice)
                        fg_bill_opened_say(opened, record->seq, "invoice", "there is one in the bundle already");
                opened->result.invoice = record->invoice;
                opened->has_invoice = true;
                return 0;
        default:
                fg_bill_opened_say(opened, record->seq, fg_bill_type_name(record->type), "it does not belong into a bundle");
                return 0;
        }
}

int fg_bill_opened_end(struct fg_bill_opened *opened)
{
        FG_CLEANUP(fg_bill_cleanup_billp) struct fg_bill_bill bill = {0};
        const struct fg_bill_invoice *invoice = &opened->result.invoice;
        struct fg_bill_invoice right;
        struct fg_error why = {0};
        size_t size;
        if (!opened->has_invoice) {
                fg_bill_opened_say(opened, -1, "invoice", "there is none in the bundle");
                return 0;
        }
        int r = fg_bill_make(&opened->sums, invoice->project, invoice->currency, invoice->from, invoice->until, invoice->number, &bill, &why);
        if (r == 0 && (r = fg_bill_record_of(&bill, &right)) == 0)
                r = fg_bill_invoice_compare(invoice, &right, &why);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                fg_bill_opened_say(opened, invoice->seq, "invoice", "made again from the records: %s", why.text);
        return bill.number[0] ? fg_bill_text(&bill, &opened->result.text, &size) : 0;
}
