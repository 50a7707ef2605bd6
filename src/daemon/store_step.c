/* SPDX-License-Identifier: Apache-2.0
 * The steps that every transaction is made of. */
#include "base/log.h"
#include "daemon/store_internal.h"

#include <stdarg.h>
#include <stdio.h>

int fgd_sql_step(struct fgd_store *store, enum fgd_statement which, struct fg_error *err)
{
        sqlite3_stmt *statement = store->statement[which];
        int code = store->code = sqlite3_step(statement);
        int r = code == SQLITE_DONE || code == SQLITE_ROW ? 0 : fgd_store_error(store, code, "the store", err);
        sqlite3_reset(statement);
        return r;
}

static void bind_one(sqlite3_stmt *statement, int column, char type, va_list *args)
{
        const void *blob;
        int64_t id;
        switch (type) {
        case 'i':
                sqlite3_bind_int64(statement, column, va_arg(*args, int64_t));
                break;
        case 'r':
                id = va_arg(*args, int64_t);
                if (id)
                        sqlite3_bind_int64(statement, column, id);
                else
                        sqlite3_bind_null(statement, column);
                break;
        case 't':
                sqlite3_bind_text(statement, column, va_arg(*args, const char *), -1, SQLITE_STATIC);
                break;
        case 'b':
                blob = va_arg(*args, const void *);
                sqlite3_bind_blob(statement, column, blob, va_arg(*args, int), SQLITE_STATIC);
                break;
        }
}

static sqlite3_stmt *bind_all(struct fgd_store *store, enum fgd_statement which, const char *types, va_list *args)
{
        sqlite3_stmt *statement = store->statement[which];
        for (int i = 0; types[i]; i++)
                bind_one(statement, i + 1, types[i], args);
        return statement;
}

sqlite3_stmt *fgd_sql_bind(struct fgd_store *store, enum fgd_statement which, const char *types, ...)
{
        va_list args;
        va_start(args, types);
        sqlite3_stmt *statement = bind_all(store, which, types, &args);
        va_end(args);
        return statement;
}

int fgd_sql_run(struct fgd_store *store, enum fgd_statement which, struct fg_error *err, const char *types, ...)
{
        va_list args;
        va_start(args, types);
        bind_all(store, which, types, &args);
        va_end(args);
        return fgd_sql_step(store, which, err);
}

/* Whether SQLite waits for the disk at the next commit. */
static int relax(struct fgd_store *store, struct fg_error *err)
{
        if (store->is_relaxed == store->is_deferred)
                return 0;
        int code = sqlite3_exec(store->db, store->is_deferred ? "PRAGMA synchronous=NORMAL" : "PRAGMA synchronous=FULL", NULL, NULL, NULL);
        if (code != SQLITE_OK)
                return fgd_store_error(store, code, "the store", err);
        store->is_relaxed = store->is_deferred;
        return 0;
}

int fgd_sql_begin(struct fgd_store *store, struct fg_error *err)
{
        const struct fg_error *why = &store->sync.why;
        int r = why->code ? fg_error_set(err, why->code, "%s", why->text) : relax(store, err);
        if (r == 0)
                r = fgd_sql_step(store, FGD_SQL_BEGIN, err);
        if (r < 0 && store->rider.settle)
                store->rider.settle(store->rider.user, false);
        return r;
}

/* A commit that failed only at its sync lies whole in SQLite's log, and a daemon that is killed before something else is written there
 * would have its successor take what was refused for done: something else is written, which says what is so anyway. */
static void overwrite(struct fgd_store *store)
{
        char same[48];
        snprintf(same, sizeof same, "PRAGMA user_version=%d", FGD_STORE_VERSION);
        if (sqlite3_exec(store->db, same, NULL, NULL, NULL) != SQLITE_OK)
                fg_log_warning("the store: what was refused just now may be there after a crash: %s", sqlite3_errmsg(store->db));
}

int fgd_sql_finish(struct fgd_store *store, int r, bool is_change, struct fg_error *err)
{
        const struct fgd_store_rider *rider = &store->rider;
        if (r == 0 && rider->write)
                r = rider->write(rider->user, is_change, err);
        bool was_tried = r == 0;
        if (was_tried)
                r = fgd_sql_step(store, FGD_SQL_COMMIT, err);
        bool is_sync = store->code == SQLITE_IOERR_FSYNC || store->code == SQLITE_IOERR_DIR_FSYNC;
        if (r < 0 && !sqlite3_get_autocommit(store->db))
                fgd_sql_step(store, FGD_SQL_ROLLBACK, NULL);
        if (r < 0)
                store->event = store->sync.written.event;
        if (r < 0 && was_tried && is_sync && !fgd_store_is_settled(store))
                fgd_sync_break(store, r, NULL);
        else if (r < 0 && was_tried && sqlite3_get_autocommit(store->db))
                overwrite(store);
        if (rider->settle)
                rider->settle(rider->user, r == 0);
        return r;
}

void fgd_store_ride(struct fgd_store *store, const struct fgd_store_rider *rider)
{
        store->rider = *rider;
}

int fgd_store_flush(struct fgd_store *store, struct fg_error *err)
{
        int r = fgd_sql_begin(store, err);
        return r < 0 ? r : fgd_sql_finish(store, 0, false, err);
}

int fgd_sql_walk(struct fgd_store *store, const char *sql, const void *visitor, int (*row)(sqlite3_stmt *, const void *), struct fg_error *err)
{
        sqlite3_stmt *statement = NULL;
        int code = sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL), r = 0;
        if (code == SQLITE_OK)
                while (r == 0 && (code = sqlite3_step(statement)) == SQLITE_ROW)
                        r = row(statement, visitor);
        if (r < 0)
                fg_error_set(err, r, "cannot take in the store: %m");
        else if (code != SQLITE_DONE)
                r = fgd_store_error(store, code, "cannot read the store", err);
        sqlite3_finalize(statement);
        return r;
}

void fgd_sql_text(sqlite3_stmt *statement, int column, char *ret, size_t size)
{
        const unsigned char *text = sqlite3_column_text(statement, column);
        snprintf(ret, size, "%s", text ? (const char *)text : "");
}
