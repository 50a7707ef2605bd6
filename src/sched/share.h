/* SPDX-License-Identifier: Apache-2.0
 *
 * Who gets the device next, and what that costs: weighted virtual time with capped credit, ceilings as token buckets,
 * priority classes above weights. Pure: no clock, no pages, no I/O. */
#ifndef FG_SCHED_SHARE_H
#define FG_SCHED_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fg_share {
        uint32_t weight;   /* permille, 1..1000 */
        uint32_t priority; /* a higher class always goes first */
        bool cap;          /* weight is also a ceiling */
        bool wants;        /* has work that waits for the device */
        uint64_t vtime;    /* device ns * 1000 / weight */
        int64_t tokens;    /* cap only: device ns it may use now; negative: debt */
        uint64_t unreported; /* cap only: device ns that may be charged yet; so much more is saved up for it */
};

/* A sleeper that comes back is at most this far ahead of those who stayed, in ns of its own device time. */
#define FG_SHARE_CREDIT 10000000ull
/* One that is at work, but not all the time, is owed at most this for the time in which it wanted nothing. */
#define FG_SHARE_OWED 100000000ull
/* A capped tenant is let in once it has this many tokens, and saves up no more than twice as many. 1 s / this = the ripple of
 * the ceiling over one second: 0.6 points at most. */
#define FG_SHARE_CAP_CHUNK 6000000ll

/* Index of the next owner among those that want and may; -1: none. Ties: the lower index. */
ptrdiff_t fg_share_pick(const struct fg_share *const *shares, size_t count);

void fg_share_charge(struct fg_share *share, uint64_t device_ns);
/* Wall time passes: capped tenants earn. */
void fg_share_earn(struct fg_share *share, uint64_t wall_ns);
/* ns until a capped tenant may be let in; 0: now. */
uint64_t fg_share_delay(const struct fg_share *share);
/* After a sleep, with the least virtual time of those that kept working. */
void fg_share_wake(struct fg_share *share, uint64_t least_vtime);
/* After a pause in which it wanted nothing: what it has come to be owed meanwhile is forgiven beyond FG_SHARE_OWED, what it was owed before is
 * not. `ahead`, `before`: by how much the others at work are and were ahead of it in virtual time, the sum of weight * difference; `weights`: the
 * sum of their weights. */
void fg_share_return(struct fg_share *share, int64_t ahead, int64_t before, uint64_t weights);

#endif
