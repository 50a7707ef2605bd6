/* SPDX-License-Identifier: Apache-2.0
 * /v1/prices and /v1/budgets. */
#include "daemon/api_money.h"

#include "base/cleanup.h"
#include "bill/when.h"
#include "daemon/api_body.h"
#include "daemon/metering.h"
#include "daemon/store_sync.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void fgd_text_money(struct fgd_text *text, const char *name, int64_t nano, const char *currency)
{
        char buf[FG_NUMBER_MAX];
        fgd_text_field(text, name, fg_money_format(nano, fg_currency_decimals(currency), buf, sizeof buf));
}

void fgd_text_cost(struct fgd_text *text, const char *name, fg_int128 cost)
{
        fgd_text_money(text, name, fg_money_round(cost, 9), "");
}

void fgd_text_hours(struct fgd_text *text, const char *name, fg_int128 ppmus)
{
        char buf[FG_NUMBER_MAX];
        fgd_text_field(text, name, fg_hours_format(ppmus, buf, sizeof buf));
}

static void write_time(struct fgd_text *text, const char *name, int64_t when)
{
        char buf[FG_BILL_WHEN_MAX];
        if (when)
                fgd_text_field(text, name, fg_bill_when_format(when, buf));
}

static void write_prices(struct fgd_text *text, const struct fg_bill_prices *prices)
{
        fgd_text_add(text, "{");
        fgd_text_number(text, "list", (uint64_t)prices->list);
        if (prices->count)
                write_time(text, "set", prices->row[0].time);
        fgd_text_name(text, "prices");
        fgd_text_add(text, "[");
        for (size_t i = 0; i < prices->count; i++) {
                const struct fg_bill_price *row = &prices->row[i];
                fgd_text_add(text, i ? ", {" : "{");
                fgd_text_field(text, "device", row->device);
                fgd_text_field(text, "model", row->model);
                fgd_text_field(text, "class", row->class);
                write_time(text, "from", row->from);
                write_time(text, "until", row->until);
                fgd_text_field(text, "currency", row->currency);
                fgd_text_money(text, "price", row->price, row->currency);
                fgd_text_add(text, "}");
        }
        fgd_text_add(text, "]}\n");
}

int fgd_handle_prices(struct fgd_call *call)
{
        struct fgd_moneylog *log;
        if (fgd_query_none(call) < 0 || fgd_call_moneylog(call, &log) < 0)
                return -1;
        write_prices(&call->text, fg_bill_books_prices(fgd_moneylog_books(log)));
        return 0;
}

static int64_t now_of(const struct fgd_call *call)
{
        return fgd_metering_now(call->manager) / 1000000;
}

static int refuse_write(struct fgd_call *call, int r, const struct fg_error *err)
{
        return r < 0 ? fgd_problem_from(&call->problem, r == -EBADMSG || r == -EINVAL ? FGD_BAD_REQUEST : FGD_STORAGE, err) : 0;
}

/* In the log a list that stands before a minute is in force in it. */
static int put_prices(struct fgd_call *call, struct fgd_moneylog *log, const struct fg_bill_prices *prices, struct fg_error *err)
{
        int64_t now = now_of(call);
        if (fgd_metering_flush(call->manager) < 0 && !*fgd_moneylog_trouble(log))
                return fg_error_set(err, -EAGAIN, "minutes that were before it wait to be put on record, and would have the new prices: try again "
                                    "when the money log can be written");
        return fgd_moneylog_prices(log, prices, now, err);
}

int fgd_handle_price_put(struct fgd_call *call)
{
        static const char *const known[] = {"csv", NULL};
        fgd_autojson json_t *body = NULL;
        struct fg_bill_prices prices = {0};
        struct fg_error err = {0};
        struct fgd_moneylog *log;
        const char *csv;
        if (fgd_query_none(call) < 0 || fgd_body_parse(call->request->body, call->request->body_size, known, &body, &call->problem) < 0 ||
            fgd_body_string(body, "csv", &csv, &call->problem) < 0)
                return -1;
        if (!fgd_is_admin(&call->who))
                return fgd_problem_set(&call->problem, FGD_FORBIDDEN, "only an admin sets prices");
        call->is_checked = true;
        if (!csv)
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"csv\" is missing: the text of the price list");
        if (fg_bill_prices_parse(csv, strlen(csv), &prices, &err) < 0)
                return fgd_problem_from(&call->problem, FGD_BAD_REQUEST, &err);
        fgd_journal_target(call->manager, "%zu prices", prices.count);
        int r = fgd_call_moneylog(call, &log);
        if (r == 0)
                r = refuse_write(call, put_prices(call, log, &prices, &err), &err);
        fg_bill_prices_clear(&prices);
        if (r == 0)
                write_prices(&call->text, fg_bill_books_prices(fgd_moneylog_books(log)));
        return r;
}

static void write_budget(struct fgd_call *call, const struct fg_bill_budget *budget)
{
        int64_t from, until;
        char month[FG_BILL_WHEN_MAX];
        struct fgd_text *text = &call->text;
        fg_bill_month_of(now_of(call), &from, &until);
        fgd_text_add(text, "{");
        fgd_text_field(text, "project", budget->project);
        fgd_text_field(text, "currency", budget->currency);
        fgd_text_money(text, "amount", budget->amount, budget->currency);
        fgd_text_field(text, "on_limit", budget->on_limit);
        fgd_text_field(text, "month", fg_bill_month_format(from, month));
        fgd_text_money(text, "spent", fgd_money_spent(call->manager->money, budget->project, budget->currency, from), budget->currency);
        fgd_text_add(text, "}");
}

int fgd_handle_budgets(struct fgd_call *call)
{
        struct fgd_query query[] = {{"project"}};
        struct fgd_project *project = NULL;
        struct fgd_moneylog *log;
        size_t count, written = 0;
        if (fgd_query_read(call, query, 1) < 0)
                return -1;
        if ((query[0].value[0] || !fgd_is_admin(&call->who)) && fgd_call_project(call, query[0].value, &project) < 0)
                return -1;
        call->is_checked = true;
        if (fgd_call_moneylog(call, &log) < 0)
                return -1;
        const struct fg_bill_budget *budget = fg_bill_books_budgets(fgd_moneylog_books(log), &count);
        fgd_text_add(&call->text, "{\"budgets\": [");
        for (size_t i = 0; i < count; i++)
                if (budget[i].amount && (!project || strcmp(project->name, budget[i].project) == 0)) {
                        fgd_text_add(&call->text, written++ ? ", " : "");
                        write_budget(call, &budget[i]);
                }
        fgd_text_add(&call->text, "]}\n");
        return 0;
}

static int read_budget(struct fgd_call *call, json_t *body, struct fg_bill_budget *ret)
{
        const char *amount, *currency, *on_limit;
        struct fg_error err = {0};
        if (fgd_body_string(body, "amount", &amount, &call->problem) < 0 || fgd_body_string(body, "currency", &currency, &call->problem) < 0 ||
            fgd_body_string(body, "on_limit", &on_limit, &call->problem) < 0)
                return -1;
        if (!amount || !currency)
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "a budget has an \"amount\", such as \"100\", and a \"currency\", such as \"EUR\"");
        if (!on_limit)
                on_limit = "notify";
        if (strcmp(on_limit, "suspend") != 0 && strcmp(on_limit, "stop") != 0 && strcmp(on_limit, "notify") != 0)
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "\"on_limit\" is suspend, stop or notify, not \"%.40s\"", on_limit);
        char code[FG_CURRENCY_MAX];
        if (fg_price_parse(amount, &ret->amount, &err) < 0 || fg_currency_parse(currency, code, &err) < 0)
                return fgd_problem_from(&call->problem, FGD_BAD_REQUEST, &err);
        strcpy(ret->currency, code);
        strcpy(ret->on_limit, on_limit);
        return 0;
}

int fgd_handle_budget_put(struct fgd_call *call)
{
        static const char *const known[] = {"amount", "currency", "on_limit", NULL};
        fgd_autojson json_t *body = NULL;
        struct fg_bill_record record = {.type = FG_BILL_BUDGET};
        struct fgd_project *project;
        struct fg_error err = {0};
        struct fgd_moneylog *log;
        fgd_journal_target(call->manager, "%s", call->argument[0]);
        if (fgd_query_none(call) < 0 || fgd_body_parse(call->request->body, call->request->body_size, known, &body, &call->problem) < 0 ||
            fgd_call_project(call, call->argument[0], &project) < 0 || read_budget(call, body, &record.budget) < 0 ||
            fgd_call_moneylog(call, &log) < 0)
                return -1;
        snprintf(record.budget.project, sizeof record.budget.project, "%s", project->name);
        record.budget.time = now_of(call);
        fgd_store_defer(call->manager->store, false); /* the log of money is first, and what follows from it is not taken back */
        fgd_metering_flush(call->manager);
        fgd_moneylog_begin(log);
        int r = fgd_moneylog_add(log, &record, &err);
        if (r == 0)
                r = fgd_moneylog_end(log, &err);
        if (refuse_write(call, r, &err) < 0)
                return -1;
        fgd_money_changed(call->manager->money, project->name);
        fgd_money_tick(call->manager->money);
        write_budget(call, &record.budget);
        fgd_text_add(&call->text, "\n");
        return 0;
}
