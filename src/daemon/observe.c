/* SPDX-License-Identifier: Apache-2.0
 * The arbiter's eyes: what the pages say about demand and use, believed no further than the wall clock allows. */
#include "base/atomic.h"
#include "daemon/arbiter_internal.h"

static void read_slots(struct fgd_arbiter_client *c)
{
        struct slot_view old[FG_SLOTS];
        uint32_t olds = c->slots, n = 0;
        bool held;

        for (uint32_t i = 0; i < olds; i++)
                old[i] = c->slot[i];
        for (uint32_t i = 0; i < FG_SLOTS; i++) {
                uint32_t generation = fg_load_acquire(&c->limits->owner[i].generation);

                if (fg_load_acquire(&c->limits->owner[i].pid) == 0)
                        continue;
                c->slot[n] = (struct slot_view){.index = i, .generation = generation,
                                                .busy = fg_load_relaxed(&c->limits->owner[i].busy_seen)};
                for (uint32_t k = 0; k < olds; k++)
                        if (old[k].index == i && old[k].generation == generation)
                                c->slot[n] = old[k];
                n++;
        }
        c->slots = n;
        c->share.weight = fg_load_relaxed(&c->limits->share_permille);
        c->share.cap = fg_load_relaxed(&c->limits->mode) == FG_MODE_CAP;
        c->share.priority = fg_load_relaxed(&c->limits->priority);
        if (c->share.weight < 1)
                c->share.weight = 1;
        c->background = fgd_arbiter_is_background(c->limits);
        c->closed = fg_load_seq_cst(&c->limits->closed);
        held = fg_load_seq_cst(&c->limits->held);
        if (c->held && !held)
                fgd_arbiter_write_grant(c, FG_GRANT_DENIED); /* those who slept through it wake up and ask */
        c->held = held;
        c->stale = false;
}

static bool waits(struct slot_view *view, const struct fg_slot *slot)
{
        if (view->deaf && fg_load_relaxed(&slot->looks) != view->looks)
                view->deaf = false;
        return !view->deaf && fg_load_seq_cst(&slot->waiting) > 0;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
        return a > b ? a : b;
}

/* Sum of the device time its processes measured since the last look. Each word of the page is read once. */
static uint64_t read_demand(struct fgd_arbiter_client *c, uint64_t now)
{
        uint64_t used = 0;

        c->waiting = 0;
        c->active = false;
        c->inflight = c->idle_since = c->estimate = c->gap = c->launches = c->expected_end = 0;
        for (uint32_t i = 0; i < c->slots; i++) {
                struct slot_view *view = &c->slot[i];
                const struct fg_slot *slot = &c->usage->slot[view->index];
                uint64_t busy = fg_load_acquire(&slot->busy), idle = fg_load_relaxed(&slot->idle_since);
                uint32_t inflight = fg_load_seq_cst(&slot->inflight);

                if (busy > view->busy)
                        used += busy - view->busy;
                view->busy = busy;
                if (inflight == 0)
                        view->stuck_at = 0;
                c->waiting += waits(view, slot);
                c->inflight += view->stuck_at ? 0 : inflight;
                c->active |= fg_load_relaxed(&slot->active) != 0;
                c->idle_since = larger(c->idle_since, idle < now ? idle : now);
                c->gap = larger(c->gap, fg_load_relaxed(&slot->gap));
                c->estimate = larger(c->estimate, fg_load_relaxed(&slot->estimate));
                c->expected_end = larger(c->expected_end, fg_load_relaxed(&slot->expected_end));
                c->launches += fg_load_relaxed(&slot->launches);
        }
        return used;
}

/* After it was charged: a daemon that dies in between charges it again rather than never. */
static void note_seen(const struct fgd_arbiter_client *c)
{
        for (uint32_t i = 0; i < c->slots; i++)
                fg_store_relaxed(&c->limits->owner[c->slot[i].index].busy_seen, c->slot[i].busy);
}

/* Nobody uses more device time than passed while it held the device or had work on it, however many processes it ran side
 * by side. Device time is known when a launch completes, so what passed is saved up until then. */
static void charge(struct fgd_arbiter_client *c, uint64_t used, uint64_t wall, bool holds)
{
        if (holds || used || c->inflight)
                c->passed += wall;
        if (used > c->passed)
                used = c->passed;
        if (used == 0)
                return;
        c->passed -= used;
        if (c->inflight == 0)
                c->passed = 0;
        fg_share_charge(&c->share, used);
        c->charged_in_grant += used;
        fg_store_relaxed(&c->limits->charged, fg_load_relaxed(&c->limits->charged) + used);
}

/* The virtual clock: the least virtual time of those at work. It never runs back, so that neither a newcomer nor one who had
 * the device to himself for a while is ahead or behind because of it. */
static void advance_clock(struct fgd_arbiter *a, uint64_t now)
{
        uint64_t least = UINT64_MAX;

        for (const struct fgd_arbiter_client *c = a->clients; c; c = c->next)
                if (c->last_part && now - c->last_part <= SLEEP_LIMIT && c->share.vtime < least)
                        least = c->share.vtime;
        if (least != UINT64_MAX && least > a->vclock)
                a->vclock = least;
}

/* One with a ceiling falls behind those without for as long as it never sleeps: in months more than fits. */
static int64_t add(int64_t sum, int64_t difference, uint32_t weight)
{
        int64_t part;
        if (__builtin_mul_overflow(difference, weight, &part))
                part = difference < 0 ? INT64_MIN : INT64_MAX;
        return __builtin_add_overflow(sum, part, &sum) ? part < 0 ? INT64_MIN : INT64_MAX : sum;
}

int64_t fgd_arbiter_ahead(const struct fgd_arbiter *a, const struct fgd_arbiter_client *c, uint64_t now, uint64_t *ret_weights)
{
        int64_t ahead = 0;

        *ret_weights = 0;
        for (const struct fgd_arbiter_client *o = a->clients; o; o = o->next) {
                if (o == c || o->share.priority != c->share.priority || !o->last_part || now - o->last_part > SLEEP_LIMIT)
                        continue;
                ahead = add(ahead, (int64_t)(o->share.vtime - c->share.vtime), o->share.weight);
                *ret_weights += o->share.weight;
        }
        return ahead;
}

/* It wants the device again. After a sleep it begins anew; a pause is no saving either. */
static void note_return(struct fgd_arbiter *a, struct fgd_arbiter_client *c, uint64_t now)
{
        uint64_t weights, pause = now - c->last_part;
        int64_t ahead;

        if (pause == 0) /* it has the device */
                return;
        if (pause > SLEEP_LIMIT) {
                fg_share_wake(&c->share, a->vclock);
                return;
        }
        ahead = fgd_arbiter_ahead(a, c, now, &weights);
        fg_share_return(&c->share, ahead, c->ahead, weights);
}

static void note_demand(struct fgd_arbiter *a, struct fgd_arbiter_client *c, uint64_t now)
{
        bool wants = c->waiting > 0 && !c->closed && !c->held;

        if (wants && !c->share.wants && c->inflight == 0 && now - c->idle_since > 2 * IDLE_LIMIT)
                c->woke_at = now;
        if (wants && !c->share.wants)
                note_return(a, c, now);
        c->share.wants = wants;
        if (wants)
                c->last_want = c->last_part = now;
}

/* The owner took part up to now, whether it is asked because its grant ends or because somebody looks. */
static void note_owner(struct fgd_arbiter *a, uint64_t wall, uint64_t now)
{
        struct fgd_arbiter_client *c = a->owner;

        fg_store_relaxed(&c->limits->granted, fg_load_relaxed(&c->limits->granted) + wall);
        if (a->phase != PHASE_FREE || c->active || c->waiting || c->inflight)
                c->last_part = now;
}

void fgd_arbiter_observe(struct fgd_arbiter *a, uint64_t now)
{
        uint64_t wall = now - a->observed_at;

        for (struct fgd_arbiter_client *c = a->clients; c; c = c->next) {
                uint64_t used = read_demand(c, now); /* also of processes that are gone by now */

                charge(c, used, wall, c == a->owner);
                note_seen(c);
                if (c->stale) {
                        read_slots(c);
                        charge(c, read_demand(c, now), 0, c == a->owner);
                        note_seen(c);
                }
                c->share.unreported = c->inflight ? c->passed : 0; /* a long launch is charged when it is over */
                fg_share_earn(&c->share, wall);
                if (c->stands && c->inflight)
                        fg_store_relaxed(&c->limits->granted, fg_load_relaxed(&c->limits->granted) + wall);
                if (used) /* also if it is over by now: a free owner is looked at once a second */
                        c->last_want = c->last_part = now;
        }
        if (a->owner)
                note_owner(a, wall, now);
        advance_clock(a, now);
        for (struct fgd_arbiter_client *c = a->clients; c; c = c->next)
                note_demand(a, c, now);
        a->observed_at = now;
}
