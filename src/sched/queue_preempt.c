/* SPDX-License-Identifier: Apache-2.0
 *
 * Who gives way: jobs of a lower class that have run for config.min_run. Suspending comes first, since it loses no
 * work; stopping, of those that allow it, only where memory is what is missing. For one vGPU more: on the device on
 * which the fewest jobs have to go, then the one whose longest run is the shortest. */
#include "sched/queue_pass.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MOST 64u /* victims for one job */

struct victims {
        struct fg_queue_job *job[MOST];
        size_t count;
};

struct hunt {
        struct fg_queue_pass *p;
        const struct fg_queue_fit *fit;
        uint32_t priority; /* theirs is lower */
        bool stopping;     /* may requeue those that may be */
        uint32_t missing;  /* vGPUs that still have no room */
        struct victims chosen;
};

static int add_holders(struct fg_queue_pass *p, const struct fg_queue_tree *tree, size_t *count, size_t *room)
{
        for (struct fg_queue_node *n = fg_queue_tree_first(tree); n; n = fg_queue_tree_next(n)) {
                struct fg_queue_job *job = fg_queue_job_of(n);

                for (uint32_t i = 0; i < job->run->places; i++) {
                        uint32_t d = job->run->place[i].device;

                        if (*count == *room) {
                                void *more = realloc(p->holder, (*room * 2 + 64) * sizeof(*p->holder));

                                if (!more)
                                        return -ENOMEM;
                                p->holder = more;
                                *room = *room * 2 + 64;
                        }
                        if (d >= p->devices)
                                continue;
                        p->holder[*count] = (struct fg_queue_holder){job, job->run->place[i].count, p->first[d]};
                        p->first[d] = (uint32_t)(*count)++;
                }
        }
        return 0;
}

static int list_holders(struct fg_queue_pass *p)
{
        size_t count = 0, room = 0;
        int r;

        p->first = malloc((p->devices + 1) * sizeof(*p->first));
        if (!p->first)
                return -ENOMEM;
        memset(p->first, 0xff, (p->devices + 1) * sizeof(*p->first));
        r = add_holders(p, &p->q->running, &count, &room);
        for (size_t c = 0; r == 0 && c < FG_QUEUE_CLASSES; c++)
                r = add_holders(p, &p->q->class[c].suspended, &count, &room);
        return r;
}

/* How it would leave for this hunt; STAY: not at all. */
static enum fg_queue_leave way_out(const struct hunt *h, const struct fg_queue_job *job)
{
        const struct fg_queue_run *run = job->run;
        uint64_t due = run->begun + h->p->q->config.min_run;

        if (job->group->lane->priority >= h->priority || job->leaving != FG_QUEUE_STAY)
                return FG_QUEUE_STAY;
        if (!run->suspended && due > h->p->now) {
                if (due < h->p->wake)
                        h->p->wake = due;
                return FG_QUEUE_STAY;
        }
        if (h->stopping && job->may_requeue)
                return FG_QUEUE_REQUEUE;
        return run->suspended ? FG_QUEUE_STAY : FG_QUEUE_SUSPEND;
}

static void gain_of(const struct fg_queue_job *job, enum fg_queue_leave how, uint64_t *ret_memory, uint32_t *ret_share)
{
        *ret_memory = how == FG_QUEUE_REQUEUE ? job->group->want.memory : 0;
        *ret_share = job->run->suspended ? 0 : job->group->want.share;
}

/* Parts of a million of what is lacking that this gain makes up. */
static uint64_t part_of(uint64_t gain, uint64_t lack)
{
        if (lack == 0)
                return 0;
        return gain >= lack ? 1000000 : (uint64_t)((unsigned __int128)gain * 1000000 / lack);
}

static bool is_less_harm(const struct fg_queue_job *a, const struct fg_queue_job *b)
{
        if (a->run->begun != b->run->begun)
                return a->run->begun > b->run->begun;
        if (a->group->lane->priority != b->group->lane->priority)
                return a->group->lane->priority < b->group->lane->priority;
        return a->node.order > b->node.order;
}

/* Where several vGPUs want room, one job on several of those devices may do for several jobs. */
static uint32_t reach_of(const struct hunt *h, const struct fg_queue_job *job)
{
        uint32_t reach = 0;

        for (uint32_t i = 0; i < job->run->places && reach < h->missing; i++)
                if (job->run->place[i].device < h->p->devices && h->p->open[job->run->place[i].device])
                        reach += job->run->place[i].count;
        return reach < h->missing ? reach : h->missing;
}

/* Is `a` the better choice, of two that make up the same part of what is lacking? */
static bool is_preferred(const struct hunt *h, const struct fg_queue_job *a, const struct fg_queue_job *b)
{
        uint32_t of_a = reach_of(h, a), of_b = reach_of(h, b);

        return of_a != of_b ? of_a > of_b : is_less_harm(a, b);
}

/* The job whose going helps most on that device: the best choice of those that suffice alone, else the largest gain.
 * NULL: nobody helps. Taken to have gone: its gain is no longer lacking. */
static struct fg_queue_job *choose(struct hunt *h, size_t d, uint64_t *lack_memory, uint64_t *lack_share)
{
        struct fg_queue_holder best = {0};
        uint64_t best_part = 0, memory;
        uint32_t share;

        for (uint32_t i = h->p->first[d]; i != FG_QUEUE_ANY; i = h->p->holder[i].next) {
                struct fg_queue_holder *holder = &h->p->holder[i];
                uint64_t part;

                h->p->effort -= h->p->effort > 0;
                gain_of(holder->job, way_out(h, holder->job), &memory, &share);
                if (way_out(h, holder->job) == FG_QUEUE_STAY)
                        continue;
                part = part_of(memory * holder->count, *lack_memory) +
                       part_of((uint64_t)share * holder->count, *lack_share);
                if (part > best_part || (part > 0 && part == best_part && is_preferred(h, holder->job, best.job))) {
                        best = *holder;
                        best_part = part;
                }
        }
        if (!best.job)
                return NULL;
        gain_of(best.job, way_out(h, best.job), &memory, &share);
        memory *= best.count;
        *lack_memory -= memory < *lack_memory ? memory : *lack_memory;
        *lack_share -= (uint64_t)share * best.count < *lack_share ? (uint64_t)share * best.count : *lack_share;
        return best.job;
}

/* Those who have to go so that one vGPU more fits onto the device; none: that cannot be. They are left as they are. */
static void look_at_device(struct hunt *h, size_t d, struct victims *ret)
{
        const struct fg_queue_room *room = &h->p->later[d];
        uint64_t target = fg_queue_cap(room->memory, room->share, &h->fit->want) + UINT64_C(1);
        uint64_t memory = h->fit->want.memory * target, share = h->fit->want.share * target;

        ret->count = 0;
        if (h->fit->fixed && fg_queue_cap_on(h->p, h->fit, d, UINT64_MAX, UINT32_MAX) < target)
                return;
        memory -= room->memory < memory ? room->memory : memory;
        share -= room->share < share ? room->share : share;
        while (memory || share) {
                struct fg_queue_job *job = ret->count < MOST ? choose(h, d, &memory, &share) : NULL;

                if (!job)
                        break;
                ret->job[ret->count++] = job;
                job->leaving = (uint8_t)way_out(h, job); /* so that it is not chosen again */
        }
        for (size_t i = 0; i < ret->count; i++)
                ret->job[i]->leaving = FG_QUEUE_STAY;
        if (memory || share)
                ret->count = 0;
}

static uint64_t first_begun(const struct victims *v)
{
        uint64_t first = UINT64_MAX;

        for (size_t i = 0; i < v->count; i++)
                if (v->job[i]->run->begun < first)
                        first = v->job[i]->run->begun;
        return first;
}

static bool is_better(const struct victims *a, const struct victims *b)
{
        if (a->count != b->count)
                return a->count < b->count;
        return first_begun(a) > first_begun(b);
}

/* As if the job had left in that way (sign 1), or had not (-1). */
static void leave(struct hunt *h, const struct fg_queue_job *job, enum fg_queue_leave how, int sign)
{
        uint64_t memory;
        uint32_t share;

        gain_of(job, how, &memory, &share);
        for (uint32_t i = 0; i < job->run->places; i++) {
                struct fg_queue_place at = job->run->place[i];

                if (at.device >= h->p->devices)
                        continue;
                h->p->later[at.device].memory += (uint64_t)sign * memory * at.count;
                h->p->later[at.device].share += (uint32_t)sign * share * at.count;
        }
}

static bool fits_now(struct hunt *h)
{
        uint64_t total = 0;

        for (size_t d = 0; d < h->p->devices; d++)
                if (h->p->open[d])
                        total += fg_queue_cap_on(h->p, h->fit, d, h->p->later[d].memory, h->p->later[d].share);
        h->missing = total < h->fit->want.count ? h->fit->want.count - (uint32_t)total : 0;
        return h->missing == 0;
}

/* Adds victims until the job fits. */
static bool gather(struct hunt *h)
{
        while (!fits_now(h)) {
                struct victims best = {.count = 0}, here;

                for (size_t d = 0; d < h->p->devices; d++) {
                        if (!h->p->open[d] || h->p->effort == 0)
                                continue;
                        look_at_device(h, d, &here);
                        if (here.count && (best.count == 0 || is_better(&here, &best)))
                                best = here;
                }
                if (best.count == 0 || h->chosen.count + best.count > MOST)
                        return false;
                for (size_t i = 0; i < best.count; i++) {
                        struct fg_queue_job *job = best.job[i];

                        leave(h, job, way_out(h, job), 1);
                        job->leaving = (uint8_t)way_out(h, job);
                        h->chosen.job[h->chosen.count++] = job;
                }
        }
        return true;
}

/* What was needed at first may not be any more; what stops may do with being suspended. */
static void spare(struct hunt *h)
{
        for (size_t i = 0; i < h->chosen.count; i++) {
                struct fg_queue_job *job = h->chosen.job[i];
                enum fg_queue_leave how = job->leaving;

                leave(h, job, how, -1);
                job->leaving = FG_QUEUE_STAY;
                if (fits_now(h))
                        continue;
                job->leaving = FG_QUEUE_SUSPEND;
                if (!job->run->suspended) {
                        leave(h, job, FG_QUEUE_SUSPEND, 1);
                        if (fits_now(h))
                                continue;
                        leave(h, job, FG_QUEUE_SUSPEND, -1);
                }
                leave(h, job, how, 1);
                job->leaving = (uint8_t)how;
        }
}

/* From the room that there is and that others are leaving already. */
static void begin_hunt(struct hunt *h, bool stopping)
{
        uint64_t ignored;

        for (size_t i = 0; i < h->chosen.count; i++)
                h->chosen.job[i]->leaving = FG_QUEUE_STAY;
        h->chosen.count = 0;
        h->stopping = stopping;
        fg_queue_forecast(h->p, h->fit, true, &ignored);
}

static int propose(struct hunt *h, struct fg_queue_job *job)
{
        size_t leaving = 0;

        for (size_t i = 0; i < h->chosen.count; i++)
                leaving += h->chosen.job[i]->leaving != FG_QUEUE_STAY;
        if (leaving > h->p->most - h->p->count) {
                h->p->full = h->p->stop = h->p->count > 0; /* else they are too many for any pass */
                begin_hunt(h, false);
                return 0;
        }
        for (size_t i = 0; i < h->chosen.count; i++) {
                struct fg_queue_job *victim = h->chosen.job[i];
                enum fg_queue_leave how = victim->leaving;

                if (how == FG_QUEUE_STAY)
                        continue;
                fg_queue_leaving(h->p->q, victim, how);
                fg_queue_decide(h->p, how == FG_QUEUE_SUSPEND ? FG_QUEUE_DO_SUSPEND : FG_QUEUE_DO_REQUEUE, victim, job);
        }
        return 1;
}

int fg_queue_preempt(struct fg_queue_pass *p, struct fg_queue_job *job, const struct fg_queue_fit *fit)
{
        struct hunt h = {.p = p, .fit = fit, .priority = job->group->lane->priority};
        int r = p->first ? 0 : list_holders(p);

        if (r < 0)
                return r;
        for (int stopping = 0; stopping < 2; stopping++) {
                begin_hunt(&h, stopping);
                if (gather(&h)) {
                        spare(&h);
                        return propose(&h, job);
                }
        }
        begin_hunt(&h, false);
        return 0;
}
