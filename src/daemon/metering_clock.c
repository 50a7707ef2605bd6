/* SPDX-License-Identifier: Apache-2.0
 * When a minute of billing time is over. */
#include "daemon/metering_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "daemon/events.h"
#include "daemon/manager.h"
#include "daemon/text.h"
#include "daemon/metrics.h"

#include <stdio.h>
#include <stdlib.h>

#define MINUTE_US      60000000ll
#define BEHIND_MOST    (1440 * MINUTE_US)
#define SAVE_ALL_EVERY 60 /* minutes: the sums of vGPUs are many */

static int64_t read_clock(clockid_t which)
{
        struct timespec ts;
        clock_gettime(which, &ts);
        return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

void fgd_metering_read_clocks(void *user, struct fgd_clocks *ret)
{
        *ret = (struct fgd_clocks){.real = read_clock(CLOCK_REALTIME), .awake = read_clock(CLOCK_MONOTONIC), .boot = read_clock(CLOCK_BOOTTIME)};
}

/* Time in which a device was not there is no time of it. */
static void add_wall(struct fgd_metering *mt, int64_t us)
{
        for (uint32_t i = 0; us && i < mt->manager->devices; i++)
                if (mt->device[i].is_present)
                        mt->device[i].wall += us;
}

static void note_gap(struct fgd_metering *mt, const struct fgd_billing_edge *edge)
{
        static const char *const reason[] = {[FGD_BILLING_SUSPENDED] = "suspended", [FGD_BILLING_LEAP] = "clock"};
        if (edge->why != FGD_BILLING_NO_GAP)
                fgd_metering_gap(mt, NULL, edge->gap / 1000000, edge->gap_until / 1000000, reason[edge->why]);
}

/* Said once, until they agree again. */
static void look_at_step(struct fgd_metering *mt, const struct fgd_clocks *now)
{
        int64_t ahead = fgd_billing_ahead(&mt->clock, now);
        bool is_off = llabs(ahead) > FGD_BILLING_STEP_US;
        if (is_off && !mt->told_of_step)
                fgd_event_note(mt->manager, NULL, "clock", "", "the wall clock is %lld s %s billing time, which comes near it by 0.6 s a minute",
                               llabs(ahead) / 1000000, ahead > 0 ? "ahead of" : "behind");
        mt->told_of_step = is_off;
}

/* Each daemon that follows another within a minute takes a minute of its own, and billing time is ahead by as many: a wall clock that is
 * behind by some hours need not be wrong. */
void fgd_metering_problems(struct fgd_manager *m, bool *first, struct fgd_text *text)
{
        char said[160];
        struct fgd_clocks now;
        if (!m->metering->is_running)
                return;
        fgd_metering_catch_up(m->metering);
        m->metering->read(m->metering->read_user, &now);
        int64_t ahead = fgd_billing_ahead(&m->metering->clock, &now);
        if (ahead <= FGD_BILLING_LEAP_US && ahead >= -BEHIND_MOST)
                return;
        snprintf(said, sizeof said, "the wall clock is %lld s %s billing time: set it right; bills go by billing time",
                 llabs(ahead) / 1000000, ahead > 0 ? "ahead of" : "behind");
        fgd_text_add(text, *first ? "" : ", ");
        fgd_text_string(text, said);
        *first = false;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *user)
{
        struct fgd_metering *mt = user;
        int64_t late = read_clock(CLOCK_BOOTTIME) - mt->clock.until;
        int64_t awake = read_clock(CLOCK_MONOTONIC) - mt->clock.awake;
        late = late < awake ? late : awake; /* nobody waits for a machine that sleeps */
        fgd_metrics_turn(mt->manager, late > 0 ? (uint64_t)late * 1000 : 0);
        fgd_metering_catch_up(mt);
        if (mt->save)
                fgd_perf_save(mt->manager, mt->clock.window / MINUTE_US % SAVE_ALL_EVERY == 0);
        if (mt->save)
                fgd_history_save(mt->manager);
        mt->save = false;
        return fgd_metering_watch(mt);
}

int fgd_metering_watch(struct fgd_metering *mt)
{
        uint64_t until = (uint64_t)mt->clock.until;
        if (!mt->timer)
                return sd_event_add_time(mt->manager->event, &mt->timer, CLOCK_BOOTTIME, until, 1000, on_timer, mt);
        sd_event_source_set_time(mt->timer, until);
        return sd_event_source_set_enabled(mt->timer, SD_EVENT_ONESHOT);
}

int64_t fgd_metering_catch_up(struct fgd_metering *mt)
{
        struct fgd_clocks now;
        struct fgd_billing_edge edge;
        mt->read(mt->read_user, &now);
        int64_t first = mt->clock.first, wall = mt->clock.wall;
        bool is_over = false;
        while (fgd_billing_step(&mt->clock, &now, &edge)) {
                add_wall(mt, edge.wall - wall);
                fgd_metering_settle(mt, edge.window, first + edge.wall);
                note_gap(mt, &edge);
                first = mt->clock.first;
                wall = 0;
                is_over = true;
        }
        add_wall(mt, mt->clock.wall - wall);
        if (is_over) {
                look_at_step(mt, &now);
                mt->save = true;
        }
        return mt->clock.first + mt->clock.wall;
}

int64_t fgd_metering_now(struct fgd_manager *m)
{
        struct fgd_metering *mt = m->metering;
        if (!mt->is_running && !mt->has_ended)
                return read_clock(CLOCK_REALTIME);
        if (mt->is_running)
                fgd_metering_catch_up(mt);
        return fgd_billing_time(&mt->clock);
}

int fgd_metering_begin(struct fgd_manager *m, int64_t last_end, struct fg_error *err)
{
        struct fgd_metering *mt = m->metering;
        struct fgd_clocks now;
        int r = fgd_perf_load(m, err);
        if (r < 0)
                return r;
        mt->read(mt->read_user, &now);
        fgd_billing_begin(&mt->clock, &now, last_end);
        r = fgd_metering_watch(mt);
        if (r < 0)
                return fg_error_set(err, r, "cannot watch the clock: %m");
        int64_t open = mt->clock.window / 1000000;
        if (last_end > 0 && last_end < open)
                fgd_metering_gap(mt, NULL, last_end, open, "down");
        mt->is_running = true;
        look_at_step(mt, &now);
        fgd_metering_look(m);
        return 0;
}

void fgd_metering_end(struct fgd_manager *m)
{
        struct fgd_metering *mt = m->metering;
        if (!mt || !mt->is_running)
                return;
        int64_t at = fgd_metering_catch_up(mt);
        mt->has_ended = true; /* the open minute is not over: without a device it is no whole minute without it */
        fgd_metering_settle(mt, mt->clock.window, at);
        fgd_metering_tell_away(mt);
        fgd_metering_flush(m);
        mt->is_running = false;
        fgd_perf_save(m, true);
}
