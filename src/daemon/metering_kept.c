/* SPDX-License-Identifier: Apache-2.0
 * Settled windows on their way to the record. What cannot be put there now is kept, packed, and offered again in order. */
#include "daemon/metering_internal.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "daemon/manager.h"

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
};

#define TAIL offsetof(struct fg_meter_line, segments) /* the rest of a line, in one piece */

void fgd_metering_gap(struct fgd_metering *mt, struct fgd_device *device, int64_t start, int64_t until, const char *reason)
{
        struct fgd_meter_gap gap = {.device = device, .start = start, .until = until, .reason = reason};
        struct fg_error err = {0};
        fg_log_info("not metered: %lld s of billing time from %lld (%s)", (long long)(until - start), (long long)start, reason);
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
        mt->told_of_kept = r < 0;
        return r;
}

/* -ENOMEM counts as not on record. */
static int offer(struct fgd_metering *mt, const struct fgd_kept_window *kept)
{
        struct fgd_meter_report report = kept->report;
        fg_autofree struct fg_meter_line *line = calloc(report.count, sizeof *line);
        fg_autofree struct fg_meter_line **lines = calloc(report.count, sizeof(struct fg_meter_line *));
        fg_autofree struct fgd_meter_who *who = calloc(report.count, sizeof *who);
        const char *at = kept->packed;
        if (!line || !lines || !who)
                return -1;
        for (size_t i = 0; i < report.count; i++) {
                at = unpack_line(at, &line[i], &who[i]);
                lines[i] = &line[i];
        }
        report.window = &kept->window;
        report.line = lines;
        report.who = who;
        return hand_over(mt, &report);
}

void fgd_metering_report(struct fgd_metering *mt, const struct fgd_meter_report *report)
{
        struct fgd_kept_window *kept;
        while ((kept = TAILQ_FIRST(&mt->kept)) && offer(mt, kept) == 0)
                kept_free(mt, kept);
        if (kept || hand_over(mt, report) < 0)
                keep(mt, report);
}

void fgd_metering_kept_free(struct fgd_metering *mt)
{
        struct fgd_kept_window *kept;
        while ((kept = TAILQ_FIRST(&mt->kept)))
                kept_free(mt, kept);
}
