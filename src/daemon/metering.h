/* SPDX-License-Identifier: Apache-2.0
 *
 * Exact metering: for each device the open window of sched/meter.h with one line per vGPU, settled at each minute of billing
 * time (billing_clock.h) and handed to whoever keeps records. docs/design/metering.md.
 *
 * A vGPU that exists holds its reserve: it is FG_METER_RUN from its creation until it is deleted, FG_METER_HOLD while a
 * runner says so, FG_METER_DOWN while it is quarantined or its device is lost.
 *
 * Everything here belongs to the main thread. */
#ifndef FGD_METERING_H
#define FGD_METERING_H

#include "base/error.h"
#include "daemon/model.h"
#include "sched/meter.h"

struct fgd_manager;

/* Whose a line is, as it was at the end of the window or of the vGPU. Strings belong to the metering and are valid during
 * the call of the sink; none is NULL. */
struct fgd_meter_who {
        const char *vgpu;    /* uuid */
        const char *name;    /* "NAME/I" */
        const char *project, *user; /* names; user "" : the operator's */
        const char *job;     /* "": none */
        int64_t project_id, user_id; /* rows of the store; user 0: the operator's */
        bool cap; /* its mode at the end */
};

/* One settled window of one device. */
struct fgd_meter_report {
        struct fgd_device *device;
        int64_t start; /* unix s of billing time, a whole minute; strictly ascending for each device */
        const struct fg_meter_window *window;
        struct fg_meter_line *const *line; /* settled, in the order in which odd units were given out */
        const struct fgd_meter_who *who;
        size_t count;
        int64_t unbilled_us; /* device time charged that no window holds: used while no daemon metered, or beyond wall time */
};

/* Puts a window on record. Called at each minute's edge, once for each device that had a vGPU in it. An error means that it
 * is not on record: it is kept and offered again before the next one, up to FGD_METER_KEPT windows of a device; then the
 * oldest is given up and told as a gap. */
typedef int (*fgd_meter_sink_t)(void *user, const struct fgd_meter_report *report, struct fg_error *err);
/* Time that will never be billed: from..until in unix s of billing time; `device` NULL: all. `reason` is a plain sentence. */
typedef int (*fgd_meter_gap_t)(void *user, const struct fgd_device *device, int64_t from, int64_t until, const char *reason,
                               struct fg_error *err);

#define FGD_METER_KEPT 60u

int fgd_metering_new(struct fgd_manager *manager, struct fg_error *err); /* before the store is read */
void fgd_metering_free(struct fgd_manager *manager);
/* Who keeps the records; either may be NULL. Before fgd_metering_begin(). */
void fgd_metering_sink(struct fgd_manager *manager, fgd_meter_sink_t sink, fgd_meter_gap_t gap, void *user);
/* Starts the clock and the first window, once, after adoption of what runs. `last_window_end`: unix s at which the last
 * window on record ends (its start + 60); 0: there is none. */
int fgd_metering_begin(struct fgd_manager *manager, int64_t last_window_end, struct fg_error *err);
/* The daemon ends in good order: settles the open windows, however short. Their minutes count as metered. */
void fgd_metering_end(struct fgd_manager *manager);
/* Billing time now, unix us; before fgd_metering_begin() the real time. */
int64_t fgd_metering_now(const struct fgd_manager *manager);

/* The vGPU is new, or its memory, share, mode or quarantine may have changed, or its device came or went. Whoever changed
 * them calls this afterwards; what holds already changes nothing. */
void fgd_metering_update(struct fgd_manager *manager, struct fgd_vgpu *vgpu);
/* Before it is freed. Its line stays until the window is settled. */
void fgd_metering_remove(struct fgd_manager *manager, struct fgd_vgpu *vgpu);
/* A runner suspends it (FG_METER_HOLD) or lets it go on (FG_METER_RUN). Quarantine and loss outrank both. */
void fgd_metering_state(struct fgd_vgpu *vgpu, enum fg_meter_state state);
/* The job that runs in it from now on; "" or NULL: none. At most FGD_METER_JOB_MAX - 1 bytes. */
void fgd_metering_job(struct fgd_vgpu *vgpu, const char *job);
#define FGD_METER_JOB_MAX 40u

#endif
