/* SPDX-License-Identifier: Apache-2.0
 * Jobs from the store into memory and the queue. Rows are judged here: what cannot be is left out and named, and never run. */
#include "daemon/jobs.h"

#include "base/log.h"
#include "base/size.h"
#include "daemon/jobs_budget.h"
#include "daemon/manager.h"
#include "daemon/registry.h"
#include "daemon/store_jobs.h"
#include "daemon/vgpus.h"

#include <errno.h>
#include <stdlib.h>

struct loader {
        struct fgd_manager *manager;
        uint64_t latest; /* us of the queue's clock that the store knows of */
};

static int take_standing(void *user, int64_t project, uint64_t use, uint64_t at)
{
        struct loader *l = user;
        struct fgd_project *of = fgd_project_of_id(l->manager, project);
        if (!of)
                return 0;
        struct fgd_job_account *account = fgd_job_account(l->manager, of, NULL);
        if (!account)
                return -ENOMEM;
        fg_queue_use_restore(account->account, use, at);
        account->saved_use = use;
        if (at > l->latest && at < INT64_MAX)
                l->latest = at;
        return 0;
}

/* The queue's clock goes on from the wall clock, and never back behind what is written down. */
static void set_clock(struct fgd_jobs *jobs, uint64_t latest)
{
        struct timespec now;
        uint64_t wall = (uint64_t)fgd_wall_ms() * 1000;
        clock_gettime(CLOCK_BOOTTIME, &now);
        jobs->base_at = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
        jobs->base = wall > latest ? wall : latest;
        jobs->skew = (int64_t)(jobs->base - wall);
}

static bool is_within(int64_t value, int64_t min, int64_t max)
{
        return value >= min && value <= max;
}

static bool makes_sense(const struct fgd_manager *m, const struct fgd_store_job *row)
{
        return fgd_project_of_id(m, row->project) && (!row->owner || fgd_user_of_id(m, row->owner)) && fg_name_check(row->name, NULL) == 0 &&
               is_within(row->uid, 0, UINT32_MAX - 1) && is_within(row->class, 0, 2) && is_within(row->gpus, 1, FG_QUEUE_GANG_MAX) &&
               is_within(row->memory, 1, (int64_t)FGD_MEMORY_MAX) && is_within(row->share, 1, FGD_SHARE_WHOLE) &&
               is_within(row->mode, 0, FG_MODE_CAP) && is_within(row->device, -1, (int64_t)m->devices - 1) &&
               is_within(row->count, 1, FGD_ARRAY_MAX) && is_within(row->first, 0, FGD_ARRAY_INDEX) && is_within(row->at_once, 0, FGD_ARRAY_MAX) &&
               is_within(row->time_limit, 0, FGD_JOB_SECONDS) && is_within(row->not_before, 0, INT64_MAX / 1000000) &&
               is_within(row->retries, 0, FGD_JOB_RETRIES) && is_within(row->submitted, 0, INT64_MAX / 1000) && is_within(row->done, 0, row->count) &&
               is_within(row->failed, 0, row->count - row->done) && is_within(row->cancelled, 0, row->count - row->done - row->failed) &&
               is_within(row->next, 0, row->count);
}

static struct fgd_job *make_job(struct fgd_manager *m, const struct fgd_store_job *row)
{
        struct fgd_job *job = fgd_job_new(row->name);
        if (!job)
                return NULL;
        job->id = row->id;
        job->project = fgd_project_of_id(m, row->project);
        job->owner = row->owner ? fgd_user_of_id(m, row->owner) : NULL;
        job->submitted = row->submitted;
        job->not_before = row->not_before;
        job->started = row->started;
        job->memory = (uint64_t)row->memory;
        job->uid = (uint32_t)row->uid;
        job->gpus = (uint32_t)row->gpus;
        job->device = row->device < 0 ? FG_QUEUE_ANY : (uint32_t)row->device;
        job->first = (uint32_t)row->first;
        job->count = (uint32_t)row->count;
        job->at_once = (uint32_t)row->at_once;
        job->time_limit = (uint32_t)row->time_limit;
        job->next = (uint32_t)row->next;
        job->done = (uint32_t)row->done;
        job->failed = (uint32_t)row->failed;
        job->cancelled = (uint32_t)row->cancelled;
        job->waiting = job->count - job->done - job->failed - job->cancelled;
        job->share = (uint16_t)row->share;
        job->class = (uint8_t)row->class;
        job->mode = (uint8_t)row->mode;
        job->retries = (uint8_t)row->retries;
        job->hold = row->hold == FGD_HOLD_BUDGET ? FGD_HOLD_BUDGET : row->hold ? FGD_HOLD_PERSON : FGD_HOLD_NONE;
        job->is_array = row->is_array != 0;
        job->is_cancelling = row->cancelling != 0;
        return job;
}

static int take_job(void *user, const struct fgd_store_job *row)
{
        struct loader *l = user;
        struct fgd_manager *m = l->manager;
        if (!makes_sense(m, row)) {
                fgd_manager_note(m, "job %lld of the store makes no sense; it is left out and will not run", (long long)row->id);
                return 0;
        }
        struct fgd_job *job = make_job(m, row);
        if (!job || fgd_job_reserve(m, job) < 0) {
                fgd_job_free(job);
                return -ENOMEM;
        }
        fgd_job_add(m, job);
        return 0;
}

static int settle_element(struct fgd_job *job, uint32_t index)
{
        if (index < job->next)
                return 0;
        if (!job->settled)
                job->settled = calloc((job->count + 7) / 8, 1);
        if (!job->settled)
                return -ENOMEM;
        job->settled[index / 8] |= (uint8_t)(1u << index % 8);
        return 0;
}

static int take_run(void *user, int64_t id, const struct fgd_run_result *result)
{
        struct loader *l = user;
        struct fgd_manager *m = l->manager;
        struct fgd_job *job = fgd_job_find(m, id);
        if (!job || result->index >= job->count || result->attempt > job->retries)
                return 0;
        int r = settle_element(job, result->index);
        if (r < 0 || fgd_job_is_over(result->state))
                return r;
        struct fgd_run *run = fgd_run_add(m, job, result->index, result->attempt, result->flags & FGD_RUN_HELD ? FGD_HOLD_PERSON : FGD_HOLD_NONE);
        if (!run)
                return -ENOMEM;
        run->has_row = true;
        if (result->state == FGD_JOB_QUEUED)
                return 0;
        if (!fgd_active_new(m, run))
                return -ENOMEM;
        run->active->result = *result;
        fgd_job_move(m, job, -1, 1);
        return 0;
}

static int take_limit(void *user, int64_t id, const struct fgd_job_limit *limit)
{
        struct loader *l = user;
        struct fgd_job *job = fgd_job_find(l->manager, id);
        return job && limit->amount > 0 ? fgd_job_budget_put(l->manager, job, limit) : 0;
}

static int take_ended(void *user, int64_t count)
{
        struct loader *l = user;
        l->manager->jobs->ended = (uint64_t)count;
        return 0;
}

/* Where the queue has it: how many of its vGPUs each device carries. */
static size_t places_of(const struct fgd_manager *m, const struct fgd_set *set, struct fg_queue_place ret[FGD_DEVICES_MAX])
{
        uint32_t on[FGD_DEVICES_MAX] = {0};
        size_t n = 0;
        for (uint32_t i = 0; i < set->count; i++)
                if (set->vgpu[i].device)
                        on[set->vgpu[i].device->id]++;
        for (uint32_t i = 0; i < m->devices; i++)
                if (on[i])
                        ret[n++] = (struct fg_queue_place){i, on[i]};
        return n;
}

static int join(struct fgd_manager *m, struct fgd_set *set)
{
        struct fg_queue_place place[FGD_DEVICES_MAX];
        struct fgd_job *job = fgd_job_find(m, set->job);
        struct fgd_run *run = job ? fgd_run_find(job, set->element) : NULL;
        if (!run || !run->active || run->active->set)
                return -ENOENT;
        int r = fg_queue_started(m->jobs->queue, run->entry, fgd_jobs_now(m->jobs), place, places_of(m, set, place));
        if (r < 0)
                return r;
        run->active->set = set;
        set->run = run;
        run->active->charged_ns = fgd_set_gpu_ns(set);
        if (run->active->result.state != FGD_JOB_SUSPENDED)
                return 0;
        fgd_registry_pause(m, set, true);
        return fg_queue_suspended(m->jobs->queue, run->entry, fgd_jobs_now(m->jobs));
}

/* A run whose vGPUs the store does not know (it was damaged): it cannot go on, and is not run again. */
static void give_up(struct fgd_manager *m, struct fgd_active *active)
{
        struct fgd_job *job = active->run->job;
        struct fg_error err = {0};
        fgd_manager_note(m, "the vGPUs of job %lld are not in the store: it counts as failed", (long long)job->id);
        fgd_job_move(m, job, 0, -1);
        job->failed++;
        active->result.state = FGD_JOB_FAILED;
        active->result.ended = fgd_wall_ms();
        snprintf(active->result.why, sizeof active->result.why, "lost: its vGPUs were not in the store when the daemon started");
        job->ended = job->active || job->waiting ? 0 : active->result.ended;
        if (fgd_store_put_run(m->store, job, &active->result, &err) < 0)
                fg_log_warning("%s", err.text);
        fgd_run_remove(m, active->run);
}

static void join_all(struct fgd_manager *m)
{
        struct fgd_set *set;
        struct fgd_active *active, *next;
        TAILQ_FOREACH(set, &m->sets, order)
                if (set->job && join(m, set) < 0)
                        fgd_manager_note(m, "\"%s\" belongs to no job that runs; it is deleted", set->name);
        FGD_TAILQ_EACH_SAFE(active, &m->jobs->active, order, next)
                if (!active->set)
                        give_up(m, active);
}

/* What waits comes into the queue. */
static int settle_jobs(struct fgd_manager *m)
{
        struct fgd_job *job, *next;
        FGD_TAILQ_EACH_SAFE(job, &m->jobs->list, order, next) {
                if (fgd_job_feed(m, job) < 0)
                        return -ENOMEM;
                if (!job->waiting && !job->active) {
                        job->ended = fgd_wall_ms();
                        fgd_store_put_job(m->store, job, NULL);
                        fgd_job_remove(m, job);
                }
        }
        return 0;
}

int fgd_jobs_load(struct fgd_manager *m, struct fg_error *err)
{
        struct loader l = {.manager = m};
        const struct fgd_store_jobs standings = {.standing = take_standing, .user = &l};
        const struct fgd_store_jobs visitor = {.job = take_job, .run = take_run, .limit = take_limit, .ended = take_ended, .user = &l};
        int r = fgd_store_load_standings(m->store, &standings, err);
        set_clock(m->jobs, l.latest);
        if (r == 0)
                r = fgd_store_load_jobs(m->store, &visitor, err);
        if (r < 0)
                return r;
        join_all(m);
        r = settle_jobs(m);
        return r < 0 ? fg_error_set(err, r, "cannot take in the jobs: %m") : 0;
}

void fgd_jobs_adopt(struct fgd_manager *m)
{
        struct fgd_set *set, *next_set;
        struct fgd_active *active, *next;
        FGD_TAILQ_EACH_SAFE(set, &m->sets, order, next_set)
                if (set->job && !set->run)
                        fgd_vgpus_expire(m, set);
        /* An end takes only its own run along. */
        FGD_TAILQ_EACH_SAFE(active, &m->jobs->active, order, next)
                fgd_run_adopt(m, active->run);
        fgd_jobs_trim(m);
        fgd_jobs_kick(m);
}
