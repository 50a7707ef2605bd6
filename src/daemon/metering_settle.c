/* SPDX-License-Identifier: Apache-2.0
 * The end of a window: what each vGPU used and pays. */
#include "daemon/metering_internal.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "daemon/manager.h"
#include "daemon/tenants.h"

#include <errno.h>
#include <stdlib.h>

#define AWAY_MOST 3600 /* s */

static int64_t larger(int64_t a, int64_t b)
{
        return a > b ? a : b;
}

/* Device time is known when a launch is over, so one that took longer than the line lasted comes with more than there was
 * time. Nobody pays for that, and what is taken off was the dearer kind first. */
static int64_t take_time(const struct fgd_meter *meter, struct fg_meter_line *line)
{
        int64_t most = line->end - line->begin;
        line->busy_us = meter->share_ns / 1000;
        line->busy_cap_us = meter->cap_ns / 1000;
        int64_t beyond = larger(line->busy_us + line->busy_cap_us - most, 0);
        int64_t share = beyond < line->busy_us ? beyond : line->busy_us;
        line->busy_us -= share;
        line->busy_cap_us -= beyond - share;
        return beyond;
}

/* What the line would be if it ended at `end`. */
static void copy_line(struct fgd_meter_device *md, struct fgd_meter *meter, int64_t end, struct fg_meter_line *ret)
{
        if (meter->line)
                *ret = *meter->line;
        else
                fg_meter_change(ret, meter->last.from, &meter->last);
        fgd_meter_read(md, meter);
        ret->end = meter->vgpu ? end : meter->end;
}

static struct fgd_meter_who who_of(const struct fgd_meter *meter)
{
        const struct fgd_set *set = meter->vgpu ? meter->vgpu->set : NULL;
        const struct fgd_meter_names *names = meter->names;
        return (struct fgd_meter_who){.vgpu = meter->uuid,
                                      .name = meter->name ? meter->name : "",
                                      .project = set ? fgd_set_payer(set)->name : names ? names->project : "",
                                      .user = set ? set->owner ? set->owner->name : "" : names ? names->user : "",
                                      .job = meter->job ? meter->job : "",
                                      .project_id = meter->project_id,
                                      .user_id = meter->user_id,
                                      .cap = meter->last.cap};
}

static void tell(struct fgd_metering *mt, struct fgd_meter_device *md, const struct fg_meter_window *window, struct fg_meter_line **line,
                 int64_t start)
{
        fg_autofree struct fgd_meter_who *who = calloc(md->count, sizeof *who);
        struct fgd_meter_report report = {.device = md->device, .start = start, .window = window, .line = line, .who = who,
                                          .count = md->count, .here = md->count, .unbilled_us = md->unbilled_us};
        struct fgd_meter *meter;
        size_t n = 0;
        if (!who) {
                fgd_metering_gap(mt, md->device, start, start + 60, "storage");
                return;
        }
        TAILQ_FOREACH(meter, &md->lines, order)
                who[n++] = who_of(meter);
        fgd_metering_report(mt, &report);
}

static void close_lines(struct fgd_meter_device *md, int64_t end, struct fg_meter_line *all, struct fg_meter_line **line)
{
        struct fgd_meter *meter;
        size_t n = 0;
        TAILQ_FOREACH(meter, &md->lines, order) {
                copy_line(md, meter, end, &all[n]);
                md->unbilled_us += take_time(meter, &all[n]);
                meter->share_ns %= 1000; /* less than a us: the next window's */
                meter->cap_ns %= 1000;
                line[n] = &all[n];
                n++;
        }
}

static void tell_away(struct fgd_metering *mt, struct fgd_meter_device *md)
{
        if (md->away_until)
                fgd_metering_gap(mt, md->device, md->away, md->away_until, "lost");
        md->away_until = 0;
}

/* Minute after minute becomes one gap; of an hour at most, so that a killed daemon has not forgotten more. */
static void note_away(struct fgd_metering *mt, struct fgd_meter_device *md, int64_t start)
{
        if (md->away_until != start || start - md->away >= AWAY_MOST)
                tell_away(mt, md);
        if (!md->away_until)
                md->away = start;
        md->away_until = start + 60;
}

/* A device that was away for all of it has no window: there is nothing to pay for. */
static void settle_device(struct fgd_metering *mt, struct fgd_meter_device *md, int64_t start, int64_t end)
{
        struct fg_meter_window window = {.wall_us = md->wall, .beta_ppm = mt->beta_ppm};
        fg_autofree struct fg_meter_line *all = calloc(md->count, sizeof *all);
        fg_autofree struct fg_meter_line **line = calloc(md->count, sizeof(struct fg_meter_line *));
        struct fg_error err = {0};
        int r = all && line ? 0 : fg_error_set(&err, -ENOMEM, "out of memory");
        if (r == 0)
                close_lines(md, end, all, line);
        for (size_t i = 0; r == 0 && !md->wall && i < md->count; i++)
                md->unbilled_us += all[i].busy_us + all[i].busy_cap_us;
        if (r == 0 && !md->wall) {
                if (md->was_away && !mt->has_ended)
                        note_away(mt, md, start);
                return;
        }
        tell_away(mt, md);
        if (r == 0)
                r = fg_meter_settle(&window, line, md->count, &err);
        if (r < 0) {
                fg_log_error("device %u is not billed for the minute at %lld: %s", md->device->id, (long long)start, err.text);
                fgd_metering_gap(mt, md->device, start, start + 60, "storage");
                return;
        }
        fgd_meter_count(mt, md, &window, all, start);
        fgd_meter_count_perf(mt, md, &window, all, start, end);
        tell(mt, md, &window, line, start);
        md->unbilled_us = 0;
}

static void open_next(struct fgd_metering *mt, struct fgd_meter_device *md)
{
        struct fgd_meter *meter, *next;
        md->wall = 0;
        md->was_away = !md->is_present;
        FGD_TAILQ_EACH_SAFE(meter, &md->lines, order, next) {
                if (meter->vgpu) {
                        fgd_meter_open(meter, mt->clock.first);
                        continue;
                }
                TAILQ_REMOVE(&md->lines, meter, order);
                md->count--;
                fgd_meter_free(meter);
        }
}

void fgd_metering_settle(struct fgd_metering *mt, int64_t start, int64_t end)
{
        for (uint32_t i = 0; i < FGD_DEVICES_MAX; i++) {
                struct fgd_meter_device *md = &mt->device[i];
                if (md->count)
                        settle_device(mt, md, start / 1000000, end);
                else
                        tell_away(mt, md);
                open_next(mt, md);
        }
        fgd_meter_count_wanted(mt, start / 1000000, end, mt->clock.first);
        fgd_history_turn(mt->manager, start / 1000000);
}

void fgd_metering_tell_away(struct fgd_metering *mt)
{
        for (uint32_t i = 0; i < FGD_DEVICES_MAX; i++)
                tell_away(mt, &mt->device[i]);
}

int fgd_metering_peek(struct fgd_metering *mt, struct fgd_meter_device *md, int64_t at, struct fg_meter_window *ret,
                      struct fg_meter_line **ret_line, struct fg_error *err)
{
        struct fg_meter_window window = {.wall_us = md->wall, .beta_ppm = mt->beta_ppm};
        fg_autofree struct fg_meter_line *copy = calloc(md->count + 1, sizeof *copy);
        fg_autofree struct fg_meter_line **line = calloc(md->count + 1, sizeof(struct fg_meter_line *));
        struct fgd_meter *meter;
        size_t n = 0;
        if (!copy || !line)
                return fg_error_set(err, -ENOMEM, "out of memory");
        TAILQ_FOREACH(meter, &md->lines, order) {
                copy_line(md, meter, at, &copy[n]);
                take_time(meter, &copy[n]);
                line[n] = &copy[n];
                n++;
        }
        int r = md->wall ? fg_meter_settle(&window, line, n, err) : 0;
        if (r < 0)
                return r;
        *ret = window;
        *ret_line = FG_TAKE_PTR(copy);
        return 0;
}
