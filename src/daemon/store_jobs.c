/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/store_jobs.h"

#include "daemon/jobs_budget.h"
#include "daemon/store_internal.h"
#include "daemon/tenants.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int fgd_store_step_budget(struct fgd_store *store, const struct fgd_job *job, struct fg_error *err)
{
        const struct fgd_job_limit *limit = job->budget ? &job->budget->limit : NULL;
        if (!limit)
                return fgd_sql_run(store, FGD_SQL_DROP_JOB_BUDGET, err, "i", job->id);
        return fgd_sql_run(store, FGD_SQL_PUT_JOB_BUDGET, err, "itii", job->id, limit->currency, limit->amount, limit->before);
}

int fgd_store_add_job(struct fgd_store *store, struct fgd_job *job, const struct fgd_submit *s, const struct fgd_job_made *made, struct fg_error *err)
{
        int r = fgd_sql_begin(store, err);
        if (r < 0)
                return r;
        r = fgd_sql_run(store, FGD_SQL_ADD_JOB, err, "irtttiiiiiiiiiiiiiiib", job->project->id, job->owner ? job->owner->id : (int64_t)0,
                        job->owner ? job->owner->name : "operator", job->name, s->command, (int64_t)job->uid, (int64_t)job->class,
                        (int64_t)job->gpus, (int64_t)job->memory, (int64_t)job->share, (int64_t)job->mode,
                        job->device == FG_QUEUE_ANY ? (int64_t)-1 : (int64_t)job->device, (int64_t)job->is_array, (int64_t)job->first,
                        (int64_t)job->count, (int64_t)job->at_once, (int64_t)job->time_limit, job->not_before, (int64_t)job->retries,
                        job->submitted, s->spec, (int)s->spec_size);
        job->id = sqlite3_last_insert_rowid(store->db);
        if (r == 0)
                r = made->made(made->user, job, err);
        return fgd_sql_finish(store, r, true, err);
}

/* The lowest element that has no row and was not cancelled with its job: behind it are rows that a restart has to look for. */
static uint32_t first_without_row(const struct fgd_job *job)
{
        const struct fgd_run *run;
        TAILQ_FOREACH(run, &job->runs, of_job)
                if (!run->has_row)
                        return run->index < job->next ? run->index : job->next;
        return job->next;
}

static int step_job(struct fgd_store *store, const struct fgd_job *job, struct fg_error *err)
{
        return fgd_sql_run(store, FGD_SQL_PUT_JOB, err, "iiiiiiiiii", job->id, (int64_t)fgd_job_state_of(job), (int64_t)job->hold,
                           (int64_t)job->is_cancelling, (int64_t)first_without_row(job), (int64_t)job->done, (int64_t)job->failed,
                           (int64_t)job->cancelled, job->started, job->ended);
}

int fgd_store_put_job(struct fgd_store *store, const struct fgd_job *job, struct fg_error *err)
{
        int r = fgd_sql_begin(store, err);
        return r < 0 ? r : fgd_sql_finish(store, step_job(store, job, err), true, err);
}

int fgd_store_cancel_job(struct fgd_store *store, const struct fgd_job *job, int64_t now, struct fg_error *err)
{
        int r = fgd_sql_begin(store, err);
        if (r < 0)
                return r;
        r = fgd_sql_run(store, FGD_SQL_CANCEL_RUNS, err, "iii", job->id, (int64_t)FGD_JOB_CANCELLED, now);
        return fgd_sql_finish(store, r < 0 ? r : step_job(store, job, err), true, err);
}

int fgd_store_hold_job(struct fgd_store *store, const struct fgd_job *job, struct fg_error *err)
{
        int r = fgd_sql_begin(store, err);
        if (r < 0)
                return r;
        /* That an element is held is a person's word; a budget's is the job's alone. */
        if (job->hold != FGD_HOLD_BUDGET)
                r = fgd_sql_run(store, FGD_SQL_HOLD_RUNS, err, "ii", job->id, (int64_t)(job->hold != FGD_HOLD_NONE));
        return fgd_sql_finish(store, r < 0 ? r : step_job(store, job, err), true, err);
}

int fgd_store_budget_job(struct fgd_store *store, const struct fgd_job *job, bool goes_on, struct fg_error *err)
{
        int r = fgd_sql_begin(store, err);
        if (r < 0)
                return r;
        r = fgd_store_step_budget(store, job, err);
        if (r == 0 && goes_on)
                r = step_job(store, job, err);
        return fgd_sql_finish(store, r, true, err);
}

static void take_limit(sqlite3_stmt *s, struct fgd_job_limit *ret)
{
        fgd_sql_text(s, 1, ret->currency, sizeof ret->currency);
        ret->amount = sqlite3_column_int64(s, 2);
        ret->before = sqlite3_column_int64(s, 3);
}

int fgd_store_get_budget(struct fgd_store *store, int64_t job, struct fgd_job_limit *ret)
{
        sqlite3_stmt *s = fgd_sql_bind(store, FGD_SQL_GET_JOB_BUDGET, "i", job);
        int r = sqlite3_step(s) == SQLITE_ROW;
        if (r)
                take_limit(s, ret);
        sqlite3_reset(s);
        return r;
}

int fgd_store_step_run(struct fgd_store *store, const struct fgd_job *job, const struct fgd_run_result *x, struct fg_error *err)
{
        int r = fgd_sql_run(store, FGD_SQL_PUT_RUN, err, "iiiiiiiiiiiiiiit", job->id, (int64_t)x->index, (int64_t)x->state, (int64_t)x->attempt,
                            (int64_t)x->flags, x->started, x->ended, (int64_t)x->code, (int64_t)x->signal, (int64_t)x->ran,
                            (int64_t)x->gpu_ns, (int64_t)x->cpu_us, (int64_t)x->max_rss, (int64_t)x->log, (int64_t)x->dropped, x->why);
        return r < 0 ? r : step_job(store, job, err);
}

int fgd_store_put_run(struct fgd_store *store, const struct fgd_job *job, const struct fgd_run_result *result, struct fg_error *err)
{
        int r = fgd_sql_begin(store, err);
        return r < 0 ? r : fgd_sql_finish(store, fgd_store_step_run(store, job, result, err), true, err);
}

int fgd_store_job_spec(struct fgd_store *store, int64_t id, void **ret, size_t *ret_size, struct fg_error *err)
{
        sqlite3_stmt *s = fgd_sql_bind(store, FGD_SQL_GET_SPEC, "i", id);
        int code = sqlite3_step(s), r = 0;
        if (code == SQLITE_ROW) {
                *ret_size = (size_t)sqlite3_column_bytes(s, 0);
                *ret = malloc(*ret_size + 1);
                if (*ret)
                        memcpy(*ret, sqlite3_column_blob(s, 0), *ret_size);
                else
                        r = fg_error_set(err, -ENOMEM, "out of memory");
        } else {
                r = code == SQLITE_DONE ? fg_error_set(err, -ENOENT, "the store has no job %lld", (long long)id)
                                        : fgd_store_error(store, code, "the store", err);
        }
        sqlite3_reset(s);
        return r;
}

static uint64_t positive(sqlite3_stmt *s, int column)
{
        int64_t value = sqlite3_column_int64(s, column);
        return value > 0 ? (uint64_t)value : 0;
}

static void take_run(sqlite3_stmt *s, struct fgd_run_result *ret)
{
        int64_t state = sqlite3_column_int64(s, 2);
        *ret = (struct fgd_run_result){.index = (uint32_t)sqlite3_column_int64(s, 1),
                                       .state = state >= 0 && state < FGD_JOB_STATES ? (enum fgd_job_state)state : FGD_JOB_FAILED,
                                       .attempt = (uint32_t)sqlite3_column_int64(s, 3),
                                       .flags = (uint8_t)(sqlite3_column_int64(s, 4) & FGD_RUN_FLAGS),
                                       .started = sqlite3_column_int64(s, 5),
                                       .ended = sqlite3_column_int64(s, 6),
                                       .code = sqlite3_column_int(s, 7),
                                       .signal = sqlite3_column_int(s, 8),
                                       .ran = positive(s, 9),
                                       .gpu_ns = positive(s, 10),
                                       .cpu_us = positive(s, 11),
                                       .max_rss = positive(s, 12),
                                       .log = positive(s, 13),
                                       .dropped = positive(s, 14)};
        fgd_sql_text(s, 15, ret->why, sizeof ret->why);
}

int fgd_store_get_run(struct fgd_store *store, int64_t job, uint32_t index, struct fgd_run_result *ret)
{
        sqlite3_stmt *s = fgd_sql_bind(store, FGD_SQL_GET_RUN, "ii", job, (int64_t)index);
        int r = sqlite3_step(s) == SQLITE_ROW;
        if (r)
                take_run(s, ret);
        sqlite3_reset(s);
        return r;
}

int fgd_store_read_runs(struct fgd_store *store, int64_t job, uint32_t from, int (*row)(void *user, const struct fgd_run_result *result), void *user,
                        struct fg_error *err)
{
        sqlite3_stmt *s = fgd_sql_bind(store, FGD_SQL_READ_RUNS, "ii", job, (int64_t)from);
        struct fgd_run_result result;
        int code = SQLITE_DONE, r = 0;
        while (r == 0 && (code = sqlite3_step(s)) == SQLITE_ROW) {
                take_run(s, &result);
                r = row(user, &result);
        }
        if (r == 0 && code != SQLITE_DONE)
                r = fgd_store_error(store, code, "cannot read the runs", err);
        sqlite3_reset(s);
        return r < 0 ? r : 0;
}

static const char *text(sqlite3_stmt *s, int column)
{
        const char *value = (const char *)sqlite3_column_text(s, column);
        return value ? value : "";
}

static void take_job(sqlite3_stmt *s, struct fgd_store_job *ret)
{
        *ret = (struct fgd_store_job){.id = sqlite3_column_int64(s, 0), .project = sqlite3_column_int64(s, 1), .owner = sqlite3_column_int64(s, 2),
                                      .owner_name = text(s, 3), .name = text(s, 4), .command = text(s, 5)};
        int64_t *const number[] = {&ret->uid,       &ret->class,     &ret->gpus,   &ret->memory,     &ret->share,    &ret->mode,
                                   &ret->device,    &ret->is_array,  &ret->first,  &ret->count,      &ret->at_once,  &ret->time_limit,
                                   &ret->not_before, &ret->retries,  &ret->submitted, &ret->state,   &ret->hold,     &ret->cancelling,
                                   &ret->next,      &ret->done,      &ret->failed, &ret->cancelled,  &ret->started,  &ret->ended};
        for (unsigned i = 0; i < sizeof number / sizeof *number; i++)
                *number[i] = sqlite3_column_int64(s, 6 + (int)i);
}

static int each_job(struct fgd_store *store, sqlite3_stmt *s, int (*row)(void *user, const struct fgd_store_job *job), void *user, unsigned *ret_count,
                    struct fg_error *err)
{
        struct fgd_store_job found;
        int code = SQLITE_DONE, r = 0;
        *ret_count = 0;
        while (r == 0 && (code = sqlite3_step(s)) == SQLITE_ROW) {
                take_job(s, &found);
                ++*ret_count;
                r = row(user, &found);
        }
        if (r == 0 && code != SQLITE_DONE)
                r = fgd_store_error(store, code, "cannot read the jobs", err);
        sqlite3_reset(s);
        return r < 0 ? r : 0;
}

int fgd_store_get_job(struct fgd_store *store, int64_t id, int (*row)(void *user, const struct fgd_store_job *job), void *user, struct fg_error *err)
{
        unsigned count;
        int r = each_job(store, fgd_sql_bind(store, FGD_SQL_GET_JOB, "i", id), row, user, &count, err);
        return r < 0 ? r : (int)count;
}

int fgd_store_read_jobs(struct fgd_store *store, int64_t before, int64_t project, int state, int (*row)(void *user, const struct fgd_store_job *job),
                        void *user, struct fg_error *err)
{
        enum fgd_statement which = project ? FGD_SQL_READ_JOBS_OF : state >= 0 ? FGD_SQL_READ_JOBS_IN : state == FGD_STORE_LIVE ? FGD_SQL_READ_JOBS_LIVE : FGD_SQL_READ_JOBS;
        unsigned ignored;
        sqlite3_stmt *s = fgd_sql_bind(store, which, project || state >= 0 ? "ii" : "i", before, project ? project : (int64_t)state);
        return each_job(store, s, row, user, &ignored, err);
}

static int job_row(sqlite3_stmt *s, const void *user)
{
        const struct fgd_store_jobs *visitor = user;
        struct fgd_store_job row;
        take_job(s, &row);
        return visitor->job(visitor->user, &row);
}

static int run_row(sqlite3_stmt *s, const void *user)
{
        const struct fgd_store_jobs *visitor = user;
        struct fgd_run_result row;
        take_run(s, &row);
        return visitor->run(visitor->user, sqlite3_column_int64(s, 0), &row);
}

static int limit_row(sqlite3_stmt *s, const void *user)
{
        const struct fgd_store_jobs *visitor = user;
        struct fgd_job_limit limit;
        take_limit(s, &limit);
        return visitor->limit(visitor->user, sqlite3_column_int64(s, 0), &limit);
}

static int standing_row(sqlite3_stmt *s, const void *user)
{
        const struct fgd_store_jobs *visitor = user;
        return visitor->standing(visitor->user, sqlite3_column_int64(s, 0), positive(s, 1), positive(s, 2));
}

static int ended_row(sqlite3_stmt *s, const void *user)
{
        const struct fgd_store_jobs *visitor = user;
        return visitor->ended(visitor->user, sqlite3_column_int64(s, 0));
}

int fgd_store_load_jobs(struct fgd_store *store, const struct fgd_store_jobs *visitor, struct fg_error *err)
{
        static const struct {
                const char *sql;
                int (*row)(sqlite3_stmt *, const void *);
        } all[] = {
                {"SELECT " FGD_JOB_COLUMNS " FROM jobs WHERE state<5 ORDER BY id", job_row},
                {"SELECT " FGD_RUN_COLUMNS " FROM runs WHERE job IN (SELECT id FROM jobs WHERE state<5 AND (is_array OR state>0 OR next>0)) AND "
                 "(state<5 OR idx>=(SELECT next FROM jobs WHERE id=runs.job)) ORDER BY job,idx", run_row},
                {"SELECT job,currency,amount,before FROM job_budgets WHERE job IN (SELECT id FROM jobs WHERE state<5)", limit_row},
                {"SELECT count(*) FROM jobs WHERE state>=5", ended_row},
        };
        int r = 0;
        for (unsigned i = 0; r == 0 && i < sizeof all / sizeof *all; i++)
                r = fgd_sql_walk(store, all[i].sql, visitor, all[i].row, err);
        return r;
}

int fgd_store_load_standings(struct fgd_store *store, const struct fgd_store_jobs *visitor, struct fg_error *err)
{
        return fgd_sql_walk(store, "SELECT project,use,at FROM standings", visitor, standing_row, err);
}

int64_t fgd_store_oldest_job(struct fgd_store *store)
{
        int64_t oldest = 0;
        for (int state = FGD_JOB_DONE; state < FGD_JOB_STATES; state++) {
                sqlite3_stmt *s = fgd_sql_bind(store, FGD_SQL_OLDEST_JOB, "i", (int64_t)state);
                int64_t id = sqlite3_step(s) == SQLITE_ROW ? sqlite3_column_int64(s, 0) : 0;
                sqlite3_reset(s);
                if (id && (!oldest || id < oldest))
                        oldest = id;
        }
        return oldest;
}

int fgd_store_forget_job(struct fgd_store *store, int64_t id, uint32_t below, bool is_last, struct fg_error *err)
{
        int r = fgd_sql_begin(store, err);
        if (r < 0)
                return r;
        r = fgd_sql_run(store, FGD_SQL_FORGET_RUNS, err, "ii", id, (int64_t)below);
        if (r == 0 && is_last)
                r = fgd_sql_run(store, FGD_SQL_DROP_JOB_BUDGET, err, "i", id);
        if (r == 0 && is_last)
                r = fgd_sql_run(store, FGD_SQL_FORGET_JOB, err, "i", id);
        return fgd_sql_finish(store, r, false, err);
}

int fgd_store_step_standing(struct fgd_store *store, int64_t project, uint64_t use, uint64_t at, struct fg_error *err)
{
        if (use == 0)
                return fgd_sql_run(store, FGD_SQL_DELETE_STANDING, err, "i", project);
        return fgd_sql_run(store, FGD_SQL_PUT_STANDING, err, "iii", project, (int64_t)use, (int64_t)at);
}
