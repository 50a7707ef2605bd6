/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/store_journal.h"

#include "daemon/store_internal.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define TRIM_EVERY 64 /* rows: so seldom is looked at what is too old */

void fgd_store_keep(struct fgd_store *store, int64_t audit, int64_t events)
{
        store->audit_keep = audit > 1000 ? audit : 1000;
        store->events_keep = events > 1000 ? events : 1000;
}

int fgd_store_put_audit(struct fgd_store *store, const struct fgd_audit *row, int64_t *ret_seq, struct fg_error *err)
{
        int r = fgd_sql_run(store, FGD_SQL_ADD_AUDIT, err, "itttttrtiti", row->time, row->actor, row->via, row->from, row->action, row->target,
                            row->project, row->project_name, (int64_t)row->status, row->problem, (int64_t)row->count);
        *ret_seq = sqlite3_last_insert_rowid(store->db);
        if (r == 0 && *ret_seq % TRIM_EVERY == 0)
                r = fgd_sql_run(store, FGD_SQL_TRIM_AUDIT, err, "i", *ret_seq - store->audit_keep);
        return r;
}

int fgd_store_amend_audit(struct fgd_store *store, const struct fgd_audit *row, struct fg_error *err)
{
        return fgd_sql_run(store, FGD_SQL_AMEND_AUDIT, err, "iiti", row->seq, (int64_t)row->status, row->problem,
                           (int64_t)row->count);
}

int fgd_store_put_event(struct fgd_store *store, const struct fgd_event *event, struct fg_error *err)
{
        int r = fgd_sql_run(store, FGD_SQL_ADD_EVENT, err, "irttttt", event->time, event->project, event->project_name, event->actor,
                            event->kind, event->target, event->text);
        int64_t seq = sqlite3_last_insert_rowid(store->db);
        if (r == 0)
                store->event = seq;
        if (r == 0 && seq % TRIM_EVERY == 0)
                r = fgd_sql_run(store, FGD_SQL_TRIM_EVENTS, err, "i", seq - store->events_keep);
        return r;
}

int fgd_store_put_reply(struct fgd_store *store, const struct fgd_reply *reply, struct fg_error *err)
{
        int64_t now = time(NULL);
        sqlite3_stmt *put = fgd_sql_bind(store, FGD_SQL_PUT_REPLY, "ttbiitb", reply->principal, reply->key, (const void *)reply->hash,
                                         (int)sizeof reply->hash, now, (int64_t)reply->status, reply->target, (const void *)reply->body,
                                         (int)reply->size);
        if (!reply->body)
                sqlite3_bind_null(put, 7);
        int r = fgd_sql_step(store, FGD_SQL_PUT_REPLY, err);
        int64_t seq = sqlite3_last_insert_rowid(store->db);
        if (r == 0 && seq % TRIM_EVERY == 0)
                r = fgd_sql_run(store, FGD_SQL_TRIM_REPLIES, err, "ii", now - FGD_REPLIES_KEPT_SEC, seq - (int64_t)FGD_REPLIES_MAX);
        if (r == 0 && seq % TRIM_EVERY == 0)
                r = fgd_sql_run(store, FGD_SQL_TRIM_REPLIES_OF, err, "ti", reply->principal, (int64_t)FGD_REPLIES_USER);
        return r;
}

/* 1 with the row's values still in the statement. */
static int take_reply(sqlite3_stmt *s, struct fgd_kept_reply *ret)
{
        int size = sqlite3_column_bytes(s, 3);
        *ret = (struct fgd_kept_reply){.status = (unsigned)sqlite3_column_int(s, 1)};
        if (sqlite3_column_bytes(s, 0) == sizeof ret->hash)
                memcpy(ret->hash, sqlite3_column_blob(s, 0), sizeof ret->hash);
        fgd_sql_text(s, 2, ret->target, sizeof ret->target);
        if (sqlite3_column_type(s, 3) == SQLITE_NULL)
                return 1;
        ret->body = malloc((size_t)size + 1);
        if (!ret->body)
                return -ENOMEM;
        memcpy(ret->body, sqlite3_column_blob(s, 3), (size_t)size);
        ret->body[size] = 0;
        return 1;
}

int fgd_store_get_reply(struct fgd_store *store, const char *principal, const char *key, int64_t now, struct fgd_kept_reply *ret,
                        struct fg_error *err)
{
        sqlite3_stmt *get = fgd_sql_bind(store, FGD_SQL_GET_REPLY, "tti", principal, key, now - FGD_REPLIES_KEPT_SEC);
        int code = sqlite3_step(get), r = 0;
        if (code == SQLITE_ROW)
                r = take_reply(get, ret);
        else if (code != SQLITE_DONE)
                r = fgd_store_error(store, code, "cannot read the store", err);
        sqlite3_reset(get);
        return r == -ENOMEM ? fg_error_set(err, r, "out of memory") : r;
}

static const char *text(sqlite3_stmt *s, int column)
{
        const unsigned char *value = sqlite3_column_text(s, column);
        return value ? (const char *)value : "";
}

int fgd_store_read_audit(struct fgd_store *store, int64_t before, int64_t project, int (*row)(void *user, const struct fgd_audit_row *row),
                         void *user, struct fg_error *err)
{
        enum fgd_statement which = project ? FGD_SQL_READ_AUDIT_OF : FGD_SQL_READ_AUDIT;
        sqlite3_stmt *s = fgd_sql_bind(store, which, project ? "ii" : "i", before, project);
        int code, r = 0;
        while (r == 0 && (code = sqlite3_step(s)) == SQLITE_ROW) {
                const struct fgd_audit_row found = {.seq = sqlite3_column_int64(s, 0), .time = sqlite3_column_int64(s, 1), .actor = text(s, 2),
                                                    .via = text(s, 3), .origin = text(s, 4), .action = text(s, 5), .target = text(s, 6),
                                                    .project = sqlite3_column_int64(s, 7), .project_name = text(s, 8),
                                                    .status = (unsigned)sqlite3_column_int(s, 9), .problem = text(s, 10),
                                                    .count = (unsigned)sqlite3_column_int(s, 11)};
                r = row(user, &found);
        }
        if (r == 0 && code != SQLITE_DONE)
                r = fgd_store_error(store, code, "cannot read the audit", err);
        sqlite3_reset(s);
        return r < 0 ? r : 0;
}

/* Not what is not on the disk: after a power cut its number would be another's. */
int64_t fgd_store_last_event(struct fgd_store *store)
{
        return store->sync.log < 0 ? store->event : store->sync.durable.event;
}

int fgd_store_read_events(struct fgd_store *store, int64_t after, int64_t project, int (*row)(void *user, const struct fgd_event_row *row),
                          void *user, struct fg_error *err)
{
        enum fgd_statement which = project ? FGD_SQL_READ_EVENTS_OF : FGD_SQL_READ_EVENTS;
        sqlite3_stmt *s = fgd_sql_bind(store, which, project ? "ii" : "i", after, project);
        int64_t last = fgd_store_last_event(store);
        int code, r = 0;
        while (r == 0 && (code = sqlite3_step(s)) == SQLITE_ROW && sqlite3_column_int64(s, 0) <= last) {
                const struct fgd_event_row found = {.seq = sqlite3_column_int64(s, 0), .time = sqlite3_column_int64(s, 1),
                                                    .project = sqlite3_column_int64(s, 2), .project_name = text(s, 3), .actor = text(s, 4),
                                                    .kind = text(s, 5), .target = text(s, 6), .text = text(s, 7)};
                r = row(user, &found);
        }
        if (r == 0 && code != SQLITE_DONE && code != SQLITE_ROW)
                r = fgd_store_error(store, code, "cannot read the events", err);
        sqlite3_reset(s);
        return r < 0 ? r : 0;
}
