/* SPDX-License-Identifier: Apache-2.0
 * Jobs in memory: found by number, counted with their projects and owners. */
#include "daemon/jobs.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "daemon/job_log.h"
#include "daemon/jobs_budget.h"
#include "daemon/manager.h"
#include "daemon/store_jobs.h"
#include "daemon/trace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const fgd_job_state_names[FGD_JOB_STATES] = {
        [FGD_JOB_QUEUED] = "queued",     [FGD_JOB_STARTING] = "starting", [FGD_JOB_RUNNING] = "running", [FGD_JOB_SUSPENDED] = "suspended",
        [FGD_JOB_STOPPING] = "stopping", [FGD_JOB_DONE] = "done",         [FGD_JOB_FAILED] = "failed",   [FGD_JOB_CANCELLED] = "cancelled"};

int64_t fgd_wall_ms(void)
{
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

char *fgd_job_id(const struct fgd_job *job, uint32_t index, char buf[FGD_JOB_ID_SIZE])
{
        if (job->is_array)
                snprintf(buf, FGD_JOB_ID_SIZE, "%lld/%u", (long long)job->id, job->first + index);
        else
                snprintf(buf, FGD_JOB_ID_SIZE, "%lld", (long long)job->id);
        return buf;
}

struct fgd_job *fgd_job_find(const struct fgd_manager *m, int64_t id)
{
        for (struct fgd_node *at = fgd_table_first(&m->jobs->by_id, fgd_hash_number((uint64_t)id)); at; at = fgd_table_next(at)) {
                struct fgd_job *job = FGD_OF_NODE(at, struct fgd_job, by_id);
                if (job->id == id)
                        return job;
        }
        return NULL;
}

struct fgd_run *fgd_run_find(const struct fgd_job *job, uint32_t index)
{
        struct fgd_run *run;
        TAILQ_FOREACH(run, &job->runs, of_job)
                if (run->index == index)
                        return run;
        return NULL;
}

struct fgd_job *fgd_job_new(const char *name)
{
        size_t size = strlen(name) + 1;
        struct fgd_job *job = calloc(1, sizeof *job + size);
        if (!job)
                return NULL;
        memcpy(job->name, name, size);
        TAILQ_INIT(&job->runs);
        return job;
}

void fgd_job_free(struct fgd_job *job)
{
        if (job) {
                free(job->settled);
                free(job->budget);
        }
        free(job);
}

bool fgd_run_is_cancelled(const struct fgd_run *run)
{
        return run->job->is_cancelling || (run->active && run->active->result.flags & FGD_RUN_CANCELLED);
}

enum fgd_job_state fgd_run_state(const struct fgd_run *run)
{
        if (!run->active)
                return FGD_JOB_QUEUED;
        return run->active->result.flags & FGD_RUN_REQUEUED || fgd_run_is_cancelled(run) ? FGD_JOB_STOPPING : run->active->result.state;
}

enum fgd_job_state fgd_job_state_of(const struct fgd_job *job)
{
        if (job->active)
                return FGD_JOB_RUNNING;
        if (job->waiting)
                return FGD_JOB_QUEUED;
        return job->failed ? FGD_JOB_FAILED : job->cancelled ? FGD_JOB_CANCELLED : FGD_JOB_DONE;
}

/* --- accounts --- */

static uint64_t hash_account(const struct fgd_project *project, const struct fgd_user *user)
{
        const int64_t key[2] = {project->id, user ? user->id : 0};
        return fgd_hash(key, sizeof key);
}

struct fgd_job_account *fgd_job_account_find(const struct fgd_manager *m, const struct fgd_project *project, const struct fgd_user *user)
{
        const struct fgd_jobs *jobs = m->jobs;
        for (struct fgd_node *at = fgd_table_first(&jobs->accounts, hash_account(project, user)); at; at = fgd_table_next(at)) {
                struct fgd_job_account *account = FGD_OF_NODE(at, struct fgd_job_account, by_pair);
                if (account->project == project && account->user == user)
                        return account;
        }
        return NULL;
}

struct fgd_job_account *fgd_job_account(struct fgd_manager *m, struct fgd_project *project, struct fgd_user *user)
{
        struct fgd_jobs *jobs = m->jobs;
        struct fgd_job_account *account = fgd_job_account_find(m, project, user);
        if (account)
                return account;
        account = calloc(1, sizeof *account);
        if (!account || fgd_table_reserve(&jobs->accounts) < 0 || fg_queue_account_add(jobs->queue, &account->account) < 0) {
                free(account);
                return NULL;
        }
        account->project = project;
        account->user = user;
        fgd_table_add(&jobs->accounts, &account->by_pair, hash_account(project, user));
        return account;
}

static void drop_account(struct fgd_jobs *jobs, struct fgd_job_account *account)
{
        fgd_table_remove(&jobs->accounts, &account->by_pair);
        fg_queue_account_remove(jobs->queue, account->account);
        free(account);
}

/* A project's stays, since its use counts on. */
static void settle_account(struct fgd_jobs *jobs, struct fgd_job_account *account)
{
        if (account && account->user && account->jobs == 0)
                drop_account(jobs, account);
}

bool fgd_jobs_of(const struct fgd_manager *m, const struct fgd_project *project, const struct fgd_user *user)
{
        const struct fgd_job_account *account;
        const struct fgd_job *job;
        if (project) {
                account = fgd_job_account_find(m, project, user);
                return account && account->jobs;
        }
        TAILQ_FOREACH(job, &m->jobs->list, order)
                if (job->owner == user)
                        return true;
        return false;
}

void fgd_jobs_forget_project(struct fgd_manager *m, struct fgd_project *project)
{
        struct fgd_job_account *account = fgd_job_account_find(m, project, NULL);
        if (account)
                drop_account(m->jobs, account);
}

/* --- in and out --- */

int fgd_job_reserve(struct fgd_manager *m, struct fgd_job *job)
{
        struct fgd_jobs *jobs = m->jobs;
        if (job->owner && !fgd_member_get(m, job->owner, job->project))
                return -ENOMEM;
        job->of_project = fgd_job_account(m, job->project, NULL);
        job->of_user = job->of_project && job->owner ? fgd_job_account(m, job->project, job->owner) : NULL;
        if (!job->of_project || (job->owner && !job->of_user))
                return -ENOMEM;
        return fgd_table_reserve(&jobs->by_id);
}

static void book(struct fgd_manager *m, const struct fgd_job *job, int64_t queued, int64_t active)
{
        const struct fgd_demand demand = {.more = {[FGD_QUOTA_QUEUED] = queued, [FGD_QUOTA_JOBS] = active}};
        fgd_quota_book(m, job->project, job->owner, &demand);
        m->jobs->waiting += (uint32_t)queued;
        m->jobs->active_count += (uint32_t)active;
}

void fgd_job_add(struct fgd_manager *m, struct fgd_job *job)
{
        struct fgd_jobs *jobs = m->jobs;
        fgd_table_add(&jobs->by_id, &job->by_id, fgd_hash_number((uint64_t)job->id));
        TAILQ_INSERT_TAIL(&jobs->list, job, order);
        jobs->count++;
        job->of_project->jobs++;
        if (job->of_user)
                job->of_user->jobs++;
        book(m, job, job->waiting, job->active);
        fgd_learn_key(m, job);
}

void fgd_job_move(struct fgd_manager *m, struct fgd_job *job, int64_t waiting, int64_t active)
{
        job->waiting += (uint32_t)waiting;
        job->active += (uint32_t)active;
        book(m, job, waiting, active);
}

void fgd_job_remove(struct fgd_manager *m, struct fgd_job *job)
{
        struct fgd_jobs *jobs = m->jobs;
        struct fgd_run *run;
        fgd_log_ended(m, job);
        fgd_trace_job_over(m, job);
        while ((run = TAILQ_FIRST(&job->runs)))
                fgd_run_remove(m, run);
        fgd_learn_forget(m, job);
        fgd_table_remove(&jobs->by_id, &job->by_id);
        TAILQ_REMOVE(&jobs->list, job, order);
        fgd_job_budget_put(m, job, &(struct fgd_job_limit){0});
        jobs->count--;
        jobs->ended++;
        job->of_project->jobs--;
        if (job->of_user)
                job->of_user->jobs--;
        settle_account(jobs, job->of_user);
        if (job->owner)
                fgd_member_settle(m, fgd_member_find(m, job->owner, job->project));
        fgd_job_free(job);
        if (!jobs->count) /* there is no pass that would */
                fgd_jobs_demand(m);
        fgd_jobs_trim(m);
        fgd_manager_active(m);
}

void fgd_jobs_free(struct fgd_manager *m)
{
        struct fgd_jobs *jobs = m->jobs;
        struct fgd_job *job;
        struct fgd_active *active;
        if (!jobs)
                return;
        fgd_log_free(m);
        fgd_worker_free(jobs->worker);
        if (m->store && jobs->queue) {
                fgd_jobs_charge(m);
                fgd_learn_save(m, true);
        }
        while ((active = TAILQ_FIRST(&jobs->active)))
                fgd_active_free(m, active);
        while ((job = TAILQ_FIRST(&jobs->list))) {
                struct fgd_run *run;
                while ((run = TAILQ_FIRST(&job->runs))) {
                        TAILQ_REMOVE(&job->runs, run, of_job);
                        free(run);
                }
                TAILQ_REMOVE(&jobs->list, job, order);
                fgd_job_free(job);
        }
        for (uint32_t i = 0; i < jobs->accounts.size; i++)
                while (jobs->accounts.bucket[i]) {
                        struct fgd_node *node = jobs->accounts.bucket[i];
                        jobs->accounts.bucket[i] = node->next;
                        free(FGD_OF_NODE(node, struct fgd_job_account, by_pair));
                }
        fgd_table_clear(&jobs->accounts);
        fgd_table_clear(&jobs->by_id);
        fg_queue_free(jobs->queue);
        fg_order_free(jobs->order);
        sd_event_source *const source[] = {jobs->pass, jobs->timer, jobs->forget};
        for (unsigned i = 0; i < sizeof source / sizeof *source; i++)
                sd_event_source_disable_unref(source[i]);
        free(jobs);
        m->jobs = NULL;
}

int fgd_jobs_new(struct fgd_manager *m, struct fg_error *err)
{
        static struct fg_queue_keys keys = {fgd_learn_key_of};
        struct fg_queue_config config = FG_QUEUE_DEFAULTS;
        struct fgd_jobs *jobs = m->jobs = calloc(1, sizeof *jobs);
        if (!jobs)
                return fg_error_set(err, -ENOMEM, "out of memory");
        TAILQ_INIT(&jobs->list);
        TAILQ_INIT(&jobs->active);
        TAILQ_INIT(&jobs->budgets);
        config.policy = &fg_queue_policies[m->options.value[FG_OPT_QUEUE_POLICY]];
        config.context = &keys;
        config.half_life = m->options.value[FG_OPT_SHARE_HALF_LIFE] * 1000000;
        config.min_run = m->options.value[FG_OPT_MIN_RUN] * 1000000;
        config.preempt = m->options.value[FG_OPT_PREEMPT] != 0;
        snprintf(jobs->folder, sizeof jobs->folder, "%s/jobs", m->paths.state);
        int r = fg_queue_new(&config, &jobs->queue);
        if (r == 0)
                r = fgd_learn_load(m);
        if (r == 0)
                r = fgd_log_new(m);
        if (r == 0)
                r = fgd_worker_new(m->event, &jobs->worker);
        return r < 0 ? fg_error_set(err, r, "cannot make the job queue: %m") : 0;
}
