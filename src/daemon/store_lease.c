/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/store_lease.h"

#include "daemon/store_internal.h"
#include "daemon/tenants.h"

static int up_row(sqlite3_stmt *s, const void *user)
{
        const struct fgd_store_leases *visitor = user;
        return visitor->up(visitor->user, sqlite3_column_int64(s, 0));
}

static int lease_row(sqlite3_stmt *s, const void *user)
{
        const struct fgd_store_leases *visitor = user;
        const struct fgd_store_lease row = {sqlite3_column_int64(s, 0), sqlite3_column_int64(s, 1), sqlite3_column_int64(s, 2),
                                            sqlite3_column_int64(s, 3) != 0};
        return visitor->lease(visitor->user, &row);
}

int fgd_store_load_leases(struct fgd_store *store, const struct fgd_store_leases *visitor, struct fg_error *err)
{
        int r = fgd_sql_walk(store, "SELECT ms FROM uptime", visitor, up_row, err);
        return r < 0 ? r : fgd_sql_walk(store, "SELECT set_id,active_at,gpu_ns,warned FROM leases ORDER BY set_id", visitor, lease_row, err);
}

int fgd_store_lease_begin(struct fgd_store *store, int64_t up, struct fg_error *err)
{
        int r = fgd_sql_begin(store, err);
        if (r < 0)
                return r;
        r = fgd_sql_run(store, FGD_SQL_PUT_UPTIME, err, "i", up);
        return r < 0 ? fgd_sql_finish(store, r, false, err) : 0;
}

int fgd_store_lease_put(struct fgd_store *store, const struct fgd_set *set, int64_t active_at, struct fg_error *err)
{
        return fgd_sql_run(store, FGD_SQL_PUT_LEASE, err, "iiii", set->id, active_at, (int64_t)set->lease_gpu_ns, (int64_t)set->is_warned);
}

int fgd_store_lease_end(struct fgd_store *store, int result, struct fg_error *err)
{
        return fgd_sql_finish(store, result, false, err);
}

int fgd_store_suspend_set(struct fgd_store *store, const struct fgd_set *set, bool is_suspended, struct fg_error *err)
{
        int r = fgd_sql_begin(store, err);
        return r < 0 ? r : fgd_sql_finish(store, fgd_sql_run(store, FGD_SQL_SUSPEND_SET, err, "ii", set->id, (int64_t)is_suspended), true, err);
}

int fgd_store_lease_of(struct fgd_store *store, const struct fgd_project *project, int64_t seconds, struct fg_error *err)
{
        int r = fgd_sql_begin(store, err);
        return r < 0 ? r : fgd_sql_finish(store, fgd_sql_run(store, FGD_SQL_LEASE_OF, err, "ii", project->id, seconds), true, err);
}
