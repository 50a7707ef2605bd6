/* SPDX-License-Identifier: Apache-2.0
 * history.db: blocks in the order in which they were completed, so that what is oldest lies together and goes first. */
#include "daemon/history_internal.h"

#include "base/log.h"
#include "daemon/manager.h"
#include "daemon/store_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define APPLICATION_ID 0x46474849 /* "FGHI" */
#define VERSION        1
#define PAGE           4096u
#define TRIM_ROWS      2000 /* at once */

/* Blocks that a killed daemon left open are complete: what comes is in others. */
static const char schema[] =
        "CREATE TABLE IF NOT EXISTS subjects(id INTEGER PRIMARY KEY AUTOINCREMENT,kind INTEGER NOT NULL,key TEXT NOT NULL,name TEXT NOT NULL,"
        "project TEXT NOT NULL,user TEXT NOT NULL,device TEXT NOT NULL,first INTEGER NOT NULL,last INTEGER NOT NULL,UNIQUE(kind,key));"
        "CREATE INDEX IF NOT EXISTS subjects_of ON subjects(project,id) WHERE kind=2;"
        "CREATE INDEX IF NOT EXISTS subjects_last ON subjects(last);"
        "CREATE TABLE IF NOT EXISTS minutes(id INTEGER PRIMARY KEY,subject INTEGER NOT NULL,start INTEGER NOT NULL,until INTEGER NOT NULL,"
        "currency TEXT NOT NULL,data BLOB NOT NULL);"
        "CREATE INDEX IF NOT EXISTS minutes_of ON minutes(subject,start);"
        "CREATE TABLE IF NOT EXISTS hours(id INTEGER PRIMARY KEY,subject INTEGER NOT NULL,start INTEGER NOT NULL,until INTEGER NOT NULL,"
        "currency TEXT NOT NULL,data BLOB NOT NULL);"
        "CREATE INDEX IF NOT EXISTS hours_of ON hours(subject,start);"
        "CREATE TABLE IF NOT EXISTS open(id INTEGER PRIMARY KEY,start INTEGER NOT NULL,until INTEGER NOT NULL,currency TEXT NOT NULL,"
        "data BLOB NOT NULL);"
        "INSERT INTO minutes(subject,start,until,currency,data) SELECT id/2,start,until,currency,data FROM open WHERE id%2=0 ORDER BY start;"
        "INSERT INTO hours(subject,start,until,currency,data) SELECT id/2,start,until,currency,data FROM open WHERE id%2=1 ORDER BY start;"
        "DELETE FROM open;";

#define WHO "SELECT id,key,name,project,user,device,first,last FROM subjects "
static const char *const sql[FGD_HQ_COUNT] = {
        [FGD_HQ_BEGIN] = "BEGIN IMMEDIATE",
        [FGD_HQ_COMMIT] = "COMMIT",
        [FGD_HQ_ROLLBACK] = "ROLLBACK",
        [FGD_HQ_ADD_SUBJECT] = "INSERT INTO subjects(kind,key,name,project,user,device,first,last) VALUES(?1,?2,?3,?4,?5,?6,?7,?8) "
                               "ON CONFLICT(kind,key) DO UPDATE SET name=?3,project=?4,user=?5,device=?6,last=max(last,?8) RETURNING id",
        [FGD_HQ_FIND_SUBJECT] = WHO "WHERE kind=?1 AND key=?2",
        [FGD_HQ_TOUCH_SUBJECT] = "UPDATE subjects SET last=?2 WHERE id=?1",
        [FGD_HQ_ADD_MINUTES] = "INSERT INTO minutes(subject,start,until,currency,data) VALUES(?1,?2,?3,?4,?5)",
        [FGD_HQ_ADD_HOURS] = "INSERT INTO hours(subject,start,until,currency,data) VALUES(?1,?2,?3,?4,?5)",
        [FGD_HQ_PUT_OPEN] = "INSERT OR REPLACE INTO open(id,start,until,currency,data) VALUES(?1,?2,?3,?4,?5)",
        [FGD_HQ_DROP_OPEN] = "DELETE FROM open WHERE id=?1",
        [FGD_HQ_READ_MINUTES] = "SELECT start,currency,data FROM minutes WHERE subject=?1 AND start<?2 AND start>?3 "
                                "UNION ALL SELECT start,currency,data FROM open WHERE id=?4 ORDER BY start",
        [FGD_HQ_READ_HOURS] = "SELECT start,currency,data FROM hours WHERE subject=?1 AND start<?2 AND start>?3 "
                              "UNION ALL SELECT start,currency,data FROM open WHERE id=?4 ORDER BY start",
        [FGD_HQ_LIST] = WHO "WHERE kind=2 AND id>?1 AND first<?2 AND last>=?3 ORDER BY id",
        [FGD_HQ_LIST_OF] = WHO "WHERE kind=2 AND project=?4 AND id>?1 AND first<?2 AND last>=?3 ORDER BY id",
        [FGD_HQ_TRIM_MINUTES] = "DELETE FROM minutes WHERE id IN (SELECT id FROM minutes ORDER BY id LIMIT ?2) AND until<=?1",
        [FGD_HQ_TRIM_HOURS] = "DELETE FROM hours WHERE id IN (SELECT id FROM hours ORDER BY id LIMIT ?2) AND until<=?1",
        [FGD_HQ_TRIM_SUBJECTS] = "DELETE FROM subjects WHERE id IN (SELECT id FROM subjects WHERE last<?1 ORDER BY last LIMIT ?2)",
        [FGD_HQ_OLDEST_HOUR] = "SELECT start FROM hours ORDER BY id LIMIT 1",
        [FGD_HQ_PAGES] = "PRAGMA page_count",
        [FGD_HQ_FREE_PAGES] = "PRAGMA freelist_count",
};

int fgd_history_error(const struct fgd_history *h, int code, struct fg_error *err)
{
        int primary = code & 0xff;
        int r = primary == SQLITE_FULL ? -ENOSPC : primary == SQLITE_NOMEM ? -ENOMEM : -EIO;
        if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB || primary == SQLITE_ERROR) /* ERROR: other tables than ours */
                r = -EUCLEAN;
        return fg_error_set(err, r, "%s", h->db ? sqlite3_errmsg(h->db) : sqlite3_errstr(code));
}

static int step(struct fgd_history *h, enum fgd_history_statement which, struct fg_error *err)
{
        int code = sqlite3_step(h->statement[which]);
        int r = code == SQLITE_DONE || code == SQLITE_ROW ? 0 : fgd_history_error(h, code, err);
        sqlite3_reset(h->statement[which]);
        return r;
}

static int number(struct fgd_history *h, enum fgd_history_statement which, int64_t *ret, struct fg_error *err)
{
        int code = sqlite3_step(h->statement[which]);
        int r = code == SQLITE_DONE || code == SQLITE_ROW ? 0 : fgd_history_error(h, code, err);
        *ret = code == SQLITE_ROW ? sqlite3_column_int64(h->statement[which], 0) : -1;
        sqlite3_reset(h->statement[which]);
        return r;
}

static int look_at_version(struct fgd_history *h, struct fg_error *err)
{
        sqlite3_stmt *s = NULL;
        int64_t found[2] = {0};
        static const char *const pragma[] = {"PRAGMA application_id", "PRAGMA user_version"};
        for (int i = 0; i < 2; i++) {
                int code = sqlite3_prepare_v2(h->db, pragma[i], -1, &s, NULL);
                if (code == SQLITE_OK && (code = sqlite3_step(s)) == SQLITE_ROW)
                        found[i] = sqlite3_column_int64(s, 0);
                sqlite3_finalize(s);
                if (code != SQLITE_ROW)
                        return fgd_history_error(h, code, err);
        }
        if ((found[0] && found[0] != APPLICATION_ID) || found[1] > VERSION)
                return fg_error_set(err, -EUCLEAN, "it is of another program, or of a later version");
        return 0;
}

static int open_file(struct fgd_history *h, struct fg_error *err)
{
        char pragmas[512];
        int code = sqlite3_open_v2(h->path, &h->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
        if (code != SQLITE_OK)
                return fgd_history_error(h, code, err);
        sqlite3_extended_result_codes(h->db, 1);
        /* A power cut may cost the last minutes, never the file. */
        snprintf(pragmas, sizeof pragmas,
                 "PRAGMA page_size=%u; PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-2048;"
                 "PRAGMA temp_store=MEMORY; PRAGMA journal_size_limit=1048576; PRAGMA trusted_schema=OFF; PRAGMA max_page_count=%llu;",
                 PAGE, (unsigned long long)h->pages_max);
        code = sqlite3_exec(h->db, pragmas, NULL, NULL, NULL);
        int r = code == SQLITE_OK ? look_at_version(h, err) : fgd_history_error(h, code, err);
        if (r < 0)
                return r;
        snprintf(pragmas, sizeof pragmas, "PRAGMA application_id=%d; PRAGMA user_version=%d;", APPLICATION_ID, VERSION);
        code = sqlite3_exec(h->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
        code = code == SQLITE_OK ? sqlite3_exec(h->db, pragmas, NULL, NULL, NULL) : code;
        code = code == SQLITE_OK ? sqlite3_exec(h->db, schema, NULL, NULL, NULL) : code;
        code = code == SQLITE_OK ? sqlite3_exec(h->db, "COMMIT", NULL, NULL, NULL) : code;
        for (int i = 0; i < FGD_HQ_COUNT && code == SQLITE_OK; i++)
                code = sqlite3_prepare_v3(h->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &h->statement[i], NULL);
        return code == SQLITE_OK ? 0 : fgd_history_error(h, code, err);
}

void fgd_history_close(struct fgd_history *h)
{
        struct fgd_history_subject *s;
        for (int i = 0; i < FGD_HQ_COUNT; i++) {
                sqlite3_finalize(h->statement[i]);
                h->statement[i] = NULL;
        }
        sqlite3_close(h->db);
        h->db = NULL;
        TAILQ_FOREACH(s, &h->subjects, order)
                s->id = 0;
}

int fgd_history_open(struct fgd_history *h)
{
        struct fg_error err = {0};
        char aside[sizeof h->path + 64];
        int r = open_file(h, &err);
        if (r == -EUCLEAN) {
                fgd_history_close(h);
                fgd_store_put_aside(h->path, aside, sizeof aside);
                fgd_manager_note(h->manager, "the history is damaged (%.160s): it was put aside as %.260s and begins anew", err.text, aside);
                r = open_file(h, &err);
        }
        if (r < 0) {
                fgd_history_close(h);
                if (strcmp(h->why, err.text) != 0)
                        fgd_manager_note(h->manager, "no history is kept: %s: %s", h->path, err.text);
                snprintf(h->why, sizeof h->why, "%s", err.text);
                return r;
        }
        h->why[0] = '\0';
        return 0;
}

int fgd_history_begin(struct fgd_history *h, struct fg_error *err)
{
        return step(h, FGD_HQ_BEGIN, err);
}

/* Numbers that were given out in a transaction that failed are nobody's. */
int fgd_history_end(struct fgd_history *h, int r, struct fg_error *err)
{
        struct fgd_history_subject *s;
        if (r == 0)
                r = step(h, FGD_HQ_COMMIT, err);
        if (r == 0)
                return 0;
        if (!sqlite3_get_autocommit(h->db))
                step(h, FGD_HQ_ROLLBACK, NULL);
        TAILQ_FOREACH(s, &h->subjects, order)
                s->id = 0;
        return r;
}

static void bind_text(sqlite3_stmt *q, int column, const char *text)
{
        sqlite3_bind_text(q, column, text ? text : "", -1, SQLITE_STATIC);
}

int fgd_history_put_subject(struct fgd_history *h, struct fgd_history_subject *s, struct fg_error *err)
{
        sqlite3_stmt *q = h->statement[s->id ? FGD_HQ_TOUCH_SUBJECT : FGD_HQ_ADD_SUBJECT];
        if (s->id) {
                sqlite3_bind_int64(q, 1, s->id);
                sqlite3_bind_int64(q, 2, s->fed);
                return step(h, FGD_HQ_TOUCH_SUBJECT, err);
        }
        sqlite3_bind_int64(q, 1, s->kind);
        bind_text(q, 2, s->key);
        bind_text(q, 3, s->name);
        bind_text(q, 4, s->project);
        bind_text(q, 5, s->user);
        bind_text(q, 6, s->device);
        sqlite3_bind_int64(q, 7, s->first);
        sqlite3_bind_int64(q, 8, s->fed);
        int code = sqlite3_step(q);
        if (code == SQLITE_ROW)
                s->id = sqlite3_column_int64(q, 0);
        int r = code == SQLITE_ROW ? 0 : fgd_history_error(h, code, err);
        sqlite3_reset(q);
        return r;
}

static int put_block(struct fgd_history *h, enum fgd_history_statement which, int64_t id, const struct fgd_history_done *done, struct fg_error *err)
{
        sqlite3_stmt *q = h->statement[which];
        sqlite3_bind_int64(q, 1, id);
        sqlite3_bind_int64(q, 2, done->start);
        sqlite3_bind_int64(q, 3, done->until);
        bind_text(q, 4, done->currency);
        sqlite3_bind_blob(q, 5, done->size ? done->data : "", (int)done->size, SQLITE_STATIC);
        int r = step(h, which, err);
        sqlite3_clear_bindings(q);
        return r;
}

int fgd_history_put_done(struct fgd_history *h, const struct fgd_history_done *done, struct fg_error *err)
{
        int64_t id = done->subject->id;
        int r = put_block(h, done->level == FGD_HISTORY_MINUTES ? FGD_HQ_ADD_MINUTES : FGD_HQ_ADD_HOURS, id, done, err);
        if (r < 0)
                return r;
        sqlite3_bind_int64(h->statement[FGD_HQ_DROP_OPEN], 1, id * 2 + done->level);
        return step(h, FGD_HQ_DROP_OPEN, err);
}

int fgd_history_put_open(struct fgd_history *h, const struct fgd_history_subject *s, enum fgd_history_level level,
                         const struct fgd_history_block *block, struct fg_error *err)
{
        struct fgd_history_done done = {.start = block->start, .until = block->next, .data = block->data, .size = block->size};
        memcpy(done.currency, s->currency, sizeof done.currency);
        return put_block(h, FGD_HQ_PUT_OPEN, s->id * 2 + level, &done, err);
}

/* *ret: how many went. */
static int trim(struct fgd_history *h, enum fgd_history_statement which, int64_t until, int64_t rows, int *ret, struct fg_error *err)
{
        sqlite3_bind_int64(h->statement[which], 1, until);
        sqlite3_bind_int64(h->statement[which], 2, rows);
        int r = step(h, which, err);
        *ret = r == 0 ? sqlite3_changes(h->db) : 0;
        return r;
}

static int64_t smaller(int64_t a, int64_t b)
{
        return a < b ? a : b;
}

int fgd_history_trim(struct fgd_history *h, struct fg_error *err)
{
        int64_t pages = 0, vacant = 0, oldest = -1, minutes = h->turned - (int64_t)h->manager->options.value[FG_OPT_HISTORY_MINUTES];
        int64_t part = smaller((int64_t)h->pages_max / 16 + 8, TRIM_ROWS); /* of a small file not nearly all of it */
        int gone = 0;
        int r = trim(h, FGD_HQ_TRIM_MINUTES, minutes, TRIM_ROWS, &gone, err);
        if (r == 0)
                r = trim(h, FGD_HQ_TRIM_HOURS, h->turned - FGD_HISTORY_KEEP_S, TRIM_ROWS, &gone, err);
        if (r == 0)
                r = number(h, FGD_HQ_PAGES, &pages, err);
        if (r == 0)
                r = number(h, FGD_HQ_FREE_PAGES, &vacant, err);
        if (r == 0 && (uint64_t)(pages - vacant) > h->pages_max / 10 * 9) {
                r = trim(h, FGD_HQ_TRIM_MINUTES, INT64_MAX, part, &gone, err);
                if (r == 0 && !gone)
                        r = trim(h, FGD_HQ_TRIM_HOURS, INT64_MAX, part, &gone, err);
        }
        if (r == 0)
                r = number(h, FGD_HQ_OLDEST_HOUR, &oldest, err);
        if (r == 0 && oldest >= 0)
                r = trim(h, FGD_HQ_TRIM_SUBJECTS, smaller(oldest, h->turned - FGD_HISTORY_HOURS_SPAN) - FGD_HISTORY_HOURS_SPAN, TRIM_ROWS, &gone, err);
        return r;
}
