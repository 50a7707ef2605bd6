/* SPDX-License-Identifier: Apache-2.0
 * What becomes of jobs, as the daemon reports it: each change takes a job out of its tree and puts it into the one of
 * its new state. */
#include "sched/queue_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

uint64_t fg_queue_job_end(const struct fg_queue_job *job, uint64_t now)
{
        uint64_t limit = job->group->time_limit, ran = job->run ? job->run->ran : 0;

        if (limit == 0)
                return FG_QUEUE_UNKNOWN;
        return now + (limit > ran ? limit - ran : 0);
}

void fg_queue_job_frees(const struct fg_queue_job *job, uint64_t *ret_memory, uint32_t *ret_share)
{
        *ret_memory = job->leaving == FG_QUEUE_SUSPEND ? 0 : job->group->want.memory;
        *ret_share = job->run->suspended ? 0 : job->group->want.share;
}

static uint64_t running_key(const struct fg_queue_job *job)
{
        uint64_t end = fg_queue_job_end(job, job->run->begun);

        if (job->leaving != FG_QUEUE_STAY)
                return 0;
        return end < FG_QUEUE_ENDLESS ? end : FG_QUEUE_ENDLESS | job->run->begun;
}

static uint64_t policy_key(const struct fg_queue *q, const struct fg_queue_job *job)
{
        const struct fg_queue_group *g = job->group;
        uint32_t where = g->want.where;
        bool pinned = fg_queue_is_pinned(where);
        struct fg_queue_wish wish = {
                .owner = job->owner,
                .order = job->node.order,
                .project = g->lane->project,
                .user = g->user,
                .priority = g->lane->priority,
                .count = g->want.count,
                .share = g->want.share,
                .memory = g->want.memory,
                .device = pinned ? where & ~FG_QUEUE_WHERE_DEVICE : FG_QUEUE_ANY,
                .kind = pinned ? FG_QUEUE_ANY : where,
                .time_limit = g->time_limit,
                .submitted = job->submitted,
                .not_before = job->not_before,
                .hold = job->hold,
                .may_requeue = job->may_requeue,
        };

        return q->config.policy->key(&wish, q->config.context);
}

static void unlist(struct fg_queue *q, struct fg_queue_job *job)
{
        switch ((enum fg_queue_in)job->in) {
        case FG_QUEUE_IN_NONE:
                break;
        case FG_QUEUE_IN_GROUP:
                fg_queue_group_remove(q, job->group, &job->node);
                break;
        case FG_QUEUE_IN_HELD:
                fg_queue_tree_remove(&q->held, &job->node);
                break;
        case FG_QUEUE_IN_WAITING:
                fg_queue_tree_remove(&q->waiting, &job->node);
                break;
        case FG_QUEUE_IN_RUNNING:
                fg_queue_tree_remove(&q->running, &job->node);
                break;
        case FG_QUEUE_IN_SUSPENDED:
                fg_queue_tree_remove(&q->class[job->group->lane->priority].suspended, &job->node);
                break;
        }
        job->in = FG_QUEUE_IN_NONE;
}

static void enlist_started(struct fg_queue *q, struct fg_queue_job *job)
{
        if (job->run->suspended && job->leaving == FG_QUEUE_STAY) {
                job->in = FG_QUEUE_IN_SUSPENDED;
                job->node.key = policy_key(q, job);
                fg_queue_tree_insert(&q->class[job->group->lane->priority].suspended, &job->node);
                return;
        }
        job->in = FG_QUEUE_IN_RUNNING;
        job->node.key = running_key(job);
        fg_queue_tree_insert(&q->running, &job->node);
}

/* Into the tree of its state; `now` tells only whether it has to wait for its time. */
static void enlist(struct fg_queue *q, struct fg_queue_job *job, uint64_t now)
{
        if (job->run) {
                enlist_started(q, job);
        } else if (job->hold) {
                job->in = FG_QUEUE_IN_HELD;
                job->node.key = 0;
                fg_queue_tree_insert(&q->held, &job->node);
        } else if (job->not_before > now) {
                job->in = FG_QUEUE_IN_WAITING;
                job->node.key = job->not_before;
                fg_queue_tree_insert(&q->waiting, &job->node);
        } else {
                job->in = FG_QUEUE_IN_GROUP;
                job->node.key = policy_key(q, job);
                fg_queue_group_insert(q, job->group, &job->node);
        }
}

void fg_queue_wake_due(struct fg_queue *q, uint64_t now)
{
        struct fg_queue_job *job;

        while ((job = fg_queue_job_of(fg_queue_tree_first(&q->waiting))) && job->not_before <= now) {
                unlist(q, job);
                if (job->since < job->not_before)
                        job->since = job->not_before;
                enlist(q, job, now);
        }
}

static bool is_wish(const struct fg_queue *q, const struct fg_queue_wish *w)
{
        return w->project && w->project->queue == q && (!w->user || w->user->queue == q) &&
               w->priority < FG_QUEUE_CLASSES && w->count >= 1 && w->count <= FG_QUEUE_GANG_MAX && w->share >= 1 &&
               w->share <= 1000 && w->memory >= 1 && w->memory <= UINT64_MAX / FG_QUEUE_GANG_MAX &&
               (w->device == FG_QUEUE_ANY || w->device < FG_QUEUE_WHERE_DEVICE - 1) &&
               (w->kind == FG_QUEUE_ANY || w->kind < FG_QUEUE_WHERE_DEVICE) && w->time_limit < FG_QUEUE_ENDLESS / 2 &&
               w->submitted < FG_QUEUE_ENDLESS && w->not_before < FG_QUEUE_ENDLESS;
}

int fg_queue_add(struct fg_queue *q, const struct fg_queue_wish *wish, uint64_t now, struct fg_queue_job **ret)
{
        struct fg_queue_job *job;
        int r;

        if (!is_wish(q, wish))
                return -EINVAL;
        job = malloc(sizeof(*job));
        if (!job)
                return -ENOMEM;
        *job = (struct fg_queue_job){.node = {.order = wish->order},
                                     .owner = wish->owner,
                                     .submitted = wish->submitted,
                                     .not_before = wish->not_before,
                                     .since = wish->submitted,
                                     .hold = wish->hold,
                                     .may_requeue = wish->may_requeue};
        r = fg_queue_group_take(q, wish, &job->group);
        if (r < 0) {
                free(job);
                return r;
        }
        wish->project->jobs++;
        wish->project->is_project = true;
        if (wish->user)
                wish->user->jobs++;
        enlist(q, job, now);
        *ret = job;
        return 0;
}

/* What it holds, into the books of its project and user (+1) or out of them (-1). */
static void count(struct fg_queue *q, struct fg_queue_job *job, int sign)
{
        struct fg_queue_group *g = job->group;

        fg_queue_account_count(g->lane->project, &g->want, sign);
        fg_queue_account_count(g->user, &g->want, sign);
}

static void count_share(struct fg_queue *q, struct fg_queue_job *job, int sign)
{
        struct fg_queue_group *g = job->group;

        fg_queue_account_count_share(g->lane->project, &g->want, sign);
        fg_queue_account_count_share(g->user, &g->want, sign);
        q->class[g->lane->priority].running += sign > 0 ? 1 : (size_t)-1;
}

/* Out of its tree, and its room is free. */
static void stop(struct fg_queue *q, struct fg_queue_job *job)
{
        unlist(q, job);
        if (!job->run)
                return;
        count(q, job, -1);
        if (!job->run->suspended)
                count_share(q, job, -1);
        free(job->run);
        job->run = NULL;
        job->leaving = FG_QUEUE_STAY;
}

void fg_queue_remove(struct fg_queue *q, struct fg_queue_job *job)
{
        stop(q, job);
        job->group->lane->project->jobs--;
        if (job->group->user)
                job->group->user->jobs--;
        fg_queue_group_drop(q, job->group);
        free(job);
}

void *fg_queue_owner(const struct fg_queue_job *job)
{
        return job->owner;
}

void fg_queue_hold(struct fg_queue *q, struct fg_queue_job *job, uint32_t reason, uint64_t now)
{
        unlist(q, job);
        if (job->hold && !reason && job->since < now)
                job->since = now;
        job->hold = reason;
        enlist(q, job, now);
}

static bool is_place(const struct fg_queue_job *job, const struct fg_queue_place *place, size_t places)
{
        uint64_t sum = 0;

        for (size_t i = 0; i < places; i++) {
                if (place[i].count == 0 || (i > 0 && place[i].device <= place[i - 1].device))
                        return false;
                sum += place[i].count;
        }
        return sum == job->group->want.count;
}

int fg_queue_started(struct fg_queue *q, struct fg_queue_job *job, uint64_t now, const struct fg_queue_place *place,
                     size_t places)
{
        struct fg_queue_run *run;

        if (job->run || !is_place(job, place, places))
                return -EINVAL;
        run = malloc(sizeof(*run) + places * sizeof(*place));
        if (!run)
                return -ENOMEM;
        *run = (struct fg_queue_run){.begun = now, .places = (uint32_t)places};
        memcpy(run->place, place, places * sizeof(*place));
        unlist(q, job);
        job->run = run;
        count(q, job, 1);
        count_share(q, job, 1);
        enlist(q, job, now);
        return 0;
}

int fg_queue_leaving(struct fg_queue *q, struct fg_queue_job *job, enum fg_queue_leave how)
{
        if (!job->run || (how == FG_QUEUE_SUSPEND && job->run->suspended))
                return -EINVAL;
        unlist(q, job);
        job->leaving = how;
        enlist_started(q, job);
        return 0;
}

int fg_queue_suspended(struct fg_queue *q, struct fg_queue_job *job, uint64_t now)
{
        if (!job->run || job->run->suspended)
                return -EINVAL;
        unlist(q, job);
        count_share(q, job, -1);
        job->run->ran += now > job->run->begun ? now - job->run->begun : 0;
        job->run->suspended = true;
        job->leaving = FG_QUEUE_STAY;
        enlist_started(q, job);
        return 0;
}

int fg_queue_resumed(struct fg_queue *q, struct fg_queue_job *job, uint64_t now)
{
        if (!job->run || !job->run->suspended)
                return -EINVAL;
        unlist(q, job);
        count_share(q, job, 1);
        job->run->begun = now;
        job->run->suspended = false;
        job->leaving = FG_QUEUE_STAY;
        enlist_started(q, job);
        return 0;
}

int fg_queue_requeued(struct fg_queue *q, struct fg_queue_job *job, uint64_t now)
{
        if (!job->run)
                return -EINVAL;
        stop(q, job);
        enlist(q, job, now);
        return 0;
}

void fg_queue_rekey(struct fg_queue *q, struct fg_queue_job *job)
{
        if (job->in != FG_QUEUE_IN_GROUP && job->in != FG_QUEUE_IN_SUSPENDED)
                return;
        unlist(q, job);
        enlist(q, job, UINT64_MAX);
}
