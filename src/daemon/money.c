/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/money.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "bill/when.h"
#include "daemon/events.h"
#include "daemon/jobs_budget.h"
#include "daemon/manager.h"
#include "daemon/metering.h"
#include "daemon/money_check.h"
#include "daemon/store_sync.h"
#include "daemon/tenants.h"
#include "daemon/use.h"
#include "daemon/vgpus.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define TICK_USEC (60ull * 1000000)

/* Nothing goes on record of what the store may not know tomorrow. */
static int settle_store(void *user)
{
        const struct fgd_money *money = user;
        return fgd_store_settle(money->manager->store, NULL);
}

static int open_log(struct fgd_money *money)
{
        struct fg_error err = {0};
        char folder[PATH_MAX + 8];
        snprintf(folder, sizeof folder, "%s/money", money->manager->paths.state);
        int r = fgd_moneylog_open(folder, time(NULL), &money->log, &err);
        if (r < 0) {
                if (strcmp(money->why, err.text) != 0)
                        fgd_manager_note(money->manager, "nothing is billed: %s", err.text);
                snprintf(money->why, sizeof money->why, "%s", err.text);
                return r;
        }
        money->why[0] = '\0';
        fgd_moneylog_follow(money->log, settle_store, money);
        fg_log_info("money log: %llu records, %llu of them as they were kept", (unsigned long long)fgd_moneylog_size(money->log),
                    (unsigned long long)fgd_moneylog_trusted(money->log));
        if (*fgd_moneylog_trouble(money->log))
                fgd_manager_note(money->manager, "nothing is billed: %s", fgd_moneylog_trouble(money->log));
        return 0;
}

static int refuse(struct fgd_money *money, struct fg_error *err)
{
        return money->log ? 0 : fg_error_set(err, -EIO, "%s", money->why);
}

static int put_usage(struct fgd_money *money, const struct fgd_meter_report *report, size_t i, struct fg_error *err)
{
        const struct fg_meter_line *line = report->line[i];
        const struct fgd_meter_who *who = &report->who[i];
        struct fg_bill_record record = {.type = FG_BILL_USAGE};
        struct fg_bill_usage *u = &record.usage;
        snprintf(u->vgpu, sizeof u->vgpu, "%s", who->vgpu);
        snprintf(u->name, sizeof u->name, "%s", who->name);
        snprintf(u->project, sizeof u->project, "%s", who->project);
        snprintf(u->user, sizeof u->user, "%s", who->user);
        snprintf(u->job, sizeof u->job, "%s", who->job);
        snprintf(u->mode, sizeof u->mode, "%s", fg_bill_mode(line));
        int r = fg_bill_segments_write(line, u->segments);
        if (r == 0)
                r = fg_bill_books_place(fgd_moneylog_books(money->log), u);
        if (r < 0)
                return fg_error_set(err, r, "a line of vGPU %s cannot be put on record", who->vgpu);
        u->begin = line->begin, u->end = line->end;
        u->busy = line->busy_us, u->busy_cap = line->busy_cap_us;
        u->conserved = line->conserved_us, u->conserved_cap = line->conserved_cap_us;
        u->reserved = line->reserved, u->burst = line->burst, u->surcharge = line->surcharge;
        u->unused = line->unused, u->credit = line->credit, u->rebate = line->rebate;
        return fgd_moneylog_add(money->log, &record, err);
}

static int put_window(struct fgd_money *money, const struct fgd_meter_report *report, struct fg_error *err)
{
        struct fg_bill_record record = {.type = FG_BILL_WINDOW};
        struct fg_bill_window *w = &record.window;
        const uint8_t *boot = money->manager->boot_id;
        snprintf(w->device, sizeof w->device, "%s", report->device->uuid);
        snprintf(w->model, sizeof w->model, "%s", report->device->model);
        for (int i = 0; i < 16; i++)
                snprintf(w->boot + 2 * i, 3, "%02x", boot[i]);
        w->start = report->start;
        w->wall = report->window->wall_us, w->beta = report->window->beta_ppm, w->idle = report->window->idle;
        w->lines = (int64_t)report->count;
        w->unbilled = report->unbilled_us > 0 ? report->unbilled_us : 0;
        int r = 0;
        if (report->first == 0) {
                fgd_moneylog_begin(money->log);
                r = fgd_moneylog_add(money->log, &record, err);
        }
        for (size_t i = 0; r == 0 && i < report->here; i++)
                r = put_usage(money, report, i, err);
        return r < 0 || report->first + report->here < report->count ? r : fgd_moneylog_end(money->log, err);
}

/* A cause is said once, until it is gone. */
static int report_failure(struct fgd_money *money, bool is_whole, int r, const struct fg_error *err)
{
        if (r < 0 && !money->is_failure_said && (!money->log || !*fgd_moneylog_trouble(money->log)))
                fgd_manager_note(money->manager, "usage cannot be put on record; it is kept and tried again: %s", err->text);
        if (r < 0 || is_whole)
                money->is_failure_said = r < 0;
        return r;
}

static int on_window(void *user, const struct fgd_meter_report *report, struct fg_error *err)
{
        struct fgd_money *money = user;
        struct fg_error why = {0};
        int r = refuse(money, &why);
        if (r == 0)
                r = put_window(money, report, &why);
        report_failure(money, report->first + report->here == report->count, r, &why);
        return r < 0 ? fg_error_set(err, r, "%s", why.text) : 0;
}

static int on_gap(void *user, const struct fgd_meter_gap *gap, struct fg_error *err)
{
        struct fgd_money *money = user;
        struct fg_bill_record record = {.type = FG_BILL_GAP, .gap = {.start = gap->start, .until = gap->until}};
        snprintf(record.gap.device, sizeof record.gap.device, "%s", gap->device ? gap->device->uuid : "");
        snprintf(record.gap.reason, sizeof record.gap.reason, "%s", gap->reason);
        int r = refuse(money, err);
        if (r < 0)
                return r;
        fgd_moneylog_begin(money->log);
        r = fgd_moneylog_add(money->log, &record, err);
        return r < 0 ? r : fgd_moneylog_end(money->log, err);
}

static bool is_invoiced(const struct fg_bill_books *books, const char *project, const char *currency, int64_t from)
{
        size_t count;
        const struct fg_bill_invoice *invoice = fg_bill_books_invoices(books, &count);
        for (size_t i = count; i > 0; i--)
                if (invoice[i - 1].from == from && strcmp(invoice[i - 1].project, project) == 0 && strcmp(invoice[i - 1].currency, currency) == 0)
                        return true;
        return false;
}

/* Every month that is over, of everybody who used something in it. Stops at what fails: the next minute goes on. */
static int invoice_due(struct fgd_money *money, int64_t now)
{
        const struct fg_bill_books *books = fgd_moneylog_books(money->log);
        const struct fg_bill_sums *sums = fg_bill_books_sums(books);
        int64_t month, next, from, until;
        struct fg_error err = {0};
        fg_bill_month_of(now - FGD_MONEY_SETTLE_S, &month, &next);
        if (fgd_metering_waits(money->manager) || money->invoiced == month)
                return 0;
        for (uint32_t i = 0; i < sums->count; i++) {
                const struct fg_bill_cell *cell = &sums->cell[i];
                const char *project = fg_bill_texts_get(&sums->texts, cell->project);
                const char *currency = fg_bill_texts_get(&sums->texts, cell->currency);
                fg_bill_month_of(cell->day, &from, &until);
                if (cell->day >= month || !*currency || is_invoiced(books, project, currency, from))
                        continue;
                int r = fgd_moneylog_invoice(money->log, project, currency, from, until, now, &err);
                if (r < 0)
                        return fg_log_warning("the invoice of %s cannot be made: %s", project, err.text), r;
                fgd_event_note(money->manager, fgd_project_find(money->manager, project), "invoice", project, "an invoice was made for %s",
                               project);
        }
        money->invoiced = month;
        return 0;
}

int64_t fgd_money_spent(const struct fgd_money *money, const char *project, const char *currency, int64_t from)
{
        const struct fg_bill_sums *sums = fg_bill_books_sums(fgd_moneylog_books(money->log));
        uint32_t who = fg_bill_texts_find(&sums->texts, project), in = fg_bill_texts_find(&sums->texts, currency);
        int64_t first, until;
        fg_int128 cost = 0;
        fg_bill_month_of(from, &first, &until);
        for (uint32_t i = 0; i < sums->count; i++) {
                const struct fg_bill_cell *cell = &sums->cell[i];
                if (cell->project == who && cell->currency == in && cell->day >= first && cell->day < until &&
                    __builtin_add_overflow(cost, fg_bill_cell_cost(cell), &cost))
                        return FG_MONEY_MAX;
        }
        return fg_money_round(cost, 9);
}

static bool is_warned(struct fgd_money *money, const char *project)
{
        for (size_t i = 0; i < money->warned_count; i++)
                if (strcmp(money->warned[i], project) == 0)
                        return true;
        return false;
}

static void forget_warnings(struct fgd_money *money)
{
        for (size_t i = 0; i < money->warned_count; i++)
                free(money->warned[i]);
        free(money->warned);
        money->warned = NULL;
        money->warned_count = 0;
}

static void remember_warning(struct fgd_money *money, const char *project)
{
        char **more = reallocarray(money->warned, money->warned_count + 1, sizeof *more);
        if (!more)
                return;
        money->warned = more;
        money->warned[money->warned_count] = strdup(project);
        money->warned_count += money->warned[money->warned_count] != NULL;
}

void fgd_money_changed(struct fgd_money *money, const char *project)
{
        for (size_t i = 0; i < money->warned_count; i++)
                if (strcmp(money->warned[i], project) == 0) {
                        free(money->warned[i]);
                        money->warned[i] = money->warned[--money->warned_count];
                        return;
                }
}

/* First politely; whoever is still there a minute later, or has come since, not. */
static void stop_programs(struct fgd_manager *manager, const struct fgd_project *project, bool is_first)
{
        const struct fgd_set *set;
        const struct fgd_use *use;
        TAILQ_FOREACH(set, &manager->sets, order) {
                if (fgd_set_payer(set) != project)
                        continue;
                TAILQ_FOREACH(use, &set->uses, of_set)
                        fgd_process_signal(use->process, is_first ? SIGTERM : SIGKILL);
        }
}

/* What comes later in the month, or was let go on meanwhile, is suspended a minute later. */
static void suspend_sets(struct fgd_manager *manager, const struct fgd_project *project, bool is_first)
{
        struct fgd_set *set;
        char other[160];
        (void)is_first;
        snprintf(other, sizeof other, "the budget of \"%s\", which pays for it, is used up", project->name);
        TAILQ_FOREACH(set, &manager->sets, order)
                if (fgd_set_payer(set) == project && !set->is_paused && !set->ending)
                        fgd_vgpus_suspend_for(manager, set, "budget", set->payer ? other : "the budget of its project is used up");
}

/* What is done each minute while a budget is used up. */
static const struct {
        const char *on_limit;
        void (*act)(struct fgd_manager *manager, const struct fgd_project *project, bool is_first);
        const char *said;
} actions[] = {
        {"notify", NULL, ""},
        {"stop", stop_programs, "; its programs are ended"},
        {"suspend", suspend_sets, "; its vGPUs and jobs are suspended"},
};

static void pass_limit(struct fgd_money *money, const struct fg_bill_budget *budget, const struct fgd_project *project)
{
        bool is_first = !is_warned(money, budget->project);
        char amount[FG_NUMBER_MAX];
        size_t i = 0;
        while (i + 1 < sizeof actions / sizeof actions[0] && strcmp(actions[i].on_limit, budget->on_limit) != 0)
                i++;
        if (actions[i].act)
                actions[i].act(money->manager, project, is_first);
        if (!is_first)
                return;
        fgd_event_note(money->manager, project, "budget", budget->project, "the budget of %s %s for this month is used up%s",
                       fg_money_format(budget->amount, fg_currency_decimals(budget->currency), amount, sizeof amount), budget->currency,
                       actions[i].said);
        remember_warning(money, budget->project);
}

static void watch_budgets(struct fgd_money *money, int64_t now)
{
        size_t count;
        const struct fg_bill_budget *budget = fg_bill_books_budgets(fgd_moneylog_books(money->log), &count);
        int64_t from, until;
        fg_bill_month_of(now, &from, &until);
        if (money->budget_month != from)
                forget_warnings(money);
        money->budget_month = from;
        for (size_t i = 0; i < count; i++) {
                const struct fgd_project *project = fgd_project_find(money->manager, budget[i].project);
                if (budget[i].amount && project &&
                    fgd_money_spent(money, budget[i].project, budget[i].currency, from) >= budget[i].amount)
                        pass_limit(money, &budget[i], project);
        }
}

/* So that a start reads no more than it takes to load the sums. */
static void keep_books(struct fgd_money *money, int64_t now, uint64_t most)
{
        struct fg_error err = {0};
        if (fgd_moneylog_size(money->log) - fgd_moneylog_kept(money->log) >= most && fgd_moneylog_keep(money->log, now, &err) < 0)
                fg_log_warning("%s", err.text);
}

void fgd_money_tick(struct fgd_money *money)
{
        struct fg_error err = {0};
        int64_t now = fgd_metering_now(money->manager) / 1000000;
        if (!money->log && open_log(money) < 0)
                return;
        if (*fgd_moneylog_trouble(money->log))
                return;
        invoice_due(money, now);
        watch_budgets(money, now);
        fgd_job_budgets_watch(money->manager);
        if (fgd_moneylog_sign(money->log, now, &err) < 0)
                fg_log_warning("%s", err.text);
        uint64_t sums = fg_bill_books_sums(fgd_moneylog_books(money->log))->count;
        if (!fgd_metering_waits(money->manager)) /* one of them may be half in the books */
                keep_books(money, now, sums > FGD_MONEY_KEEP ? sums : FGD_MONEY_KEEP);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *user)
{
        fgd_money_tick(user);
        sd_event_source_set_time_relative(source, TICK_USEC);
        sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        return 0;
}

int fgd_money_start(struct fgd_manager *manager, struct fg_error *err)
{
        struct fgd_money *money = calloc(1, sizeof *money);
        if (!money)
                return fg_error_set(err, -ENOMEM, "out of memory");
        money->manager = manager;
        manager->money = money;
        if (open_log(money) == 0)
                fgd_metering_recall(manager, fg_bill_books_sums(fgd_moneylog_books(money->log)));
        const struct fgd_meter_sink sink = {on_window, on_gap, money};
        fgd_metering_sink(manager, &sink);
        int r = sd_event_add_time_relative(manager->event, &money->timer, CLOCK_BOOTTIME, TICK_USEC, 1000000, on_timer, money);
        if (r >= 0)
                r = fgd_money_check_new(money);
        return r < 0 ? fg_error_set(err, r, "cannot set up the event loop: %m") : 0;
}

void fgd_money_free(struct fgd_manager *manager)
{
        struct fgd_money *money = manager->money;
        if (!money)
                return;
        fgd_money_check_free(money->check);
        if (money->log && !*fgd_moneylog_trouble(money->log)) {
                int64_t now = fgd_metering_now(manager) / 1000000;
                fgd_moneylog_sign(money->log, now, NULL);
                keep_books(money, now, FGD_MONEY_KEEP_END);
        }
        sd_event_source_unref(money->timer);
        forget_warnings(money);
        fgd_moneylog_close(money->log);
        free(money);
        manager->money = NULL;
}

int64_t fgd_money_last_end(const struct fgd_manager *manager)
{
        const struct fgd_money *money = manager->money;
        int64_t end = 0;
        for (uint32_t i = 0; money && money->log && i < manager->devices; i++) {
                int64_t last = fg_bill_books_last_window(fgd_moneylog_books(money->log), manager->device[i]->uuid);
                end = last >= 0 && last + 60 > end ? last + 60 : end;
        }
        return end;
}

const char *fgd_money_trouble(const struct fgd_manager *manager)
{
        const struct fgd_money *money = manager->money;
        if (!money)
                return "this daemon keeps no money log";
        return money->log ? fgd_moneylog_trouble(money->log) : money->why;
}

int64_t fgd_money_price(const struct fgd_manager *manager, const struct fgd_device *device, bool is_cap, int64_t when, char ret_currency[8])
{
        const struct fgd_money *money = manager->money;
        const struct fg_bill_prices *prices = money && money->log ? fg_bill_books_prices(fgd_moneylog_books(money->log)) : NULL;
        const struct fg_bill_price *price =
                prices ? fg_bill_prices_find(prices, device->uuid, device->model, is_cap ? "cap" : "share", when) : NULL;
        snprintf(ret_currency, 8, "%s", price ? price->currency : "");
        return price ? price->price : 0;
}
