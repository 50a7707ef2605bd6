/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger/ledger.h"

#include "base/atomic.h"
#include "ledger/counter.h"

#include <errno.h>
#include <sched.h>

/* Lanes are tried from the one this thread used last, so that threads settle on lanes of their own. */
static __thread uint32_t lane_hint __attribute__((tls_model("initial-exec")));

void fg_ledger_open(struct fg_ledger *ledger, const struct fg_limits_page *limits, struct fg_usage_page *usage,
                    uint32_t slot)
{
        *ledger = (struct fg_ledger){.limits = limits, .usage = usage, .slot = slot};
}

static uint32_t lane_take(struct fg_ledger *ledger)
{
        for (uint32_t i = lane_hint % FG_LANES, tries = 1;; i = (i + 1) % FG_LANES, tries++) {
                if (!fg_load_relaxed(&ledger->lane_busy[i]) && !fg_swap_acquire(&ledger->lane_busy[i], 1)) {
                        lane_hint = i;
                        return i;
                }
                if (tries % 64 == 0)
                        sched_yield();
                else
                        fg_cpu_pause();
        }
}

static void lane_release(struct fg_ledger *ledger, uint32_t index)
{
        fg_store_release(&ledger->lane_busy[index], 0);
}

static void peak_raise(struct fg_usage_page *usage, uint64_t used)
{
        uint64_t peak = fg_load_relaxed(&usage->peak);

        while (peak < used && !fg_cas_relaxed(&usage->peak, &peak, used))
                ;
}

/* Announces the operation: from here on the lane holds both outcomes. Returns its number. */
static uint64_t lane_announce(struct fg_lane *lane, uint64_t delta)
{
        uint64_t done = fg_load_relaxed(&lane->done), seq = (done + 1) & FG_SEQ_MASK;

        fg_store_relaxed(&lane->held[seq & 1], fg_load_relaxed(&lane->held[done & 1]) + delta);
        fg_store_release(&lane->seq, seq);
        return seq;
}

static void lane_withdraw(struct fg_lane *lane, uint64_t seq)
{
        fg_store_relaxed(&lane->held[seq & 1], fg_load_relaxed(&lane->held[(seq - 1) & 1]));
        fg_store_release(&lane->done, seq);
}

static bool exceeds(uint64_t used, uint64_t bytes, uint64_t quota)
{
        return bytes > quota || used > quota - bytes;
}

static int reserve_in_lane(struct fg_ledger *ledger, uint32_t index, uint64_t bytes)
{
        struct fg_usage_page *usage = ledger->usage;
        uint64_t id = (uint64_t)ledger->slot * FG_LANES + index;
        struct fg_lane *lane = fg_lane_at(usage, id);
        uint64_t seq = lane_announce(lane, bytes);

        for (;;) {
                struct fg_counter now = fg_counter_load(&usage->counter), next;
                /* Read after the counter: a smaller quota is stored before the daemon changes the counter's tag, so
                 * whoever still decides by the old quota fails to swap. */
                uint64_t quota = fg_load_acquire(&ledger->limits->quota);

                if (exceeds(now.used, bytes, quota)) {
                        if (fg_load_acquire(&usage->counter.tag) != now.tag)
                                continue; /* the two readings were not of one moment */
                        lane_withdraw(lane, seq);
                        fg_add_relaxed(&usage->slot[ledger->slot].refusals, 1);
                        return -ENOMEM;
                }
                next = (struct fg_counter){.used = now.used + bytes, .tag = fg_tag_make(id, seq)};
                fg_record_applied(usage, now.tag, id);
                if (fg_counter_cas(&usage->counter, now, next)) {
                        fg_store_release(&lane->done, seq);
                        peak_raise(usage, next.used);
                        return 0;
                }
        }
}

int fg_ledger_reserve(struct fg_ledger *ledger, uint64_t bytes)
{
        uint32_t index;
        int r;

        if (fg_load_relaxed(&ledger->limits->closed))
                return -EACCES;
        if (bytes == 0)
                return 0;
        index = lane_take(ledger);
        r = reserve_in_lane(ledger, index, bytes);
        lane_release(ledger, index);
        return r;
}

void fg_ledger_refund(struct fg_ledger *ledger, uint64_t bytes)
{
        struct fg_usage_page *usage = ledger->usage;
        struct fg_counter now, next;
        struct fg_lane *lane;
        uint32_t index;
        uint64_t id, seq;

        if (bytes == 0)
                return;
        index = lane_take(ledger);
        id = (uint64_t)ledger->slot * FG_LANES + index;
        lane = fg_lane_at(usage, id);
        seq = lane_announce(lane, -bytes);
        do {
                now = fg_counter_load(&usage->counter);
                next = (struct fg_counter){.used = now.used - bytes, .tag = fg_tag_make(id, seq)};
                fg_record_applied(usage, now.tag, id);
        } while (!fg_counter_cas(&usage->counter, now, next));
        fg_store_release(&lane->done, seq);
        lane_release(ledger, index);
}

uint64_t fg_ledger_used(const struct fg_ledger *ledger)
{
        return fg_load_relaxed(&ledger->usage->counter.used);
}

uint64_t fg_ledger_quota(const struct fg_ledger *ledger)
{
        return fg_load_relaxed(&ledger->limits->quota);
}
