/* SPDX-License-Identifier: Apache-2.0
 *
 * Billing time: UTC that neither repeats, goes back nor is lost, whatever is done to the wall clock. Pure: the clocks of
 * the machine are given.
 *
 * It goes on with the time since boot, which counts sleep. A window is a minute of it; a window takes between 59.4 and
 * 60.6 s, so that billing time comes near the wall clock again. What is metered in a window is the time awake in it.
 *
 * For every sequence of clocks of which `boot` and `awake` do not run back, and awake never faster than boot:
 *      windows begin at ascending minutes, each at most once;
 *      0 <= wall <= FG_METER_WALL_MAX of each, and their sum, with that of the open one, is at most the time since boot
 *      that passed since the beginning. */
#ifndef FGD_BILLING_CLOCK_H
#define FGD_BILLING_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define FGD_BILLING_SLEW_US  600000ll        /* by so much a window is made longer or shorter, at most */
#define FGD_BILLING_STEP_US  60000000ll      /* the wall clock being off by more is told */
#define FGD_BILLING_LEAP_US  3600000000ll    /* ahead by more, for FGD_BILLING_LEAP_AFTER: billing time jumps there */
#define FGD_BILLING_LEAP_AFTER 600000000ll
#define FGD_BILLING_TIME_MAX 253402300800ll  /* s: the year 10000; what is beyond counts as this */

/* One reading, us: CLOCK_REALTIME, CLOCK_BOOTTIME, CLOCK_MONOTONIC. */
struct fgd_clocks {
        int64_t real, boot, awake;
};

enum fgd_billing_why { FGD_BILLING_NO_GAP, FGD_BILLING_SUSPENDED, FGD_BILLING_LEAP };

struct fgd_billing_clock {
        int64_t window;      /* start of the open window, unix us, a whole minute */
        int64_t from, until; /* when it began and ends, by `boot`; one that began late has the `from` of a whole one */
        int64_t first;       /* us of it that had passed when it began */
        int64_t wall;        /* metered in it so far */
        int64_t boot, awake; /* as of the last step */
        int64_t ahead_since; /* by boot; 0: the wall clock is not an hour ahead */
};

/* The end of a window, and what lies between it and the next one that opens. */
struct fgd_billing_edge {
        int64_t window, wall;   /* as above */
        int64_t gap, gap_until; /* unix us: minutes that no window holds; equal: none */
        enum fgd_billing_why why;
};

/* `last_end`: unix s; 0: nothing on record. */
void fgd_billing_begin(struct fgd_billing_clock *clock, const struct fgd_clocks *now, int64_t last_end);
/* Goes on to `now`. True: the open window ended on the way, the next one is open; call again with the same reading. False:
 * up to date. */
bool fgd_billing_step(struct fgd_billing_clock *clock, const struct fgd_clocks *now, struct fgd_billing_edge *ret);
/* As of the last step: billing time, unix us; and how far the wall clock is ahead of it (negative: behind). */
int64_t fgd_billing_time(const struct fgd_billing_clock *clock);
int64_t fgd_billing_ahead(const struct fgd_billing_clock *clock, const struct fgd_clocks *now);

#endif
