/* SPDX-License-Identifier: Apache-2.0
 * /v1/log: what it takes to check the log without trusting the daemon. */
#include "daemon/api_money.h"

#include "base/cleanup.h"
#include "daemon/metering.h"

#include <string.h>

#define USAGES_MAX 100u /* of one answer */

int fgd_call_moneylog(struct fgd_call *call, struct fgd_moneylog **ret)
{
        struct fgd_money *money = call->manager->money;
        if (!money || !money->log) {
                fgd_problem_set(&call->problem, FGD_STORAGE, "the money log is not open: %s", fgd_money_trouble(call->manager));
                return -1;
        }
        *ret = money->log;
        return 0;
}

void fgd_text_hash(struct fgd_text *text, const struct fg_tlog_hash *hash)
{
        char base64[FG_TLOG_BASE64(FG_TLOG_HASH)];
        fg_tlog_base64(hash, FG_TLOG_HASH, base64, sizeof base64);
        fgd_text_string(text, base64);
}

void fgd_text_proof(struct fgd_text *text, const struct fg_tlog_proof *proof)
{
        fgd_text_name(text, "proof");
        fgd_text_add(text, "[");
        for (uint32_t i = 0; i < proof->count; i++) {
                fgd_text_add(text, i ? ", " : "");
                fgd_text_hash(text, &proof->hash[i]);
        }
        fgd_text_add(text, "]");
}

int fgd_handle_checkpoint(struct fgd_call *call)
{
        struct fgd_moneylog *log;
        if (fgd_query_none(call) < 0 || fgd_call_moneylog(call, &log) < 0)
                return -1;
        const struct fg_bill_node *node = fg_bill_books_node(fgd_moneylog_books(log));
        struct fg_error err = {0};
        if (!*fgd_moneylog_trouble(log))
                fgd_moneylog_sign(log, fgd_metering_now(call->manager) / 1000000, &err); /* the newest is what he wants to compare */
        fgd_text_add(&call->text, "{");
        fgd_text_field(&call->text, "node", node ? node->node : "");
        fgd_text_field(&call->text, "key", node ? node->key : "");
        fgd_text_number(&call->text, "size", fgd_moneylog_signed(log));
        fgd_text_number(&call->text, "records", fgd_moneylog_size(log));
        fgd_text_field(&call->text, "trouble", fgd_moneylog_trouble(log));
        fgd_text_field(&call->text, "checkpoint", fgd_moneylog_note(log));
        fgd_text_add(&call->text, "}\n");
        return 0;
}

int fgd_handle_consistency(struct fgd_call *call)
{
        struct fgd_query query[] = {{"from"}, {"size"}};
        struct fgd_moneylog *log;
        struct fg_tlog_proof proof;
        uint64_t from, size;
        if (fgd_query_read(call, query, 2) < 0 || fgd_query_number(call, &query[0], 1, INT64_MAX, 1, &from) < 0 || fgd_call_moneylog(call, &log) < 0 ||
            fgd_query_number(call, &query[1], 1, INT64_MAX, fgd_moneylog_signed(log), &size) < 0)
                return -1;
        if (from > size || size > fgd_moneylog_size(log) || size == 0)
                return fgd_problem_set(&call->problem, FGD_NOT_FOUND, "the log has %llu records: there is no way from %llu to %llu",
                                       (unsigned long long)fgd_moneylog_size(log), (unsigned long long)from, (unsigned long long)size);
        if (fgd_moneylog_prove_consistency(log, from, size, &proof) < 0)
                return fgd_problem_set(&call->problem, FGD_STORAGE, "the log's hashes cannot be read");
        fgd_text_add(&call->text, "{");
        fgd_text_number(&call->text, "from", from);
        fgd_text_number(&call->text, "size", size);
        fgd_text_proof(&call->text, &proof);
        fgd_text_add(&call->text, "}\n");
        return 0;
}

/* A record of an answer. */
struct page {
        struct fgd_call *call;
        struct fgd_moneylog *log;
        uint64_t size;
        unsigned count;
        int64_t window; /* the last that was written */
};

static int write_record(struct page *page, int64_t number, char text[FG_TLOG_RECORD_MAX + 1])
{
        struct fgd_text *out = &page->call->text;
        struct fg_tlog_proof proof;
        size_t size;
        if ((uint64_t)number >= page->size || fgd_moneylog_line(page->log, (uint64_t)number, text, &size) < 0 ||
            fgd_moneylog_prove(page->log, (uint64_t)number, page->size, &proof) < 0)
                return fgd_problem_set(&page->call->problem, FGD_STORAGE, "record %lld cannot be read or proved", (long long)number);
        fgd_text_add(out, page->count++ ? ", {" : "{");
        fgd_text_number(out, "number", (uint64_t)number);
        fgd_text_field(out, "text", text);
        fgd_text_proof(out, &proof);
        fgd_text_add(out, "}");
        return 0;
}

/* The node's, the price lists, the invoice. */
static int write_fixed(struct page *page, const struct fg_bill_invoice *invoice)
{
        char text[FG_TLOG_RECORD_MAX + 1];
        size_t count;
        const struct fg_bill_span *list = fg_bill_books_lists(fgd_moneylog_books(page->log), &count);
        int r = write_record(page, 0, text);
        for (size_t i = 0; r == 0 && i < count; i++)
                for (int64_t row = 0; r == 0 && row < list[i].count && list[i].first < invoice->seq; row++)
                        r = write_record(page, list[i].first + row, text);
        return r < 0 ? r : write_record(page, invoice->seq, text);
}

/* From usage record `at` back; *ret_next: where the next answer begins, 0: nowhere. */
static int write_usages(struct page *page, const struct fg_bill_invoice *invoice, int64_t at, int64_t *ret_next)
{
        char text[FG_TLOG_RECORD_MAX + 1];
        fg_autofree struct fg_bill_record *record = malloc(sizeof *record);
        int r = record ? 0 : fgd_problem_set(&page->call->problem, FGD_INTERNAL, "out of memory");
        for (unsigned i = 0; r == 0 && i < USAGES_MAX && at >= invoice->first && at > 0; i++) {
                r = write_record(page, at, text);
                if (r == 0 && (fg_bill_read(text, strlen(text), record, NULL) < 0 || record->type != FG_BILL_USAGE ||
                               strcmp(record->usage.project, invoice->project) != 0))
                        return fgd_problem_set(&page->call->problem, FGD_NOT_FOUND, "record %lld is not of this invoice", (long long)at);
                if (r == 0 && record->usage.window != page->window) {
                        page->window = record->usage.window;
                        r = write_record(page, page->window, text);
                }
                at = r == 0 ? record->usage.prev : at;
        }
        *ret_next = at >= invoice->first ? at : 0;
        return r;
}

static const struct fg_bill_invoice *find_invoice(const struct fgd_moneylog *log, const char *number)
{
        size_t count;
        const struct fg_bill_invoice *invoice = fg_bill_books_invoices(fgd_moneylog_books(log), &count);
        for (size_t i = 0; i < count; i++)
                if (strcmp(invoice[i].number, number) == 0)
                        return &invoice[i];
        return NULL;
}

/* Whose usage a record is can be told only once it is read: it is judged before anything of it is answered. */
static bool is_usage_of(struct fgd_moneylog *log, int64_t number, const char *project)
{
        char text[FG_TLOG_RECORD_MAX + 1];
        size_t size;
        fg_autofree struct fg_bill_record *record = malloc(sizeof *record);
        return record && fgd_moneylog_line(log, (uint64_t)number, text, &size) == 0 && fg_bill_read(text, size, record, NULL) == 0 &&
               record->type == FG_BILL_USAGE && strcmp(record->usage.project, project) == 0;
}

int fgd_handle_records(struct fgd_call *call)
{
        struct fgd_query query[] = {{"invoice"}, {"at"}, {"size"}};
        struct fgd_project *project;
        struct page page = {.call = call, .window = -1};
        uint64_t at;
        int64_t next = 0;
        if (fgd_query_read(call, query, 3) < 0 || fgd_call_moneylog(call, &page.log) < 0 ||
            fgd_query_number(call, &query[1], 1, INT64_MAX, 0, &at) < 0 ||
            fgd_query_number(call, &query[2], 1, INT64_MAX, fgd_moneylog_signed(page.log), &page.size) < 0)
                return -1;
        const struct fg_bill_invoice *invoice = find_invoice(page.log, query[0].value);
        if (!invoice || fgd_call_project(call, invoice->project, &project) < 0) {
                return fgd_problem_set(&call->problem, FGD_NOT_FOUND, "there is no invoice \"%.80s\"", query[0].value);
        }
        if (page.size > fgd_moneylog_size(page.log))
                return fgd_problem_set(&call->problem, FGD_NOT_FOUND, "the log has %llu records", (unsigned long long)fgd_moneylog_size(page.log));
        if (at && ((int64_t)at > invoice->last || (int64_t)at < invoice->first || !is_usage_of(page.log, (int64_t)at, invoice->project)))
                return fgd_problem_set(&call->problem, FGD_NOT_FOUND, "record %llu is not of this invoice", (unsigned long long)at);
        fgd_text_add(&call->text, "{\"records\": [");
        if ((!at && write_fixed(&page, invoice) < 0) || write_usages(&page, invoice, at ? (int64_t)at : invoice->last, &next) < 0)
                return -1;
        fgd_text_add(&call->text, "]");
        if (next)
                fgd_text_number(&call->text, "next", (uint64_t)next);
        fgd_text_add(&call->text, "}\n");
        return 0;
}
