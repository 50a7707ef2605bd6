/* SPDX-License-Identifier: Apache-2.0
 *
 * The metering rule of docs/design/metering.md for one GPU and one window. Pure integers: no clock, no store.
 *
 * All quantities are whole ppm*us, so that they are stored, added up and priced (sched/money.h) without a conversion.
 * Equations, with W = wall_us * FG_PPM, for every window settled without error:
 *
 *      sum over vGPUs of (reserved + surcharge - credit - rebate) + idle == W
 *
 *      sum of rebate == max(0, sum of reserved - W),  idle >= 0
 *
 *      of each vGPU: 0 <= surcharge <= burst,  0 <= credit <= unused <= reserved - rebate
 *
 * So no bill is negative, and a GPU never bills more than its wall time. */
#ifndef FG_SCHED_METER_H
#define FG_SCHED_METER_H

#include "sched/money.h"

#include <stdbool.h>

#define FG_METER_WINDOW_US 60000000ll
#define FG_METER_WALL_MAX  60600000ll /* of a window that a slewed clock made longer */
#define FG_METER_SEGMENTS  64u /* in one window of one vGPU; what changes more often is merged, the larger r counts */
#define FG_METER_LINES     100000u /* vGPUs in one window: sums stay within 64 bits */

enum fg_meter_state { FG_METER_RUN, FG_METER_HOLD, FG_METER_WAIT, FG_METER_PARK, FG_METER_DOWN, FG_METER_STATES };

/* What held from `from` (us since the window began) to the next segment's `from`, the last to the line's end. */
struct fg_meter_segment {
        int64_t from;
        uint32_t memory_ppm, share_ppm; /* 0..FG_PPM */
        bool cap;
        enum fg_meter_state state;
};

/* One vGPU in one window. `begin`..`end` is when it existed, in us since the window began. */
struct fg_meter_line {
        struct fg_meter_segment segment[FG_METER_SEGMENTS]; /* [0].from == begin, ascending; two may begin at once */
        uint32_t segments;                                  /* at least 1 */
        int64_t begin, end;                                 /* 0 <= begin <= end <= FG_METER_WALL_MAX */
        int64_t busy_us;     /* device time charged in share segments; >= 0, whatever the overlap */
        int64_t busy_cap_us; /* and in cap segments */
        /* Results. */
        int64_t conserved_us;     /* of both, after scaling */
        int64_t conserved_cap_us; /* of it, in cap segments */
        int64_t reserved;         /* R */
        int64_t burst;            /* B, of share segments only */
        int64_t surcharge;        /* beta * B, rounded down */
        int64_t unused;           /* of the reserve that it pays for, what lay idle */
        int64_t credit;           /* for what others made of that */
        int64_t rebate;           /* its part of what was reserved beyond one GPU */
};

struct fg_meter_window {
        int64_t wall_us;   /* 1..FG_METER_WALL_MAX; how long the GPU was there and metered */
        uint32_t beta_ppm; /* 0..FG_PPM */
        int64_t idle;      /* result: what nobody pays */
};

/* r of a segment, ppm. */
uint32_t fg_meter_rate(const struct fg_meter_segment *segment);

/* Something changed at `at` (us since the window began, not before the last segment's `from`): begins a segment, or
 * merges. The first one sets the line's begin too. A change back at the same instant leaves no segment. what->from is
 * not looked at. */
void fg_meter_change(struct fg_meter_line *line, int64_t at, const struct fg_meter_segment *what);

/* Fills the results. -EINVAL with the reason when the window or a line makes no sense, -ENOMEM; then no result is
 * touched. That the rates add up to more than a GPU is no error (one has most of the memory, another most of the time):
 * that is what the rebate is for. Where a unit is left over, the earlier line gets it: the order of the lines belongs
 * to what is recorded. */
int fg_meter_settle(struct fg_meter_window *window, struct fg_meter_line *const *lines, size_t count,
                    struct fg_error *err);

/* What a settled line pays: reserved + surcharge - credit - rebate. */
int64_t fg_meter_bill(const struct fg_meter_line *line);

#endif
