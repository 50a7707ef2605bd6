/* SPDX-License-Identifier: Apache-2.0
 *
 * A free grant: launches pass with one look at the grant and one at `probing`. Device time is sampled all the same, for the
 * accounts: now and then one launch is a probe, tracked to its completion. From its launch to its completion the device was
 * busy; whether it stayed so afterwards is known when nothing was launched since, when the program synchronised, or at the
 * next probe. In between, the mean duration of a launch tells when it should have run dry.
 *
 * The clock costs more than all the rest, so short launches in quick succession look at it only every now and then, and what
 * is expected of those in between is added in advance. */
#include "base/atomic.h"
#include "base/clock.h"
#include "governor/internal.h"

#define PROBE_SPACING     (500 * FG_NSEC_PER_USEC)
#define PROBE_SPACING_MAX (4 * FG_NSEC_PER_MSEC) /* while nothing new is found */
#define LOOK_SPACING      (50 * FG_NSEC_PER_USEC)  /* between two looks at the clock, */
#define LOOK_WORK         (200 * FG_NSEC_PER_USEC) /* with at most so much device time */
#define LOOK_LAUNCHES     127u                     /* and so many launches in between */

/* Accounts the device as busy up to `until`. */
static void settle(struct fg_gate *gate, uint64_t until)
{
        uint64_t since = fg_load_relaxed(&gate->since);

        while (until > since)
                if (fg_cas_acq_rel(&gate->since, &since, until)) {
                        fg_add_relaxed(&gate->slot->busy, until - since);
                        return;
                }
}

/* Nothing before `now` is device time any more. */
static void open_interval_at(struct fg_gate *gate, uint64_t now)
{
        uint64_t since = fg_load_relaxed(&gate->since);

        while (now > since && !fg_cas_acq_rel(&gate->since, &since, now))
                ;
}

static void open_interval(struct fg_gate *gate, uint64_t now)
{
        open_interval_at(gate, now);
        fg_store_relaxed(&gate->settled_mark, fg_load_relaxed(&gate->slot->launches) - 1);
        fg_store_relaxed(&gate->slot->active, 1);
        fg_store_relaxed(&gate->was_free, 1);
}

static uint64_t least(uint64_t a, uint64_t b)
{
        return a < b ? a : b;
}

/* How many launches may pass before the next look. */
static uint64_t launches_to_pass(struct fg_gate *gate, uint64_t now, uint64_t launches)
{
        uint64_t last = fg_load_relaxed(&gate->look_last), mark = fg_load_relaxed(&gate->look_mark);
        uint64_t mean = fg_load_relaxed(&gate->free_mean), each;

        fg_store_relaxed(&gate->look_last, now);
        fg_store_relaxed(&gate->look_mark, launches);
        if (launches <= mark || !mean)
                return 0;
        each = (now - last) / (launches - mark);
        return least(LOOK_LAUNCHES, least(LOOK_SPACING / (each ? each : 1), LOOK_WORK / mean));
}

static uint64_t probe_spacing(const struct fg_gate *gate)
{
        uint64_t spacing = fg_load_relaxed(&gate->probe_spacing);

        return spacing ? spacing : PROBE_SPACING;
}

static __attribute__((noinline)) void enter_unprobed(struct fg_gate *gate, struct fg_gate_ticket *ret)
{
        uint64_t now = fg_now(), expected = fg_load_relaxed(&gate->slot->expected_end);
        uint64_t launches = fg_load_relaxed(&gate->slot->launches), pass = launches_to_pass(gate, now, launches);

        if (!fg_load_relaxed(&gate->slot->active)) {
                open_interval(gate, now);
        } else if (now > expected) { /* it ran dry unseen */
                settle(gate, expected);
                open_interval(gate, now);
        }
        fg_store_relaxed(&gate->slot->expected_end,
                         (expected > now ? expected : now) + (pass + 1) * fg_load_relaxed(&gate->free_mean));
        fg_store_relaxed(&gate->look_at, launches + pass);
        if (now - fg_load_relaxed(&gate->probe_last) < probe_spacing(gate) || fg_swap_acquire(&gate->probing, 1))
                return;
        fg_store_relaxed(&gate->look_at, UINT64_MAX); /* until the probe is done */
        fg_store_relaxed(&gate->probe_last, now);
        fg_store_relaxed(&gate->probe_mark, launches);
        ret->tracked = ret->probe = true;
        ret->started = now;
}

void fg_gate_free_enter(struct fg_gate *gate, struct fg_gate_ticket *ret)
{
        *ret = (struct fg_gate_ticket){0};
        /* Not a locked addition: the odd lost count of two racing threads costs less than 5 ns a launch. */
        fg_store_relaxed(&gate->slot->launches, fg_load_relaxed(&gate->slot->launches) + 1);
        if (!fg_load_relaxed(&gate->probing))
                enter_unprobed(gate, ret);
}

static void learn_mean(struct fg_gate *gate, uint64_t time, uint64_t launches)
{
        uint64_t mean = fg_load_relaxed(&gate->free_mean), sample = launches ? time / launches : 0, spacing;

        if (!sample)
                return;
        /* The same as before, give or take a quarter: no hurry to look again. */
        spacing = sample - sample / 4 <= mean && mean <= sample + sample / 4 ? 2 * probe_spacing(gate) : 0;
        fg_store_relaxed(&gate->probe_spacing, spacing < PROBE_SPACING_MAX ? spacing : PROBE_SPACING_MAX);
        mean = mean ? mean - mean / 4 + sample / 4 : sample;
        fg_store_relaxed(&gate->free_mean, mean);
        fg_store_relaxed(&gate->slot->estimate, mean);
}

void fg_gate_free_probe_done(struct fg_gate *gate, const struct fg_gate_ticket *ticket, uint64_t now)
{
        uint64_t mark = fg_load_relaxed(&gate->probe_mark), launches = fg_load_relaxed(&gate->slot->launches);
        uint64_t since = fg_load_relaxed(&gate->since), settled = fg_load_relaxed(&gate->settled_mark);

        if (fg_load_relaxed(&gate->slot->active)) {
                learn_mean(gate, now - (since < now ? since : now), mark - settled);
                settle(gate, now);
                fg_store_relaxed(&gate->slot->expected_end, now + (launches - mark) * fg_load_relaxed(&gate->free_mean));
                if (launches == mark)
                        fg_store_relaxed(&gate->slot->active, 0);
        }
        fg_store_relaxed(&gate->settled_mark, mark);
        fg_store_relaxed(&gate->look_at, launches);
        fg_store_release(&gate->probing, 0);
}

bool fg_gate_free_probe_first(const struct fg_gate *gate)
{
        return fg_load_relaxed(&gate->slot->active) && fg_load_relaxed(&gate->probe_mark) == fg_load_relaxed(&gate->settled_mark) + 1;
}

/* Up to now the driver prepared it, and what was launched since waits behind it. */
void fg_gate_free_probe_begun(struct fg_gate *gate, uint64_t now)
{
        uint64_t launches = fg_load_relaxed(&gate->slot->launches), mark = fg_load_relaxed(&gate->probe_mark);

        if (!fg_gate_free_probe_first(gate))
                return;
        open_interval_at(gate, now);
        fg_store_relaxed(&gate->slot->expected_end, now + (launches - mark + 1) * fg_load_relaxed(&gate->free_mean));
}

void fg_gate_free_probe_abort(struct fg_gate *gate)
{
        fg_store_relaxed(&gate->look_at, 0);
        fg_store_release(&gate->probing, 0);
}

/* The device is known to be idle now; it may have been for a while. */
void fg_gate_free_close(struct fg_gate *gate, uint64_t now)
{
        uint64_t expected = fg_load_relaxed(&gate->slot->expected_end);

        if (!fg_load_relaxed(&gate->slot->active))
                return;
        settle(gate, fg_load_relaxed(&gate->free_mean) && expected < now ? expected : now);
        open_interval_at(gate, now);
        fg_store_relaxed(&gate->settled_mark, fg_load_relaxed(&gate->slot->launches));
        fg_store_relaxed(&gate->slot->active, 0);
        fg_store_relaxed(&gate->look_at, 0); /* the next launch opens an interval */
}
