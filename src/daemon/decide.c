/* SPDX-License-Identifier: Apache-2.0
 * The arbiter's mind: free while one vGPU wants the device, else grants of a quantum to the least virtual time. */
#include "base/atomic.h"
#include "base/clock.h"
#include "base/futex.h"
#include "daemon/arbiter_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define QUANTUM_MAX (20 * FG_NSEC_PER_MSEC)
#define CREDIT_MAX  (1000 * FG_NSEC_PER_MSEC) /* of device time that may be unreported because its launch goes on */

void fgd_arbiter_write_grant(struct fgd_arbiter_client *c, enum fg_grant mode)
{
        uint32_t epoch = (fg_load_relaxed(&c->limits->grant) >> 2) + 1;

        fg_store_seq_cst(&c->limits->grant, epoch << 2 | mode);
        fg_futex_wake_all(&c->limits->grant);
}

static void close_grant(struct fgd_arbiter_client *c)
{
        uint32_t epoch = (fg_load_relaxed(&c->limits->grant) >> 2) + 1;

        fg_store_seq_cst(&c->limits->grant, epoch << 2 | FG_GRANT_DENIED); /* nobody sleeps on a timed grant but to be denied */
}

/* Long kernels get long quanta: what cannot be cut is at most a part of what is granted. */
static uint64_t quantum_for(const struct fgd_arbiter *a, const struct fgd_arbiter_client *c)
{
        uint64_t q = a->config.quantum, wanted = c->estimate < QUANTUM_MAX ? 6 * c->estimate : QUANTUM_MAX;

        if (wanted > q)
                q = wanted < QUANTUM_MAX ? wanted : QUANTUM_MAX;
        if (c->share.cap && c->share.tokens > 0 && (uint64_t)c->share.tokens < q)
                q = (uint64_t)c->share.tokens;
        return q;
}

static bool higher_class_present(const struct fgd_arbiter *a, const struct fgd_arbiter_client *than)
{
        for (const struct fgd_arbiter_client *c = a->clients; c; c = c->next)
                if (c->slots && c->share.priority > than->share.priority)
                        return true;
        return false;
}

/* Did anybody else want the device lately? */
static bool contended(const struct fgd_arbiter *a, const struct fgd_arbiter_client *owner, uint64_t now)
{
        for (const struct fgd_arbiter_client *c = a->clients; c; c = c->next)
                if (c != owner && c->slots && c->last_want && now - c->last_want < a->config.free_after)
                        return true;
        return false;
}

static void grant(struct fgd_arbiter *a, struct fgd_arbiter_client *c, uint64_t now)
{
        uint64_t quantum = quantum_for(a, c);

        a->owner = c;
        a->granted_at = now;
        c->charged_in_grant = 0;
        c->launches_at_grant = c->launches;
        if (!c->share.cap && !contended(a, c, now)) {
                a->phase = PHASE_FREE;
                fgd_arbiter_write_grant(c, FG_GRANT_FREE);
                return;
        }
        a->phase = PHASE_TIMED;
        a->until = now + quantum;
        fg_store_relaxed(&c->limits->until, a->until);
        fg_store_relaxed(&c->limits->window, higher_class_present(a, c) ? 0 : quantum / WINDOW_PART);
        fgd_arbiter_write_grant(c, FG_GRANT_TIMED);
}

static struct fgd_arbiter_client *pick(struct fgd_arbiter *a, const struct fgd_arbiter_client *except)
{
        size_t n = 0;
        ptrdiff_t best;

        for (struct fgd_arbiter_client *c = a->clients; c; c = c->next) {
                if (c == except || c->stands)
                        continue;
                a->shares[n] = &c->share;
                a->candidates[n++] = c;
        }
        best = fg_share_pick(a->shares, n);
        return best < 0 ? NULL : a->candidates[best];
}

static bool launched_in_grant(const struct fgd_arbiter_client *c)
{
        return c->launches != c->launches_at_grant;
}

/* What the owner has to pay for the time that it held the device, beyond what it reported: a liar that reports no device time
 * pays all the same, for all of the time if it launched nothing, else for at least half of it, however short its grants. */
static void note_unpaid(struct fgd_arbiter *a, uint64_t now)
{
        struct fgd_arbiter_client *c = a->owner;

        c->unpaid += (now - a->granted_at) / (launched_in_grant(c) ? 2 : 1);
        c->unpaid -= c->unpaid < c->charged_in_grant ? c->unpaid : c->charged_in_grant;
}

static void settle_grant(struct fgd_arbiter *a, uint64_t now)
{
        struct fgd_arbiter_client *c = a->owner;

        note_unpaid(a, now);
        if (c->unpaid <= MIN_HOLD)
                return;
        fg_share_charge(&c->share, c->unpaid);
        fg_store_relaxed(&c->limits->charged, fg_load_relaxed(&c->limits->charged) + c->unpaid);
        c->unpaid = 0;
}

/* Its grant passed and it did not move although it said it waits: stopped, frozen or lying. It is heard again when it looks at
 * its grant again, which a waiting thread does every 50 ms. */
static void turn_deaf(struct fgd_arbiter_client *c)
{
        for (uint32_t i = 0; i < c->slots; i++) {
                const struct fg_slot *slot = &c->usage->slot[c->slot[i].index];

                c->slot[i].looks = fg_load_relaxed(&slot->looks);
                c->slot[i].deaf = true;
        }
        c->waiting = 0;
        c->share.wants = false;
}

static void end_grant(struct fgd_arbiter *a, uint64_t now)
{
        uint64_t weights;

        settle_grant(a, now);
        a->owner->ahead = fgd_arbiter_ahead(a, a->owner, now, &weights);
        a->owner = NULL;
        a->phase = PHASE_NONE;
}

static void begin_drain(struct fgd_arbiter *a, uint64_t now)
{
        a->drain_of_free = a->phase == PHASE_FREE;
        a->phase = PHASE_DRAIN;
        a->drain_since = now;
        close_grant(a->owner);
        /* A sleeper between two grants must hear of it, or it would sleep on a word that is gone. */
        fg_futex_wake_all(&a->owner->limits->grant);
}

/* 'T' in /proc/PID/stat: what it has in flight stands still as long as somebody likes. */
static bool is_stopped(uint32_t pid)
{
        char path[32], text[128] = "";
        const char *state;
        int fd;

        snprintf(path, sizeof(path), "/proc/%u/stat", pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return false;
        if (read(fd, text, sizeof(text) - 1) < 0)
                text[0] = '\0';
        close(fd);
        state = strrchr(text, ')');
        return state && state[1] == ' ' && (state[2] == 'T' || state[2] == 't');
}

/* Sets aside what is waited for no more: everything when `all`, else the stopped processes. */
static void set_aside(struct fgd_arbiter_client *c, bool all, uint64_t now)
{
        for (uint32_t i = 0; i < c->slots; i++) {
                struct slot_view *view = &c->slot[i];

                if (view->stuck_at || fg_load_seq_cst(&c->usage->slot[view->index].inflight) == 0)
                        continue;
                if (all || is_stopped(fg_load_relaxed(&c->limits->owner[view->index].pid)))
                        view->stuck_at = now;
        }
}

static uint64_t inflight_now(const struct fgd_arbiter_client *c)
{
        uint64_t n = 0;

        for (uint32_t i = 0; i < c->slots; i++)
                if (!c->slot[i].stuck_at)
                        n += fg_load_seq_cst(&c->usage->slot[c->slot[i].index].inflight);
        return n;
}

/* --- one function per phase: 0 = decided something, go on; else when to look again --- */

static uint64_t step_none(struct fgd_arbiter *a, uint64_t now)
{
        struct fgd_arbiter_client *next = pick(a, NULL);
        uint64_t soonest = UINT64_MAX;

        if (next) {
                grant(a, next, now);
                return 0;
        }
        for (const struct fgd_arbiter_client *c = a->clients; c; c = c->next)
                if (c->share.wants && fg_share_delay(&c->share) < soonest)
                        soonest = fg_share_delay(&c->share);
        return soonest;
}

static uint64_t step_free(struct fgd_arbiter *a, uint64_t now)
{
        if (!a->owner->share.cap && !pick(a, a->owner))
                return a->owner->slots ? FREE_LOOK : UINT64_MAX;
        begin_drain(a, now);
        return 0;
}

/* The owner stopped launching although its grant goes on: what is left of it is too short for its next launch. */
static bool gave_up_rest(const struct fgd_arbiter *a)
{
        return a->owner->waiting && !a->owner->inflight && a->owner->idle_since >= a->granted_at &&
               launched_in_grant(a->owner);
}

/* How long the owner may leave the device empty. One that is owed time is worth waiting for as long as its gaps last, or for a
 * small part of what `next` could not be made to give back (anticipatory scheduling: Iyer and Druschel, SOSP 2001). */
static uint64_t idle_limit(const struct fgd_arbiter *a, const struct fgd_arbiter_client *next)
{
        const struct fgd_arbiter_client *c = a->owner;
        uint64_t gaps = c->gap < HOLD_MAX ? c->gap + c->gap / 2 : 0, part, hold;

        if (!next || next->share.priority != c->share.priority || next->share.vtime <= c->share.vtime)
                return IDLE_LIMIT;
        part = next->estimate / HOLD_PART;
        hold = gaps <= next->estimate / 2 && gaps > part ? gaps : part;
        hold = hold < HOLD_MAX ? hold : HOLD_MAX;
        return hold > IDLE_LIMIT ? hold : IDLE_LIMIT;
}

static bool is_idle(const struct fgd_arbiter *a, const struct fgd_arbiter_client *next, uint64_t now)
{
        uint64_t since = a->owner->idle_since > a->granted_at ? a->owner->idle_since : a->granted_at;

        return !a->owner->waiting && !a->owner->inflight && now - since >= idle_limit(a, next);
}

static bool outranked(const struct fgd_arbiter *a, const struct fgd_arbiter_client *next, uint64_t now)
{
        uint64_t lag;

        if (next->share.priority != a->owner->share.priority)
                return next->share.priority > a->owner->share.priority;
        if (next->woke_at < a->granted_at || now - a->granted_at < MIN_HOLD)
                return false;
        lag = a->config.quantum / 2 * 1000 / next->share.weight;
        return next->share.vtime + lag < a->owner->share.vtime;
}

/* The owner's grant is over, but it would be the next owner as well: no need to empty the device in between. */
static bool renews(const struct fgd_arbiter *a, const struct fgd_arbiter_client *next, uint64_t now)
{
        const struct fgd_arbiter_client *c = a->owner;

        if (is_idle(a, next, now) || fg_share_delay(&c->share) > 0)
                return false;
        if (c->share.priority != next->share.priority)
                return c->share.priority > next->share.priority;
        return c->share.vtime < next->share.vtime;
}

/* The wait until the owner may turn out idle or be pre-empted, or until its grant ends. */
static uint64_t next_look(const struct fgd_arbiter *a, uint64_t now,
                          const struct fgd_arbiter_client *next)
{
        uint64_t look = a->until > now ? a->until - now : 1;

        if (!next)
                return look;
        if (!a->owner->inflight && !a->owner->waiting && look > idle_limit(a, next))
                look = idle_limit(a, next);
        if (now < a->granted_at + MIN_HOLD && look > a->granted_at + MIN_HOLD - now)
                look = a->granted_at + MIN_HOLD - now;
        return look;
}

/* The same owner once more. A launch in flight is reported when it completes, which is why its time is not asked for now, for
 * as long as one of its kind takes. It counts as launched in the new grant: when it completes and the next one does not
 * come, the rest is given up like any other. */
static void renew(struct fgd_arbiter *a, struct fgd_arbiter_client *c, uint64_t now)
{
        bool waits = c->inflight && c->unpaid < (c->estimate < CREDIT_MAX ? c->estimate : CREDIT_MAX);

        if (waits)
                note_unpaid(a, now);
        else
                settle_grant(a, now);
        grant(a, c, now);
        if (c->inflight)
                c->launches_at_grant--;
}

static uint64_t step_timed(struct fgd_arbiter *a, uint64_t now)
{
        struct fgd_arbiter_client *c = a->owner, *next = pick(a, c);
        bool over = now >= a->until || gave_up_rest(a);

        if (c->share.cap && c->share.tokens <= 0)
                over = true;
        if (now >= a->until && c->waiting && !c->inflight && !launched_in_grant(c))
                turn_deaf(c);
        if (next && over && renews(a, next, now)) {
                renew(a, c, now);
                return 0;
        }
        if (next && a->config.preemptive && next->share.priority > c->share.priority) {
                begin_drain(a, now);
                end_grant(a, now); /* what is in flight gives way by itself */
                return 0;
        }
        if (next && (over || is_idle(a, next, now) || outranked(a, next, now))) {
                begin_drain(a, now);
                return 0;
        }
        if (!over)
                return next_look(a, now, next);
        if (!c->waiting && !c->inflight) { /* nobody wants it */
                begin_drain(a, now);
                return 0;
        }
        if (c->share.cap && fg_share_delay(&c->share) > 0) {
                begin_drain(a, now);
                return 0;
        }
        if (c->share.wants) {
                renew(a, c, now);
                return 0;
        }
        a->until = now + a->config.quantum; /* still in flight, nobody waits: look again later */
        return a->config.quantum;
}

/* Four times what a launch of the owner's takes, within limits. */
static uint64_t patience(const struct fgd_arbiter_client *c)
{
        uint64_t wanted = c->estimate < PATIENCE_MAX ? 4 * c->estimate : PATIENCE_MAX;

        return wanted < STUCK_LIMIT ? STUCK_LIMIT : wanted < PATIENCE_MAX ? wanted : PATIENCE_MAX;
}

static uint64_t step_drain(struct fgd_arbiter *a, uint64_t now)
{
        struct fgd_arbiter_client *c = a->owner;
        uint64_t waited = now - a->drain_since;

        if (inflight_now(c) > 0 && waited >= STOPPED_LOOK)
                set_aside(c, waited >= patience(c), now);
        if (inflight_now(c) > 0)
                return STOPPED_LOOK;
        /* Work launched under a free grant is counted only once its process has come to the gate. */
        if (a->drain_of_free && c->active && !c->waiting && waited < FREE_GRACE)
                return FREE_GRACE - waited;
        if (a->drain_of_free && c->active && !c->waiting && now < c->expected_end && waited < STUCK_LIMIT)
                return FREE_GRACE;
        end_grant(a, now);
        return 0;
}

static void write_beats(struct fgd_arbiter *a, uint64_t now)
{
        uint64_t frame = 20 * FG_NSEC_PER_MSEC, offset = 0, total = 0;

        a->beat_at = now;
        for (const struct fgd_arbiter_client *c = a->clients; c; c = c->next)
                total += c->slots && !c->held ? c->share.weight : 0;
        for (struct fgd_arbiter_client *c = a->clients; c; c = c->next) {
                uint64_t part = c->slots && total && !c->held ? frame * c->share.weight / (total > 1000 || !c->share.cap ? total : 1000) : 0;

                fg_store_relaxed(&c->limits->frame, frame);
                fg_store_relaxed(&c->limits->offset, offset);
                fg_store_relaxed(&c->limits->length, part);
                fg_store_release(&c->limits->beat, now);
                offset += part;
        }
}

/* The one whose grant stands does not ask for the device; while it uses it, the others' turns end and none begins. Returns when
 * to look again, 0: it leaves the device to them. */
static uint64_t step_standing(struct fgd_arbiter *a, uint64_t now)
{
        struct fgd_arbiter_client *c = a->clients;
        uint64_t idle;

        while (c && !c->stands)
                c = c->next;
        if (!c)
                return 0;
        idle = now > c->idle_since ? now - c->idle_since : 0;
        if (c->inflight && idle > STOPPED_LOOK && now - c->last_part > STOPPED_LOOK)
                set_aside(c, false, now);
        if (inflight_now(c) == 0 && !c->waiting && idle >= IDLE_LIMIT)
                return 0;
        if (a->owner) {
                begin_drain(a, now);
                end_grant(a, now); /* what is in flight gives way by itself */
        }
        return inflight_now(c) ? STANDING_LOOK : IDLE_LIMIT;
}

/* A vGPU that is being taken away: its threads wake up to be refused. One that is suspended: they sleep on. */
static void shut_out(struct fgd_arbiter *a, uint64_t now)
{
        for (struct fgd_arbiter_client *c = a->clients; c; c = c->next) {
                if (!c->closed && !c->held)
                        continue;
                if (a->owner == c && a->phase != PHASE_DRAIN)
                        begin_drain(a, now);
                else if ((c->closed && c->waiting) || (fg_load_relaxed(&c->limits->grant) & FG_GRANT_MASK) != FG_GRANT_DENIED)
                        fgd_arbiter_write_grant(c, FG_GRANT_DENIED);
        }
}

uint64_t fgd_arbiter_decide(struct fgd_arbiter *a, uint64_t now)
{
        static uint64_t (*const step[])(struct fgd_arbiter *, uint64_t) = {
                [PHASE_NONE] = step_none, [PHASE_FREE] = step_free, [PHASE_TIMED] = step_timed, [PHASE_DRAIN] = step_drain};
        uint64_t wait = 0;

        fgd_arbiter_let_stand(a);
        shut_out(a, now);
        wait = step_standing(a, now);
        for (int rounds = 0; wait == 0 && rounds < 8; rounds++)
                wait = step[a->phase](a, now);
        if (wait < LEAST_WAIT)
                wait = LEAST_WAIT;
        if (now - a->beat_at >= BEAT_EVERY)
                write_beats(a, now);
        if (wait != UINT64_MAX && a->phase != PHASE_FREE && wait > BEAT_EVERY)
                wait = BEAT_EVERY; /* somebody has the device or waits for it: they listen for the beat */
        return wait;
}
