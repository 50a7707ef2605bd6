/* SPDX-License-Identifier: Apache-2.0
 * Settled windows on their way to the record. What cannot be put there now is kept, packed, and offered again in order. */
#include "daemon/metering_internal.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "daemon/manager.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STRINGS 5u

struct fgd_kept_window {
        TAILQ_ENTRY(fgd_kept_window) order;
        struct fgd_meter_report report; /* without line and who */
        struct fg_meter_window window;
        char *packed; /* of each line: its segments, what follows them, who it is, his strings */
        size_t size;
        const char *at; /* behind the lines that were handed over */
        size_t done;
};

#define TAIL offsetof(struct fg_meter_line, segments) /* the rest of a line, in one piece */

static void begin_again(struct fgd_kept_window *kept)
{
        kept->at = kept->packed;
        kept->done = 0;
}

void fgd_metering_gap(struct fgd_metering *mt, struct fgd_device *device, int64_t start, int64_t until, const char *reason)
{
        struct fgd_meter_gap gap = {.device = device, .start = start, .until = until, .reason = reason};
        struct fg_error err = {0};
        fg_log_info("not metered: %lld s of billing time from %lld (%s)", (long long)(until - start), (long long)start, reason);
        if (!TAILQ_EMPTY(&mt->kept))
                begin_again(TAILQ_FIRST(&mt->kept));
        if (mt->sink.gap && mt->sink.gap(mt->sink.user, &gap, &err) < 0)
                fg_log_warning("that gap is not on record: %s", err.text);
}

static void who_strings(const struct fgd_meter_who *who, const char *ret[STRINGS])
{
        const char *const all[STRINGS] = {who->vgpu, who->name, who->project, who->user, who->job};
        memcpy(ret, all, sizeof all);
}

static void pack_line(FILE *out, const struct fg_meter_line *line, const struct fgd_meter_who *who)
{
        const char *text[STRINGS];
        who_strings(who, text);
        fwrite((const char *)line + TAIL, sizeof *line - TAIL, 1, out);
        fwrite(line->segment, sizeof line->segment[0], line->segments, out);
        fwrite(who, sizeof *who, 1, out);
        for (unsigned i = 0; i < STRINGS; i++)
                fwrite(text[i], strlen(text[i]) + 1, 1, out);
}

static const char *unpack_line(const char *at, struct fg_meter_line *line, struct fgd_meter_who *who)
{
        const char *text[STRINGS];
        memcpy((char *)line + TAIL, at, sizeof *line - TAIL);
        at += sizeof *line - TAIL;
        memcpy(line->segment, at, line->segments * sizeof line->segment[0]);
        at += line->segments * sizeof line->segment[0];
        memcpy(who, at, sizeof *who);
        at += sizeof *who;
        for (unsigned i = 0; i < STRINGS; i++, at += strlen(at) + 1)
                text[i] = at;
        who->vgpu = text[0], who->name = text[1], who->project = text[2], who->user = text[3], who->job = text[4];
        return at;
}

static void kept_free(struct fgd_metering *mt, struct fgd_kept_window *kept)
{
        TAILQ_REMOVE(&mt->kept, kept, order);
        mt->kept_count--;
        mt->kept_bytes -= kept->size;
        free(kept->packed);
        free(kept);
}

static struct fgd_kept_window *pack(const struct fgd_meter_report *report)
{
        struct fgd_kept_window *kept = calloc(1, sizeof *kept);
        FILE *out = kept ? open_memstream(&kept->packed, &kept->size) : NULL;
        bool is_whole = out;
        if (out) {
                for (size_t i = 0; i < report->count; i++)
                        pack_line(out, report->line[i], &report->who[i]);
                is_whole = !ferror(out);
                is_whole &= fclose(out) == 0;
        }
        if (!is_whole) {
                free(kept ? kept->packed : NULL);
                free(kept);
                return NULL;
        }
        kept->report = *report;
        kept->window = *report->window;
        begin_again(kept);
        return kept;
}

static void drop_oldest(struct fgd_metering *mt)
{
        struct fgd_kept_window *oldest = TAILQ_FIRST(&mt->kept);
        int64_t start = oldest->report.start;
        fg_log_error("the window of device %u at %lld is lost: %zu wait to be put on record", oldest->report.device->id, (long long)start,
                     mt->kept_count);
        fgd_metering_gap(mt, oldest->report.device, start, start + 60, "storage");
        kept_free(mt, oldest);
}

static void keep(struct fgd_metering *mt, const struct fgd_meter_report *report)
{
        struct fgd_kept_window *kept = pack(report);
        if (!kept) {
                fgd_metering_gap(mt, report->device, report->start, report->start + 60, "storage");
                return;
        }
        TAILQ_INSERT_TAIL(&mt->kept, kept, order);
        mt->kept_count++;
        mt->kept_bytes += kept->size;
        while (mt->kept_count > FGD_METER_KEPT || (mt->kept_bytes > FGD_METER_KEPT_BYTES && mt->kept_count > 1))
                drop_oldest(mt);
}

static int hand_over(struct fgd_metering *mt, const struct fgd_meter_report *report)
{
        struct fg_error err = {0};
        int r = mt->sink.window ? mt->sink.window(mt->sink.user, report, &err) : 0;
        if (r < 0 && !mt->told_of_kept)
                fgd_manager_note(mt->manager, "the bills of device %u are not on record (%s): kept in memory and tried again each minute",
                                 report->device->id, err.text);
        if (r < 0 || report->first + report->here == report->count)
                mt->told_of_kept = r < 0;
        return r;
}

/* The next piece of it. 0: it is on record; 1: there is more; below 0: it is not, and begins again. -ENOMEM counts as that. */
static int offer(struct fgd_metering *mt, struct fgd_kept_window *kept)
{
        struct fg_meter_line line[FGD_METER_PIECE], *lines[FGD_METER_PIECE];
        struct fgd_meter_who who[FGD_METER_PIECE];
        struct fgd_meter_report report = kept->report;
        size_t left = report.count - kept->done;
        report.first = kept->done;
        report.here = left < FGD_METER_PIECE ? left : FGD_METER_PIECE;
        for (size_t i = 0; i < report.here; i++) {
                kept->at = unpack_line(kept->at, &line[i], &who[i]);
                lines[i] = &line[i];
        }
        report.window = &kept->window;
        report.line = lines;
        report.who = who;
        kept->done += report.here;
        int r = hand_over(mt, &report);
        if (r < 0)
                begin_again(kept);
        return r < 0 ? r : left > report.here;
}

static int offer_all(struct fgd_metering *mt, struct fgd_kept_window *kept)
{
        int r;
        while ((r = offer(mt, kept)) > 0)
                ;
        if (r == 0)
                kept_free(mt, kept);
        return r;
}

static int flush(struct fgd_metering *mt)
{
        struct fgd_kept_window *kept;
        while ((kept = TAILQ_FIRST(&mt->kept)) && offer_all(mt, kept) == 0)
                ;
        return kept ? -EAGAIN : 0;
}

int fgd_metering_flush(struct fgd_manager *m)
{
        return flush(m->metering);
}

bool fgd_metering_waits(const struct fgd_manager *m)
{
        return !TAILQ_EMPTY(&m->metering->kept);
}

static int on_turn(sd_event_source *source, void *user)
{
        struct fgd_metering *mt = user;
        struct fgd_kept_window *kept = TAILQ_FIRST(&mt->kept);
        int r = kept ? offer(mt, kept) : -ENOENT;
        if (r == 0)
                kept_free(mt, kept);
        return r < 0 || TAILQ_EMPTY(&mt->kept) ? 0 : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static void start_pump(struct fgd_metering *mt)
{
        int r = mt->pump ? sd_event_source_set_enabled(mt->pump, SD_EVENT_ONESHOT)
                         : sd_event_add_defer(mt->manager->event, &mt->pump, on_turn, mt);
        if (r < 0)
                flush(mt);
}

void fgd_metering_report(struct fgd_metering *mt, const struct fgd_meter_report *report)
{
        struct fgd_kept_window *kept;
        while ((kept = TAILQ_FIRST(&mt->kept)) && kept->report.count <= FGD_METER_PIECE && offer_all(mt, kept) == 0)
                ;
        if (!kept && report->count <= FGD_METER_PIECE && hand_over(mt, report) == 0)
                return;
        if (mt->kept_bytes > FGD_METER_KEPT_BYTES / 2)
                flush(mt);
        keep(mt, report);
        kept = TAILQ_FIRST(&mt->kept);
        if (kept && kept->report.count > FGD_METER_PIECE)
                start_pump(mt);
}

void fgd_metering_kept_free(struct fgd_metering *mt)
{
        struct fgd_kept_window *kept;
        while ((kept = TAILQ_FIRST(&mt->kept)))
                kept_free(mt, kept);
        mt->pump = sd_event_source_disable_unref(mt->pump);
}
