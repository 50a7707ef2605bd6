/* SPDX-License-Identifier: Apache-2.0
 * Rooms and what fits into them. A job's vGPUs are all alike, so that counting how many each device takes says exactly
 * whether they fit; fg_sched_place_by() is asked only where they go. */
#include "sched/queue_pass.h"

#include <errno.h>
#include <string.h>

#define CROWDS 1000u /* of a pass's effort, to ask where a job would be crowded */

bool fg_queue_is_where(const struct fg_queue_pass *p, size_t device, uint32_t where)
{
        const struct fg_queue_room *room = &p->room[device];

        if (!room->usable)
                return false;
        if (where == FG_QUEUE_WHERE_ANY)
                return true;
        return fg_queue_is_pinned(where) ? device == (where & ~FG_QUEUE_WHERE_DEVICE) : room->kind == where;
}

uint32_t fg_queue_cap(uint64_t memory, uint32_t share, const struct fg_queue_want *want)
{
        uint64_t cap;

        if (share < want->share || memory < want->memory)
                return 0;
        if (want->count == 1)
                return 1;
        cap = share / want->share;
        if (want->memory && memory / want->memory < cap)
                cap = memory / want->memory;
        return cap < want->count ? (uint32_t)cap : want->count;
}

/* How many of its vGPUs a suspended job has there. */
static uint32_t fixed_on(const struct fg_queue_run *run, size_t device)
{
        for (uint32_t i = 0; i < run->places; i++)
                if (run->place[i].device == device)
                        return run->place[i].count;
        return 0;
}

uint32_t fg_queue_cap_on(const struct fg_queue_pass *p, const struct fg_queue_fit *fit, size_t d, uint64_t memory,
                         uint32_t share)
{
        uint32_t cap = fg_queue_cap(memory, share, &fit->want), most;

        if (!fit->fixed)
                return cap;
        most = fixed_on(fit->fixed, d);
        return cap < most ? cap : most;
}

void fg_queue_room_left(const struct fg_queue_room *room, uint64_t end, uint64_t *ret_memory, uint32_t *ret_share)
{
        bool all = !room->keeper || end <= room->until;

        *ret_memory = all || room->memory < room->spare_memory ? room->memory : room->spare_memory;
        *ret_share = all || room->share < room->spare_share ? room->share : room->spare_share;
}

uint32_t fg_queue_fits(const struct fg_queue_pass *p, const struct fg_queue_room *room, const struct fg_queue_fit *fit,
                       bool kept)
{
        uint32_t sum = 0, share, where = fit->want.where;
        bool pinned = fg_queue_is_pinned(where);
        size_t d = pinned ? where & ~FG_QUEUE_WHERE_DEVICE : 0, end = pinned && d < p->devices ? d + 1 : p->devices;
        uint64_t memory;

        for (; d < end && sum < fit->want.count; d++) {
                /* Cheapest first: most devices of a busy node have nothing left. */
                if (room[d].share < fit->want.share || room[d].memory < fit->want.memory ||
                    !fg_queue_is_where(p, d, where))
                        continue;
                fg_queue_room_left(&room[d], kept ? fit->end : 0, &memory, &share);
                sum += fg_queue_cap_on(p, fit, d, memory, share);
        }
        return sum < fit->want.count ? sum : fit->want.count;
}

void fg_queue_fit_of_group(const struct fg_queue_pass *p, const struct fg_queue_group *group, struct fg_queue_fit *ret)
{
        *ret = (struct fg_queue_fit){.want = group->want,
                                     .end = group->time_limit ? p->now + group->time_limit : FG_QUEUE_UNKNOWN};
}

void fg_queue_fit_of(const struct fg_queue_pass *p, const struct fg_queue_job *job, struct fg_queue_fit *ret)
{
        fg_queue_fit_of_group(p, job->group, ret);
        ret->owner = job->owner;
        if (!job->run)
                return;
        ret->end = fg_queue_job_end(job, p->now);
        ret->fixed = job->run;
        ret->want.memory = 0; /* it has that */
        ret->want.where = FG_QUEUE_WHERE_ANY;
}

static size_t places_of(struct fg_queue_pass *p, uint32_t count)
{
        size_t places = 0;

        memset(p->counted, 0, p->devices * sizeof(*p->counted));
        for (uint32_t i = 0; i < count; i++)
                p->counted[p->chosen[i]]++;
        for (size_t d = 0; d < p->devices; d++)
                if (p->counted[d])
                        p->place[places++] = (struct fg_queue_place){(uint32_t)d, p->counted[d]};
        return places;
}

/* Once for each job: nothing happens during a pass. */
bool fg_queue_crowds(struct fg_queue_pass *p, const struct fg_queue_fit *fit)
{
        bool any = false;

        if (!fit->owner || fit->owner != p->crowded_for) {
                memset(p->crowded, 0, p->devices * sizeof(*p->crowded));
                memset(p->loss, 0, p->devices * sizeof(*p->loss));
                if (p->scene->crowded && fit->owner) {
                        p->scene->crowded(p->scene->user, fit->owner, p->crowded, p->loss);
                        p->effort -= p->effort < CROWDS ? p->effort : CROWDS;
                }
                p->crowded_for = fit->owner;
        }
        for (size_t d = 0; d < p->devices; d++)
                any |= p->crowded[d];
        return any;
}

int fg_queue_place_on(struct fg_queue_pass *p, const struct fg_queue_room *room, const bool *open,
                      const struct fg_queue_fit *fit, size_t *ret_places)
{
        bool crowds = fg_queue_crowds(p, fit);
        struct fg_sched_misfit ignored;
        int r;

        for (size_t d = 0; d < p->devices; d++) {
                p->view[d].memory = p->scene->device[d].memory;
                p->view[d].last = p->scene->device[d].last;
                p->view[d].crowded = p->crowded[d];
                p->view[d].loss = p->loss[d];
                p->view[d].usable = (!open || open[d]) && fg_queue_is_where(p, d, fit->want.where);
                fg_queue_room_left(&room[d], fit->end, &p->view[d].memory_free, &p->view[d].share_free);
        }
        for (uint32_t i = 0; i < fit->want.count; i++)
                p->want[i] = (struct fg_sched_want){fit->want.memory, fit->want.share};
        r = fg_sched_place_by(p->scene->placer, p->view, p->devices, p->want, fit->want.count, p->chosen, p->memory, p->share,
                              &ignored);
        if (r == -ENOSPC && crowds) { /* it has room: the daemon has the last word */
                for (size_t d = 0; d < p->devices; d++)
                        p->view[d].crowded = false;
                r = fg_sched_place_by(p->scene->placer, p->view, p->devices, p->want, fit->want.count, p->chosen, p->memory, p->share,
                                      &ignored);
        }
        if (r < 0)
                return r;
        *ret_places = places_of(p, fit->want.count);
        return 0;
}

void fg_queue_room_take(struct fg_queue_pass *p, const struct fg_queue_place *place, size_t places,
                        const struct fg_queue_fit *fit)
{
        for (size_t i = 0; i < places; i++) {
                struct fg_queue_room *room = &p->room[place[i].device];
                uint64_t memory = fit->want.memory * place[i].count;
                uint32_t share = fit->want.share * place[i].count;

                room->memory -= memory;
                room->share -= share;
                if (room->keeper && fit->end > room->until) {
                        room->spare_memory -= memory;
                        room->spare_share -= share;
                }
        }
}

/* Of the same time left or longer, on the same devices or some of them. */
static bool is_at_least(const struct fg_queue_fit *a, const struct fg_queue_fit *b)
{
        return a->want.memory >= b->want.memory && a->want.share >= b->want.share && a->want.count >= b->want.count &&
               a->end >= b->end && (b->want.where == a->want.where || b->want.where == FG_QUEUE_WHERE_ANY);
}

bool fg_queue_misses_has(const struct fg_queue_misses *m, const struct fg_queue_fit *fit)
{
        for (unsigned i = 0; i < m->count; i++)
                if (is_at_least(fit, &m->fit[i]))
                        return true;
        return false;
}

/* In place of one that says less; else of the one that has been there for longest. */
void fg_queue_misses_add(struct fg_queue_misses *m, const struct fg_queue_fit *fit)
{
        if (fit->fixed || fg_queue_misses_has(m, fit))
                return;
        for (unsigned i = 0; i < m->count; i++)
                if (is_at_least(&m->fit[i], fit)) {
                        m->fit[i] = *fit;
                        return;
                }
        if (m->count < FG_QUEUE_MISSES) {
                m->fit[m->count++] = *fit;
                return;
        }
        m->fit[m->next] = *fit;
        m->next = (m->next + 1) % FG_QUEUE_MISSES;
}
