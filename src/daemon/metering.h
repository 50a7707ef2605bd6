/* SPDX-License-Identifier: Apache-2.0
 *
 * Exact metering: of each device the open window, in it a line for each vGPU that was there, settled by sched/meter.h at
 * each minute of billing time (billing_clock.h) and handed to the sink. docs/design/metering.md.
 *
 * A vGPU holds its reserve from the moment it is made, whether or not a program uses it: nobody else can have it. It is
 * FG_METER_HOLD while whoever suspended it says so, FG_METER_DOWN while it is quarantined as not fitting its device or its
 * device is lost. All of this belongs to the main thread. */
#ifndef FGD_METERING_H
#define FGD_METERING_H

#include "base/error.h"
#include "sched/meter.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fgd_device;
struct fgd_manager;
struct fgd_set;
struct fgd_text;
struct fgd_vgpu;

/* Identity of a line at the time of the window; the strings belong to the metering and are valid during the call. */
struct fgd_meter_who {
        const char *vgpu;                /* uuid */
        const char *name;                /* "NAME/I" */
        const char *project, *user;      /* user "": the operator's */
        const char *job;                 /* "": none */
        int64_t project_id, user_id;     /* user_id 0: the operator */
        bool cap;                        /* its mode at the end of its line */
};

/* A settled window, or a piece of one. Times within it are metered us since the minute began: a window that billing time was made to take a
 * little longer is up to FG_METER_WALL_MAX long, one that was metered in part has the wall_us of that part. */
struct fgd_meter_report {
        struct fgd_device *device;
        int64_t start; /* unix s, a whole minute of UTC; of one device always later than the one before */
        const struct fg_meter_window *window;
        struct fg_meter_line *const *line; /* in the order in which odd units were given out */
        const struct fgd_meter_who *who;
        size_t count;        /* at least 1 */
        size_t first, here;  /* `line` and `who` are of first .. first + here - 1 */
        int64_t unbilled_us; /* device time that is in no line: used while nobody metered, or more than there is wall */
};

/* Time that no window will ever hold. */
struct fgd_meter_gap {
        struct fgd_device *device; /* NULL: all */
        int64_t start, until;      /* unix s, until > start */
        const char *reason;        /* "down", "suspended", "clock", "lost" or "storage" */
};

/* Called on the main thread at each minute's edge, once for each device that had a vGPU in it. A window of more than FGD_METER_PIECE
 * lines comes in pieces, turn by turn of the event loop; it is one record all the same, which the last piece completes. A gap
 * between them has it begin again. An error means that it is not on record: it is kept and offered again, in order and from its
 * beginning, at the next edge. FGD_METER_KEPT are kept at most; then the oldest becomes a gap ("storage"). Neither may make, change or
 * delete vGPUs. */
typedef int (*fgd_meter_sink_t)(void *user, const struct fgd_meter_report *report, struct fg_error *err);
typedef int (*fgd_meter_gap_t)(void *user, const struct fgd_meter_gap *gap, struct fg_error *err);

#define FGD_METER_KEPT       60u        /* windows of all devices that are not on record yet */
#define FGD_METER_KEPT_BYTES (32u << 20)
#define FGD_METER_PIECE      128u
#define FGD_METER_JOB_MAX    64u

struct fgd_meter_sink {
        fgd_meter_sink_t window;
        fgd_meter_gap_t gap; /* may be NULL */
        void *user;
};

int fgd_metering_new(struct fgd_manager *manager, struct fg_error *err); /* before the store is read */
void fgd_metering_free(struct fgd_manager *manager);                     /* after the sets */
/* Before fgd_metering_begin(); without one, windows are settled and forgotten. */
void fgd_metering_sink(struct fgd_manager *manager, const struct fgd_meter_sink *sink);

/* What is on record of the vGPUs that there are, so that their totals go on from there. Before fgd_metering_begin(). */
struct fg_bill_sums;
void fgd_metering_recall(struct fgd_manager *manager, const struct fg_bill_sums *sums);
/* Starts to meter what there is. `last_end`: unix s, the end of the last window on record, 0: none. Billing time goes on
 * from the later of that and of now, so that no minute comes twice. Called once, when the devices are known. */
int fgd_metering_begin(struct fgd_manager *manager, int64_t last_end, struct fg_error *err);
/* The daemon ends in good order: settles what is open, as far as it went. Nothing is metered afterwards. */
void fgd_metering_end(struct fgd_manager *manager);
/* Hands over all that waits, now: before anything else goes on record. 0: nothing waits any more. */
int fgd_metering_flush(struct fgd_manager *manager);
bool fgd_metering_waits(const struct fgd_manager *manager); /* settled windows are not on record yet */
/* Billing time, unix us. Before fgd_metering_begin(): the time of day; after fgd_metering_end(): when that was. */
int64_t fgd_metering_now(struct fgd_manager *manager);
/* A wall clock that is far from billing time, as a JSON string, after a comma when `text` holds one already. */
void fgd_metering_problems(struct fgd_manager *manager, bool *first, struct fgd_text *text);

/* Makes room for the vGPUs of a set that is about to be added, so that nothing can fail afterwards. */
int fgd_metering_reserve(struct fgd_manager *manager, struct fgd_set *set);
/* The vGPU is new, or its memory, share, mode or quarantine may have changed. What holds already changes nothing. */
void fgd_metering_update(struct fgd_vgpu *vgpu);
/* Devices came or went, and what was quarantined may be no more. */
void fgd_metering_look(struct fgd_manager *manager);
/* Its payer has changed: the open minute is the new one's, all of it. */
void fgd_metering_bill(struct fgd_vgpu *vgpu);
/* It is gone: its line stays until the window is settled. */
void fgd_metering_remove(struct fgd_vgpu *vgpu);
/* What is left of a set that is freed. */
void fgd_metering_drop(struct fgd_vgpu *vgpu);
/* The caller has suspended (FG_METER_HOLD) or resumed (FG_METER_RUN) it. Before fgd_metering_begin() too. */
void fgd_metering_state(struct fgd_vgpu *vgpu, enum fg_meter_state state);

#endif
