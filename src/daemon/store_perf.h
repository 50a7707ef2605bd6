/* SPDX-License-Identifier: Apache-2.0
 * The performance model's rows. Life sums are put between fgd_store_usage_begin() and _end(); a calibration is a
 * transaction of its own. */
#ifndef FGD_STORE_PERF_H
#define FGD_STORE_PERF_H

#include "daemon/perf.h"
#include "daemon/store.h"

struct fgd_perf_visitor {
        int (*sum)(void *user, enum fgd_perf_kind kind, int64_t id, const struct fgd_perf_sum *life); /* not of vGPUs */
        int (*calibration)(void *user, int64_t device, int64_t native_ppm);
        void *user;
};

int fgd_store_perf_load(struct fgd_store *store, const struct fgd_perf_visitor *visitor, struct fg_error *err);
/* No row: *ret stays. */
int fgd_store_perf_get(struct fgd_store *store, enum fgd_perf_kind kind, int64_t id, struct fgd_perf_sum *ret, struct fg_error *err);
int fgd_store_perf_put(struct fgd_store *store, enum fgd_perf_kind kind, int64_t id, const struct fgd_perf_sum *life, struct fg_error *err);
int fgd_store_calibrate(struct fgd_store *store, int64_t device, int64_t native_ppm, int64_t time, struct fg_error *err);

#endif
