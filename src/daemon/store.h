/* SPDX-License-Identifier: Apache-2.0
 *
 * The SQLite store: devices seen, sets and their vGPUs, usage. Every function that changes something is one transaction
 * that is on the disk when it returns 0; when it fails, nothing has changed. */
#ifndef FGD_STORE_H
#define FGD_STORE_H

#include "base/cleanup.h"
#include "base/error.h"
#include "daemon/model.h"

struct fgd_store;

#define FGD_STORE_VERSION 5

/* Opens or makes the store. One that is damaged is renamed (store.db.corrupt-<time>) and an empty one made; then `note`
 * says so, else it is empty. Fails when the folder cannot be written or the store is of a later version. */
int fgd_store_open(const char *path, struct fgd_store **ret, char note[FG_ERROR_MAX], struct fg_error *err);
/* Where that fails: what it holds, from a copy in `run` that refuses every change (-EROFS). */
int fgd_store_open_safe(const char *path, const char *run, struct fgd_store **ret, struct fg_error *err);
void fgd_store_close(struct fgd_store *store); /* NULL is fine */

/* Rides on every transaction. write() adds what belongs to it just before it is committed (`is_change`: somebody asked for
 * it); when it fails nothing of the transaction happens. settle() follows, whatever became of it. */
struct fgd_store_rider {
        int (*write)(void *user, bool is_change, struct fg_error *err);
        void (*settle)(void *user, bool is_committed);
        void *user;
};
void fgd_store_ride(struct fgd_store *store, const struct fgd_store_rider *rider);
/* A transaction of the rider's own. */
int fgd_store_flush(struct fgd_store *store, struct fg_error *err);

/* What is in the store, in the order in which it was made. The callbacks return 0 or -errno, which ends the walk. Rows may
 * hold any nonsense; the callbacks judge. */
struct fgd_store_set {
        int64_t id, created, count, project, owner; /* owner 0: the operator's */
        int64_t job, element;                       /* job 0: a person's set */
        int64_t payer;                              /* 0: its project */
        const char *name, *workload;                /* workload "": none */
        bool ephemeral, is_suspended;
};
struct fgd_store_vgpu {
        int64_t id, set_id, index, device, memory, share, mode, priority;
        const uint8_t *uuid; /* 16 bytes, or NULL */
        struct fgd_counters base, live;
};
struct fgd_store_visitor {
        int (*device)(void *user, const struct fgd_device *device);
        int (*set)(void *user, const struct fgd_store_set *set);
        int (*vgpu)(void *user, const struct fgd_store_vgpu *vgpu);
        void *user;
};
int fgd_store_load(struct fgd_store *store, const struct fgd_store_visitor *visitor, struct fg_error *err);

int fgd_store_put_device(struct fgd_store *store, const struct fgd_device *device, struct fg_error *err);
/* Assigns set->id and every vgpu[i].id. A job's set comes and goes with the row of its run, in one transaction. */
int fgd_store_add_set(struct fgd_store *store, struct fgd_set *set, struct fg_error *err);
int fgd_store_delete_set(struct fgd_store *store, const struct fgd_set *set, struct fg_error *err);
int fgd_store_bill_set(struct fgd_store *store, const struct fgd_set *set, int64_t payer, const char *workload, struct fg_error *err);

struct fgd_change {
        struct fgd_vgpu *vgpu;
        uint64_t memory;
        uint32_t share, mode, priority;
};
int fgd_store_change(struct fgd_store *store, const struct fgd_change *change, uint32_t count, struct fg_error *err);

/* Usage of several vGPUs in one transaction: begin, put…, end. Nothing is kept if any of them fails. */
int fgd_store_usage_begin(struct fgd_store *store, struct fg_error *err);
int fgd_store_usage_put(struct fgd_store *store, const struct fgd_vgpu *vgpu, struct fg_error *err);
int fgd_store_usage_end(struct fgd_store *store, int result, struct fg_error *err);

static inline void fgd_cleanup_storep(struct fgd_store **store)
{
        fgd_store_close(*store);
}

#endif
