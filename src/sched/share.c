/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/share.h"

static bool goes_first(const struct fg_share *a, const struct fg_share *b)
{
        if (a->priority != b->priority)
                return a->priority > b->priority;
        return a->vtime < b->vtime;
}

ptrdiff_t fg_share_pick(const struct fg_share *const *shares, size_t count)
{
        ptrdiff_t best = -1;

        for (size_t i = 0; i < count; i++) {
                if (!shares[i]->wants || fg_share_delay(shares[i]) > 0)
                        continue;
                if (best < 0 || goes_first(shares[i], shares[best]))
                        best = (ptrdiff_t)i;
        }
        return best;
}

void fg_share_charge(struct fg_share *share, uint64_t device_ns)
{
        share->vtime += device_ns * 1000 / share->weight;
        if (share->cap)
                share->tokens -= (int64_t)device_ns;
}

void fg_share_earn(struct fg_share *share, uint64_t wall_ns)
{
        int64_t most = 2 * FG_SHARE_CAP_CHUNK + (int64_t)share->unreported;

        if (!share->cap)
                return;
        share->tokens += (int64_t)(wall_ns * share->weight / 1000);
        if (share->tokens > most)
                share->tokens = most;
}

uint64_t fg_share_delay(const struct fg_share *share)
{
        int64_t missing = FG_SHARE_CAP_CHUNK - share->tokens;

        if (!share->cap || missing <= 0)
                return 0;
        return (uint64_t)missing * 1000 / share->weight + 1;
}

void fg_share_wake(struct fg_share *share, uint64_t least_vtime)
{
        uint64_t credit = FG_SHARE_CREDIT * 1000 / share->weight;
        uint64_t floor = least_vtime > credit ? least_vtime - credit : 0;

        if (share->vtime < floor)
                share->vtime = floor;
}

/* Owed is what it would have more if the device had been divided without grain: weight * ahead / (weight + weights), in virtual time. */
void fg_share_return(struct fg_share *share, int64_t ahead, int64_t before, uint64_t weights)
{
        int64_t limit = (int64_t)(FG_SHARE_OWED * 1000 / share->weight * (share->weight + weights));

        if (limit < before)
                limit = before;
        if (weights && ahead > limit)
                share->vtime += (uint64_t)(ahead - limit) / weights;
}
