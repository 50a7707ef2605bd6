/* SPDX-License-Identifier: Apache-2.0
 * The walk through the queue: class by class; in a class first those that were suspended, which hold memory, then the
 * projects' jobs, the project with the best claim first. */
#include "sched/queue_pass.h"

#include <string.h>

static bool goes_first(const struct fg_queue_pass *p, const struct fg_queue_lane *a, const struct fg_queue_lane *b)
{
        const struct fg_queue_account *x = a->project, *y = b->project;

        if (p->q->config.policy->by_share) {
                unsigned __int128 of_x = (unsigned __int128)x->due * y->weight,
                                  of_y = (unsigned __int128)y->due * x->weight;

                if (of_x != of_y)
                        return of_x < of_y;
        }
        return fg_queue_node_before(a->cursor, b->cursor);
}

static void sift_down(struct fg_queue_pass *p, size_t i)
{
        struct fg_queue_lane *lane = p->heap[i];

        for (size_t child; (child = 2 * i + 1) < p->lanes; i = child) {
                if (child + 1 < p->lanes && goes_first(p, p->heap[child + 1], p->heap[child]))
                        child++;
                if (!goes_first(p, p->heap[child], lane))
                        break;
                p->heap[i] = p->heap[child];
        }
        p->heap[i] = lane;
}

/* For why: the state of things when the job's turn has come; the pass then need not go on. */
static void observe(struct fg_queue_pass *p, enum fg_queue_reason quota, bool of_user)
{
        p->watch->seen = true;
        p->watch->quota = quota;
        p->watch->of_user = of_user;
        p->watch->before = p->count;
        memcpy(p->watch->room, p->room, p->devices * sizeof(*p->room));
}

/* It has its share: its project is due for that much less, and the devices have that much less. */
static void begun(struct fg_queue_pass *p, struct fg_queue_job *job, const struct fg_queue_fit *fit,
                  enum fg_queue_what what)
{
        struct fg_queue_account *project = job->group->lane->project;

        project->due = fg_queue_account_due(project, project->decayed);
        fg_queue_room_take(p, job->run->place, job->run->places, fit);
        fg_queue_decide(p, what, job, NULL);
}

static int start(struct fg_queue_pass *p, struct fg_queue_job *job, const struct fg_queue_fit *fit)
{
        size_t places;
        int r = fg_queue_place_on(p, p->room, NULL, fit, &places);

        p->before = fg_queue_tree_previous(&job->group->node);
        if (r == 0)
                r = fg_queue_started(p->q, job, p->now, p->place, places);
        if (r == 0)
                begun(p, job, fit, FG_QUEUE_DO_START);
        return r;
}

static int resume(struct fg_queue_pass *p, struct fg_queue_job *job, const struct fg_queue_fit *fit)
{
        int r;

        p->begun[p->count] = job->run->begun;
        r = fg_queue_resumed(p->q, job, p->now);
        if (r < 0)
                return r;
        begun(p, job, fit, FG_QUEUE_DO_RESUME);
        fg_queue_count_on(p, job);
        return 0;
}

/* The turn of the first job of a group; if it does not start, none of them does in this pass. The job is looked at
 * last: one look less into memory for each of the many groups for which nothing can be done. */
static int consider_group(struct fg_queue_pass *p, struct fg_queue_group *group, bool *ret_began)
{
        struct fg_queue_fit fit;
        bool of_user, watched = p->watch && !p->watch->job->run && group == p->watch->job->group;
        enum fg_queue_reason quota = fg_queue_quota(group, false, &of_user);
        int r = 0;

        *ret_began = false;
        if (watched)
                observe(p, quota, of_user);
        if (quota != FG_QUEUE_GOES) {
                p->stop = watched;
                return 0;
        }
        fg_queue_fit_of_group(p, group, &fit);
        if (!fg_queue_misses_has(&p->misses, &fit)) {
                *ret_began = fg_queue_fits(p, p->room, &fit, true) >= fit.want.count;
                if (!*ret_began && !fg_queue_is_pinned(fit.want.where)) /* those are as quickly tried again */
                        fg_queue_misses_add(&p->misses, &fit);
        }
        if (*ret_began || !fg_queue_is_past_help(p, group->lane->priority, &fit)) {
                struct fg_queue_job *job = fg_queue_job_of(fg_queue_tree_first(&group->jobs));

                fit.owner = job->owner;
                r = *ret_began ? start(p, job, &fit) : fg_queue_missed(p, job, &fit);
                if (watched && *ret_began && job != p->watch->job)
                        watched = p->watch->seen = false; /* that was another one's turn */
        }
        p->stop |= watched;
        return r;
}

static int consider_suspended(struct fg_queue_pass *p, struct fg_queue_job *job)
{
        struct fg_queue_fit fit;
        bool of_user, watched = p->watch && job == p->watch->job;
        enum fg_queue_reason quota = fg_queue_quota(job->group, true, &of_user);

        if (watched)
                observe(p, quota, of_user);
        p->stop |= watched;
        if (quota != FG_QUEUE_GOES)
                return 0;
        fg_queue_fit_of(p, job, &fit);
        if (fg_queue_fits(p, p->room, &fit, true) < fit.want.count)
                return fg_queue_missed(p, job, &fit);
        return resume(p, job, &fit);
}

/* A job that is resumed is no longer in the tree. */
static int walk_suspended(struct fg_queue_pass *p, struct fg_queue_class *class)
{
        struct fg_queue_node *node = fg_queue_tree_first(&class->suspended), *next;
        int r = 0;

        for (; node && !p->stop && r == 0; node = next) {
                struct fg_queue_job *job = fg_queue_job_of(node);

                next = fg_queue_tree_next(node);
                if (!job->hold)
                        r = consider_suspended(p, job);
        }
        return r;
}

/* Looks at the lane's next group; its cursor goes on behind it, or to where the group is when its first job has
 * started. */
static int step(struct fg_queue_pass *p, struct fg_queue_lane *lane)
{
        struct fg_queue_node *group = lane->cursor;
        bool began;
        int r = consider_group(p, fg_queue_group_of(group), &began);

        if (!began)
                lane->cursor = fg_queue_tree_next(group);
        else
                lane->cursor = p->before ? fg_queue_tree_next(p->before) : fg_queue_tree_first(&lane->groups);
        return r;
}

static int walk_lanes(struct fg_queue_pass *p, struct fg_queue_class *class)
{
        int r = 0;

        p->lanes = class->lanes;
        for (size_t i = 0; i < p->lanes; i++) {
                p->heap[i] = class->lane[i];
                p->heap[i]->cursor = fg_queue_tree_first(&p->heap[i]->groups);
        }
        for (size_t i = p->lanes / 2; i-- > 0;)
                sift_down(p, i);
        while (p->lanes > 0 && !p->stop && r == 0) {
                r = step(p, p->heap[0]);
                if (!p->heap[0]->cursor)
                        p->heap[0] = p->heap[--p->lanes];
                if (p->lanes > 0)
                        sift_down(p, 0);
        }
        return r;
}

int fg_queue_pass_run(struct fg_queue_pass *p)
{
        int r = 0;

        for (size_t c = FG_QUEUE_CLASSES; c-- > 0 && !p->stop && r == 0;) {
                r = walk_suspended(p, &p->q->class[c]);
                if (r == 0 && !p->stop)
                        r = walk_lanes(p, &p->q->class[c]);
        }
        return r;
}
