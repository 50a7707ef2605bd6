/* SPDX-License-Identifier: Apache-2.0
 * What the daemon writes: each function is one durable transaction. */
#include "daemon/store_internal.h"

#include "daemon/store_jobs.h"
#include "daemon/tenants.h"

#include <errno.h>
#include <string.h>

static void bind(struct fgd_store *store, enum fgd_statement which, int column, int64_t value)
{
        sqlite3_bind_int64(store->statement[which], column, value);
}

static void bind_text(struct fgd_store *store, enum fgd_statement which, int column, const char *value)
{
        sqlite3_bind_text(store->statement[which], column, value, -1, SQLITE_STATIC);
}

int fgd_store_put_device(struct fgd_store *store, const struct fgd_device *device, struct fg_error *err)
{
        const enum fgd_statement put = FGD_SQL_PUT_DEVICE;
        const char *text[] = {device->key, device->uuid, device->api, device->model, device->vendor, device->driver};
        int r = fgd_sql_begin(store, err);
        if (r < 0)
                return r;
        bind(store, put, 1, device->id);
        for (int i = 0; i < 6; i++)
                bind_text(store, put, 2 + i, text[i]);
        bind(store, put, 8, (int64_t)device->memory);
        bind(store, put, 9, device->compute_units);
        bind_text(store, put, 10, device->type);
        return fgd_sql_finish(store, fgd_sql_step(store, put, err), false, err);
}

static int add_vgpu(struct fgd_store *store, struct fgd_vgpu *vgpu, struct fg_error *err)
{
        const enum fgd_statement add = FGD_SQL_ADD_VGPU;
        bind(store, add, 1, vgpu->set->id);
        bind(store, add, 2, vgpu->index);
        sqlite3_bind_blob(store->statement[add], 3, vgpu->uuid, sizeof vgpu->uuid, SQLITE_STATIC);
        bind(store, add, 4, vgpu->device->id);
        bind(store, add, 5, (int64_t)vgpu->memory);
        bind(store, add, 6, vgpu->share);
        bind(store, add, 7, vgpu->mode);
        bind(store, add, 8, vgpu->priority);
        int r = fgd_sql_step(store, add, err);
        if (r == 0)
                vgpu->id = sqlite3_last_insert_rowid(store->db);
        return r;
}

int fgd_store_add_set(struct fgd_store *store, struct fgd_set *set, struct fg_error *err)
{
        const enum fgd_statement add = FGD_SQL_ADD_SET;
        int r = fgd_sql_begin(store, err);
        if (r < 0)
                return r;
        bind_text(store, add, 1, set->name);
        bind(store, add, 2, set->created);
        bind(store, add, 3, set->ephemeral);
        bind(store, add, 4, set->count);
        bind(store, add, 5, set->project->id);
        if (set->owner)
                bind(store, add, 6, set->owner->id);
        else
                sqlite3_bind_null(store->statement[add], 6);
        bind(store, add, 7, set->job);
        bind(store, add, 8, set->element);
        r = fgd_sql_step(store, add, err);
        set->id = sqlite3_last_insert_rowid(store->db);
        for (uint32_t i = 0; r == 0 && i < set->count; i++)
                r = add_vgpu(store, &set->vgpu[i], err);
        if (r == 0 && set->run)
                r = fgd_store_step_run(store, set->run->job, &set->run->active->result, err);
        return fgd_sql_finish(store, r, true, err);
}

int fgd_store_delete_set(struct fgd_store *store, const struct fgd_set *set, struct fg_error *err)
{
        static const enum fgd_statement all[] = {FGD_SQL_DELETE_USAGE, FGD_SQL_DELETE_PERF, FGD_SQL_DELETE_VGPUS, FGD_SQL_DELETE_LEASE,
                                                 FGD_SQL_DELETE_SET};
        int r = fgd_sql_begin(store, err);
        if (r < 0)
                return r;
        for (unsigned i = 0; r == 0 && i < sizeof all / sizeof *all; i++) {
                bind(store, all[i], 1, set->id);
                r = fgd_sql_step(store, all[i], err);
        }
        if (r == 0 && set->run)
                r = fgd_store_step_run(store, set->run->job, &set->run->active->result, err);
        return fgd_sql_finish(store, r, true, err);
}

int fgd_store_bill_set(struct fgd_store *store, const struct fgd_set *set, int64_t payer, const char *workload, struct fg_error *err)
{
        int r = fgd_sql_begin(store, err);
        return r < 0 ? r : fgd_sql_finish(store, fgd_sql_run(store, FGD_SQL_BILL_SET, err, "iit", set->id, payer, workload), true, err);
}

int fgd_store_change(struct fgd_store *store, const struct fgd_change *change, uint32_t count, struct fg_error *err)
{
        int r = fgd_sql_begin(store, err);
        if (r < 0)
                return r;
        for (uint32_t i = 0; r == 0 && i < count; i++) {
                bind(store, FGD_SQL_CHANGE, 1, change[i].vgpu->id);
                bind(store, FGD_SQL_CHANGE, 2, (int64_t)change[i].memory);
                bind(store, FGD_SQL_CHANGE, 3, change[i].share);
                bind(store, FGD_SQL_CHANGE, 4, change[i].mode);
                bind(store, FGD_SQL_CHANGE, 5, change[i].priority);
                r = fgd_sql_step(store, FGD_SQL_CHANGE, err);
        }
        return fgd_sql_finish(store, r, true, err);
}

int fgd_store_usage_begin(struct fgd_store *store, struct fg_error *err)
{
        return fgd_sql_begin(store, err);
}

int fgd_store_usage_put(struct fgd_store *store, const struct fgd_vgpu *vgpu, struct fg_error *err)
{
        const uint64_t *base = (const uint64_t *)&vgpu->base, *live = (const uint64_t *)&vgpu->live;
        bind(store, FGD_SQL_PUT_USAGE, 1, vgpu->id);
        for (unsigned i = 0; i < FGD_COUNTERS; i++) {
                bind(store, FGD_SQL_PUT_USAGE, 2 + (int)i, (int64_t)base[i]);
                bind(store, FGD_SQL_PUT_USAGE, 2 + (int)(FGD_COUNTERS + i), (int64_t)live[i]);
        }
        return fgd_sql_step(store, FGD_SQL_PUT_USAGE, err);
}

int fgd_store_usage_end(struct fgd_store *store, int result, struct fg_error *err)
{
        return fgd_sql_finish(store, result, false, err);
}
