/* SPDX-License-Identifier: Apache-2.0
 * /v1/usage, /v1/invoices and /v1/export: what the books say of a project. */
#include "daemon/api_money.h"

#include "base/cleanup.h"
#include "bill/focus.h"
#include "bill/when.h"
#include "daemon/metering.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PROVIDER "FastGPU"

enum group { BY_VGPU, BY_USER, BY_PROJECT, BY_DEVICE, BY_DAY, GROUPS };
static const char *const group_name[GROUPS] = {"vgpu", "user", "project", "device", "day"};

struct usage {
        const struct fg_bill_sums *sums;
        const char *project; /* NULL: all */
        int64_t from, until;
        enum group group;
};

/* Whose: of one project, or for an admin who names none with all=1, of everybody. */
static int read_whose(struct fgd_call *call, const struct fgd_query *project, const struct fgd_query *all, const char **ret)
{
        struct fgd_project *found;
        bool is_all;
        if (fgd_query_flag(call, all, &is_all) < 0)
                return -1;
        *ret = NULL;
        if (is_all && !fgd_is_admin(&call->who))
                return fgd_problem_set(&call->problem, FGD_FORBIDDEN, "only an admin sees the usage of all projects; name one of yours");
        call->is_checked = is_all;
        if (is_all)
                return 0;
        if (fgd_call_project(call, project->value, &found) < 0)
                return -1;
        *ret = found->name;
        return 0;
}

static int read_day(struct fgd_call *call, const struct fgd_query *query, int64_t *ret)
{
        struct fg_error err = {0};
        if (!query->is_given)
                return 0;
        if (fg_bill_when_parse(query->value, ret, &err) < 0)
                return fgd_problem_from(&call->problem, FGD_BAD_REQUEST, &err);
        if (*ret % FG_BILL_DAY)
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"%s\" is a day in UTC, such as 2026-11-01, not \"%.40s\"", query->name, query->value);
        return 0;
}

static uint32_t key_of(const struct fg_bill_cell *cell, enum group group)
{
        const uint32_t key[GROUPS] = {cell->vgpu, cell->user, cell->project, cell->device, (uint32_t)(cell->day / FG_BILL_DAY)};
        return key[group];
}

static int by_key(const void *a, const void *b, void *user)
{
        const struct fg_bill_cell *x = *(const struct fg_bill_cell *const *)a, *y = *(const struct fg_bill_cell *const *)b;
        const struct usage *usage = user;
        uint32_t kx = key_of(x, usage->group), ky = key_of(y, usage->group);
        if (kx != ky)
                return kx < ky ? -1 : 1;
        if (x->currency != y->currency)
                return x->currency < y->currency ? -1 : 1;
        return x->first < y->first ? -1 : x->first > y->first;
}

static void write_group(struct fgd_text *text, const struct usage *usage, const struct fg_bill_cell *const *cell, size_t count)
{
        fg_int128 reserved = 0, surcharge = 0, credit = 0, rebate = 0, busy = 0, cost = 0;
        const struct fg_bill_texts *texts = &usage->sums->texts;
        const struct fg_bill_cell *last = cell[count - 1];
        char day[FG_BILL_WHEN_MAX], buf[FG_NUMBER_MAX];
        for (size_t i = 0; i < count; i++) {
                reserved += cell[i]->reserved, surcharge += cell[i]->surcharge, credit += cell[i]->credit, rebate += cell[i]->rebate;
                busy += (fg_int128)cell[i]->busy * FG_PPM;
                cost += fg_bill_cell_cost(cell[i]);
        }
        fgd_text_add(text, "{");
        if (usage->group == BY_DAY) {
                snprintf(buf, sizeof buf, "%.10s", fg_bill_when_format(last->day, day));
                fgd_text_field(text, "day", buf);
        } else {
                fgd_text_field(text, group_name[usage->group], fg_bill_texts_get(texts, key_of(last, usage->group)));
        }
        if (usage->group == BY_VGPU) {
                fgd_text_field(text, "name", fg_bill_texts_get(texts, last->name));
                fgd_text_field(text, "project", fg_bill_texts_get(texts, last->project));
        }
        fgd_text_hours(text, "reserved_gpu_hours", reserved);
        fgd_text_hours(text, "burst_gpu_hours", surcharge);
        fgd_text_hours(text, "credit_gpu_hours", credit);
        fgd_text_hours(text, "rebate_gpu_hours", rebate);
        fgd_text_hours(text, "billed_gpu_hours", reserved + surcharge - credit - rebate);
        fgd_text_field(text, "busy_gpu_seconds", fg_seconds_format(busy, buf, sizeof buf));
        fgd_text_field(text, "currency", fg_bill_texts_get(texts, last->currency));
        fgd_text_money(text, "cost", fg_money_round(cost, 9), fg_bill_texts_get(texts, last->currency));
        fgd_text_add(text, "}");
}

static int write_usage(struct fgd_call *call, struct usage *usage)
{
        const struct fg_bill_sums *sums = usage->sums;
        uint32_t project = usage->project ? fg_bill_texts_find(&sums->texts, usage->project) : 0;
        fg_autofree const struct fg_bill_cell **cell = calloc((size_t)sums->count + 1, sizeof *cell);
        size_t count = 0;
        if (!cell)
                return fgd_problem_set(&call->problem, FGD_INTERNAL, "out of memory");
        for (uint32_t i = 0; i < sums->count; i++)
                if ((!usage->project || sums->cell[i].project == project) && sums->cell[i].day >= usage->from && sums->cell[i].day < usage->until)
                        cell[count++] = &sums->cell[i];
        qsort_r(cell, count, sizeof *cell, by_key, usage);
        for (size_t i = 0, end; i < count; i = end) {
                for (end = i + 1; end < count && key_of(cell[end], usage->group) == key_of(cell[i], usage->group) &&
                                  cell[end]->currency == cell[i]->currency; end++)
                        ;
                fgd_text_add(&call->text, i ? ", " : "");
                write_group(&call->text, usage, &cell[i], end - i);
        }
        return 0;
}

int fgd_handle_usage(struct fgd_call *call)
{
        struct fgd_query query[] = {{"project"}, {"all"}, {"from"}, {"until"}, {"group_by"}};
        struct fgd_moneylog *log;
        struct usage usage = {.group = BY_VGPU};
        char buf[FG_BILL_WHEN_MAX];
        if (fgd_query_read(call, query, 5) < 0)
                return -1;
        fg_bill_month_of(fgd_metering_now(call->manager) / 1000000, &usage.from, &usage.until);
        if (read_day(call, &query[2], &usage.from) < 0 || read_day(call, &query[3], &usage.until) < 0)
                return -1;
        if (query[4].is_given) {
                int i = 0;
                while (i < GROUPS && strcmp(group_name[i], query[4].value) != 0)
                        i++;
                if (i == GROUPS)
                        return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"group_by\" is vgpu, user, project, device or day, not \"%.40s\"",
                                               query[4].value);
                usage.group = (enum group)i;
        }
        if (read_whose(call, &query[0], &query[1], &usage.project) < 0 || fgd_call_moneylog(call, &log) < 0)
                return -1;
        usage.sums = fg_bill_books_sums(fgd_moneylog_books(log));
        fgd_text_add(&call->text, "{");
        fgd_text_field(&call->text, "from", fg_bill_when_format(usage.from, buf));
        fgd_text_field(&call->text, "until", fg_bill_when_format(usage.until, buf));
        fgd_text_name(&call->text, "usage");
        fgd_text_add(&call->text, "[");
        if (write_usage(call, &usage) < 0)
                return -1;
        fgd_text_add(&call->text, "]}\n");
        return 0;
}

/* One invoice, or what it would be by now. */
struct visit {
        struct fgd_call *call;
        const struct fg_bill_sums *sums;
        const struct fg_bill_invoice *record; /* NULL: a draft */
        const struct fg_bill_bill *bill;
        size_t count;
        FILE *out; /* of an export */
};

static void write_line(struct fgd_text *text, const struct fg_bill_line *line, const char *currency)
{
        fgd_text_add(text, "{");
        fgd_text_field(text, "vgpu", line->vgpu);
        fgd_text_field(text, "name", line->name);
        fgd_text_field(text, "kind", fg_bill_kind_name(line->kind));
        fgd_text_hours(text, "gpu_hours", line->quantity);
        if (line->price >= 0)
                fgd_text_money(text, "price", line->price, currency);
        fgd_text_money(text, "amount", line->amount, currency);
        fgd_text_add(text, "}");
}

static int write_invoice(struct visit *visit)
{
        struct fgd_text *text = &visit->call->text;
        const struct fg_bill_bill *bill = visit->bill;
        char buf[FG_BILL_WHEN_MAX];
        fgd_text_add(text, visit->count ? ", {" : "{");
        fgd_text_field(text, "number", visit->record ? bill->number : "");
        fgd_text_bool(text, "draft", !visit->record);
        fgd_text_field(text, "project", bill->project);
        fgd_text_field(text, "from", fg_bill_when_format(bill->from, buf));
        fgd_text_field(text, "until", fg_bill_when_format(bill->until, buf));
        fgd_text_field(text, "currency", bill->currency);
        fgd_text_money(text, "payable", bill->payable, bill->currency);
        fgd_text_number(text, "records", (uint64_t)bill->records);
        if (visit->record) {
                fgd_text_number(text, "record", (uint64_t)visit->record->seq);
                fgd_text_field(text, "hash", visit->record->hash);
        }
        fgd_text_name(text, "lines");
        fgd_text_add(text, "[");
        for (size_t i = 0; i < bill->lines; i++) {
                fgd_text_add(text, i ? ", " : "");
                write_line(text, &bill->line[i], bill->currency);
        }
        fgd_text_add(text, "]}");
        return 0;
}

static int visit_one(struct visit *visit, const char *project, const char *currency, int64_t from, int64_t until, int (*each)(struct visit *visit))
{
        FG_CLEANUP(fg_bill_cleanup_billp) struct fg_bill_bill bill = {0};
        struct fg_error err = {0};
        size_t count;
        const struct fg_bill_invoice *invoice = fg_bill_books_invoices(fgd_moneylog_books(visit->call->manager->money->log), &count);
        visit->record = NULL;
        for (size_t i = 0; i < count && !visit->record; i++)
                if (invoice[i].from == from && strcmp(invoice[i].project, project) == 0 && strcmp(invoice[i].currency, currency) == 0)
                        visit->record = &invoice[i];
        if (fg_bill_make(visit->sums, project, currency, from, until, visit->record ? visit->record->number : "draft", &bill, &err) < 0)
                return fgd_problem_from(&visit->call->problem, FGD_INTERNAL, &err);
        visit->bill = &bill;
        int r = each(visit);
        visit->count++;
        return r;
}

/* Every project's, or one's, of a month: in the order of the first use. */
static int visit_month(struct visit *visit, const char *project, int64_t from, int64_t until, int (*each)(struct visit *visit))
{
        const struct fg_bill_sums *sums = visit->sums;
        fg_autofree uint64_t *seen = NULL;
        size_t seen_count = 0;
        for (uint32_t i = 0; i < sums->count; i++) {
                const struct fg_bill_cell *cell = &sums->cell[i];
                const char *who = fg_bill_texts_get(&sums->texts, cell->project), *currency = fg_bill_texts_get(&sums->texts, cell->currency);
                uint64_t pair = (uint64_t)cell->project << 32 | cell->currency;
                size_t k = 0;
                if (cell->day < from || cell->day >= until || !*currency || (project && strcmp(project, who) != 0))
                        continue;
                while (k < seen_count && seen[k] != pair)
                        k++;
                if (k < seen_count)
                        continue;
                uint64_t *more = reallocarray(seen, seen_count + 1, sizeof *more);
                if (!more)
                        return fgd_problem_set(&visit->call->problem, FGD_INTERNAL, "out of memory");
                seen = more;
                seen[seen_count++] = pair;
                int r = visit_one(visit, who, currency, from, until, each);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_month(struct fgd_call *call, const struct fgd_query *query, int64_t *ret_from, int64_t *ret_until)
{
        struct fg_error err = {0};
        fg_bill_month_of(fgd_metering_now(call->manager) / 1000000, ret_from, ret_until);
        if (query->is_given && fg_bill_month_parse(query->value, ret_from, ret_until, &err) < 0)
                return fgd_problem_from(&call->problem, FGD_BAD_REQUEST, &err);
        return 0;
}

int fgd_handle_invoices(struct fgd_call *call)
{
        struct fgd_query query[] = {{"project"}, {"all"}, {"month"}};
        struct fgd_moneylog *log;
        struct visit visit = {.call = call};
        const char *project;
        int64_t from, until;
        if (fgd_query_read(call, query, 3) < 0 || read_month(call, &query[2], &from, &until) < 0 ||
            read_whose(call, &query[0], &query[1], &project) < 0 || fgd_call_moneylog(call, &log) < 0)
                return -1;
        visit.sums = fg_bill_books_sums(fgd_moneylog_books(log));
        fgd_text_add(&call->text, "{\"invoices\": [");
        if (visit_month(&visit, project, from, until, write_invoice) < 0)
                return -1;
        fgd_text_add(&call->text, "]}\n");
        return 0;
}

static int export_focus(struct visit *visit)
{
        const struct fg_bill_focus focus = {.provider = PROVIDER, .account = "organisation", .is_draft = !visit->record};
        return fg_bill_focus_rows(visit->out, visit->sums, visit->bill, &focus);
}

static int export_csv(struct visit *visit)
{
        return fg_bill_csv_rows(visit->out, visit->sums, visit->bill);
}

static int write_export(struct fgd_call *call, struct visit *visit, const char *project, const int64_t month[2], bool is_focus)
{
        fg_autofree char *rows = NULL, *metadata = NULL;
        size_t size;
        visit->out = open_memstream(&rows, &size);
        if (!visit->out)
                return fgd_problem_set(&call->problem, FGD_INTERNAL, "out of memory");
        int r = is_focus ? fg_bill_focus_head(visit->out) : fg_bill_csv_head(visit->out);
        if (r == 0)
                r = visit_month(visit, project, month[0], month[1], is_focus ? export_focus : export_csv);
        if (fclose(visit->out) != 0 || r < 0)
                return fgd_problem_set(&call->problem, FGD_INTERNAL, "out of memory");
        fgd_text_add(&call->text, "{");
        fgd_text_field(&call->text, "text", rows);
        FILE *f = is_focus ? open_memstream(&metadata, &size) : NULL;
        if (f) {
                fg_bill_focus_metadata(f, PROVIDER, fgd_metering_now(call->manager) / 1000000);
                fclose(f);
                fgd_text_name(&call->text, "metadata");
                fgd_text_add(&call->text, metadata);
        }
        fgd_text_add(&call->text, "}\n");
        return 0;
}

int fgd_handle_export(struct fgd_call *call)
{
        struct fgd_query query[] = {{"project"}, {"all"}, {"month"}, {"format"}};
        struct fgd_moneylog *log;
        struct visit visit = {.call = call};
        const char *project;
        int64_t month[2];
        if (fgd_query_read(call, query, 4) < 0 || read_month(call, &query[2], &month[0], &month[1]) < 0)
                return -1;
        bool is_focus = strcmp(query[3].value, "focus") == 0;
        if (!is_focus && strcmp(query[3].value, "csv") != 0)
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"format\" is focus or csv, not \"%.40s\"", query[3].value);
        if (read_whose(call, &query[0], &query[1], &project) < 0 || fgd_call_moneylog(call, &log) < 0)
                return -1;
        visit.sums = fg_bill_books_sums(fgd_moneylog_books(log));
        return write_export(call, &visit, project, month, is_focus);
}
