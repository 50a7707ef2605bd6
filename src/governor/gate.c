/* SPDX-License-Identifier: Apache-2.0
 * The gate's way in and out. What happens while the gate is free is in free.c, without an arbiter in fallback.c,
 * durations in estimate.c; docs/design/governor.md has the whole picture. */
#include "governor/gate.h"

#include "base/atomic.h"
#include "base/clock.h"
#include "base/futex.h"
#include "governor/internal.h"

#include <errno.h>
#include <stdlib.h>

#define GRANT_WAIT   (50 * FG_NSEC_PER_MSEC)  /* how long to sleep before looking whether the arbiter still lives */
#define HELD_WAIT    FG_NSEC_PER_SEC          /* the same while suspended: who resumes wakes */
#define WINDOW_WAIT  (20 * FG_NSEC_PER_MSEC)
#define STALL_LIMIT  (100 * FG_NSEC_PER_MSEC) /* without any completion: what is in flight waits for this very thread */
#define POKE_SPACING (200 * FG_NSEC_PER_USEC)
#define GAP_MAX      (100 * FG_NSEC_PER_MSEC) /* longer is a pause, not a gap */
#define LATENCY_MAX  (100 * FG_NSEC_PER_USEC)

struct fg_gate *fg_gate_new(struct fg_session_vgpu *vgpu, const struct fg_gate_ops *ops, void *user)
{
        struct fg_gate *gate = aligned_alloc(64, sizeof(*gate));

        if (!gate)
                return NULL;
        *gate = (struct fg_gate){
                .limits = vgpu->ledger.limits,
                .slot = &vgpu->ledger.usage->slot[vgpu->ledger.slot],
                .poke = vgpu->poke,
                .ops = ops,
                .user = user,
        };
        return gate;
}

void fg_gate_free(struct fg_gate *gate)
{
        free(gate);
}

/* --- completions --- */

static void wake_window(struct fg_gate *gate)
{
        if (!fg_load_seq_cst(&gate->sleepers))
                return;
        if (fg_load_relaxed(&gate->inflight) >= 2 &&
            fg_load_relaxed(&gate->predicted) > fg_load_relaxed(&gate->limits->window) / 2)
                return;
        fg_add_seq_cst(&gate->completions, 1);
        fg_futex_wake_all(&gate->completions);
}

/* Nothing of this process is in flight any more: the arbiter may want to know. */
static void gone_idle(struct fg_gate *gate, uint64_t now)
{
        uint32_t mode = fg_load_seq_cst(&gate->limits->grant) & FG_GRANT_MASK;
        uint64_t last = fg_load_relaxed(&gate->last_poke);

        if (mode == FG_GRANT_FREE)
                return;
        if (mode == FG_GRANT_TIMED && now < fg_load_relaxed(&gate->limits->until) && now - last < POKE_SPACING &&
            !fg_load_seq_cst(&gate->slot->waiting))
                return;
        fg_store_relaxed(&gate->last_poke, now);
        fg_session_poke(&gate->poke);
}

/* Device time is the union of the intervals in which launches of this process were under way. */
static uint64_t charge_until(struct fg_gate *gate, uint64_t started, uint64_t now)
{
        uint64_t end = fg_load_relaxed(&gate->last_end), begin;

        do {
                begin = end > started ? end : started;
                if (now <= begin)
                        return 0;
        } while (!fg_cas_acq_rel(&gate->last_end, &end, now));
        return now - begin;
}

/* A launch that found the device empty also took the way there and back, which is not device time. What launches of its kind
 * take back to back tells the two apart; the difference is forgiven up to LATENCY_MAX. */
static uint64_t without_latency(struct fg_gate *gate, uint32_t key, uint64_t spent)
{
        uint64_t usual = fg_estimate_get(gate, key);

        if (spent <= usual)
                return spent;
        return spent - usual <= LATENCY_MAX ? usual : spent - LATENCY_MAX;
}

/* Charges a completed launch and learns from it. */
static void settle_launch(struct fg_gate *gate, const struct fg_gate_ticket *ticket, uint64_t now)
{
        bool back_to_back = fg_load_relaxed(&gate->last_end) > ticket->started;
        uint64_t spent = charge_until(gate, ticket->started, now);

        if (spent == 0)
                return;
        if (ticket->key && (back_to_back || !fg_estimate_known(gate, ticket->key)))
                fg_estimate_put(gate, ticket->key, spent);
        else if (ticket->key)
                spent = without_latency(gate, ticket->key, spent);
        fg_add_relaxed(&gate->slot->busy, spent);
}

/* It was launched long before it could run: charged what its kind takes, as learned from completions that followed each
 * other. */
static void settle_blocked(struct fg_gate *gate, const struct fg_gate_ticket *ticket, uint64_t now)
{
        uint64_t before = fg_swap_acq_rel(&gate->last_completion, now), usual;

        if (ticket->key && before > ticket->started && now > before)
                fg_estimate_put(gate, ticket->key, now - before);
        usual = fg_estimate_get(gate, ticket->key);
        fg_add_relaxed(&gate->slot->busy, charge_until(gate, now - (usual < now ? usual : 0), now));
}

static uint64_t subtract_predicted(struct fg_gate *gate, uint64_t amount)
{
        return fg_sub_seq_cst(&gate->predicted, amount) - amount;
}

/* One launch less on the device, as the arbiter sees it. */
static void leave_device(struct fg_gate *gate, uint64_t now)
{
        fg_store_relaxed(&gate->slot->idle_since, now);
        if (fg_sub_seq_cst(&gate->slot->inflight, 1) == 1)
                gone_idle(gate, now);
}

static void leave(struct fg_gate *gate, const struct fg_gate_ticket *ticket, uint64_t now)
{
        subtract_predicted(gate, ticket->predicted);
        fg_sub_seq_cst(&gate->inflight, 1);
        leave_device(gate, now);
        wake_window(gate);
}

/* The window goes on counting it, so that no crowd gathers behind it. It then runs whoever has the device: one launch of each kind. */
bool fg_gate_prepare(struct fg_gate *gate, const struct fg_gate_ticket *ticket)
{
        if (ticket->probe)
                return fg_gate_free_probe_first(gate);
        if (ticket->blocked || (!ticket->fresh && !fg_load_relaxed(&gate->preparing)))
                return false;
        fg_add_relaxed(&gate->preparing, 1);
        leave_device(gate, fg_now());
        return true;
}

void fg_gate_begun(struct fg_gate *gate, struct fg_gate_ticket *ticket, uint64_t now)
{
        ticket->started = now;
        if (ticket->probe) {
                fg_gate_free_probe_begun(gate, now);
                return;
        }
        fg_add_seq_cst(&gate->slot->inflight, 1);
        fg_sub_seq_cst(&gate->preparing, 1);
}

void fg_gate_done(struct fg_gate *gate, const struct fg_gate_ticket *ticket)
{
        uint64_t now = fg_now();

        if (ticket->probe) {
                fg_gate_free_probe_done(gate, ticket, now);
                return;
        }
        if (ticket->blocked) {
                settle_blocked(gate, ticket, now);
                return;
        }
        fg_store_relaxed(&gate->last_completion, now);
        settle_launch(gate, ticket, now);
        leave(gate, ticket, now);
}

void fg_gate_abort(struct fg_gate *gate, const struct fg_gate_ticket *ticket)
{
        if (ticket->probe)
                fg_gate_free_probe_abort(gate);
        else if (ticket->tracked && !ticket->blocked)
                leave(gate, ticket, fg_now());
}

/* --- launches --- */

static void track(struct fg_gate *gate, uint32_t key, uint64_t predicted, struct fg_gate_ticket *ret)
{
        *ret = (struct fg_gate_ticket){.started = fg_now(), .key = key, .predicted = predicted, .tracked = true,
                                       .fresh = key && !fg_estimate_known(gate, key)};
        fg_add_relaxed(&gate->slot->launches, 1);
}

void fg_gate_mark(struct fg_gate *gate, struct fg_gate_ticket *ret)
{
        fg_add_seq_cst(&gate->slot->inflight, 1);
        fg_add_seq_cst(&gate->inflight, 1);
        *ret = (struct fg_gate_ticket){.started = fg_now(), .tracked = true};
}

/* Counts the launch as in flight, then looks at the grant once more: the arbiter closes the grant first and reads the count
 * after, so one of the two sees the other (Dekker). */
static bool claim(struct fg_gate *gate, uint32_t grant, uint64_t predicted)
{
        bool first = fg_add_seq_cst(&gate->slot->inflight, 1) == 0;

        if (fg_load_seq_cst(&gate->limits->grant) == grant) {
                fg_add_seq_cst(&gate->inflight, 1);
                fg_add_seq_cst(&gate->predicted, predicted);
                if (first && fg_load_relaxed(&gate->limits->until) == FG_UNTIL_STANDS)
                        fg_session_poke(&gate->poke); /* the others are to stop: nobody asked for the device */
                return true;
        }
        if (fg_sub_seq_cst(&gate->slot->inflight, 1) == 1)
                gone_idle(gate, fg_now());
        return false;
}

/* Room in the window: always for the first launch, for the second if the first is short enough, then by predicted time. */
static bool window_has_room(struct fg_gate *gate, uint64_t predicted)
{
        uint64_t window = fg_load_relaxed(&gate->limits->window);
        uint32_t inflight = fg_load_relaxed(&gate->inflight);

        if (inflight == 0)
                return true;
        if (window == 0)
                return false;
        return inflight < 2 || fg_load_relaxed(&gate->predicted) + predicted <= window;
}

/* Sleeps until completions made room. True: something is stuck behind this thread; let the launch pass. */
static bool window_wait(struct fg_gate *gate, uint64_t predicted)
{
        uint64_t since = fg_now(), patience = STALL_LIMIT + 8 * fg_load_relaxed(&gate->predicted);
        bool stalled = false;

        fg_add_seq_cst(&gate->sleepers, 1);
        while (!stalled) {
                uint32_t seen = fg_load_seq_cst(&gate->completions);
                uint64_t progress;

                if (window_has_room(gate, predicted))
                        break;
                fg_futex_wait(&gate->completions, seen, WINDOW_WAIT);
                if (gate->ops->poll)
                        gate->ops->poll(gate, gate->user);
                progress = fg_load_relaxed(&gate->last_completion);
                stalled = fg_now() - (progress > since ? progress : since) > patience;
        }
        fg_sub_seq_cst(&gate->sleepers, 1);
        return stalled;
}

/* Would a launch of `predicted` ns still end inside the grant, give or take half of itself? */
static bool fits_grant(struct fg_gate *gate, uint64_t predicted, uint64_t now)
{
        uint64_t until = fg_load_relaxed(&gate->limits->until);
        uint64_t end = now + fg_load_relaxed(&gate->predicted) + predicted / 2;

        return end <= until || (fg_load_relaxed(&gate->inflight) == 0 && now < until);
}

/* 1: admitted, 0: look again, -1: not now. */
static int try_timed(struct fg_gate *gate, uint32_t grant, uint32_t key, struct fg_gate_ticket *ret)
{
        uint64_t predicted = fg_estimate_get(gate, key);

        if (!fits_grant(gate, predicted, fg_now()))
                return -1;
        if (!window_has_room(gate, predicted) && !window_wait(gate, predicted))
                return 0;
        if (!claim(gate, grant, predicted))
                return 0;
        track(gate, key, predicted, ret);
        return 1;
}

/* One sleep until the arbiter writes another grant. */
static void grant_wait(struct fg_gate *gate, uint32_t grant)
{
        if (fg_load_seq_cst(&gate->limits->grant) == grant) {
                /* While something is in flight its completion pokes. */
                if ((grant & FG_GRANT_MASK) != FG_GRANT_TIMED || !fg_load_seq_cst(&gate->slot->inflight))
                        fg_session_poke(&gate->poke);
                fg_futex_wait(&gate->limits->grant, grant, GRANT_WAIT);
        }
        if (gate->ops->poll)
                gate->ops->poll(gate, gate->user);
}

/* One sleep while suspended: nobody is asked for anything. False: it is not (any more). */
static bool held_wait(struct fg_gate *gate, uint32_t grant)
{
        if (!fg_load_seq_cst(&gate->limits->held))
                return false;
        if ((grant & FG_GRANT_MASK) == FG_GRANT_DENIED)
                fg_futex_wait(&gate->limits->grant, grant, HELD_WAIT);
        else
                fg_futex_wait(&gate->limits->held, 1, GRANT_WAIT); /* the arbiter is about to take the grant back */
        if (gate->ops->poll)
                gate->ops->poll(gate, gate->user);
        return true;
}

/* The first time the gate is found shut: what was launched while it was free is still to be waited for. */
static void leave_free(struct fg_gate *gate)
{
        if (!fg_load_relaxed(&gate->was_free) || !fg_swap_acq_rel(&gate->was_free, 0))
                return;
        fg_gate_free_close(gate, fg_now());
        gate->ops->mark_all(gate, gate->user);
}

/* No arbiter: this vGPU's part of the frame, and no more in flight than the window. */
static void admit_alone(struct fg_gate *gate, uint32_t key, struct fg_gate_ticket *ret)
{
        uint64_t predicted = fg_estimate_get(gate, key);

        if (!window_has_room(gate, predicted))
                window_wait(gate, predicted);
        fg_fallback_wait(gate, predicted);
        fg_add_seq_cst(&gate->slot->inflight, 1);
        fg_add_seq_cst(&gate->inflight, 1);
        fg_add_seq_cst(&gate->predicted, predicted);
        track(gate, key, predicted, ret);
}

/* Also in the middle of a long wait: who looks at the figures then sees that it waits. */
static uint64_t note_wait(struct fg_gate *gate, uint64_t since)
{
        uint64_t now = fg_now();

        fg_add_relaxed(&gate->slot->wait_time, now - since);
        return now;
}

static int wait_admitted(struct fg_gate *gate, uint32_t key, struct fg_gate_ticket *ret)
{
        uint64_t noted = fg_now(), since = noted;
        int r = -1;

        fg_add_relaxed(&gate->slot->waits, 1);
        fg_add_seq_cst(&gate->slot->waiting, 1);
        for (;;) {
                uint32_t grant = fg_load_acquire(&gate->limits->grant);

                fg_add_relaxed(&gate->slot->looks, 1);
                if (fg_load_relaxed(&gate->limits->closed)) {
                        r = -EACCES;
                        break;
                }
                if (held_wait(gate, grant)) {
                        since = fg_now(); /* the arbiter had no reason to show that it lives */
                        continue;
                }
                if ((grant & FG_GRANT_MASK) == FG_GRANT_FREE) {
                        r = 0;
                        break;
                }
                if ((grant & FG_GRANT_MASK) == FG_GRANT_TIMED) {
                        r = try_timed(gate, grant, key, ret);
                        if (r != -1)
                                break;
                }
                if (fg_fallback_due(gate, since)) {
                        admit_alone(gate, key, ret);
                        r = 1;
                        break;
                }
                grant_wait(gate, grant);
                noted = note_wait(gate, noted);
        }
        fg_sub_seq_cst(&gate->slot->waiting, 1);
        note_wait(gate, noted);
        return r;
}

/* How long this process leaves the device empty between two launches, by its longer gaps (a maximum that fades): the arbiter
 * holds the device for it that long where giving it away would cost more. */
static void note_gap(struct fg_gate *gate)
{
        uint64_t idle = fg_load_relaxed(&gate->slot->idle_since), old = fg_load_relaxed(&gate->slot->gap), gap;

        if (!idle || fg_load_relaxed(&gate->slot->inflight))
                return;
        gap = fg_now() - idle;
        if (gap < GAP_MAX)
                fg_store_relaxed(&gate->slot->gap, gap > old ? gap : old - old / 256);
}

static int enter_contended(struct fg_gate *gate, uint32_t key, bool may_wait, struct fg_gate_ticket *ret)
{
        int r;

        leave_free(gate);
        note_gap(gate);
        if (!may_wait) {
                while (!fg_load_relaxed(&gate->limits->closed) && held_wait(gate, fg_load_acquire(&gate->limits->grant))) {}
                track(gate, key, 0, ret);
                ret->blocked = true;
                return 0;
        }
        for (;;) {
                uint32_t grant = fg_load_acquire(&gate->limits->grant);

                if ((grant & FG_GRANT_MASK) == FG_GRANT_FREE) {
                        fg_gate_free_enter(gate, ret);
                        return 0;
                }
                r = (grant & FG_GRANT_MASK) == FG_GRANT_TIMED ? try_timed(gate, grant, key, ret) : -1;
                if (r == -1)
                        r = wait_admitted(gate, key, ret);
                if (r < 0)
                        return r;
                if (r > 0)
                        return 0;
        }
}

int fg_gate_enter(struct fg_gate *gate, uint32_t key, bool may_wait, struct fg_gate_ticket *ret)
{
        if (__builtin_expect((fg_load_relaxed(&gate->limits->grant) & FG_GRANT_MASK) == FG_GRANT_FREE, 1)) {
                fg_gate_free_enter(gate, ret);
                return 0;
        }
        return enter_contended(gate, key, may_wait, ret);
}

void fg_gate_idle(struct fg_gate *gate)
{
        if (fg_load_relaxed(&gate->slot->active))
                fg_gate_free_close(gate, fg_now());
}
