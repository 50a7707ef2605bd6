/* SPDX-License-Identifier: Apache-2.0
 *
 * Keeping room for those who cannot start now. The first job of a pool (devices that a wish names: any, a kind, one
 * device) that does not fit has devices kept for it from the time at which running jobs will have made room, as their
 * limits say (EASY backfill: Lifka 1995); where that is unknown, from the time it has waited for config.ageing on,
 * against everybody. */
#include "sched/queue_pass.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* vGPUs of the job that have room after `from` left, more than before. */
static uint32_t give_back(struct fg_queue_pass *p, const struct fg_queue_fit *fit, const struct fg_queue_job *from,
                          struct fg_queue_room *rooms, const bool *open)
{
        uint64_t memory;
        uint32_t share, gained = 0;

        fg_queue_job_frees(from, &memory, &share);
        for (uint32_t i = 0; i < from->run->places; i++) {
                const struct fg_queue_place *place = &from->run->place[i];
                struct fg_queue_room *room = &rooms[place->device];

                /* A device may have gone since. */
                if (place->device >= p->devices || (open && !open[place->device]))
                        continue;
                if (fit)
                        gained -= fg_queue_cap_on(p, fit, place->device, room->memory, room->share);
                room->memory += memory * place->count;
                room->share += share * place->count;
                if (fit)
                        gained += fg_queue_cap_on(p, fit, place->device, room->memory, room->share);
        }
        return gained;
}

enum fg_queue_sight fg_queue_forecast(struct fg_queue_pass *p, const struct fg_queue_fit *fit, bool leaving,
                                      uint64_t *ret_at)
{
        struct fg_queue_node *node = fg_queue_tree_first(&p->q->running);
        uint64_t total = 0, last = 0;
        bool closes = leaving && !fit->fixed && fg_queue_crowds(p, fit);

        memcpy(p->later, p->room, p->devices * sizeof(*p->room));
        for (size_t d = 0; d < p->devices; d++) {
                p->open[d] = !p->room[d].keeper && !(closes && p->crowded[d]) && fg_queue_is_where(p, d, fit->want.where);
                if (p->open[d])
                        total += fg_queue_cap_on(p, fit, d, p->room[d].memory, p->room[d].share);
        }
        for (; node && (!leaving || node->key == 0); node = fg_queue_tree_next(node)) {
                /* Those that end at the same time as well: it is what is left over then that others may have. */
                if (total >= fit->want.count && node->key > last)
                        break;
                last = node->key;
                total += give_back(p, fit, fg_queue_job_of(node), p->later, p->open);
                p->effort -= p->effort > 0;
        }
        if (total < fit->want.count)
                return FG_QUEUE_AT_NO_TIME;
        if (last >= FG_QUEUE_ENDLESS)
                return FG_QUEUE_AT_SOME_TIME;
        *ret_at = last > p->now ? last : p->now;
        return FG_QUEUE_AT_A_TIME;
}

/* Spares most forecasts that would end in no time at all. */
static int could_ever(struct fg_queue_pass *p, const struct fg_queue_fit *fit, bool *ret)
{
        uint64_t total = 0;

        if (!p->emptied) {
                p->emptied = malloc((p->devices + 1) * sizeof(*p->emptied));
                if (!p->emptied)
                        return -ENOMEM;
                memcpy(p->emptied, p->room, p->devices * sizeof(*p->room));
                for (struct fg_queue_node *n = fg_queue_tree_first(&p->q->running); n; n = fg_queue_tree_next(n))
                        give_back(p, NULL, fg_queue_job_of(n), p->emptied, NULL);
        }
        for (size_t d = 0; d < p->devices; d++)
                if (!p->room[d].keeper && fg_queue_is_where(p, d, fit->want.where))
                        total += fg_queue_cap_on(p, fit, d, p->emptied[d].memory, p->emptied[d].share);
        *ret = total >= fit->want.count;
        if (!*ret && !fit->fixed) {
                struct fg_queue_fit whenever = *fit;

                whenever.end = 0;
                fg_queue_misses_add(&p->never, &whenever);
        }
        return 0;
}

void fg_queue_count_on(struct fg_queue_pass *p, const struct fg_queue_job *job)
{
        p->never.count = p->never.next = 0;
        for (uint32_t i = 0; p->emptied && i < job->run->places; i++)
                p->emptied[job->run->place[i].device].memory += job->group->want.memory * job->run->place[i].count;
}

int fg_queue_keep(struct fg_queue_pass *p, struct fg_queue_job *job, const struct fg_queue_fit *fit, uint64_t until)
{
        const struct fg_queue_place *place = p->place;
        size_t places;
        int r = 0;

        if (fit->fixed) {
                place = fit->fixed->place;
                places = fit->fixed->places;
        } else {
                r = fg_queue_place_on(p, p->later, p->open, fit, &places);
        }
        if (r < 0)
                return r;
        for (size_t i = 0; i < places; i++) {
                struct fg_queue_room *room = &p->room[place[i].device], *later = &p->later[place[i].device];

                room->keeper = job;
                room->until = until;
                room->spare_memory = later->memory - fit->want.memory * place[i].count;
                room->spare_share = later->share - fit->want.share * place[i].count;
        }
        return 0;
}

static bool pool_has(const struct fg_queue_pass *p, const struct fg_queue_fit *fit)
{
        uint32_t where = fit->want.where;

        if (fit->fixed)
                return false;
        if (fg_queue_is_pinned(where))
                return (where & ~FG_QUEUE_WHERE_DEVICE) < p->devices && p->room[where & ~FG_QUEUE_WHERE_DEVICE].pooled;
        for (size_t i = 0; i < p->pools; i++)
                if (p->pool[i] == where)
                        return true;
        return false;
}

/* Only pools with a device get here: as many kinds as devices at most, and any. */
static void pool_add(struct fg_queue_pass *p, const struct fg_queue_fit *fit)
{
        if (fit->fixed || pool_has(p, fit))
                return;
        if (fg_queue_is_pinned(fit->want.where))
                p->room[fit->want.where & ~FG_QUEUE_WHERE_DEVICE].pooled = true;
        else
                p->pool[p->pools++] = fit->want.where;
}

static bool has_lower(const struct fg_queue_pass *p, uint32_t priority)
{
        for (uint32_t c = 0; c < priority; c++)
                if (p->q->class[c].running || p->q->class[c].suspended.root)
                        return true;
        return false;
}

static bool may_make_room(const struct fg_queue_pass *p, uint32_t priority, const struct fg_queue_fit *fit)
{
        return p->q->config.preempt && p->effort > 0 && has_lower(p, priority) &&
               (fit->fixed || !fg_queue_misses_has(&p->unhelped, fit));
}

bool fg_queue_is_past_help(const struct fg_queue_pass *p, uint32_t priority, const struct fg_queue_fit *fit)
{
        return (pool_has(p, fit) || fg_queue_misses_has(&p->never, fit)) && !may_make_room(p, priority, fit);
}

/* Room that others are leaving, or are now asked to leave, for this job. */
static int make_room(struct fg_queue_pass *p, struct fg_queue_job *job, const struct fg_queue_fit *fit, bool *ret_made)
{
        uint64_t at;
        int r;

        *ret_made = false;
        if (!may_make_room(p, job->group->lane->priority, fit))
                return 0;
        if (fg_queue_forecast(p, fit, true, &at) == FG_QUEUE_AT_NO_TIME) {
                r = fg_queue_preempt(p, job, fit);
                if (r == 0 && !p->full && !fg_queue_crowds(p, fit)) /* else it says nothing of others */
                        fg_queue_misses_add(&p->unhelped, fit);
                if (r <= 0)
                        return r;
                if (fg_queue_forecast(p, fit, true, &at) == FG_QUEUE_AT_NO_TIME)
                        return 0;
        }
        *ret_made = true;
        if (p->watch && p->watch->job == job)
                p->watch->made_room = true;
        pool_add(p, fit);
        return fg_queue_keep(p, job, fit, p->now);
}

int fg_queue_missed(struct fg_queue_pass *p, struct fg_queue_job *job, const struct fg_queue_fit *fit)
{
        bool done, ever;
        uint64_t at;
        int r = make_room(p, job, fit, &done);

        if (r < 0 || done || pool_has(p, fit))
                return r;
        r = could_ever(p, fit, &ever);
        if (r < 0 || !ever)
                return r;
        switch (fg_queue_forecast(p, fit, false, &at)) {
        case FG_QUEUE_AT_NO_TIME:
                return 0;
        case FG_QUEUE_AT_A_TIME:
                pool_add(p, fit);
                return fg_queue_keep(p, job, fit, at);
        case FG_QUEUE_AT_SOME_TIME:
                break;
        }
        pool_add(p, fit);
        if (p->now < job->since || p->now - job->since < p->q->config.ageing)
                return 0;
        return fg_queue_keep(p, job, fit, 0);
}
