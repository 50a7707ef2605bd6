/* SPDX-License-Identifier: Apache-2.0
 * Why a job waits: a pass up to its turn, and then which of the things in its way is enough on its own. */
#include "sched/queue_pass.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The rooms as they would be without any job (empty), or as they are before the pass. */
static void rooms_of_scene(const struct fg_queue_pass *p, struct fg_queue_room *rooms, bool empty)
{
        for (size_t d = 0; d < p->devices; d++) {
                const struct fg_queue_device *from = &p->scene->device[d];

                rooms[d] = (struct fg_queue_room){.memory = empty ? from->memory : from->memory_free,
                                                  .share = empty ? from->share : from->share_free,
                                                  .kind = from->kind,
                                                  .usable = from->usable};
        }
}

static bool is_its_device(const struct fg_queue_pass *p, const struct fg_queue_fit *fit, size_t d)
{
        return fg_queue_is_where(p, d, fit->want.where) &&
               (!fit->fixed || fg_queue_cap_on(p, fit, d, UINT64_MAX, UINT32_MAX) > 0);
}

static bool has_device(const struct fg_queue_pass *p, const struct fg_queue_fit *fit)
{
        uint32_t found = 0;

        for (size_t d = 0; d < p->devices; d++)
                found += is_its_device(p, fit, d);
        return fit->fixed ? found == fit->fixed->places : found > 0;
}

/* The largest device of those it may have, for one that is too large. */
static void say_largest(const struct fg_queue_pass *p, const struct fg_queue_fit *fit, struct fg_queue_why *ret)
{
        ret->reason = FG_QUEUE_TOO_LARGE;
        ret->wanted = fit->want.memory;
        for (size_t d = 0; d < p->devices; d++)
                if (is_its_device(p, fit, d) &&
                    (ret->device == FG_QUEUE_ANY || p->scene->device[d].memory > ret->available)) {
                        ret->device = (uint32_t)d;
                        ret->available = p->scene->device[d].memory;
                }
}

/* Reasons that no pass is needed for. GOES: none of them. */
static void look_at_job(struct fg_queue_pass *p, const struct fg_queue_job *job, const struct fg_queue_fit *fit,
                        struct fg_queue_why *ret)
{
        if (job->run && !job->run->suspended) {
                ret->reason = FG_QUEUE_RUNS;
        } else if (job->hold) {
                ret->reason = FG_QUEUE_HELD;
                ret->wanted = job->hold;
        } else if (job->in == FG_QUEUE_IN_WAITING) {
                ret->reason = FG_QUEUE_NOT_BEFORE;
                ret->wanted = job->not_before;
        } else if (!has_device(p, fit)) {
                ret->reason = FG_QUEUE_NO_DEVICE;
        } else {
                rooms_of_scene(p, p->later, true);
                ret->fits = fg_queue_fits(p, p->later, fit, false);
                if (ret->fits < fit->want.count)
                        say_largest(p, fit, ret);
        }
}

/* What device d lacks for one vGPU more than it takes now. */
struct lack {
        uint64_t memory, memory_left;
        uint32_t share, share_left;
        double size; /* parts of what is wanted */
};

static struct lack lack_on(const struct fg_queue_pass *p, const struct fg_queue_fit *fit, size_t d)
{
        const struct fg_queue_want *want = &fit->want;
        const struct fg_queue_room *room = &p->later[d];
        uint32_t cap = fg_queue_cap_on(p, fit, d, room->memory, room->share);
        struct lack l = {.memory_left = room->memory - cap * want->memory,
                         .share_left = room->share - cap * want->share};

        l.memory = want->memory > l.memory_left ? want->memory - l.memory_left : 0;
        l.share = want->share > l.share_left ? want->share - l.share_left : 0;
        l.size = (want->memory ? (double)l.memory / (double)want->memory : 0) + (double)l.share / want->share;
        return l;
}

/* The device that lacks least; p->later are the rooms. */
static void say_lack(const struct fg_queue_pass *p, const struct fg_queue_fit *fit, struct fg_queue_why *ret)
{
        struct lack best = {0};
        bool of_memory;

        for (size_t d = 0; d < p->devices; d++) {
                struct lack l;

                if (!is_its_device(p, fit, d))
                        continue;
                l = lack_on(p, fit, d);
                if (l.size == 0 || (ret->device != FG_QUEUE_ANY && l.size >= best.size))
                        continue;
                best = l;
                ret->device = (uint32_t)d;
        }
        of_memory = best.memory > 0 && (double)best.memory / (double)fit->want.memory * fit->want.share >= best.share;
        ret->reason = of_memory ? FG_QUEUE_NO_MEMORY : FG_QUEUE_NO_SHARE;
        ret->wanted = of_memory ? fit->want.memory : fit->want.share;
        ret->available = of_memory ? best.memory_left : best.share_left;
        ret->missing_memory = best.memory;
        ret->missing_share = best.share;
}

/* There is room but for what is kept for another job. */
static void say_kept(const struct fg_queue_pass *p, const struct fg_queue_fit *fit, const struct fg_queue_room *rooms,
                     struct fg_queue_why *ret)
{
        uint64_t memory;
        uint32_t share;

        ret->reason = FG_QUEUE_RESERVED;
        for (size_t d = 0; d < p->devices; d++) {
                fg_queue_room_left(&rooms[d], fit->end, &memory, &share);
                if (!is_its_device(p, fit, d) || fg_queue_cap_on(p, fit, d, rooms[d].memory, rooms[d].share) ==
                                                         fg_queue_cap_on(p, fit, d, memory, share))
                        continue;
                ret->device = (uint32_t)d;
                ret->other = rooms[d].keeper->owner;
                return;
        }
}

/* How much better than the job's is the claim of one that begins before it? */
static enum fg_queue_reason claim_of(const struct fg_queue_job *job, const struct fg_queue_job *other)
{
        const struct fg_queue_lane *mine = job->group->lane, *theirs = other->group->lane;

        if (mine->priority != theirs->priority)
                return FG_QUEUE_BEHIND_CLASS;
        return mine->project == theirs->project ? FG_QUEUE_BEHIND_OWN : FG_QUEUE_BEHIND_SHARE;
}

/* There was room, and those before it take it: the best claims first, which of them leaves it none? p->later: the room.
 */
static void say_behind(const struct fg_queue_pass *p, const struct fg_queue_job *job, const struct fg_queue_fit *fit,
                       struct fg_queue_why *ret)
{
        for (unsigned claim = FG_QUEUE_BEHIND_CLASS; claim <= FG_QUEUE_BEHIND_OWN; claim++)
                for (size_t i = 0; i < p->watch->before; i++) {
                        const struct fg_queue_decision *d = &p->decision[i];

                        if ((d->what != FG_QUEUE_DO_START && d->what != FG_QUEUE_DO_RESUME) ||
                            claim_of(job, d->job) != claim)
                                continue;
                        for (size_t k = 0; k < d->places; k++) {
                                struct fg_queue_room *room = &p->later[d->place[k].device];

                                room->memory -= d->what == FG_QUEUE_DO_START ? d->memory * d->place[k].count : 0;
                                room->share -= d->share * d->place[k].count;
                        }
                        if (fg_queue_fits(p, p->later, fit, false) < fit->want.count) {
                                ret->reason = (enum fg_queue_reason)claim;
                                ret->other = d->owner;
                                return;
                        }
                }
}

/* Devices that are kept for the job itself. True: others are leaving for it. */
static bool say_next(const struct fg_queue_pass *p, const struct fg_queue_job *job, struct fg_queue_why *ret)
{
        for (size_t d = 0; d < p->devices; d++)
                if (p->room[d].keeper == job) {
                        ret->next = true;
                        ret->device = (uint32_t)d;
                        if (p->room[d].until)
                                ret->start = p->room[d].until;
                }
        return ret->next && p->watch->made_room;
}

static void explain(struct fg_queue_pass *p, const struct fg_queue_job *job, const struct fg_queue_fit *fit,
                    struct fg_queue_why *ret)
{
        const struct fg_queue_watch *w = p->watch;

        if (job->run && !job->run->suspended) { /* the pass began it */
                ret->reason = FG_QUEUE_GOES;
                ret->start = p->now;
        } else if (job->leaving != FG_QUEUE_STAY) {
                ret->reason = FG_QUEUE_LEAVES;
                for (size_t i = 0; i < p->count; i++)
                        if (p->decision[i].job == job)
                                ret->other = p->decision[i].beneficiary->owner;
        } else if (!w->seen) {
                ret->reason = FG_QUEUE_PASS_FULL;
        } else if (w->quota != FG_QUEUE_GOES) {
                ret->reason = w->quota;
                ret->of_user = w->of_user;
                fg_queue_quota_numbers(job->group, job->run, w->quota, w->of_user, &ret->wanted, &ret->available);
        } else if (say_next(p, job, ret)) {
                ret->reason = FG_QUEUE_PREEMPTING;
        } else {
                uint32_t device = ret->device;

                ret->device = FG_QUEUE_ANY;
                rooms_of_scene(p, p->later, false);
                ret->fits = fg_queue_fits(p, p->later, fit, false);
                if (ret->fits < fit->want.count)
                        say_lack(p, fit, ret);
                else if (fg_queue_fits(p, w->room, fit, false) >= fit->want.count)
                        say_kept(p, fit, w->room, ret);
                else
                        say_behind(p, job, fit, ret);
                if (ret->device == FG_QUEUE_ANY)
                        ret->device = device;
        }
}

static int look_with(struct fg_queue_pass *p, struct fg_queue_job *job, struct fg_queue_why *ret)
{
        struct fg_queue_watch watch = {.job = job};
        struct fg_queue_fit fit;
        int r;

        fg_queue_fit_of(p, job, &fit);
        look_at_job(p, job, &fit, ret);
        if (ret->reason != FG_QUEUE_GOES)
                return 0;
        watch.room = calloc(p->devices + 1, sizeof(*watch.room));
        if (!watch.room)
                return -ENOMEM;
        p->watch = &watch;
        r = fg_queue_pass_run(p);
        if (r == 0)
                explain(p, job, &fit, ret);
        free(watch.room);
        return r;
}

int fg_queue_why(struct fg_queue *q, const struct fg_queue_scene *scene, struct fg_queue_job *job,
                 struct fg_queue_why *ret)
{
        struct fg_queue_why why = {.device = FG_QUEUE_ANY, .start = FG_QUEUE_UNKNOWN};
        struct fg_queue_pass p;
        int r = fg_queue_pass_begin(&p, q, scene);

        if (r < 0)
                return r;
        r = look_with(&p, job, &why);
        fg_queue_pass_end(&p);
        if (r == 0)
                *ret = why;
        return r;
}
