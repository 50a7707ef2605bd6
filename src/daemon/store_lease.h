/* SPDX-License-Identifier: Apache-2.0
 * Suspended sets and idle leases in the store. Times are ms of the daemon's own clock, see lease.h. */
#ifndef FGD_STORE_LEASE_H
#define FGD_STORE_LEASE_H

#include "daemon/store.h"

struct fgd_store_lease {
        int64_t set, active_at, gpu_ns;
        bool is_warned;
};
struct fgd_store_leases {
        int (*up)(void *user, int64_t up);
        int (*lease)(void *user, const struct fgd_store_lease *row); /* in the order of the sets */
        void *user;
};
int fgd_store_load_leases(struct fgd_store *store, const struct fgd_store_leases *visitor, struct fg_error *err);

/* One transaction: begin, put…, end. */
int fgd_store_lease_begin(struct fgd_store *store, int64_t up, struct fg_error *err);
int fgd_store_lease_put(struct fgd_store *store, const struct fgd_set *set, int64_t active_at, struct fg_error *err);
int fgd_store_lease_end(struct fgd_store *store, int result, struct fg_error *err);

int fgd_store_suspend_set(struct fgd_store *store, const struct fgd_set *set, bool is_suspended, struct fg_error *err);
/* seconds < 0: the daemon's default. */
int fgd_store_lease_of(struct fgd_store *store, const struct fgd_project *project, int64_t seconds, struct fg_error *err);

#endif
