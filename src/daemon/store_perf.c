/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/store_perf.h"

#include "daemon/store_internal.h"

static uint64_t count(sqlite3_stmt *s, int column)
{
        int64_t value = sqlite3_column_int64(s, column);
        return value > 0 ? (uint64_t)value : 0;
}

/* Six columns from `first` on. */
static struct fgd_perf_sum read_sum(sqlite3_stmt *s, int first)
{
        return (struct fgd_perf_sum){.counters = {.servable = count(s, first), .occupied = count(s, first + 1), .busy = count(s, first + 2),
                                                  .native = count(s, first + 3), .kept = count(s, first + 4)},
                                     .unknown = count(s, first + 5)};
}

static int sum_row(sqlite3_stmt *s, const void *user)
{
        const struct fgd_perf_visitor *visitor = user;
        int64_t kind = sqlite3_column_int64(s, 0);
        struct fgd_perf_sum life = read_sum(s, 2);
        if (kind != FGD_PERF_DEVICE && kind != FGD_PERF_PROJECT)
                return 0;
        return visitor->sum(visitor->user, (enum fgd_perf_kind)kind, sqlite3_column_int64(s, 1), &life);
}

static int calibration_row(sqlite3_stmt *s, const void *user)
{
        const struct fgd_perf_visitor *visitor = user;
        return visitor->calibration(visitor->user, sqlite3_column_int64(s, 0), sqlite3_column_int64(s, 1));
}

int fgd_store_perf_load(struct fgd_store *store, const struct fgd_perf_visitor *visitor, struct fg_error *err)
{
        int r = fgd_sql_walk(store, "SELECT kind,id," FGD_PERF_COLUMNS " FROM perf WHERE kind<2", visitor, sum_row, err);
        return r < 0 ? r : fgd_sql_walk(store, "SELECT device,native_ppm FROM calibrations", visitor, calibration_row, err);
}

int fgd_store_perf_get(struct fgd_store *store, enum fgd_perf_kind kind, int64_t id, struct fgd_perf_sum *ret, struct fg_error *err)
{
        sqlite3_stmt *get = fgd_sql_bind(store, FGD_SQL_GET_PERF, "ii", (int64_t)kind, id);
        int code = sqlite3_step(get);
        if (code == SQLITE_ROW)
                *ret = read_sum(get, 0);
        sqlite3_reset(get);
        return code == SQLITE_ROW || code == SQLITE_DONE ? 0 : fgd_store_error(store, code, "cannot read the store", err);
}

static int64_t bounded(uint64_t value)
{
        return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

int fgd_store_perf_put(struct fgd_store *store, enum fgd_perf_kind kind, int64_t id, const struct fgd_perf_sum *life, struct fg_error *err)
{
        const struct fg_perf_counters *c = &life->counters;
        return fgd_sql_run(store, FGD_SQL_PUT_PERF, err, "iiiiiiii", (int64_t)kind, id, bounded(c->servable), bounded(c->occupied),
                           bounded(c->busy), bounded(c->native), bounded(c->kept), bounded(life->unknown));
}

int fgd_store_calibrate(struct fgd_store *store, int64_t device, int64_t native_ppm, int64_t time, struct fg_error *err)
{
        int r = fgd_sql_begin(store, err);
        if (r < 0)
                return r;
        return fgd_sql_finish(store, fgd_sql_run(store, FGD_SQL_PUT_CALIBRATION, err, "iii", device, native_ppm, time), true, err);
}
