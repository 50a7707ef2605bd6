/* SPDX-License-Identifier: Apache-2.0
 * The counter's compare-and-swap and its tags; internal to src/ledger. */
#ifndef FG_LEDGER_COUNTER_H
#define FG_LEDGER_COUNTER_H

#include "base/atomic.h"
#include "fastgpu/page.h"

#include <string.h>

#define FG_SEQ_BITS   48
#define FG_SEQ_MASK   ((UINT64_C(1) << FG_SEQ_BITS) - 1)
#define FG_LANE_COUNT (FG_SLOTS * FG_LANES)

static inline uint64_t fg_tag_make(uint64_t lane_id, uint64_t seq)
{
        return lane_id << FG_SEQ_BITS | (seq & FG_SEQ_MASK);
}

/* Both words at once: what makes `used` and the name of its last writer one value. */
static inline bool fg_counter_cas(struct fg_counter *counter, struct fg_counter expected, struct fg_counter next)
{
        unsigned __int128 e, n;

        memcpy(&e, &expected, sizeof(e));
        memcpy(&n, &next, sizeof(n));
        return __sync_bool_compare_and_swap((unsigned __int128 *)(void *)counter, e, n);
}

/* The two halves may belong to different moments; then the compare-and-swap that follows fails. */
static inline struct fg_counter fg_counter_load(const struct fg_counter *counter)
{
        struct fg_counter value;

        value.tag = fg_load_acquire(&counter->tag);
        value.used = fg_load_acquire(&counter->used);
        return value;
}

static inline struct fg_lane *fg_lane_at(struct fg_usage_page *usage, uint64_t id)
{
        return &usage->slot[id / FG_LANES].lane[id % FG_LANES];
}

/* Before a foreign tag is overwritten its operation is noted in its own lane, so that its owner's death leaves no doubt. */
static inline void fg_record_applied(struct fg_usage_page *usage, uint64_t tag, uint64_t own_id)
{
        uint64_t id = tag >> FG_SEQ_BITS, seq = tag & FG_SEQ_MASK;
        uint64_t *applied, found;

        if (id == own_id)
                return;
        if (id == FG_LANE_REAPER)
                applied = &usage->reaper.applied;
        else if (id < FG_LANE_COUNT)
                applied = &fg_lane_at(usage, id)->applied;
        else
                return;

        found = fg_load_acquire(applied);
        while (found < seq && !fg_cas_acq_rel(applied, &found, seq))
                ;
}

#endif
