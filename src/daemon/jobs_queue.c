/* SPDX-License-Identifier: Apache-2.0
 * The daemon's side of src/sched/queue.h: what is in the queue, passes, and carrying out what they decide. */
#include "daemon/jobs.h"

#include "base/clock.h"
#include "base/log.h"
#include "daemon/identity.h"
#include "daemon/manager.h"
#include "daemon/metrics.h"
#include "daemon/pairing.h"
#include "daemon/placing.h"
#include "daemon/registry.h"
#include "daemon/store_jobs.h"
#include "daemon/usage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS      8         /* passes in one turn of the loop, */
#define ROUNDS_NS   2000000u  /* and none is begun after this: a long queue's next one waits until requests had their turn */
#define MINUTE_USEC 60000000ull
#define SOON_USEC   1000ull
#define PAUSE        4u        /* a pass is followed by this many times as long without one: requests go on meanwhile */
#define PAUSE_SHARED 16u       /* the same where others ask than those whose jobs were started */
#define TURN_NS      1000000u  /* of starts in one turn of the loop, of which there is at least one */

uint64_t fgd_jobs_now(const struct fgd_jobs *jobs)
{
        struct timespec now;
        clock_gettime(CLOCK_BOOTTIME, &now);
        return jobs->base + ((uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000 - jobs->base_at);
}

/* A moment of the wall clock (unix ms) as the queue's; what would be before its beginning is its beginning. */
static uint64_t at_wall(const struct fgd_jobs *jobs, int64_t ms)
{
        int64_t ago = (fgd_wall_ms() - ms) * 1000;
        uint64_t now = fgd_jobs_now(jobs);
        return ago <= 0 ? now + (uint64_t)-ago : (uint64_t)ago < now ? now - (uint64_t)ago : 0;
}

/* When it was submitted: the same for the same moment, whenever it is asked, so that the order of submission is kept. */
static uint64_t submitted_at(const struct fgd_jobs *jobs, const struct fgd_job *job)
{
        int64_t at = job->submitted * 1000 + jobs->skew;
        uint64_t now = fgd_jobs_now(jobs);
        return at < 0 ? 0 : (uint64_t)at < now ? (uint64_t)at : now;
}

/* --- in and out of the queue --- */

int fgd_run_enqueue(struct fgd_manager *m, struct fgd_run *run)
{
        const struct fgd_job *job = run->job;
        const struct fg_queue_wish wish = {.owner = run,
                                           .order = (uint64_t)job->id << 20 | run->index,
                                           .project = job->of_project->account,
                                           .user = job->of_user ? job->of_user->account : NULL,
                                           .priority = job->class,
                                           .count = job->gpus,
                                           .share = job->share,
                                           .memory = job->memory,
                                           .device = job->device,
                                           .kind = FG_QUEUE_ANY,
                                           .time_limit = (uint64_t)job->time_limit * 1000000,
                                           .submitted = submitted_at(m->jobs, job),
                                           .not_before = job->not_before ? at_wall(m->jobs, job->not_before * 1000) : 0,
                                           .hold = run->hold,
                                           .may_requeue = run->attempt < job->retries};
        return fg_queue_add(m->jobs->queue, &wish, fgd_jobs_now(m->jobs), &run->entry);
}

static void insert(struct fgd_job *job, struct fgd_run *run)
{
        struct fgd_run *before = TAILQ_LAST(&job->runs, fgd_run_list);
        while (before && before->index > run->index)
                before = TAILQ_PREV(before, fgd_run_list, of_job);
        if (before)
                TAILQ_INSERT_AFTER(&job->runs, before, run, of_job);
        else
                TAILQ_INSERT_HEAD(&job->runs, run, of_job);
}

struct fgd_run *fgd_run_add(struct fgd_manager *m, struct fgd_job *job, uint32_t index, uint32_t attempt, enum fgd_job_hold hold)
{
        struct fgd_run *run = calloc(1, sizeof *run);
        if (!run)
                return NULL;
        run->job = job;
        run->index = index;
        run->attempt = (uint16_t)attempt;
        run->hold = (uint8_t)(hold ? hold : job->hold);
        if (fgd_run_enqueue(m, run) < 0) {
                free(run);
                return NULL;
        }
        insert(job, run);
        job->queued++;
        return run;
}

void fgd_run_remove(struct fgd_manager *m, struct fgd_run *run)
{
        if (run->entry)
                fg_queue_remove(m->jobs->queue, run->entry);
        if (run->active)
                fgd_active_free(m, run->active);
        else
                run->job->queued--;
        TAILQ_REMOVE(&run->job->runs, run, of_job);
        free(run);
}

void fgd_run_hold(struct fgd_manager *m, struct fgd_run *run, enum fgd_job_hold hold)
{
        run->hold = (uint8_t)hold;
        if (run->entry)
                fg_queue_hold(m->jobs->queue, run->entry, hold, fgd_jobs_now(m->jobs));
}

static bool has_place(const struct fgd_job *job)
{
        return job->next < job->count && !job->is_cancelling && job->queued < FGD_JOB_WINDOW &&
               (!job->at_once || job->queued + job->active < job->at_once);
}

int fgd_job_feed(struct fgd_manager *m, struct fgd_job *job)
{
        while (has_place(job)) {
                bool is_settled = job->settled && job->settled[job->next / 8] & 1u << job->next % 8;
                if (!is_settled && !fgd_run_add(m, job, job->next, 0, FGD_HOLD_NONE))
                        return -ENOMEM;
                job->next++;
        }
        return 0;
}

/* --- what the queue is told of the rest of the daemon --- */

static void add_held(struct fgd_job_account *account, const struct fgd_set *set)
{
        if (!account)
                return;
        account->held.vgpus += set->count;
        for (uint32_t i = 0; i < set->count; i++) {
                account->held.memory += set->vgpu[i].memory;
                account->held.share += fgd_vgpu_share(&set->vgpu[i]);
        }
}

static uint64_t beyond(uint64_t used, uint64_t held)
{
        return used > held ? used - held : 0;
}

/* `is_pass`: of a project few may start at once, and what is planned for more of them would keep room from others while they wait for their time. */
static uint64_t most_jobs(const struct fgd_job_account *a, uint64_t quota, bool is_pass)
{
        uint64_t most = a->held.jobs + FGD_PACE_LAUNCHES;
        return is_pass && !a->user && (!quota || most < quota) ? most : quota;
}

static void settle_accounts(struct fgd_manager *m, bool is_pass)
{
        struct fgd_jobs *jobs = m->jobs;
        struct fgd_active *active;
        for (uint32_t i = 0; i < jobs->accounts.size; i++)
                for (struct fgd_node *at = jobs->accounts.bucket[i]; at; at = at->next)
                        FGD_OF_NODE(at, struct fgd_job_account, by_pair)->held = (struct fg_queue_amounts){0};
        TAILQ_FOREACH(active, &jobs->active, order) {
                active->run->job->of_project->held.jobs++;
                if (active->set) {
                        add_held(active->run->job->of_project, active->set);
                        add_held(active->run->job->of_user, active->set);
                }
        }
        for (uint32_t i = 0; i < jobs->accounts.size; i++)
                for (struct fgd_node *at = jobs->accounts.bucket[i]; at; at = at->next) {
                        struct fgd_job_account *a = FGD_OF_NODE(at, struct fgd_job_account, by_pair);
                        static const struct fgd_account nothing;
                        const struct fgd_member *member = a->user ? fgd_member_find(m, a->user, a->project) : NULL;
                        const struct fgd_account *of = a->user ? member ? &member->account : &nothing : &a->project->account;
                        const struct fg_queue_amounts limit = {most_jobs(a, of->limit[FGD_QUOTA_JOBS], is_pass), of->limit[FGD_QUOTA_VGPUS],
                                                               of->limit[FGD_QUOTA_MEMORY], of->limit[FGD_QUOTA_SHARE]};
                        const struct fg_queue_amounts outside = {0, beyond(of->used[FGD_QUOTA_VGPUS], a->held.vgpus),
                                                                 beyond(of->used[FGD_QUOTA_MEMORY], a->held.memory),
                                                                 beyond(of->used[FGD_QUOTA_SHARE], a->held.share)};
                        uint64_t weight = a->user ? 1 : a->project->account.limit[FGD_QUOTA_WEIGHT];
                        fg_queue_account_set(a->account, weight ? (uint32_t)weight : 1, &limit, &outside);
                }
}

void fgd_jobs_settle_accounts(struct fgd_manager *m)
{
        settle_accounts(m, false);
}

/* Devices of one model are a kind. */
static uint32_t kind_of(const struct fgd_manager *m, uint32_t id)
{
        for (uint32_t i = 0; i < id; i++)
                if (strcmp(m->device[i]->model, m->device[id]->model) == 0 && strcmp(m->device[i]->api, m->device[id]->api) == 0)
                        return i;
        return id;
}

static void crowded(void *user, const void *owner, bool *ret, uint32_t *ret_loss)
{
        const struct fgd_job *job = ((const struct fgd_run *)owner)->job;
        const struct fgd_manager *m = user;
        bool all[FGD_DEVICES_MAX]; /* the queue has room for those that are there */
        uint32_t loss[FGD_DEVICES_MAX];
        fgd_pairing_crowded(m, fgd_pairing_class(job->project, job->name), all, loss);
        memcpy(ret, all, m->devices * sizeof *ret);
        memcpy(ret_loss, loss, m->devices * sizeof *ret_loss);
}

void fgd_jobs_scene(struct fgd_manager *m, struct fg_queue_device *device, struct fg_queue_scene *ret)
{
        for (uint32_t i = 0; i < m->devices; i++) {
                const struct fgd_device *d = m->device[i];
                device[i] = (struct fg_queue_device){.memory = d->memory - fgd_device_reserved(m, d),
                                                     .memory_free = fgd_device_memory_free(m, d),
                                                     .share = FGD_SHARE_WHOLE,
                                                     .share_free = fgd_device_share_free(d),
                                                     .kind = kind_of(m, i),
                                                     .usable = d->present,
                                                     .last = fgd_placing_is_last(d)};
        }
        *ret = (struct fg_queue_scene){.now = fgd_jobs_now(m->jobs), .device = device, .devices = m->devices, .placer = m->placer};
        if (m->options.value[FG_OPT_SLOWDOWN_LIMIT]) {
                ret->crowded = crowded;
                ret->user = m;
        }
}

/* --- how fast --- */

void fgd_jobs_spent(struct fgd_manager *m, struct fgd_job_account *project, int64_t owner, uint64_t begin)
{
        uint64_t now = fg_now();
        fgd_pace_charge(&project->pace, now, now - begin, !fgd_asked_by_others(&m->asked, owner, now));
}

/* --- passes --- */

static void carry_out(struct fgd_manager *m, const struct fg_queue_decision *d)
{
        struct fgd_run *run = d->owner;
        switch (d->what) {
        case FG_QUEUE_DO_START:
                fgd_run_start(m, run, d->place, d->places);
                break;
        case FG_QUEUE_DO_RESUME:
                fgd_run_resume(m, run);
                break;
        case FG_QUEUE_DO_SUSPEND:
                if (fg_queue_leaving(m->jobs->queue, run->entry, FG_QUEUE_SUSPEND) == 0)
                        fgd_run_suspend(m, run);
                break;
        case FG_QUEUE_DO_REQUEUE:
                fgd_run_requeue(m, run);
                break;
        }
}

static void look_at(struct fgd_manager *m, uint64_t wake)
{
        uint64_t now = fgd_jobs_now(m->jobs), in = MINUTE_USEC;
        if (wake != FG_QUEUE_UNKNOWN)
                in = wake <= now ? SOON_USEC : wake - now < in ? wake - now : in;
        sd_event_source_set_time_relative(m->jobs->timer, in);
        sd_event_source_set_enabled(m->jobs->timer, SD_EVENT_ONESHOT);
}

/* For the performance model. */
static void tell_demand(struct fgd_manager *m, const struct fg_queue_scene *scene)
{
        uint32_t wanted[FGD_DEVICES_MAX], scratch[FGD_DEVICES_MAX];
        struct fgd_jobs *jobs = m->jobs;
        fg_queue_demand(jobs->queue, scene, wanted);
        for (uint32_t i = 0; i < m->devices; i++)
                fgd_perf_demand(m->device[i], wanted[i]);
        for (uint32_t i = 0; i < jobs->accounts.size; i++)
                for (struct fgd_node *at = jobs->accounts.bucket[i]; at; at = at->next) {
                        struct fgd_job_account *a = FGD_OF_NODE(at, struct fgd_job_account, by_pair);
                        if (!a->user)
                                fgd_perf_demand_of(m, a->project, fg_queue_demand_of(jobs->queue, scene, a->account, scratch));
                }
}

void fgd_jobs_demand(struct fgd_manager *m)
{
        struct fg_queue_device device[FGD_DEVICES_MAX];
        struct fg_queue_scene scene;
        fgd_jobs_scene(m, device, &scene);
        tell_demand(m, &scene);
}

/* One after the other until the turn is over. What a project may not start yet is left for a later pass. */
struct turn {
        uint64_t begin, at;  /* fg_now() */
        uint64_t again;      /* when somebody may start what was left, 0: nothing was that has a time */
        unsigned done;       /* in this round */
        bool is_shared;      /* others ask than those whose jobs were started */
};

static bool may_start(struct fgd_manager *m, const struct fgd_run *run, struct turn *turn)
{
        const struct fgd_pace *pace = &run->job->of_project->pace;
        bool is_alone = !fgd_asked_by_others(&m->asked, fgd_job_owner_id(run->job), turn->at);
        if (fgd_pace_admits(pace, turn->at, is_alone)) {
                turn->is_shared = turn->is_shared || !is_alone;
                return true;
        }
        uint64_t next = fgd_pace_next(pace);
        if (pace->launches < FGD_PACE_LAUNCHES && (!turn->again || next < turn->again))
                turn->again = next;
        return false;
}

/* false: the turn is over. */
static bool carry_out_all(struct fgd_manager *m, const struct fg_queue_plan *plan, struct turn *turn)
{
        turn->done = 0;
        for (size_t i = 0; i < plan->count; i++) {
                const struct fg_queue_decision *d = &plan->decision[i];
                const struct fgd_job *job = ((const struct fgd_run *)d->owner)->job;
                struct fgd_job_account *of = job->of_project;
                int64_t owner = fgd_job_owner_id(job);
                if (turn->at - turn->begin >= TURN_NS)
                        return false;
                if (d->what == FG_QUEUE_DO_START && !may_start(m, d->owner, turn))
                        continue;
                carry_out(m, d);
                fgd_jobs_spent(m, of, owner, turn->at);
                turn->at = fg_now();
                turn->done++;
        }
        return true;
}

/* In `wake` of the queue's clock, or when somebody may start more. */
static void look_again(struct fgd_manager *m, uint64_t wake, const struct turn *turn)
{
        uint64_t in = turn->again > turn->at ? (turn->again - turn->at) / 1000 : 0, at = fgd_jobs_now(m->jobs) + in;
        look_at(m, turn->again && at < wake ? at : wake);
}

static int run_passes(struct fgd_manager *m, bool *ret_is_shared)
{
        struct fg_queue_device device[FGD_DEVICES_MAX];
        struct fg_queue_scene scene;
        struct fg_queue_plan plan;
        uint64_t until = fg_now() + ROUNDS_NS;
        bool more = fgd_learn_refresh(m);
        struct turn turn = {.begin = fg_now()};
        for (unsigned round = 0; round == 0 || (round < ROUNDS && fg_now() < until); round++) {
                turn.at = fg_now();
                settle_accounts(m, true);
                fgd_jobs_scene(m, device, &scene);
                int r = fg_queue_pass(m->jobs->queue, &scene, &plan);
                if (r < 0)
                        return r;
                bool is_over = !carry_out_all(m, &plan, &turn);
                *ret_is_shared = turn.is_shared;
                if (is_over)
                        break;
                if (turn.done == 0 && !more) {
                        settle_accounts(m, false);
                        tell_demand(m, &scene);
                        look_again(m, plan.wake, &turn);
                        return 0;
                }
                if (turn.done == 0)
                        break;
        }
        fgd_jobs_kick(m);
        return 0;
}

static int on_pass(sd_event_source *source, uint64_t usec, void *user)
{
        struct fgd_manager *m = user;
        uint64_t begin = fg_now();
        bool is_shared = false;
        if (run_passes(m, &is_shared) < 0)
                look_at(m, FG_QUEUE_UNKNOWN);
        uint64_t now = fg_now(), took = now - begin, pause = took / 1000 * (is_shared ? PAUSE_SHARED : PAUSE);
        int enabled = SD_EVENT_OFF;
        fgd_metrics_pass(m, took);
        sd_event_source_get_enabled(source, &enabled);
        m->jobs->quiet_until = now / 1000 + pause;
        if (enabled != SD_EVENT_OFF)
                sd_event_source_set_time_relative(source, pause > SOON_USEC ? pause : SOON_USEC);
        return 0;
}

void fgd_jobs_kick(struct fgd_manager *m)
{
        struct fgd_jobs *jobs = m->jobs;
        int enabled = SD_EVENT_OFF;
        if (!fgd_jobs_any(jobs) || !jobs->pass)
                return;
        sd_event_source_get_enabled(jobs->pass, &enabled);
        if (enabled != SD_EVENT_OFF)
                return;
        uint64_t now = fg_now() / 1000;
        sd_event_source_set_time_relative(jobs->pass, jobs->quiet_until > now + SOON_USEC ? jobs->quiet_until - now : SOON_USEC);
        sd_event_source_set_enabled(jobs->pass, SD_EVENT_ONESHOT);
}

/* What could not start is tried again: a quota of the organisation, an owner, a full disk may have changed. */
static void release_all(struct fgd_manager *m)
{
        struct fgd_job *job;
        struct fgd_run *run;
        if (!m->jobs->soft_holds)
                return;
        m->jobs->soft_holds = 0;
        TAILQ_FOREACH(job, &m->jobs->list, order)
                TAILQ_FOREACH(run, &job->runs, of_job)
                        if (run->hold > FGD_HOLD_BUDGET)
                                fgd_run_hold(m, run, FGD_HOLD_NONE);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *user)
{
        struct fgd_manager *m = user;
        struct fgd_job *job;
        uint64_t now = fg_now();
        look_at(m, FG_QUEUE_UNKNOWN);
        if (now - m->jobs->minute_at >= MINUTE_USEC * 900) {
                m->jobs->minute_at = now;
                fgd_jobs_charge(m);
                fgd_learn_save(m, false);
                fgd_pairing_save(m, false);
                release_all(m);
                TAILQ_FOREACH(job, &m->jobs->list, order)
                        if (job->next < job->count)
                                fgd_job_feed(m, job);
        }
        fgd_jobs_kick(m);
        return 0;
}

int fgd_jobs_watch(struct fgd_manager *m)
{
        struct fgd_jobs *jobs = m->jobs;
        int r = sd_event_add_time_relative(m->event, &jobs->pass, CLOCK_MONOTONIC, 0, 100, on_pass, m);
        if (r >= 0)
                r = sd_event_add_time_relative(m->event, &jobs->timer, CLOCK_MONOTONIC, MINUTE_USEC, 1000, on_timer, m);
        if (r >= 0)
                r = sd_event_source_set_enabled(jobs->pass, SD_EVENT_OFF);
        jobs->minute_at = fg_now();
        return r;
}

/* --- use --- */

void fgd_jobs_charge(struct fgd_manager *m)
{
        struct fgd_active *active;
        uint64_t now = fgd_jobs_now(m->jobs);
        TAILQ_FOREACH(active, &m->jobs->active, order)
                if (active->set)
                        fgd_run_charge(m, active->run, now);
        fgd_jobs_save_standings(m);
}

void fgd_run_charge(struct fgd_manager *m, struct fgd_run *run, uint64_t now)
{
        struct fgd_active *active = run->active;
        uint64_t used = fgd_set_gpu_ns(active->set);
        if (used <= active->charged_ns)
                return;
        fg_queue_charge(m->jobs->queue, run->job->of_project->account, now, (used - active->charged_ns) / 1000);
        active->charged_ns = used;
}

int fgd_jobs_save_standings(struct fgd_manager *m)
{
        struct fgd_jobs *jobs = m->jobs;
        struct fg_error err = {0};
        int r = 0;
        bool is_open = false;
        for (uint32_t i = 0; i < jobs->accounts.size; i++)
                for (struct fgd_node *at = jobs->accounts.bucket[i]; at; at = at->next) {
                        struct fgd_job_account *a = FGD_OF_NODE(at, struct fgd_job_account, by_pair);
                        uint64_t use, use_at;
                        fg_queue_use_save(a->account, &use, &use_at);
                        if (a->user || use == a->saved_use || r < 0)
                                continue;
                        if (!is_open)
                                r = fgd_store_usage_begin(m->store, &err);
                        is_open = r == 0;
                        if (r == 0)
                                r = fgd_store_step_standing(m->store, a->project->id, use, use_at, &err);
                        a->saved_use = use;
                }
        if (is_open)
                r = fgd_store_usage_end(m->store, r, &err);
        if (r < 0)
                fg_log_warning("what the projects have used could not be written down: %s", err.text);
        return r;
}
