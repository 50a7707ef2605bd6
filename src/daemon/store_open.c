/* SPDX-License-Identifier: Apache-2.0
 * Opening the store: schema, soundness, putting a damaged one aside. */
#include "daemon/store_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define APPLICATION_ID 0x46475055 /* "FGPU" */

int fgd_store_error(struct fgd_store *store, int code, const char *what, struct fg_error *err)
{
        int primary = code & 0xff;
        int r = primary == SQLITE_FULL ? -ENOSPC : primary == SQLITE_READONLY ? -EROFS : primary == SQLITE_NOMEM ? -ENOMEM : -EIO;
        if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB)
                r = -EUCLEAN;
        return fg_error_set(err, r, "%s: %s", what, store->db ? sqlite3_errmsg(store->db) : sqlite3_errstr(code));
}

static int run(struct fgd_store *store, const char *sql, struct fg_error *err)
{
        int code = sqlite3_exec(store->db, sql, NULL, NULL, NULL);
        return code == SQLITE_OK ? 0 : fgd_store_error(store, code, "the store", err);
}

int fgd_sql_word(struct fgd_store *store, const char *sql, char *ret, size_t size, struct fg_error *err)
{
        sqlite3_stmt *statement = NULL;
        int code = sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL);
        if (code == SQLITE_OK)
                code = sqlite3_step(statement);
        int r = 0;
        if (code != SQLITE_ROW)
                r = fgd_store_error(store, code, "the store", err);
        else
                snprintf(ret, size, "%s", (const char *)sqlite3_column_text(statement, 0));
        sqlite3_finalize(statement);
        return r;
}

static int check_sound(struct fgd_store *store, struct fg_error *err)
{
        char text[256], id[32], version[32];
        int r = fgd_sql_word(store, "PRAGMA application_id", id, sizeof id, err);
        if (r == 0)
                r = fgd_sql_word(store, "PRAGMA user_version", version, sizeof version, err);
        if (r == 0)
                r = fgd_sql_word(store, "SELECT count(*) FROM sqlite_master", text, sizeof text, err);
        if (r < 0)
                return r;
        if (strcmp(text, "0") == 0 && strcmp(version, "0") == 0)
                return fgd_store_make_schema(store, err);
        if (strtol(id, NULL, 10) != APPLICATION_ID || strtol(version, NULL, 10) < 1)
                return fg_error_set(err, -EUCLEAN, "the database is not a FastGPU store");
        if (strtol(version, NULL, 10) > FGD_STORE_VERSION)
                return fg_error_set(err, -EPROTO, "the store is of version %s, this daemon knows version %d: install a newer one",
                                    version, FGD_STORE_VERSION);
        r = fgd_sql_word(store, "PRAGMA integrity_check(1)", text, sizeof text, err);
        if (r == 0 && strcmp(text, "ok") != 0)
                r = fg_error_set(err, -EUCLEAN, "the store is damaged: %s", text);
        return r < 0 ? r : fgd_store_migrate(store, (int)strtol(version, NULL, 10), err);
}

static int prepare_all(struct fgd_store *store, struct fg_error *err)
{
        static const char *const text[] = {
#define X(name, sql) sql,
                FGD_STATEMENTS(X)
#undef X
        };
        for (int i = 0; i < FGD_SQL_COUNT; i++) {
                int code = sqlite3_prepare_v3(store->db, text[i], -1, SQLITE_PREPARE_PERSISTENT, &store->statement[i], NULL);
                if (code == SQLITE_ERROR) /* a table or column is missing */
                        return fg_error_set(err, -EUCLEAN, "the store's tables are not ours: %s", sqlite3_errmsg(store->db));
                if (code != SQLITE_OK)
                        return fgd_store_error(store, code, "the store", err);
        }
        return 0;
}

int fgd_store_open_file(const char *path, struct fgd_store **ret, struct fg_error *err)
{
        FG_CLEANUP(fgd_cleanup_storep) struct fgd_store *store = calloc(1, sizeof *store);
        if (!store)
                return fg_error_set(err, -ENOMEM, "out of memory");
        fgd_sync_new(store);
        int code = sqlite3_open_v2(path, &store->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
        if (code != SQLITE_OK)
                return fgd_store_error(store, code, "the store", err);
        sqlite3_extended_result_codes(store->db, 1);
        /* Exclusive: the daemon is the only user, and then WAL needs no shared-memory file. */
        int r = run(store,
                    "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-512;"
                    "PRAGMA temp_store=MEMORY; PRAGMA journal_size_limit=67108864; PRAGMA trusted_schema=OFF;",
                    err);
        if (r == 0)
                r = check_sound(store, err);
        if (r == 0)
                r = prepare_all(store, err);
        if (r == 0)
                r = fgd_sync_open(store, path, err);
        if (r < 0)
                return r;
        sqlite3_db_release_memory(store->db);
        *ret = FG_TAKE_PTR(store);
        return 0;
}

void fgd_store_put_aside(const char *path, char *ret, size_t size)
{
        static const char *const tail[] = {"", "-wal", "-shm", "-journal"};
        char stamp[32], from[PATH_MAX], to[PATH_MAX + 64];
        time_t now = time(NULL);
        struct tm tm;
        strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
        snprintf(ret, size, "%s.corrupt-%s", path, stamp);
        for (unsigned n = 2; access(ret, F_OK) == 0; n++)
                snprintf(ret, size, "%s.corrupt-%s-%u", path, stamp, n);
        for (unsigned i = 0; i < sizeof tail / sizeof *tail; i++) {
                snprintf(from, sizeof from, "%s%s", path, tail[i]);
                snprintf(to, sizeof to, "%s%s", ret, tail[i]);
                rename(from, to);
        }
}

int fgd_store_open(const char *path, struct fgd_store **ret, char note[FG_ERROR_MAX], struct fg_error *err)
{
        struct fg_error why = {0};
        char aside[PATH_MAX];
        note[0] = 0;
        int r = fgd_store_open_file(path, ret, &why);
        if (r == -EUCLEAN) {
                fgd_store_put_aside(path, aside, sizeof aside);
                snprintf(note, FG_ERROR_MAX, "%.160s; it was put aside as %.260s and an empty store made: create the vGPUs again",
                         why.text, aside);
                r = fgd_store_open_file(path, ret, &why);
                /* Its users are lost, and that must not admit everybody. */
                if (r == 0)
                        r = fgd_sql_run(*ret, FGD_SQL_LOCK, &why, "");
        }
        if (r < 0)
                return fg_error_set(err, r, "cannot use %s: %s", path, why.text);
        r = fgd_sync_inherit(*ret, err);
        if (r < 0) {
                fgd_store_close(*ret);
                *ret = NULL;
        }
        return r;
}

void fgd_store_close(struct fgd_store *store)
{
        if (!store)
                return;
        for (int i = 0; i < FGD_SQL_COUNT; i++)
                sqlite3_finalize(store->statement[i]);
        fgd_sync_free(store);
        sqlite3_close(store->db);
        free(store);
}
