/* SPDX-License-Identifier: Apache-2.0
 * A run while it holds vGPUs: from the queue's word to its end. The set and the row of the run are one transaction at both ends, so
 * that at every moment either the run waits, or it has its vGPUs, or it is over. */
#include "daemon/jobs.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "daemon/events.h"
#include "daemon/jobs_launch.h"
#include "daemon/manager.h"
#include "daemon/metrics.h"
#include "daemon/pages.h"
#include "daemon/registry.h"
#include "daemon/store_jobs.h"
#include "daemon/trace.h"
#include "daemon/vgpus.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GRACE_MS   10000
#define AGAIN_USEC 5000000ull

char *fgd_run_folder(const struct fgd_manager *m, const struct fgd_job *job, uint32_t index, uint32_t attempt, char *buf, size_t size)
{
        char name[FG_JOB_ID_MAX];
        fgd_run_name(job, index, attempt, name);
        snprintf(buf, size, "%s/%s", m->jobs->folder, name);
        return buf;
}

uint64_t fgd_set_gpu_ns(struct fgd_set *set)
{
        uint64_t sum = 0;
        for (uint32_t i = 0; i < set->count; i++) {
                if (set->vgpu[i].pages)
                        fgd_pages_settle(set->vgpu[i].pages);
                sum += set->vgpu[i].base.gpu_ns + set->vgpu[i].live.gpu_ns;
        }
        return sum;
}

struct fgd_active *fgd_active_new(struct fgd_manager *m, struct fgd_run *run)
{
        struct fgd_active *active = calloc(1, sizeof *active);
        if (!active)
                return NULL;
        active->manager = m;
        active->run = run;
        active->result = (struct fgd_run_result){.state = FGD_JOB_STARTING, .index = run->index, .attempt = run->attempt, .code = -1, .signal = -1};
        run->active = active;
        run->job->queued--;
        TAILQ_INSERT_TAIL(&m->jobs->active, active, order);
        return active;
}

void fgd_active_free(struct fgd_manager *m, struct fgd_active *active)
{
        active->run->active = NULL;
        if (active->set)
                active->set->run = NULL;
        fgd_job_link_free(active->link);
        sd_event_source_disable_unref(active->again);
        TAILQ_REMOVE(&m->jobs->active, active, order);
        free(active);
}

static void say(struct fgd_manager *m, const struct fgd_run *run, const char *kind, const char *what)
{
        char id[FGD_JOB_ID_SIZE];
        if (!run->job->is_array)
                fgd_event_note(m, run->job->project, kind, fgd_job_id(run->job, run->index, id), "job %s (%s) %s", id, run->job->name, what);
}

/* --- its beginning --- */

static void put_off(struct fgd_manager *m, struct fgd_run *run, enum fgd_job_hold hold, const char *why)
{
        char id[FGD_JOB_ID_SIZE];
        m->jobs->soft_holds++;
        fgd_run_hold(m, run, hold);
        if (hold == FGD_HOLD_FAILED && !m->jobs->has_failed)
                fg_log_warning("job %s could not be started (%s): tried again within a minute", fgd_job_id(run->job, run->index, id), why);
        m->jobs->has_failed = hold == FGD_HOLD_FAILED;
}

static bool owner_may(const struct fgd_manager *m, const struct fgd_job *job)
{
        const struct fgd_member *member = job->owner ? fgd_member_find(m, job->owner, job->project) : NULL;
        if (!job->owner)
                return true;
        return !job->owner->disabled && (job->owner->admin || (member && member->role >= FGD_ROLE_MEMBER));
}

static void name_set(const struct fgd_manager *m, const struct fgd_run *run, char ret[64])
{
        const struct fgd_job *job = run->job;
        int n = job->is_array ? snprintf(ret, 64, "job-%lld.%u", (long long)job->id, job->first + run->index)
                              : snprintf(ret, 64, "job-%lld", (long long)job->id);
        for (unsigned i = 2; fgd_registry_find(m, job->project, ret); i++)
                snprintf(ret + n, 64 - (size_t)n, "_%u", i); /* somebody has a set of that name from before there were jobs */
}

static int make_set(struct fgd_manager *m, struct fgd_run *run, const struct fg_queue_place *place, size_t places, struct fgd_problem *problem)
{
        const struct fgd_job *job = run->job;
        fg_autofree struct fg_sched_want *want = calloc(job->gpus, sizeof *want);
        fg_autofree uint32_t *at = calloc(job->gpus, sizeof *at);
        struct fgd_create c = {.gpus = job->gpus, .want = want, .at = at, .mode = job->mode, .project = job->project, .owner = job->owner, .run = run};
        uint32_t n = 0;
        if (!want || !at)
                return fgd_problem_set(problem, FGD_INTERNAL, "out of memory");
        c.priority = job->class == 0 ? FG_PRIORITY_LOW : job->class == 1 ? FG_PRIORITY_NORMAL : FG_PRIORITY_HIGH;
        for (size_t i = 0; i < places; i++)
                for (uint32_t k = 0; k < place[i].count; k++, n++) {
                        want[n] = (struct fg_sched_want){.memory = job->memory, .share = job->share};
                        at[n] = place[i].device;
                }
        name_set(m, run, c.name);
        return fgd_vgpus_create(m, &c, &run->active->set, problem);
}

void fgd_run_start(struct fgd_manager *m, struct fgd_run *run, const struct fg_queue_place *place, size_t places)
{
        struct fgd_job *job = run->job;
        struct fgd_problem problem = {0};
        bool had_row = run->has_row;
        int64_t started = job->started;
        if (!owner_may(m, job))
                return put_off(m, run, FGD_HOLD_OWNER, "");
        if (!fgd_active_new(m, run))
                return put_off(m, run, FGD_HOLD_FAILED, "out of memory");
        run->has_row = true;
        job->started = job->started ? job->started : fgd_wall_ms();
        fgd_job_move(m, job, -1, 1);
        bool before = fgd_store_defer(m->store, true); /* the launch waits */
        int r = fg_queue_started(m->jobs->queue, run->entry, fgd_jobs_now(m->jobs), place, places);
        if (r < 0)
                fgd_problem_set(&problem, FGD_INTERNAL, "out of memory");
        else if ((r = make_set(m, run, place, places, &problem)) < 0)
                fg_queue_requeued(m->jobs->queue, run->entry, fgd_jobs_now(m->jobs));
        fgd_store_defer(m->store, before);
        if (r < 0) {
                fgd_active_free(m, run->active);
                job->queued++;
                run->has_row = had_row;
                job->started = started;
                fgd_job_move(m, job, 1, -1);
                return put_off(m, run, problem.type == FGD_QUOTA ? FGD_HOLD_ORGANISATION : problem.is_crowded ? FGD_HOLD_CROWDED : FGD_HOLD_FAILED,
                               problem.detail);
        }
        if (run->attempt == 0)
                fgd_metrics_started(job, fgd_wall_ms());
        fgd_job_feed(m, job);
        fgd_run_launch(m, run);
}

/* --- its end --- */

static bool is_again(const struct fgd_run *run, const struct fg_job_status *status)
{
        if (fgd_run_is_cancelled(run) || run->attempt >= run->job->retries)
                return false;
        switch (status->why) {
        case FG_JOB_WHY_EXIT:
                return status->code != 0;
        case FG_JOB_WHY_SIGNAL:
        case FG_JOB_WHY_LOST:
        case FG_JOB_WHY_SETUP_FAILED:
                return true;
        case FG_JOB_WHY_STOPPED: /* to make room */
                return true;
        default:
                return false;
        }
}

static void explain(const struct fgd_job *job, const struct fg_job_status *status, char *ret, size_t size)
{
        ret[0] = 0;
        switch (status->why) {
        case FG_JOB_WHY_EXIT:
                if (status->code == 127)
                        snprintf(ret, size, "the command was not found (exit code 127)");
                else if (status->code == 126)
                        snprintf(ret, size, "the command cannot be executed (exit code 126)");
                else if (status->code)
                        snprintf(ret, size, "exit code %d", status->code);
                break;
        case FG_JOB_WHY_SIGNAL:
                snprintf(ret, size, "ended by signal %d (%s)", status->signal, strsignal(status->signal));
                break;
        case FG_JOB_WHY_TIME_LIMIT:
                snprintf(ret, size, "the time limit of %u s was reached", job->time_limit);
                break;
        case FG_JOB_WHY_STOPPED:
                snprintf(ret, size, "cancelled");
                break;
        case FG_JOB_WHY_LOST:
                snprintf(ret, size, "lost: the machine or the job's runner went down after the command had begun%s%.80s", status->text[0] ? ": " : "",
                         status->text);
                break;
        default:
                snprintf(ret, size, "%.150s", status->text[0] ? status->text : fg_job_why_names[status->why]);
        }
}

static void take_figures(struct fgd_run_result *result, const struct fg_job_status *status)
{
        result->started = status->started ? status->started : result->started;
        result->code = status->code;
        result->signal = status->signal;
        result->ran = status->ran;
        result->cpu_us = status->cpu;
        result->max_rss = status->max_rss;
        result->log = status->log;
        result->dropped = status->dropped;
}

static void conclude(struct fgd_run *run, const struct fg_job_status *status)
{
        struct fgd_active *active = run->active;
        struct fgd_run_result *result = &active->result;
        bool again = is_again(run, status);
        take_figures(result, status);
        explain(run->job, status, result->why, sizeof result->why);
        result->ended = status->ended ? status->ended : fgd_wall_ms();
        active->has_ended = true;
        active->is_by_itself = status->why == FG_JOB_WHY_EXIT && !fgd_run_is_cancelled(run);
        if (again)
                active->final = FGD_JOB_QUEUED;
        else if (status->why == FG_JOB_WHY_EXIT && status->code == 0)
                active->final = FGD_JOB_DONE;
        else
                active->final = status->why == FG_JOB_WHY_STOPPED || (fgd_run_is_cancelled(run) && status->why == FG_JOB_WHY_SIGNAL) ? FGD_JOB_CANCELLED : FGD_JOB_FAILED;
}

static uint32_t *counter(struct fgd_job *job, enum fgd_job_state state)
{
        return state == FGD_JOB_DONE ? &job->done : state == FGD_JOB_FAILED ? &job->failed : &job->cancelled;
}

/* How far its vGPUs have gone: `sign` 1: they go; -1: they could not. */
static void count_end(struct fgd_manager *m, struct fgd_run *run, int sign)
{
        struct fgd_active *active = run->active;
        struct fgd_job *job = run->job;
        fgd_job_move(m, job, active->final == FGD_JOB_QUEUED ? sign : 0, -sign);
        if (active->final != FGD_JOB_QUEUED)
                *counter(job, active->final) += (uint32_t)sign;
        job->ended = sign > 0 && !job->active && !job->waiting ? active->result.ended : 0;
}

void fgd_run_closing(struct fgd_manager *m, struct fgd_run *run)
{
        struct fgd_active *active = run->active;
        active->before = active->result;
        fgd_run_charge(m, run, fgd_jobs_now(m->jobs));
        active->result.gpu_ns = fgd_set_gpu_ns(active->set);
        active->result.state = active->final;
        if (active->final == FGD_JOB_QUEUED) {
                active->result.attempt++;
                active->result.flags &= (uint8_t)~FGD_RUN_REQUEUED;
        }
        count_end(m, run, 1);
}

void fgd_run_not_closed(struct fgd_manager *m, struct fgd_run *run)
{
        run->active->result = run->active->before;
        count_end(m, run, -1);
}

void fgd_run_discard(struct fgd_run *run)
{
        const struct fgd_active *active = run->active;
        for (uint32_t i = 0; active->result.state == FGD_JOB_QUEUED && i < active->set->count; i++)
                fgd_perf_discard(&active->set->vgpu[i]);
}

/* Back in its old place in the queue. */
static void queue_again(struct fgd_manager *m, struct fgd_run *run)
{
        fgd_active_free(m, run->active);
        run->job->queued++;
        run->attempt++;
        run->hold = run->job->hold;
        fg_queue_remove(m->jobs->queue, run->entry);
        run->entry = NULL;
        if (fgd_run_enqueue(m, run) < 0) {
                fg_log_warning("job %lld waits for the daemon's next start: out of memory", (long long)run->job->id);
                run->entry = NULL;
        }
}

static void say_end(struct fgd_manager *m, const struct fgd_run *run)
{
        const struct fgd_run_result *result = &run->active->result;
        char what[200];
        if (result->state == FGD_JOB_QUEUED)
                snprintf(what, sizeof what, "is to be started again: %s", result->why);
        else
                snprintf(what, sizeof what, "%s%s%s", result->state == FGD_JOB_DONE ? "is done" : result->state == FGD_JOB_FAILED ? "failed" : "was cancelled",
                         result->state == FGD_JOB_FAILED ? ": " : "", result->state == FGD_JOB_FAILED ? result->why : "");
        say(m, run, result->state == FGD_JOB_QUEUED ? "job.requeued" : "job.ended", what);
}

struct removal {
        struct fgd_work work;
        char folder[PATH_MAX];
};

static void remove_now(struct fgd_work *work)
{
        struct fg_error ignored = {0};
        fgd_job_dir_remove(FGD_OF_NODE(work, struct removal, work)->folder, &ignored);
}

static void on_removed(struct fgd_work *work, bool is_ending)
{
        free(FGD_OF_NODE(work, struct removal, work));
}

static void remove_folder(struct fgd_manager *m, const struct fgd_run *run)
{
        struct removal *removal = malloc(sizeof *removal);
        if (!removal)
                return;
        removal->work = (struct fgd_work){.run = remove_now, .done = on_removed, .is_patient = true};
        fgd_run_folder(m, run->job, run->index, run->attempt, removal->folder, sizeof removal->folder);
        fgd_worker_push_settled(m->jobs->worker, m->store, &removal->work);
}

void fgd_run_closed(struct fgd_manager *m, struct fgd_run *run)
{
        struct fgd_job *job = run->job;
        const struct fgd_run_result result = run->active->result;
        say_end(m, run);
        fgd_trace_run_over(m, run, &result);
        run->active->set = NULL;
        if (run->active->is_by_itself)
                fgd_learn_end(m, job, result.ran);
        if (result.log == 0 || result.state == FGD_JOB_QUEUED)
                remove_folder(m, run);
        if (result.state == FGD_JOB_QUEUED)
                queue_again(m, run);
        else
                fgd_run_remove(m, run);
        if (fgd_job_is_over(fgd_job_state_of(job))) {
                if (job->is_array)
                        fgd_event_note(m, job->project, "job.ended", job->name, "job %lld (%s) ended: %u done, %u failed, %u cancelled",
                                       (long long)job->id, job->name, job->done, job->failed, job->cancelled);
                fgd_job_remove(m, job);
        } else {
                fgd_job_feed(m, job);
        }
        fgd_jobs_kick(m);
}

static void give_back(struct fgd_manager *m, struct fgd_active *active);

static int on_again(sd_event_source *source, uint64_t usec, void *user)
{
        struct fgd_active *active = user;
        struct fgd_manager *m = active->manager;
        if (active->has_ended)
                give_back(m, active);
        else
                fgd_run_launch(m, active->run);
        return 0;
}

void fgd_run_try_again(struct fgd_manager *m, struct fgd_active *active)
{
        if (!active->again && sd_event_add_time_relative(m->event, &active->again, CLOCK_MONOTONIC, AGAIN_USEC, 0, on_again, active) >= 0)
                return;
        sd_event_source_set_time_relative(active->again, AGAIN_USEC);
        sd_event_source_set_enabled(active->again, SD_EVENT_ONESHOT);
}

/* A program of it could not be ended, or the store not be written: `user` is still there then. */
static void on_deleted(void *user, const struct fgd_problem *problem)
{
        struct fgd_active *active = user;
        if (problem && active->manager->jobs)
                fgd_run_try_again(active->manager, active);
}

static void give_back(struct fgd_manager *m, struct fgd_active *active)
{
        struct fgd_problem problem = {0};
        if (!active->set->ending && fgd_vgpus_delete_force(m, active->set, on_deleted, active, &problem) < 0)
                fgd_run_try_again(m, active);
}

void fgd_run_end(struct fgd_manager *m, struct fgd_run *run, const struct fg_job_status *status)
{
        struct fgd_active *active = run->active;
        if (active->has_ended)
                return;
        conclude(run, status);
        fgd_job_link_free(active->link);
        active->link = NULL;
        give_back(m, active);
}

/* --- in between --- */

void fgd_run_suspend(struct fgd_manager *m, struct fgd_run *run)
{
        if (run->active->link)
                fgd_job_suspend(run->active->link);
        else
                run->active->is_suspending = true;
}

void fgd_run_resume(struct fgd_manager *m, struct fgd_run *run)
{
        struct fgd_active *active = run->active;
        struct fg_error err = {0};
        enum fgd_job_state before = active->result.state;
        if (!active->link || before != FGD_JOB_SUSPENDED || fgd_run_is_cancelled(run))
                return put_off(m, run, FGD_HOLD_FAILED, "its runner does not answer");
        active->result.state = FGD_JOB_RUNNING;
        if (fgd_store_put_run(m->store, run->job, &active->result, &err) < 0) {
                active->result.state = before;
                return put_off(m, run, FGD_HOLD_FAILED, err.text);
        }
        fgd_registry_pause(m, active->set, false);
        fgd_vgpus_on_state(m, active->set);
        fg_queue_resumed(m->jobs->queue, run->entry, fgd_jobs_now(m->jobs));
        fgd_job_resume(active->link);
        say(m, run, "job.resumed", "goes on");
}

void fgd_run_stop(struct fgd_manager *m, struct fgd_run *run)
{
        static const struct fg_job_status stopped = {.state = FG_JOB_ENDED, .why = FG_JOB_WHY_STOPPED, .code = -1, .signal = -1};
        struct fgd_active *active = run->active;
        if (active->link)
                fgd_job_stop(active->link, GRACE_MS);
        else if (!active->has_ended && !active->launch)
                fgd_run_end(m, run, &stopped);
}

void fgd_run_requeue(struct fgd_manager *m, struct fgd_run *run)
{
        struct fgd_run_result *result = &run->active->result;
        struct fg_error err = {0};
        if (fg_queue_leaving(m->jobs->queue, run->entry, FG_QUEUE_REQUEUE) < 0)
                return;
        result->flags |= FGD_RUN_REQUEUED;
        if (fgd_store_put_run(m->store, run->job, result, &err) == 0)
                return fgd_run_stop(m, run);
        fg_log_warning("job %lld does not make room: %s", (long long)run->job->id, err.text);
        result->flags &= (uint8_t)~FGD_RUN_REQUEUED;
        fg_queue_leaving(m->jobs->queue, run->entry, FG_QUEUE_STAY);
}

void fgd_run_recall(struct fgd_run *run, const struct fg_job_status *status)
{
        struct fgd_run_result *result = &run->active->result;
        take_figures(result, status);
        if (result->state == FGD_JOB_STARTING && status->state != FG_JOB_STARTING)
                result->state = FGD_JOB_RUNNING;
}

static void confirm_suspended(struct fgd_manager *m, struct fgd_run *run)
{
        struct fgd_active *active = run->active;
        struct fg_error err = {0};
        enum fgd_job_state before = active->result.state;
        if (before == FGD_JOB_SUSPENDED || active->has_ended)
                return;
        active->result.state = FGD_JOB_SUSPENDED;
        if (fgd_store_put_run(m->store, run->job, &active->result, &err) < 0)
                fg_log_warning("job %lld is suspended, but that cannot be written down: %s", (long long)run->job->id, err.text);
        fgd_registry_pause(m, active->set, true);
        fgd_vgpus_on_state(m, active->set);
        fg_queue_suspended(m->jobs->queue, run->entry, fgd_jobs_now(m->jobs));
        say(m, run, "job.suspended", "is suspended; its memory is kept");
}

/* The runner says so. A state that was asked for and has been overtaken is not what counts. */
void fgd_run_changed(struct fgd_manager *m, struct fgd_run *run, const struct fg_job_status *status)
{
        struct fgd_active *active = run->active;
        take_figures(&active->result, status);
        switch (status->state) {
        case FG_JOB_ENDED:
                fgd_run_end(m, run, status);
                break;
        case FG_JOB_SUSPENDED:
                confirm_suspended(m, run);
                break;
        case FG_JOB_RUNNING:
                if (active->result.state == FGD_JOB_STARTING)
                        say(m, run, "job.started", "runs");
                if (active->result.state == FGD_JOB_STARTING)
                        active->result.state = FGD_JOB_RUNNING;
                break;
        default:
                break;
        }
}
