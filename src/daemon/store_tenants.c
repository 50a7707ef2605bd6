/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/store_tenants.h"

#include "daemon/lease.h"
#include "daemon/store_internal.h"

int fgd_store_add_user(struct fgd_store *store, struct fgd_user *user, struct fg_error *err)
{
        int r = fgd_sql_begin(store, err);
        if (r < 0)
                return r;
        sqlite3_stmt *add = fgd_sql_bind(store, FGD_SQL_ADD_USER, "titiii", user->name, user->uid, user->account, (int64_t)user->admin,
                                         (int64_t)user->disabled, user->created);
        if (user->uid == FGD_NO_UID)
                sqlite3_bind_null(add, 2);
        r = fgd_sql_step(store, FGD_SQL_ADD_USER, err);
        user->id = sqlite3_last_insert_rowid(store->db);
        return fgd_sql_finish(store, r, true, err);
}

int fgd_store_change_user(struct fgd_store *store, const struct fgd_user *user, struct fg_error *err)
{
        int r = fgd_sql_begin(store, err);
        if (r < 0)
                return r;
        sqlite3_stmt *change = fgd_sql_bind(store, FGD_SQL_CHANGE_USER, "iitii", user->id, user->uid, user->account, (int64_t)user->admin,
                                            (int64_t)user->disabled);
        if (user->uid == FGD_NO_UID)
                sqlite3_bind_null(change, 2);
        return fgd_sql_finish(store, fgd_sql_step(store, FGD_SQL_CHANGE_USER, err), true, err);
}

/* The same id for several statements, all or none. */
static int run_each(struct fgd_store *store, const enum fgd_statement *all, unsigned count, int64_t id, struct fg_error *err)
{
        int r = fgd_sql_begin(store, err);
        if (r < 0)
                return r;
        for (unsigned i = 0; r == 0 && i < count; i++)
                r = fgd_sql_run(store, all[i], err, "i", id);
        return fgd_sql_finish(store, r, true, err);
}

int fgd_store_delete_user(struct fgd_store *store, const struct fgd_user *user, struct fg_error *err)
{
        static const enum fgd_statement all[] = {FGD_SQL_DELETE_USER_TOKENS, FGD_SQL_DELETE_USER_QUOTAS, FGD_SQL_DELETE_USER_MEMBERS,
                                                 FGD_SQL_DELETE_USER, FGD_SQL_UNLOCK};
        return run_each(store, all, sizeof all / sizeof *all, user->id, err);
}

int fgd_store_delete_project(struct fgd_store *store, const struct fgd_project *project, struct fg_error *err)
{
        static const enum fgd_statement all[] = {FGD_SQL_DELETE_PROJECT_TOKENS,  FGD_SQL_DELETE_PROJECT_PERF, FGD_SQL_DELETE_PROJECT_QUOTAS,
                                                 FGD_SQL_DELETE_PROJECT_MEMBERS, FGD_SQL_DELETE_STANDING,     FGD_SQL_DELETE_PROJECT};
        return run_each(store, all, sizeof all / sizeof *all, project->id, err);
}

int fgd_store_add_project(struct fgd_store *store, struct fgd_project *project, struct fg_error *err)
{
        int r = fgd_sql_begin(store, err);
        if (r < 0)
                return r;
        r = fgd_sql_run(store, FGD_SQL_ADD_PROJECT, err, "tti", project->name, project->description, project->created);
        project->id = sqlite3_last_insert_rowid(store->db);
        if (r == 0 && project->idle_lease != FGD_LEASE_DEFAULT)
                r = fgd_sql_run(store, FGD_SQL_LEASE_OF, err, "ii", project->id, project->idle_lease);
        return fgd_sql_finish(store, r, true, err);
}

int fgd_store_describe_project(struct fgd_store *store, const struct fgd_project *project, const char *description, struct fg_error *err)
{
        int r = fgd_sql_begin(store, err);
        if (r < 0)
                return r;
        return fgd_sql_finish(store, fgd_sql_run(store, FGD_SQL_DESCRIBE_PROJECT, err, "it", project->id, description), true, err);
}

int fgd_store_put_member(struct fgd_store *store, const struct fgd_member *member, enum fgd_role role, struct fg_error *err)
{
        int r = fgd_sql_begin(store, err);
        if (r < 0)
                return r;
        r = fgd_sql_run(store, FGD_SQL_PUT_MEMBER, err, "iii", member->project->id, member->user->id, (int64_t)role);
        return fgd_sql_finish(store, r, true, err);
}

int fgd_store_delete_member(struct fgd_store *store, const struct fgd_member *member, struct fg_error *err)
{
        int r = fgd_sql_begin(store, err);
        if (r < 0)
                return r;
        r = fgd_sql_run(store, FGD_SQL_DELETE_MEMBER_QUOTAS, err, "ii", member->project->id, member->user->id);
        if (r == 0)
                r = fgd_sql_run(store, FGD_SQL_DELETE_MEMBER, err, "ii", member->project->id, member->user->id);
        return fgd_sql_finish(store, r, true, err);
}

int fgd_store_put_quota(struct fgd_store *store, const struct fgd_quota_change *change, struct fg_error *err)
{
        int64_t project = change->project ? change->project->id : 0, user = change->user ? change->user->id : 0;
        int r = fgd_sql_begin(store, err);
        if (r < 0)
                return r;
        for (int i = 0; r == 0 && i < FGD_QUOTA_KEYS; i++) {
                if (!change->has[i])
                        continue;
                if (change->limit[i])
                        r = fgd_sql_run(store, FGD_SQL_PUT_QUOTA, err, "iiii", project, user, (int64_t)i, (int64_t)change->limit[i]);
                else
                        r = fgd_sql_run(store, FGD_SQL_DELETE_QUOTA, err, "iii", project, user, (int64_t)i);
        }
        return fgd_sql_finish(store, r, true, err);
}

int fgd_store_add_token(struct fgd_store *store, struct fgd_token *token, struct fg_error *err)
{
        int r = fgd_sql_begin(store, err);
        if (r < 0)
                return r;
        r = fgd_sql_run(store, FGD_SQL_ADD_TOKEN, err, "ttbiriii", token->id, token->name, (const void *)token->hash, (int)FGD_TOKEN_HASH_SIZE,
                        token->user->id, token->project ? token->project->id : (int64_t)0, (int64_t)token->cap, token->created,
                        token->expires);
        token->number = sqlite3_last_insert_rowid(store->db);
        return fgd_sql_finish(store, r, true, err);
}

int fgd_store_revoke_token(struct fgd_store *store, const struct fgd_token *token, struct fg_error *err)
{
        int r = fgd_sql_begin(store, err);
        if (r < 0)
                return r;
        return fgd_sql_finish(store, fgd_sql_run(store, FGD_SQL_REVOKE_TOKEN, err, "i", token->number), true, err);
}

int fgd_store_sweep_tokens(struct fgd_store *store, int64_t before, struct fg_error *err)
{
        int r = fgd_sql_begin(store, err);
        if (r < 0)
                return r;
        return fgd_sql_finish(store, fgd_sql_run(store, FGD_SQL_SWEEP_TOKENS, err, "i", before), false, err);
}

static int organisation_row(sqlite3_stmt *s, const void *user)
{
        const struct fgd_store_tenants *visitor = user;
        return visitor->organisation(visitor->user_data, sqlite3_column_int64(s, 0) != 0);
}

static int project_row(sqlite3_stmt *s, const void *user)
{
        const struct fgd_store_tenants *visitor = user;
        struct fgd_project row = {.id = sqlite3_column_int64(s, 0), .created = sqlite3_column_int64(s, 3)};
        fgd_sql_text(s, 1, row.name, sizeof row.name);
        fgd_sql_text(s, 2, row.description, sizeof row.description);
        row.idle_lease = sqlite3_column_int64(s, 4);
        return visitor->project(visitor->user_data, &row);
}

static int user_row(sqlite3_stmt *s, const void *user)
{
        const struct fgd_store_tenants *visitor = user;
        struct fgd_user row = {.id = sqlite3_column_int64(s, 0), .uid = FGD_NO_UID, .admin = sqlite3_column_int64(s, 4) != 0,
                               .disabled = sqlite3_column_int64(s, 5) != 0, .created = sqlite3_column_int64(s, 6)};
        if (sqlite3_column_type(s, 2) == SQLITE_INTEGER)
                row.uid = sqlite3_column_int64(s, 2);
        fgd_sql_text(s, 1, row.name, sizeof row.name);
        fgd_sql_text(s, 3, row.account, sizeof row.account);
        return visitor->user(visitor->user_data, &row);
}

static int member_row(sqlite3_stmt *s, const void *user)
{
        const struct fgd_store_tenants *visitor = user;
        struct fgd_store_member row = {sqlite3_column_int64(s, 0), sqlite3_column_int64(s, 1), sqlite3_column_int64(s, 2)};
        return visitor->member(visitor->user_data, &row);
}

static int token_row(sqlite3_stmt *s, const void *user)
{
        const struct fgd_store_tenants *visitor = user;
        struct fgd_store_token row = {.number = sqlite3_column_int64(s, 0), .id = (const char *)sqlite3_column_text(s, 1),
                                      .name = (const char *)sqlite3_column_text(s, 2), .user = sqlite3_column_int64(s, 4),
                                      .project = sqlite3_column_int64(s, 5), .cap = sqlite3_column_int64(s, 6),
                                      .created = sqlite3_column_int64(s, 7), .expires = sqlite3_column_int64(s, 8),
                                      .revoked = sqlite3_column_int64(s, 9) != 0};
        if (sqlite3_column_bytes(s, 3) == FGD_TOKEN_HASH_SIZE)
                row.hash = sqlite3_column_blob(s, 3);
        return visitor->token(visitor->user_data, &row);
}

static int quota_row(sqlite3_stmt *s, const void *user)
{
        const struct fgd_store_tenants *visitor = user;
        struct fgd_store_quota row = {sqlite3_column_int64(s, 0), sqlite3_column_int64(s, 1), sqlite3_column_int64(s, 2),
                                      sqlite3_column_int64(s, 3)};
        return visitor->quota(visitor->user_data, &row);
}

int fgd_store_load_tenants(struct fgd_store *store, const struct fgd_store_tenants *visitor, struct fg_error *err)
{
        static const struct {
                const char *sql;
                int (*row)(sqlite3_stmt *, const void *);
        } all[] = {
                {"SELECT locked FROM organisations", organisation_row},
                {"SELECT id,name,description,created,idle_lease FROM projects ORDER BY id", project_row},
                {"SELECT id,name,uid,account,admin,disabled,created FROM users ORDER BY id", user_row},
                {"SELECT project,user,role FROM members ORDER BY number", member_row},
                {"SELECT number,id,name,hash,user,project,cap,created,expires,revoked FROM tokens ORDER BY number", token_row},
                {"SELECT project,user,key,value FROM quotas", quota_row},
        };
        int r = 0;
        for (unsigned i = 0; r == 0 && i < sizeof all / sizeof *all; i++)
                r = fgd_sql_walk(store, all[i].sql, visitor, all[i].row, err);
        return r;
}
