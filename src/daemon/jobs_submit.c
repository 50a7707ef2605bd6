/* SPDX-License-Identifier: Apache-2.0
 * What a person does with jobs. */
#include "daemon/jobs.h"

#include "base/cleanup.h"
#include "base/size.h"
#include "daemon/events.h"
#include "daemon/jobs_budget.h"
#include "daemon/journal.h"
#include "daemon/manager.h"
#include "daemon/registry.h"
#include "daemon/store_jobs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- submit --- */

/* What can never start is refused at once: it would wait for ever. */
static int check_possible(struct fgd_manager *m, const struct fgd_submit *s, struct fgd_problem *problem)
{
        const struct fgd_demand one = {.more = {[FGD_QUOTA_VGPUS] = s->gpus,
                                                [FGD_QUOTA_MEMORY] = (int64_t)(s->memory * s->gpus),
                                                [FGD_QUOTA_SHARE] = (int64_t)s->share * s->gpus,
                                                [FGD_QUOTA_JOBS] = 1}};
        const struct fgd_demand all = {.more = {[FGD_QUOTA_QUEUED] = s->count}};
        char wanted[32], most[32];
        uint64_t largest = 0;
        for (uint32_t i = 0; i < m->devices; i++) {
                uint64_t whole = m->device[i]->memory - fgd_device_reserved(m, m->device[i]);
                if ((!s->device || s->device == m->device[i]) && whole > largest)
                        largest = whole;
        }
        if (s->memory > largest) {
                problem->available = largest;
                problem->available_share = FGD_SHARE_WHOLE;
                return fgd_problem_set(problem, FGD_NO_CAPACITY, "a vGPU of %s is larger than %s, which can give %s: ask for less memory",
                                       fg_size_format(s->memory, wanted, sizeof wanted), s->device ? "its device" : "every device",
                                       largest ? fg_size_format(largest, most, sizeof most) : "nothing");
        }
        if (fgd_quota_possible(m, s->project, s->owner, &one, problem) < 0)
                return -1;
        return fgd_quota_check(m, s->project, s->owner, &all, problem);
}

static struct fgd_job *make_job(const struct fgd_submit *s)
{
        struct fgd_job *job = fgd_job_new(s->name);
        if (!job)
                return NULL;
        job->project = s->project;
        job->owner = s->owner;
        job->submitted = fgd_wall_ms();
        job->not_before = s->not_before;
        job->memory = s->memory;
        job->uid = s->uid;
        job->gpus = s->gpus;
        job->device = s->device ? s->device->id : FG_QUEUE_ANY;
        job->first = s->first;
        job->count = job->waiting = s->count;
        job->at_once = s->at_once;
        job->time_limit = s->time_limit;
        job->share = (uint16_t)s->share;
        job->class = (uint8_t)s->class;
        job->mode = (uint8_t)s->mode;
        job->retries = (uint8_t)s->retries;
        job->is_array = s->is_array;
        return job;
}

/* Its number is known, and the transaction not over: its answer can be kept with it. */
static int made(void *user, struct fgd_job *job, struct fg_error *err)
{
        struct fgd_manager *m = user;
        int r = 0;
        if (job->budget) {
                int64_t before = fgd_job_spent(m, job->id, &job->budget->limit);
                job->budget->limit.before = before > 0 ? before : 0;
                r = fgd_store_step_budget(m->store, job, err);
        }
        if (r == 0)
                fgd_journal_ready(m, job);
        return r;
}

static int write_job(struct fgd_manager *m, struct fgd_job *job, const struct fgd_submit *s, struct fgd_problem *problem)
{
        struct fg_error err = {0};
        fgd_journal_target(m, "%s", job->name);
        fgd_event_stage(m, job->project, "job.submitted", job->name, "the job \"%s\" was submitted%s", job->name, job->is_array ? ", an array" : "");
        if (fgd_store_add_job(m->store, job, s, &(struct fgd_job_made){made, m}, &err) < 0)
                return fgd_problem_set(problem, FGD_STORAGE, "the job was not submitted: %s", err.text);
        return 0;
}

int fgd_job_submit(struct fgd_manager *m, const struct fgd_submit *s, struct fgd_job **ret, struct fgd_problem *problem)
{
        if (m->jobs->count >= FGD_JOBS_MAX)
                return fgd_problem_set(problem, FGD_NO_ROOM, "there are %u jobs that have not ended, and more are not possible: wait, or cancel some",
                                       m->jobs->count);
        const struct fgd_job_account *of_user = s->owner ? fgd_job_account_find(m, s->project, s->owner) : NULL;
        if (of_user && of_user->jobs >= FGD_JOBS_USER_MAX)
                return fgd_problem_set(problem, FGD_NO_ROOM, "\"%s\" has %u jobs in \"%s\" that have not ended, and more are not possible: submit an array", s->owner->name,
                                       of_user->jobs, s->project->name);
        if (check_possible(m, s, problem) < 0)
                return -1;
        struct fgd_job *job = make_job(s);
        int r = job && fgd_job_reserve(m, job) == 0 && fgd_job_budget_put(m, job, &s->limit) == 0 ? 0 : fgd_problem_set(problem, FGD_INTERNAL, "out of memory");
        if (r == 0)
                r = write_job(m, job, s, problem);
        if (r < 0) {
                if (job)
                        fgd_job_budget_put(m, job, &(struct fgd_job_limit){0});
                fgd_job_free(job);
                if (s->owner)
                        fgd_member_settle(m, fgd_member_find(m, s->owner, s->project));
                return r;
        }
        fgd_job_add(m, job);
        fgd_job_feed(m, job);
        fgd_jobs_kick(m);
        *ret = job;
        return 0;
}

/* --- cancel --- */

static int refuse_ended(const struct fgd_job *job, uint32_t index, struct fgd_problem *problem)
{
        char id[FGD_JOB_ID_SIZE];
        return fgd_problem_set(problem, FGD_ENDED, "job %s has ended already; \"fastgpu jobs %lld\" shows how", fgd_job_id(job, index, id),
                               (long long)job->id);
}

static int not_written(struct fgd_problem *problem, const struct fg_error *err)
{
        return fgd_problem_set(problem, FGD_STORAGE, "nothing was changed: %s", err->text);
}

/* Whether the element has a row behind `next`, so that it is not to be fed. */
static bool is_settled(const struct fgd_job *job, uint32_t index)
{
        return index < job->next || (job->settled && job->settled[index / 8] & 1u << index % 8);
}

static int settle(struct fgd_job *job, uint32_t index, struct fgd_problem *problem)
{
        if (!job->settled)
                job->settled = calloc((job->count + 7) / 8, 1);
        if (!job->settled)
                return fgd_problem_set(problem, FGD_INTERNAL, "out of memory");
        job->settled[index / 8] |= (uint8_t)(1u << index % 8);
        return 0;
}

static void remove_waiting(struct fgd_manager *m, struct fgd_job *job)
{
        struct fgd_run *run, *next;
        FGD_TAILQ_EACH_SAFE(run, &job->runs, of_job, next)
                if (!run->active)
                        fgd_run_remove(m, run);
}

static void stop_active(struct fgd_manager *m, struct fgd_job *job)
{
        struct fgd_run *run, *next;
        uint32_t left = job->active;
        FGD_TAILQ_EACH_SAFE(run, &job->runs, of_job, next) {
                bool is_last = left == 1;
                if (!run->active)
                        continue;
                fgd_run_stop(m, run); /* may be the end of the last one, and of the job */
                if (is_last)
                        return;
                left--;
        }
}

static int cancel_all(struct fgd_manager *m, struct fgd_job *job, bool *ret_gone, struct fgd_problem *problem)
{
        struct fg_error err = {0};
        const struct fgd_job before = *job;
        int64_t now = fgd_wall_ms();
        fgd_event_stage(m, job->project, "job.cancelled", job->name, "job %lld (%s) was cancelled", (long long)job->id, job->name);
        job->is_cancelling = true;
        job->cancelled += job->waiting;
        job->waiting = 0;
        job->next = job->count;
        job->ended = job->active ? 0 : now;
        if (fgd_store_cancel_job(m->store, job, now, &err) < 0) {
                job->is_cancelling = before.is_cancelling;
                job->cancelled = before.cancelled;
                job->waiting = before.waiting;
                job->next = before.next;
                job->ended = before.ended;
                return not_written(problem, &err);
        }
        job->waiting = before.waiting;
        fgd_job_move(m, job, -(int64_t)before.waiting, 0);
        remove_waiting(m, job);
        *ret_gone = job->active == 0;
        int64_t id = job->id;
        if (*ret_gone)
                fgd_job_remove(m, job);
        else
                stop_active(m, job);
        *ret_gone = *ret_gone || !fgd_job_find(m, id);
        return 0;
}

static int cancel_waiting(struct fgd_manager *m, struct fgd_job *job, uint32_t index, struct fgd_run *run, bool *ret_gone, struct fgd_problem *problem)
{
        struct fg_error err = {0};
        const struct fgd_run_result result = {.state = FGD_JOB_CANCELLED, .index = index, .attempt = run ? run->attempt : 0, .ended = fgd_wall_ms(),
                                              .code = -1, .signal = -1, .why = "cancelled"};
        bool had_row = run && run->has_row;
        if (!run && settle(job, index, problem) < 0)
                return -1;
        if (run)
                run->has_row = true;
        job->cancelled++;
        job->waiting--;
        job->ended = job->active || job->waiting ? 0 : result.ended;
        int r = fgd_store_put_run(m->store, job, &result, &err);
        job->waiting++;
        if (r < 0) {
                job->cancelled--;
                job->ended = 0;
                if (run)
                        run->has_row = had_row;
                else
                        job->settled[index / 8] &= (uint8_t)~(1u << index % 8);
                return not_written(problem, &err);
        }
        fgd_job_move(m, job, -1, 0);
        if (run)
                fgd_run_remove(m, run);
        *ret_gone = !job->active && !job->waiting;
        if (*ret_gone)
                fgd_job_remove(m, job);
        else
                fgd_job_feed(m, job);
        return 0;
}

static int cancel_active(struct fgd_manager *m, struct fgd_run *run, bool *ret_gone, struct fgd_problem *problem)
{
        struct fgd_run_result *result = &run->active->result;
        struct fgd_job *job = run->job;
        struct fg_error err = {0};
        int64_t id = job->id;
        uint8_t before = result->flags;
        result->flags |= FGD_RUN_CANCELLED;
        if (fgd_store_put_run(m->store, job, result, &err) < 0) {
                result->flags = before;
                return not_written(problem, &err);
        }
        fgd_run_stop(m, run);
        *ret_gone = !fgd_job_find(m, id);
        return 0;
}

int fgd_job_cancel(struct fgd_manager *m, struct fgd_job *job, int64_t index, bool *ret_gone, struct fgd_problem *problem)
{
        *ret_gone = false;
        int r;
        struct fgd_run *run = index < 0 ? NULL : fgd_run_find(job, (uint32_t)index);
        if (index < 0 || job->count == 1)
                r = cancel_all(m, job, ret_gone, problem);
        else if (run && run->active)
                r = cancel_active(m, run, ret_gone, problem);
        else if (run || !is_settled(job, (uint32_t)index))
                r = cancel_waiting(m, job, (uint32_t)index, run, ret_gone, problem);
        else
                r = refuse_ended(job, (uint32_t)index, problem);
        if (r == 0)
                fgd_jobs_kick(m);
        return r;
}

/* --- suspend and resume --- */

static void apply_hold(struct fgd_manager *m, struct fgd_run *run, enum fgd_job_hold hold)
{
        fgd_run_hold(m, run, hold);
        if (!hold || !run->active || run->active->result.state == FGD_JOB_SUSPENDED)
                return;
        if (fg_queue_leaving(m->jobs->queue, run->entry, FG_QUEUE_SUSPEND) == 0)
                fgd_run_suspend(m, run);
}

static int hold_all(struct fgd_manager *m, struct fgd_job *job, enum fgd_job_hold hold, struct fgd_problem *problem)
{
        struct fgd_run *run;
        struct fg_error err = {0};
        uint8_t before = job->hold;
        job->hold = (uint8_t)hold;
        if (fgd_store_hold_job(m->store, job, &err) < 0) {
                job->hold = before;
                return not_written(problem, &err);
        }
        TAILQ_FOREACH(run, &job->runs, of_job) {
                if (hold == FGD_HOLD_BUDGET) {
                        if (run->hold != FGD_HOLD_PERSON)
                                apply_hold(m, run, hold);
                        continue;
                }
                if (run->active)
                        run->active->result.flags = (uint8_t)((run->active->result.flags & ~FGD_RUN_HELD) | (hold ? FGD_RUN_HELD : 0));
                apply_hold(m, run, hold);
        }
        return 0;
}

static int hold_one(struct fgd_manager *m, struct fgd_job *job, uint32_t index, bool is_held, struct fgd_problem *problem)
{
        struct fgd_run *run = fgd_run_find(job, index);
        struct fgd_run_result result = {.state = FGD_JOB_QUEUED, .index = index, .code = -1, .signal = -1};
        struct fg_error err = {0};
        if (!run && is_settled(job, index))
                return refuse_ended(job, index, problem);
        if (!run && (settle(job, index, problem) < 0 || !(run = fgd_run_add(m, job, index, 0, FGD_HOLD_NONE))))
                return fgd_problem_set(problem, FGD_INTERNAL, "out of memory");
        if (run->active)
                result = run->active->result;
        else
                result.attempt = run->attempt;
        result.flags = (uint8_t)((result.flags & ~FGD_RUN_HELD) | (is_held ? FGD_RUN_HELD : 0));
        bool had_row = run->has_row;
        run->has_row = true;
        if (fgd_store_put_run(m->store, job, &result, &err) < 0) {
                run->has_row = had_row;
                return not_written(problem, &err);
        }
        if (run->active)
                run->active->result.flags = result.flags;
        apply_hold(m, run, is_held ? FGD_HOLD_PERSON : FGD_HOLD_NONE);
        return 0;
}

static int refuse_spent(struct fgd_manager *m, const struct fgd_job *job, struct fgd_problem *problem)
{
        const struct fgd_job_limit *limit = &job->budget->limit;
        char amount[64], spent[64];
        return fgd_problem_set(problem, FGD_BUDGET, "the budget of job %lld, %s, is used up (%s were spent); raise it with: fastgpu budget set %lld AMOUNT",
                               (long long)job->id, fgd_job_limit_format(limit->amount, limit, amount, sizeof amount),
                               fgd_job_limit_format(fgd_job_spent(m, job->id, limit), limit, spent, sizeof spent), (long long)job->id);
}

int fgd_job_hold(struct fgd_manager *m, struct fgd_job *job, int64_t index, bool is_held, struct fgd_problem *problem)
{
        if (job->is_cancelling)
                return fgd_problem_set(problem, FGD_ENDED, "job %lld is being cancelled", (long long)job->id);
        if (!is_held && fgd_job_is_used_up(m, job))
                return refuse_spent(m, job, problem);
        fgd_event_stage(m, job->project, is_held ? "job.held" : "job.released", job->name, "job %lld (%s) was %s", (long long)job->id, job->name,
                        is_held ? "suspended" : "told to go on");
        int r = index < 0 || job->count == 1 ? hold_all(m, job, is_held ? FGD_HOLD_PERSON : FGD_HOLD_NONE, problem)
                                             : hold_one(m, job, (uint32_t)index, is_held, problem);
        if (r == 0)
                fgd_jobs_kick(m);
        return r;
}

int fgd_job_hold_for_budget(struct fgd_manager *m, struct fgd_job *job, struct fgd_problem *problem)
{
        const struct fgd_job_limit *limit = &job->budget->limit;
        char amount[64];
        fgd_event_stage(m, job->project, "budget", job->name, "the budget of job %lld (%s), %s, is used up; it is suspended", (long long)job->id, job->name,
                        fgd_job_limit_format(limit->amount, limit, amount, sizeof amount));
        int r = hold_all(m, job, FGD_HOLD_BUDGET, problem);
        if (r == 0)
                fgd_jobs_kick(m);
        return r;
}
