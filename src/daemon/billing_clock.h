/* SPDX-License-Identifier: Apache-2.0
 *
 * Billing time: UTC that a step of the wall clock can neither stretch nor repeat. Pure: whoever asks brings the clocks.
 *
 * Billing time begins at the larger of the wall clock and the end of the last window on record, goes on with CLOCK_BOOTTIME,
 * and is drawn towards the wall clock by a hundredth of what passes. Metered time goes on with CLOCK_MONOTONIC: a machine
 * that sleeps meters nothing. Windows are whole minutes of billing time.
 *
 * Equations: no window begins before the one before it ended; `wall` of all windows adds up to no more than the monotonic
 * time that passed, and so to no more than the boottime. All times are us. */
#ifndef FGD_BILLING_CLOCK_H
#define FGD_BILLING_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define FGD_BILLING_WINDOW  60000000ll
#define FGD_BILLING_SLEW    100              /* at most one part in so many */
#define FGD_BILLING_STEP    60000000ll       /* a change of the wall clock by more than this against the others is told */
#define FGD_BILLING_ASLEEP  1000000ll        /* boottime without monotonic time, more than this: the machine slept */
#define FGD_BILLING_AHEAD   3600000000ll     /* the wall clock is ahead by more than this */
#define FGD_BILLING_PATIENT 600000000ll      /* for so long: billing time goes there at once */

struct fgd_clocks {
        int64_t real, boot, mono;
};

struct fgd_billing_clock {
        struct fgd_clocks seen;
        int64_t time;        /* billing time at `seen` */
        int64_t start;       /* of the open window; a multiple of a minute */
        int64_t position;    /* at `seen`: us since `start` as far as metered; where a window begins late, from there */
        int64_t opened;      /* the position at which the window was opened */
        int64_t ahead_since; /* boottime; 0: the wall clock is not far ahead */
        int64_t remainder;   /* of the slewing: what passed and was too little for a whole us */
};

enum fgd_tick { FGD_TICK_STEPPED = 1, FGD_TICK_ASLEEP = 2, FGD_TICK_ENDED = 4 };

/* `last_end`: unix us at which the last window on record ends; 0: none. */
void fgd_billing_start(struct fgd_billing_clock *clock, const struct fgd_clocks *now, int64_t last_end);
/* Takes the time that passed into account; returns bits of enum fgd_tick. FGD_TICK_ENDED: the window's time is over;
 * `position` is where metering of it stopped, and it must be left by fgd_billing_next() before anything else.
 * *ret_stepped: by how much the wall clock jumped. */
unsigned fgd_billing_tick(struct fgd_billing_clock *clock, const struct fgd_clocks *now, int64_t *ret_stepped);
/* Opens the window after the one that ended. Returns the end of the gap before it: the new window begins at `start` +
 * `opened`, and from the old one's end to there nobody meters. */
void fgd_billing_next(struct fgd_billing_clock *clock);
/* Boottime from `seen` until the open window ends. */
int64_t fgd_billing_left(const struct fgd_billing_clock *clock);

#endif
