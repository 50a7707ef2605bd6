/* SPDX-License-Identifier: Apache-2.0
 *
 * Exact metering: of each device the open window, in it a line for each vGPU that was there, settled by sched/meter.h at
 * each minute of billing time and handed to the sink. docs/design/metering.md.
 *
 * A vGPU holds its reserve from the moment it is made, whether or not a program uses it: nobody else can have it. All of
 * this belongs to the main thread. */
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
struct fgd_vgpu;

/* Identity of a line at the time of the window; the strings belong to the metering and are valid during the call. */
struct fgd_meter_who {
        const char *vgpu; /* uuid */
        const char *name, *project, *user, *job; /* user, job: "" where there is none */
        int64_t project_id, user_id;             /* user_id 0: the operator */
        bool cap;                                /* its mode at the end of its line */
};

/* A settled window. Times within it are metered us since the minute began: a window that billing time was made to take a
 * little longer (a slewed clock) is up to FG_METER_WALL_MAX long, one that was metered in part has wall_us of that part. */
struct fgd_meter_report {
        struct fgd_device *device;
        int64_t start; /* unix s, a whole minute of UTC; of one device always later than the one before */
        const struct fg_meter_window *window;
        struct fg_meter_line *const *line; /* in the order in which they were settled */
        const struct fgd_meter_who *who;
        size_t count; /* at least 1 */
        int64_t unbilled_us; /* device time seen that is in no line: used while nobody metered, or more than there is wall */
};

/* Time that no window will ever hold. */
struct fgd_meter_gap {
        struct fgd_device *device; /* NULL: all */
        int64_t start, until;      /* unix s, until > start */
        const char *reason;        /* "down", "suspended", "clock", "storage" */
};

/* Called on the main thread at each minute's edge, once for each device that had a vGPU in it. An error means that it is not
 * on record: it is kept and offered again, in order, at the next edge. At most FGD_METER_KEPT are kept; then the oldest
 * becomes a gap ("storage"). Neither may change vGPUs. */
typedef int (*fgd_meter_sink_t)(void *user, const struct fgd_meter_report *report, struct fg_error *err);
typedef int (*fgd_meter_gap_t)(void *user, const struct fgd_meter_gap *gap, struct fg_error *err);

#define FGD_METER_KEPT       60u          /* windows of all devices that are not on record yet */
#define FGD_METER_KEPT_BYTES (32u << 20)

struct fgd_meter_sink {
        fgd_meter_sink_t window;
        fgd_meter_gap_t gap; /* may be NULL */
        void *user;
};

/* Before fgd_metering_begin(); without one, windows are settled and forgotten. */
void fgd_metering_sink(struct fgd_manager *manager, const struct fgd_meter_sink *sink);

/* Starts to meter what there is. `last_end`: unix s, the end of the last window on record, 0: none. Billing time goes on
 * from the later of that and of now, so that no minute comes twice. Called once, when the devices are known. */
int fgd_metering_begin(struct fgd_manager *manager, int64_t last_end, struct fg_error *err);
/* Settles what is open, as far as it went. Nothing is metered afterwards. No effect when it never began. */
void fgd_metering_end(struct fgd_manager *manager);

/* Billing time, unix us. Before fgd_metering_begin(): the time of day. */
int64_t fgd_metering_now(struct fgd_manager *manager);

/* The caller has suspended (FG_METER_HOLD) or resumed (FG_METER_RUN) the vGPU. */
void fgd_metering_state(struct fgd_manager *manager, struct fgd_vgpu *vgpu, enum fg_meter_state state);
/* Whose job runs in the set from now on: its id, shorter than 64 bytes, or "" for none. */
void fgd_metering_job(struct fgd_manager *manager, struct fgd_set *set, const char *job);

#endif
