/* SPDX-License-Identifier: Apache-2.0
 * The daemon's side of the ledger: giving back what the dead held, changing quotas under running programs, checking. */
#include "ledger/ledger.h"

#include "base/atomic.h"
#include "ledger/counter.h"

#include <errno.h>
#include <inttypes.h>

/* The lane's equation (include/fastgpu/page.h). The tag is read before `applied`: a tag that is gone by then was recorded
 * before it went. */
static uint64_t lane_contribution(const struct fg_usage_page *usage, uint64_t id)
{
        const struct fg_lane *lane = &usage->slot[id / FG_LANES].lane[id % FG_LANES];
        uint64_t done = fg_load_acquire(&lane->done), seq = fg_load_acquire(&lane->seq);
        bool took_place;

        if (seq == done)
                return fg_load_relaxed(&lane->held[done & 1]);
        took_place = fg_load_acquire(&usage->counter.tag) == fg_tag_make(id, seq) ||
                     fg_load_acquire(&lane->applied) == seq;
        return fg_load_relaxed(&lane->held[(took_place ? seq : done) & 1]);
}

uint64_t fg_ledger_slot_held(const struct fg_usage_page *usage, uint32_t slot)
{
        uint64_t held = 0;

        for (uint64_t i = 0; i < FG_LANES; i++)
                held += lane_contribution(usage, (uint64_t)slot * FG_LANES + i);
        return held;
}

/* One operation of the daemon on the counter: takes `amount` off (never below zero: the page may lie) and returns what the
 * counter held before. */
static uint64_t reaper_subtract(struct fg_usage_page *usage, uint64_t slot, uint64_t amount)
{
        uint64_t seq = (fg_load_relaxed(&usage->reaper.done) + 1) & FG_SEQ_MASK;
        struct fg_counter now, next;

        fg_store_relaxed(&usage->reaper.slot, slot);
        fg_store_relaxed(&usage->reaper.amount, amount);
        fg_store_release(&usage->reaper.seq, seq);
        do {
                now = fg_counter_load(&usage->counter);
                next.used = now.used > amount ? now.used - amount : 0;
                next.tag = fg_tag_make(FG_LANE_REAPER, seq);
                fg_record_applied(usage, now.tag, FG_LANE_REAPER);
        } while (!fg_counter_cas(&usage->counter, now, next));
        return now.used;
}

static void reaper_finish(struct fg_usage_page *usage)
{
        fg_store_release(&usage->reaper.done, fg_load_relaxed(&usage->reaper.seq));
}

/* Repeatable: a daemon that dies in here does it again. */
static void slot_clear(struct fg_slot *slot)
{
        for (uint32_t i = 0; i < FG_LANES; i++) {
                struct fg_lane *lane = &slot->lane[i];

                fg_store_relaxed(&lane->held[0], 0);
                fg_store_relaxed(&lane->held[1], 0);
                fg_store_release(&lane->done, fg_load_relaxed(&lane->seq));
        }
        fg_store_relaxed(&slot->waiting, 0);
        fg_store_relaxed(&slot->inflight, 0);
        fg_store_release(&slot->active, 0);
}

uint64_t fg_ledger_reap(struct fg_usage_page *usage, uint32_t slot)
{
        uint64_t amount, before;

        fg_ledger_recover(usage);
        amount = fg_ledger_slot_held(usage, slot);
        before = reaper_subtract(usage, slot, amount);
        slot_clear(&usage->slot[slot]);
        reaper_finish(usage);
        return amount < before ? amount : before;
}

void fg_ledger_recover(struct fg_usage_page *usage)
{
        uint64_t seq = fg_load_acquire(&usage->reaper.seq), slot = fg_load_relaxed(&usage->reaper.slot);
        bool took_place;

        if (seq == fg_load_acquire(&usage->reaper.done))
                return;
        took_place = fg_load_acquire(&usage->counter.tag) == fg_tag_make(FG_LANE_REAPER, seq) ||
                     fg_load_acquire(&usage->reaper.applied) == seq;
        if (took_place && slot < FG_SLOTS)
                slot_clear(&usage->slot[slot]);
        reaper_finish(usage);
}

int fg_ledger_set_quota(struct fg_limits_page *limits, struct fg_usage_page *usage, uint64_t quota, uint64_t *ret_used)
{
        uint64_t old = fg_load_relaxed(&limits->quota), used = fg_load_acquire(&usage->counter.used);

        if (used > quota) {
                *ret_used = used;
                return -EBUSY;
        }
        fg_store_seq_cst(&limits->quota, quota);
        /* An empty operation: any reservation that still counts on the old quota now fails to swap and looks again. */
        used = reaper_subtract(usage, FG_SLOTS, 0);
        reaper_finish(usage);
        if (used > quota) {
                fg_store_seq_cst(&limits->quota, old);
                *ret_used = used;
                return -EBUSY;
        }
        return 0;
}

int fg_ledger_check(const struct fg_limits_page *limits, const struct fg_usage_page *usage, struct fg_error *err)
{
        uint64_t used = fg_load_acquire(&usage->counter.used), quota = fg_load_acquire(&limits->quota), sum = 0;

        for (uint32_t i = 0; i < FG_SLOTS; i++)
                sum += fg_ledger_slot_held(usage, i);
        if (sum != used)
                return fg_error_set(err, -EUCLEAN, "the counter says %" PRIu64 " bytes, the slots hold %" PRIu64, used, sum);
        if (used > quota)
                return fg_error_set(err, -EUCLEAN, "%" PRIu64 " bytes in use exceed the quota of %" PRIu64, used, quota);
        return 0;
}
