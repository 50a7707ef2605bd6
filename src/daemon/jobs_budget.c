/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/jobs_budget.h"

#include "base/log.h"
#include "daemon/events.h"
#include "daemon/journal.h"
#include "daemon/manager.h"
#include "daemon/money.h"
#include "daemon/store_jobs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int64_t fgd_job_spent(const struct fgd_manager *m, int64_t id, const struct fgd_job_limit *limit)
{
        if (!m->money || !m->money->log)
                return -1;
        const struct fg_bill_sums *sums = fg_bill_books_sums(fgd_moneylog_books(m->money->log));
        int64_t spent = fg_money_round(fg_bill_spends_get(&sums->spends, id, fg_bill_texts_find(&sums->texts, limit->currency)), 9);
        return spent > limit->before ? spent - limit->before : 0;
}

bool fgd_job_is_used_up(const struct fgd_manager *m, const struct fgd_job *job)
{
        return job->budget && fgd_job_spent(m, job->id, &job->budget->limit) >= job->budget->limit.amount;
}

char *fgd_job_limit_format(int64_t nano, const struct fgd_job_limit *limit, char *buf, size_t size)
{
        char amount[FG_NUMBER_MAX];
        snprintf(buf, size, "%s %s", fg_money_format(nano, fg_currency_decimals(limit->currency), amount, sizeof amount), limit->currency);
        return buf;
}

int fgd_job_budget_put(struct fgd_manager *m, struct fgd_job *job, const struct fgd_job_limit *limit)
{
        if (!limit->amount) {
                if (job->budget)
                        TAILQ_REMOVE(&m->jobs->budgets, job->budget, order);
                free(job->budget);
                job->budget = NULL;
                return 0;
        }
        if (!job->budget) {
                job->budget = calloc(1, sizeof *job->budget);
                if (!job->budget)
                        return -ENOMEM;
                job->budget->job = job;
                TAILQ_INSERT_TAIL(&m->jobs->budgets, job->budget, order);
        }
        job->budget->limit = *limit;
        return 0;
}

static void let_go_on(struct fgd_manager *m, struct fgd_job *job)
{
        struct fgd_run *run;
        TAILQ_FOREACH(run, &job->runs, of_job)
                if (run->hold == FGD_HOLD_BUDGET)
                        fgd_run_hold(m, run, FGD_HOLD_NONE);
        fgd_jobs_kick(m);
}

int fgd_job_budget_set(struct fgd_manager *m, struct fgd_job *job, const struct fgd_job_limit *limit, struct fgd_problem *problem)
{
        struct fgd_job_limit before = job->budget ? job->budget->limit : (struct fgd_job_limit){0};
        struct fgd_job_limit now = *limit;
        struct fg_error err = {0};
        char text[64];
        /* What somebody else with the number cost, before a store was lost. */
        now.before = strcmp(before.currency, now.currency) == 0 ? before.before : 0;
        uint8_t hold = job->hold;
        if (fgd_job_budget_put(m, job, &now) < 0)
                return fgd_problem_set(problem, FGD_INTERNAL, "out of memory");
        bool goes_on = hold == FGD_HOLD_BUDGET && !fgd_job_is_used_up(m, job);
        if (goes_on)
                job->hold = FGD_HOLD_NONE;
        fgd_event_stage(m, job->project, "budget", job->name, "the budget of job %lld (%s) is %s%s", (long long)job->id, job->name,
                        now.amount ? fgd_job_limit_format(now.amount, &now, text, sizeof text) : "taken away", goes_on ? "; it goes on" : "");
        if (fgd_store_budget_job(m->store, job, goes_on, &err) < 0) {
                job->hold = hold;
                fgd_job_budget_put(m, job, &before);
                return fgd_problem_set(problem, FGD_STORAGE, "nothing was changed: %s", err.text);
        }
        if (goes_on)
                let_go_on(m, job);
        return 0;
}

static void suspend(struct fgd_manager *m, struct fgd_job *job)
{
        struct fgd_problem problem = {0};
        struct fgd_audit *row = fgd_journal_begin(m);
        if (!row)
                return;
        snprintf(row->actor, sizeof row->actor, "budget");
        snprintf(row->via, sizeof row->via, "daemon");
        snprintf(row->action, sizeof row->action, "POST /v1/jobs/*/suspend");
        fgd_journal_project(m, job->project);
        fgd_journal_target(m, "%lld", (long long)job->id);
        int r = fgd_job_hold_for_budget(m, job, &problem);
        fgd_journal_end(m, row, r < 0 ? fgd_problem_status(&problem) : 200, r < 0 ? fgd_problem_type_name(&problem) : "");
        if (r < 0)
                fg_log_warning("the budget of job %lld is used up, but: %s", (long long)job->id, problem.detail);
}

void fgd_job_budgets_watch(struct fgd_manager *m)
{
        struct fgd_job_budget *budget, *next;
        if (m->jobs)
                FGD_TAILQ_EACH_SAFE(budget, &m->jobs->budgets, order, next)
                        if (!budget->job->hold && !budget->job->is_cancelling && fgd_job_is_used_up(m, budget->job))
                                suspend(m, budget->job);
}
