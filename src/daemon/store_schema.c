/* SPDX-License-Identifier: Apache-2.0
 * The tables, and how those of older versions become these. */
#include "daemon/store_internal.h"

#include <stdio.h>

#define APPLICATION_ID "1179078741" /* "FGPU" */

#define SETS                                                                                                      \
        "(id INTEGER PRIMARY KEY, name TEXT NOT NULL, created INTEGER NOT NULL, ephemeral INTEGER NOT NULL,"      \
        " count INTEGER NOT NULL, project INTEGER NOT NULL, owner INTEGER, UNIQUE(project, name))"

static const char vgpu_tables[] =
        "CREATE TABLE devices(id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, uuid TEXT NOT NULL, api TEXT NOT NULL,"
        " model TEXT NOT NULL, vendor TEXT NOT NULL, driver TEXT NOT NULL, memory INTEGER NOT NULL,"
        " compute_units INTEGER NOT NULL, type TEXT NOT NULL);"
        "CREATE TABLE sets" SETS ";"
        "CREATE TABLE vgpus(id INTEGER PRIMARY KEY, set_id INTEGER NOT NULL, idx INTEGER NOT NULL, uuid BLOB NOT NULL,"
        " device INTEGER NOT NULL, memory INTEGER NOT NULL, share INTEGER NOT NULL, mode INTEGER NOT NULL,"
        " priority INTEGER NOT NULL, UNIQUE(set_id, idx));"
        "CREATE TABLE usage(vgpu INTEGER PRIMARY KEY,"
        " base_peak INTEGER, base_gpu_ns INTEGER, base_granted_ns INTEGER, base_launches INTEGER, base_waits INTEGER,"
        " base_wait_ns INTEGER, base_refusals INTEGER, base_faults INTEGER,"
        " live_peak INTEGER, live_gpu_ns INTEGER, live_granted_ns INTEGER, live_launches INTEGER, live_waits INTEGER,"
        " live_wait_ns INTEGER, live_refusals INTEGER, live_faults INTEGER);";

/* Ids of users and projects are never used again: what was written down about one is not another's. The project and user of
 * a quota are 0 where none is meant. */
static const char tenant_tables[] =
        "CREATE TABLE organisations(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, locked INTEGER NOT NULL);"
        "CREATE TABLE projects(id INTEGER PRIMARY KEY AUTOINCREMENT, organisation INTEGER NOT NULL, name TEXT NOT NULL UNIQUE,"
        " description TEXT NOT NULL, created INTEGER NOT NULL);"
        "CREATE TABLE users(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, uid INTEGER UNIQUE,"
        " account TEXT NOT NULL, admin INTEGER NOT NULL, disabled INTEGER NOT NULL, created INTEGER NOT NULL);"
        "CREATE TABLE members(number INTEGER PRIMARY KEY AUTOINCREMENT, project INTEGER NOT NULL, user INTEGER NOT NULL,"
        " role INTEGER NOT NULL, UNIQUE(project, user));"
        "CREATE INDEX members_user ON members(user);"
        "CREATE TABLE tokens(number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL,"
        " hash BLOB NOT NULL, user INTEGER NOT NULL, project INTEGER, cap INTEGER NOT NULL, created INTEGER NOT NULL,"
        " expires INTEGER NOT NULL, revoked INTEGER NOT NULL);"
        "CREATE INDEX tokens_user ON tokens(user);"
        "CREATE TABLE quotas(project INTEGER NOT NULL, user INTEGER NOT NULL, key INTEGER NOT NULL, value INTEGER NOT NULL,"
        " PRIMARY KEY(project, user, key)) WITHOUT ROWID;"
        "CREATE INDEX quotas_user ON quotas(user);"
        "CREATE TABLE audit(seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, actor TEXT NOT NULL, via TEXT NOT NULL,"
        " origin TEXT NOT NULL, action TEXT NOT NULL, target TEXT NOT NULL, project INTEGER, project_name TEXT NOT NULL,"
        " status INTEGER NOT NULL, problem TEXT NOT NULL, count INTEGER NOT NULL);"
        "CREATE INDEX audit_project ON audit(project) WHERE project IS NOT NULL;"
        "CREATE TABLE events(seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, project INTEGER,"
        " project_name TEXT NOT NULL, actor TEXT NOT NULL, kind TEXT NOT NULL, target TEXT NOT NULL, text TEXT NOT NULL);"
        "CREATE INDEX events_project ON events(project) WHERE project IS NOT NULL;"
        "CREATE TABLE replies(seq INTEGER PRIMARY KEY, principal TEXT NOT NULL, key TEXT NOT NULL,"
        " hash BLOB NOT NULL, time INTEGER NOT NULL, status INTEGER NOT NULL, target TEXT NOT NULL, body BLOB,"
        " UNIQUE(principal, key));"
        "CREATE INDEX replies_time ON replies(time);"
        "INSERT INTO organisations(id,name,locked) VALUES(1,'default',0);"
        "INSERT INTO projects(id,organisation,name,description,created) VALUES(1,1,'default','',strftime('%s','now'));";

/* Kinds as in enum fgd_perf_kind; times in ns. */
static const char perf_tables[] =
        "CREATE TABLE perf(kind INTEGER NOT NULL, id INTEGER NOT NULL, servable INTEGER NOT NULL, occupied INTEGER NOT NULL,"
        " busy INTEGER NOT NULL, native INTEGER NOT NULL, kept INTEGER NOT NULL, unknown INTEGER NOT NULL,"
        " PRIMARY KEY(kind, id)) WITHOUT ROWID;"
        "CREATE TABLE calibrations(device INTEGER PRIMARY KEY, native_ppm INTEGER NOT NULL, time INTEGER NOT NULL);";

/* A job of one command is one whose count is 1. `next`: every element before it has a row in runs or was cancelled with its job. A run
 * has a set exactly while its state is an active one. The use of a standing is as fg_queue_use_save() gives it. */
static const char job_tables[] =
        "ALTER TABLE sets ADD COLUMN job INTEGER NOT NULL DEFAULT 0;"
        "ALTER TABLE sets ADD COLUMN element INTEGER NOT NULL DEFAULT 0;"
        "CREATE TABLE jobs(id INTEGER PRIMARY KEY AUTOINCREMENT, project INTEGER NOT NULL, owner INTEGER, owner_name TEXT NOT NULL,"
        " name TEXT NOT NULL, command TEXT NOT NULL, uid INTEGER NOT NULL, class INTEGER NOT NULL, gpus INTEGER NOT NULL,"
        " memory INTEGER NOT NULL, share INTEGER NOT NULL, mode INTEGER NOT NULL, device INTEGER NOT NULL, is_array INTEGER NOT NULL,"
        " first INTEGER NOT NULL, count INTEGER NOT NULL, at_once INTEGER NOT NULL, time_limit INTEGER NOT NULL,"
        " not_before INTEGER NOT NULL, retries INTEGER NOT NULL, submitted INTEGER NOT NULL, spec BLOB NOT NULL,"
        " state INTEGER NOT NULL, hold INTEGER NOT NULL DEFAULT 0, cancelling INTEGER NOT NULL DEFAULT 0, next INTEGER NOT NULL DEFAULT 0,"
        " done INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0, cancelled INTEGER NOT NULL DEFAULT 0,"
        " started INTEGER NOT NULL DEFAULT 0, ended INTEGER NOT NULL DEFAULT 0);"
        "CREATE INDEX jobs_project ON jobs(project);"
        "CREATE INDEX jobs_state ON jobs(state);"
        "CREATE INDEX jobs_live ON jobs(id) WHERE state<5;"
        "CREATE TABLE runs(job INTEGER NOT NULL, idx INTEGER NOT NULL, state INTEGER NOT NULL, attempt INTEGER NOT NULL,"
        " hold INTEGER NOT NULL, started INTEGER NOT NULL, ended INTEGER NOT NULL, code INTEGER NOT NULL, signal INTEGER NOT NULL,"
        " ran INTEGER NOT NULL, gpu_ns INTEGER NOT NULL, cpu INTEGER NOT NULL, max_rss INTEGER NOT NULL, log INTEGER NOT NULL,"
        " dropped INTEGER NOT NULL, why TEXT NOT NULL, PRIMARY KEY(job, idx)) WITHOUT ROWID;"
        "CREATE INDEX runs_live ON runs(job) WHERE state<5;"
        "CREATE TABLE standings(project INTEGER PRIMARY KEY, use INTEGER NOT NULL, at INTEGER NOT NULL);";

/* `suspended`: by a person or its lease; a job's set is suspended with its run. idle_lease -1: the daemon's. Times of leases: lease.h. */
static const char lease_tables[] =
        "ALTER TABLE sets ADD COLUMN suspended INTEGER NOT NULL DEFAULT 0;"
        "ALTER TABLE projects ADD COLUMN idle_lease INTEGER NOT NULL DEFAULT -1;"
        "CREATE TABLE leases(set_id INTEGER PRIMARY KEY, active_at INTEGER NOT NULL, gpu_ns INTEGER NOT NULL, warned INTEGER NOT NULL);"
        "CREATE TABLE uptime(id INTEGER PRIMARY KEY, ms INTEGER NOT NULL);";

/* Nano-units. `before`: what the number had cost when the job was submitted. */
static const char budget_tables[] =
        "CREATE TABLE job_budgets(job INTEGER PRIMARY KEY, currency TEXT NOT NULL, amount INTEGER NOT NULL, before INTEGER NOT NULL);";

/* Whom a set's minutes are billed to, and what it runs for in a cluster. A payer of 0 is its project. */
static const char payer_tables[] =
        "ALTER TABLE sets ADD COLUMN payer INTEGER NOT NULL DEFAULT 0;"
        "ALTER TABLE sets ADD COLUMN workload TEXT NOT NULL DEFAULT '';";

/* Version 1 knew no projects: what it has belongs to the first. */
static const char sets_from_1[] =
        "CREATE TABLE sets_new" SETS ";"
        "INSERT INTO sets_new(id,name,created,ephemeral,count,project,owner) SELECT id,name,created,ephemeral,count,1,NULL FROM sets;"
        "DROP TABLE sets; ALTER TABLE sets_new RENAME TO sets;";

static int run(struct fgd_store *store, const char *sql, struct fg_error *err)
{
        int code = sqlite3_exec(store->db, sql, NULL, NULL, NULL);
        return code == SQLITE_OK ? 0 : fgd_store_error(store, code, "the store", err);
}

static int run_all(struct fgd_store *store, const char *const *sql, struct fg_error *err)
{
        char version[96];
        int r = run(store, "BEGIN IMMEDIATE", err);
        for (; r == 0 && *sql; sql++)
                r = run(store, *sql, err);
        snprintf(version, sizeof version, "PRAGMA application_id=" APPLICATION_ID "; PRAGMA user_version=%d", FGD_STORE_VERSION);
        if (r == 0)
                r = run(store, version, err);
        if (r == 0)
                r = run(store, "COMMIT", err);
        if (r < 0)
                sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
        return r;
}

int fgd_store_make_schema(struct fgd_store *store, struct fg_error *err)
{
        static const char *const all[] = {vgpu_tables, tenant_tables, job_tables, lease_tables, perf_tables, budget_tables, payer_tables, NULL};
        return run_all(store, all, err);
}

int fgd_store_migrate(struct fgd_store *store, int from_version, struct fg_error *err)
{
        static const char *const from_1[] = {tenant_tables, sets_from_1, job_tables, lease_tables, perf_tables, budget_tables, payer_tables, NULL};
        static const char *const from_2[] = {job_tables, lease_tables, perf_tables, budget_tables, payer_tables, NULL};
        static const char *const from_3[] = {budget_tables, payer_tables, NULL};
        static const char *const from_4[] = {payer_tables, NULL};
        static const char *const *const from[] = {NULL, from_1, from_2, from_3, from_4};
        _Static_assert(FGD_STORE_VERSION == sizeof from / sizeof *from, "a new version needs its own step");
        int r = from_version < FGD_STORE_VERSION ? run_all(store, from[from_version], err) : 0;
        return r < 0 ? fg_error_wrap(err, r, "the store of version %d cannot be brought to version %d", from_version, FGD_STORE_VERSION) : 0;
}
