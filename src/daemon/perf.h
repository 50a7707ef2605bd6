/* SPDX-License-Identifier: Apache-2.0
 *
 * The counters of the performance model (sched/perf.h) of each device, project and vGPU, over the last minute, hour, day
 * and its life. docs/design/perf.md. Fed by the metering; belongs to the main thread. */
#ifndef FGD_PERF_H
#define FGD_PERF_H

#include "sched/perf.h"

#include <stdbool.h>
#include <stdint.h>

struct fgd_manager;
struct fgd_device;
struct fgd_project;
struct fgd_vgpu;
struct fg_error;

#define FGD_NATIVE_MAX 10000000u /* ppm: ten times as fast as alone */

enum fgd_perf_window { FGD_PERF_MINUTE, FGD_PERF_HOUR, FGD_PERF_DAY, FGD_PERF_LIFE, FGD_PERF_WINDOWS };
enum fgd_perf_kind { FGD_PERF_DEVICE, FGD_PERF_PROJECT, FGD_PERF_VGPU }; /* as in the store */

/* `unknown`: of `busy`, what ran on devices that were not calibrated, ns. Where it is not 0, V and what needs it are not
 * known. */
struct fgd_perf_sum {
        struct fg_perf_counters counters;
        uint64_t unknown;
};

#define FGD_PERF_TENS  6u  /* the last hour, in pieces of ten minutes */
#define FGD_PERF_HOURS 24u /* the last day */

struct fgd_perf {
        struct fgd_perf_sum minute, life, ten[FGD_PERF_TENS], hour[FGD_PERF_HOURS];
        int64_t minute_at;      /* unix s, the start of the window that `minute` is */
        int64_t ten_at, hour_at; /* the open pieces: unix s / 600, / 3600 */
        bool is_changed;        /* `life` is not in the store */
};

/* What waiting jobs want, since `at` in the open window; before that, `sum`. */
struct fgd_perf_wanted {
        uint64_t permille, sum; /* sum: ppm*us */
        int64_t at;             /* us within the window */
};

/* Adds a settled window that began at `start` (unix s). */
void fgd_perf_add(struct fgd_perf *perf, int64_t start, const struct fgd_perf_sum *sum);
/* `now`: unix s. */
struct fgd_perf_sum fgd_perf_get(struct fgd_perf *perf, int64_t now, enum fgd_perf_window window);
/* The factors, with those that are not known left out. */
void fgd_perf_evaluate(const struct fgd_perf_sum *sum, struct fg_perf *ret);

/* --- what only others know --- */

/* Jobs that wait could use so much of the device now, beyond what its vGPUs hold. */
void fgd_perf_demand(struct fgd_device *device, uint32_t permille);
/* The project's own could, of all devices together. */
void fgd_perf_demand_of(struct fgd_manager *manager, struct fgd_project *project, uint64_t permille);
/* All that the vGPU did was for nothing: it is done again. It is taken off where it was counted, in every window. Of a vGPU that is about
 * to go: what it did later would be for nothing too. */
void fgd_perf_discard(struct fgd_vgpu *vgpu);
/* What is kept in `what` is not kept in `of`. */
void fgd_perf_take_off(struct fgd_perf *of, struct fgd_perf *what, int64_t now);

/* --- in the store --- */

/* What was added up before this start, and calibrations. */
int fgd_perf_load(struct fgd_manager *manager, struct fg_error *err);
/* Life sums that changed; of vGPUs only where `is_all`. A failure is tried again by the next call. */
int fgd_perf_save(struct fgd_manager *manager, bool is_all);
/* `native_ppm` 0: not calibrated any more. */
int fgd_perf_calibrate(struct fgd_manager *manager, struct fgd_device *device, uint32_t native_ppm, struct fg_error *err);

#endif
