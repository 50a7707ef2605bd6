/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/billing_clock.h"

#include "sched/meter.h"

#define WINDOW FG_METER_WINDOW_US

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
        return value < low ? low : value > high ? high : value;
}

/* What the wall clock says, if it says something that can be. */
static int64_t sane(int64_t real)
{
        return clamp(real, 0, FGD_BILLING_TIME_MAX * 1000000);
}

/* Billing time `time` is now, `boot` and `awake` are. */
static void open_at(struct fgd_billing_clock *clock, int64_t time, int64_t boot)
{
        clock->first = time % WINDOW;
        clock->window = time - clock->first;
        clock->from = boot - clock->first;
        clock->until = clock->from + WINDOW;
        clock->wall = 0;
}

void fgd_billing_begin(struct fgd_billing_clock *clock, const struct fgd_clocks *now, int64_t last_end)
{
        int64_t end = clamp(last_end, 0, FGD_BILLING_TIME_MAX), real = sane(now->real);
        end = (end + 59) / 60 * WINDOW;
        *clock = (struct fgd_billing_clock){.boot = now->boot, .awake = now->awake};
        open_at(clock, end > real ? end : real, now->boot);
}

int64_t fgd_billing_time(const struct fgd_billing_clock *clock)
{
        int64_t passed = clock->boot - clock->from, whole = clock->until - clock->from;
        return clock->window + passed * WINDOW / whole;
}

int64_t fgd_billing_ahead(const struct fgd_billing_clock *clock, const struct fgd_clocks *now)
{
        return sane(now->real) - fgd_billing_time(clock);
}

/* At an edge: the wall clock is `ahead` by so much. The next window is longer or shorter for it. */
static void open_next(struct fgd_billing_clock *clock, int64_t ahead)
{
        clock->window += WINDOW;
        clock->first = clock->wall = 0;
        clock->from = clock->until;
        clock->until = clock->from + WINDOW - clamp(ahead, -FGD_BILLING_SLEW_US, FGD_BILLING_SLEW_US);
}

/* An hour ahead for ten minutes: nobody is to be billed for that hour, so there is nothing to catch up. */
static bool leaps(struct fgd_billing_clock *clock, int64_t ahead)
{
        if (ahead <= FGD_BILLING_LEAP_US) {
                clock->ahead_since = 0;
                return false;
        }
        if (!clock->ahead_since)
                clock->ahead_since = clock->until;
        return clock->until - clock->ahead_since >= FGD_BILLING_LEAP_AFTER;
}

static void leave_gap(struct fgd_billing_clock *clock, struct fgd_billing_edge *edge, enum fgd_billing_why why, int64_t time, int64_t boot)
{
        edge->gap = clock->window;
        open_at(clock, time, boot);
        edge->gap_until = clock->window;
        edge->why = edge->gap_until > edge->gap ? why : FGD_BILLING_NO_GAP;
}

/* Whole minutes slept through have no window. */
static void sleep_over(struct fgd_billing_clock *clock, const struct fgd_clocks *now, struct fgd_billing_edge *edge)
{
        int64_t left = now->boot - clock->boot;
        if (now->awake > clock->awake || clock->boot + WINDOW + FGD_BILLING_SLEW_US > now->boot)
                return;
        leave_gap(clock, edge, FGD_BILLING_SUSPENDED, clock->window + left, now->boot);
        clock->boot = now->boot;
}

bool fgd_billing_step(struct fgd_billing_clock *clock, const struct fgd_clocks *now, struct fgd_billing_edge *ret)
{
        int64_t boot = now->boot > clock->boot ? now->boot : clock->boot;
        bool is_edge = boot >= clock->until;
        int64_t to = is_edge ? clock->until : boot, passed = to - clock->boot;
        /* A sleep ended a moment ago: the timer of the edge is what woke us. What was awake was so before it. */
        int64_t awake = clamp(now->awake - clock->awake, 0, passed);
        clock->wall += awake;
        clock->awake += awake;
        clock->boot = to;
        if (!is_edge)
                return false;
        struct fgd_clocks at = {.real = now->real - (boot - to)};
        int64_t ahead = fgd_billing_ahead(clock, &at), time = sane(at.real);
        *ret = (struct fgd_billing_edge){.window = clock->window, .wall = clock->wall};
        bool is_leap = leaps(clock, ahead);
        open_next(clock, ahead);
        if (is_leap) {
                clock->ahead_since = 0;
                leave_gap(clock, ret, FGD_BILLING_LEAP, time, to);
        } else {
                sleep_over(clock, now, ret);
        }
        return true;
}
