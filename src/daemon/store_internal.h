/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FGD_STORE_INTERNAL_H
#define FGD_STORE_INTERNAL_H

#include "daemon/store.h"
#include "daemon/store_sync.h"

#include <pthread.h>
#include <sqlite3.h>

/* One row per statement: name, text. */
#define FGD_COUNTER_COLUMNS(p) \
        p "peak," p "gpu_ns," p "granted_ns," p "launches," p "waits," p "wait_ns," p "refusals," p "faults"
#define FGD_AUDIT_COLUMNS "seq,time,actor,via,origin,action,target,project,project_name,status,problem,count"
#define FGD_EVENT_COLUMNS "seq,time,project,project_name,actor,kind,target,text"
#define FGD_PERF_COLUMNS "servable,occupied,busy,native,kept,unknown"
#define FGD_JOB_COLUMNS                                                                                                  \
        "id,project,owner,owner_name,name,command,uid,class,gpus,memory,share,mode,device,is_array,first,count,at_once,"  \
        "time_limit,not_before,retries,submitted,state,hold,cancelling,next,done,failed,cancelled,started,ended"
#define FGD_RUN_COLUMNS "job,idx,state,attempt,hold,started,ended,code,signal,ran,gpu_ns,cpu,max_rss,log,dropped,why"
#define FGD_JOB_STATEMENTS(X)                                                                                             \
        X(ADD_JOB, "INSERT INTO jobs(project,owner,owner_name,name,command,uid,class,gpus,memory,share,mode,device,"      \
                   "is_array,first,count,at_once,time_limit,not_before,retries,submitted,spec,state) "                    \
                   "VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21,0)")                \
        X(PUT_JOB, "UPDATE jobs SET state=?2,hold=?3,cancelling=?4,next=?5,done=?6,failed=?7,cancelled=?8,started=?9,ended=?10 " \
                   "WHERE id=?1")                                                                                         \
        X(PUT_RUN, "INSERT OR REPLACE INTO runs(" FGD_RUN_COLUMNS ") "                                                    \
                   "VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16)")                                      \
        X(CANCEL_RUNS, "UPDATE runs SET state=?2,ended=?3 WHERE job=?1 AND state=0")                                      \
        X(HOLD_RUNS, "UPDATE runs SET hold=(hold&~1)|?2 WHERE job=?1 AND state<5")                                               \
        X(GET_RUN, "SELECT " FGD_RUN_COLUMNS " FROM runs WHERE job=?1 AND idx=?2")                                        \
        X(READ_RUNS, "SELECT " FGD_RUN_COLUMNS " FROM runs WHERE job=?1 AND idx>=?2 ORDER BY idx")                        \
        X(GET_JOB, "SELECT " FGD_JOB_COLUMNS " FROM jobs WHERE id=?1")                                                    \
        X(GET_SPEC, "SELECT spec FROM jobs WHERE id=?1")                                                                  \
        X(READ_JOBS, "SELECT " FGD_JOB_COLUMNS " FROM jobs WHERE id<?1 ORDER BY id DESC")                                 \
        X(READ_JOBS_OF, "SELECT " FGD_JOB_COLUMNS " FROM jobs WHERE project=?2 AND id<?1 ORDER BY id DESC")               \
        X(READ_JOBS_IN, "SELECT " FGD_JOB_COLUMNS " FROM jobs WHERE state=?2 AND id<?1 ORDER BY id DESC")                 \
        X(READ_JOBS_LIVE, "SELECT " FGD_JOB_COLUMNS " FROM jobs WHERE state<5 AND id<?1 ORDER BY id DESC")                \
        X(OLDEST_JOB, "SELECT min(id) FROM jobs WHERE state=?1")                                                          \
        X(FORGET_RUNS, "DELETE FROM runs WHERE job=?1 AND idx<?2")                                                        \
        X(FORGET_JOB, "DELETE FROM jobs WHERE id=?1")                                                                     \
        X(PUT_JOB_BUDGET, "INSERT OR REPLACE INTO job_budgets(job,currency,amount,before) VALUES(?1,?2,?3,?4)")           \
        X(DROP_JOB_BUDGET, "DELETE FROM job_budgets WHERE job=?1")                                                        \
        X(GET_JOB_BUDGET, "SELECT job,currency,amount,before FROM job_budgets WHERE job=?1")                              \
        X(PUT_STANDING, "INSERT OR REPLACE INTO standings(project,use,at) VALUES(?1,?2,?3)")                              \
        X(DELETE_STANDING, "DELETE FROM standings WHERE project=?1")
#define FGD_STATEMENTS(X)                                                                                                 \
        X(BEGIN, "BEGIN IMMEDIATE")                                                                                       \
        X(COMMIT, "COMMIT")                                                                                               \
        X(ROLLBACK, "ROLLBACK")                                                                                           \
        X(PUT_DEVICE, "INSERT INTO devices(id,key,uuid,api,model,vendor,driver,memory,compute_units,type) "               \
                      "VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10) ON CONFLICT(id) DO UPDATE SET uuid=?3,api=?4,model=?5,"     \
                      "vendor=?6,driver=?7,memory=?8,compute_units=?9,type=?10")                                          \
        X(ADD_SET, "INSERT INTO sets(name,created,ephemeral,count,project,owner,job,element) "                           \
                   "VALUES(?1,?2,?3,?4,?5,?6,?7,?8)")                                                                     \
        X(ADD_VGPU, "INSERT INTO vgpus(set_id,idx,uuid,device,memory,share,mode,priority) VALUES(?1,?2,?3,?4,?5,?6,?7,?8)") \
        X(DELETE_USAGE, "DELETE FROM usage WHERE vgpu IN (SELECT id FROM vgpus WHERE set_id=?1)")                         \
        X(DELETE_VGPUS, "DELETE FROM vgpus WHERE set_id=?1")                                                              \
        X(DELETE_SET, "DELETE FROM sets WHERE id=?1")                                                                     \
        X(DELETE_LEASE, "DELETE FROM leases WHERE set_id=?1")                                                             \
        X(BILL_SET, "UPDATE sets SET payer=?2,workload=?3 WHERE id=?1")                                                   \
        X(SUSPEND_SET, "UPDATE sets SET suspended=?2 WHERE id=?1")                                                        \
        X(PUT_UPTIME, "INSERT OR REPLACE INTO uptime(id,ms) VALUES(1,?1)")                                                \
        X(PUT_LEASE, "INSERT OR REPLACE INTO leases(set_id,active_at,gpu_ns,warned) VALUES(?1,?2,?3,?4)")                 \
        X(LEASE_OF, "UPDATE projects SET idle_lease=?2 WHERE id=?1")                                                      \
        X(CHANGE, "UPDATE vgpus SET memory=?2,share=?3,mode=?4,priority=?5 WHERE id=?1")                                  \
        X(PUT_USAGE, "INSERT OR REPLACE INTO usage(vgpu," FGD_COUNTER_COLUMNS("base_") "," FGD_COUNTER_COLUMNS("live_")   \
                     ") VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17)")                              \
        X(GET_PERF, "SELECT " FGD_PERF_COLUMNS " FROM perf WHERE kind=?1 AND id=?2")                                      \
        X(PUT_PERF, "INSERT OR REPLACE INTO perf(kind,id," FGD_PERF_COLUMNS ") VALUES(?1,?2,?3,?4,?5,?6,?7,?8)")           \
        X(DELETE_PERF, "DELETE FROM perf WHERE kind=2 AND id IN (SELECT id FROM vgpus WHERE set_id=?1)")                  \
        X(DELETE_PROJECT_PERF, "DELETE FROM perf WHERE kind=1 AND id=?1")                                                 \
        X(PUT_CALIBRATION, "INSERT OR REPLACE INTO calibrations(device,native_ppm,time) VALUES(?1,?2,?3)")                \
        X(ADD_USER, "INSERT INTO users(name,uid,account,admin,disabled,created) VALUES(?1,?2,?3,?4,?5,?6)")               \
        X(CHANGE_USER, "UPDATE users SET uid=?2,account=?3,admin=?4,disabled=?5 WHERE id=?1")                             \
        X(DELETE_USER, "DELETE FROM users WHERE id=?1")                                                                   \
        X(DELETE_USER_MEMBERS, "DELETE FROM members WHERE user=?1")                                                       \
        X(DELETE_USER_TOKENS, "DELETE FROM tokens WHERE user=?1")                                                         \
        X(DELETE_USER_QUOTAS, "DELETE FROM quotas WHERE user=?1")                                                         \
        X(LOCK, "UPDATE organisations SET locked=1")                                                                     \
        X(UNLOCK, "UPDATE organisations SET locked=0 WHERE ?1 AND NOT EXISTS(SELECT 1 FROM users)")                       \
        X(ADD_PROJECT, "INSERT INTO projects(organisation,name,description,created) VALUES(1,?1,?2,?3)")                  \
        X(DESCRIBE_PROJECT, "UPDATE projects SET description=?2 WHERE id=?1")                                             \
        X(DELETE_PROJECT, "DELETE FROM projects WHERE id=?1")                                                             \
        X(DELETE_PROJECT_MEMBERS, "DELETE FROM members WHERE project=?1")                                                 \
        X(DELETE_PROJECT_TOKENS, "DELETE FROM tokens WHERE project=?1")                                                   \
        X(DELETE_PROJECT_QUOTAS, "DELETE FROM quotas WHERE project=?1")                                                   \
        X(PUT_MEMBER, "INSERT INTO members(project,user,role) VALUES(?1,?2,?3) ON CONFLICT(project,user) DO UPDATE SET role=?3") \
        X(DELETE_MEMBER, "DELETE FROM members WHERE project=?1 AND user=?2")                                              \
        X(DELETE_MEMBER_QUOTAS, "DELETE FROM quotas WHERE project=?1 AND user=?2")                                        \
        X(PUT_QUOTA, "INSERT OR REPLACE INTO quotas(project,user,key,value) VALUES(?1,?2,?3,?4)")                         \
        X(DELETE_QUOTA, "DELETE FROM quotas WHERE project=?1 AND user=?2 AND key=?3")                                     \
        X(ADD_TOKEN, "INSERT INTO tokens(id,name,hash,user,project,cap,created,expires,revoked) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,0)") \
        X(REVOKE_TOKEN, "UPDATE tokens SET revoked=1 WHERE number=?1")                                                    \
        X(SWEEP_TOKENS, "DELETE FROM tokens WHERE expires<?1 OR (revoked<>0 AND created<?1)")                             \
        X(ADD_AUDIT, "INSERT INTO audit(time,actor,via,origin,action,target,project,project_name,status,problem,count) "  \
                     "VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)")                                                        \
        X(AMEND_AUDIT, "UPDATE audit SET status=?2,problem=?3,count=?4 WHERE seq=?1")                                        \
        X(TRIM_AUDIT, "DELETE FROM audit WHERE seq<=?1")                                                                  \
        X(READ_AUDIT, "SELECT " FGD_AUDIT_COLUMNS " FROM audit WHERE seq<?1 ORDER BY seq DESC")                           \
        X(READ_AUDIT_OF, "SELECT " FGD_AUDIT_COLUMNS " FROM audit WHERE project=?2 AND seq<?1 ORDER BY seq DESC")         \
        X(ADD_EVENT, "INSERT INTO events(time,project,project_name,actor,kind,target,text) VALUES(?1,?2,?3,?4,?5,?6,?7)") \
        X(TRIM_EVENTS, "DELETE FROM events WHERE seq<=?1")                                                                \
        X(LAST_EVENT, "SELECT max(seq) FROM events")                                                                       \
        X(READ_EVENTS, "SELECT " FGD_EVENT_COLUMNS " FROM events WHERE seq>?1 ORDER BY seq")                              \
        X(READ_EVENTS_OF, "SELECT " FGD_EVENT_COLUMNS " FROM events WHERE project=?2 AND seq>?1 ORDER BY seq")            \
        X(PUT_REPLY, "INSERT OR REPLACE INTO replies(principal,key,hash,time,status,target,body) VALUES(?1,?2,?3,?4,?5,?6,?7)") \
        X(GET_REPLY, "SELECT hash,status,target,body FROM replies WHERE principal=?1 AND key=?2 AND time>?3")             \
        X(TRIM_REPLIES, "DELETE FROM replies WHERE time<=?1 OR seq<=?2")                                                  \
        X(TRIM_REPLIES_OF, "DELETE FROM replies WHERE principal=?1 AND seq<=(SELECT seq FROM replies WHERE principal=?1 " \
                           "ORDER BY seq DESC LIMIT 1 OFFSET ?2)")                                                        \
        FGD_JOB_STATEMENTS(X)

enum fgd_statement {
#define X(name, text) FGD_SQL_##name,
        FGD_STATEMENTS(X)
#undef X
        FGD_SQL_COUNT
};

/* How far the log goes. */
struct fgd_store_mark {
        uint64_t commit; /* counted from the start of this process */
        uint64_t round;  /* of the log: its number and part of its salt, as they lie on the disk */
        uint32_t pages;
        int64_t event; /* the newest */
};

struct fgd_store_sync {
        int log; /* a descriptor of SQLite's log; closing it takes no lock along, for those are on the database */
        struct fgd_store_mark written, asked, durable;
        bool is_known; /* how long the log is: without that nothing can be taken back, and nothing is deferred */
        bool is_asked; /* the thread is to make `asked` durable */
        uint64_t copied;  /* when the log was last copied into the database, fg_now() */
        struct fg_error why; /* it has failed */
        bool is_uncertain; /* what was refused may be there all the same */
        bool is_reported;  /* to the watcher */
        bool has_complained; /* that it cannot be copied */
        TAILQ_HEAD(, fgd_store_wait) waits; /* by commit */
        struct fgd_store_watcher watcher;
        sd_event_source *source;
        int told; /* a descriptor: there is something for the loop */

        bool is_running;
        pthread_t thread;
        pthread_mutex_t lock; /* of what follows */
        pthread_cond_t has_work, ended; /* the thread waits for something to do; the loop for the thread */
        bool is_wanted, is_ending;
        int result;
};

struct fgd_store {
        sqlite3 *db;
        sqlite3_stmt *statement[FGD_SQL_COUNT];
        struct fgd_store_rider rider;
        int64_t audit_keep, events_keep; /* rows */
        int64_t event;       /* the newest, that of the open transaction too */
        int page_size, code; /* SQLite's last word to a step */
        bool is_deferred;    /* the next transaction may return before it is on the disk */
        bool is_relaxed;     /* what SQLite was told last: it does not wait for the disk */
        struct fgd_store_sync sync;
};

/* Opens `path` and looks whether it is a sound store of ours. -EUCLEAN: damaged, may be put aside. */
int fgd_store_open_file(const char *path, struct fgd_store **ret, struct fg_error *err);
/* Renames a database and what belongs to it to PATH.corrupt-<time>, which is put into `ret`. */
void fgd_store_put_aside(const char *path, char *ret, size_t size);
/* Negative errno and the database's own words. */
int fgd_store_error(struct fgd_store *store, int sqlite_code, const char *what, struct fg_error *err);

/* The schema of an empty store, and what makes one of the store of an older version. All in one transaction. */
int fgd_store_make_schema(struct fgd_store *store, struct fg_error *err);
int fgd_store_migrate(struct fgd_store *store, int from_version, struct fg_error *err);

/* --- store_sync.c --- */

int fgd_sync_open(struct fgd_store *store, const char *path, struct fg_error *err);
/* What a daemon that was killed has not waited for is taken for done from here on: it had better be on the disk. */
int fgd_sync_inherit(struct fgd_store *store, struct fg_error *err);
void fgd_sync_new(struct fgd_store *store);
void fgd_sync_free(struct fgd_store *store);
/* All that is written is on the disk. */
void fgd_sync_settled(struct fgd_store *store);
/* The disk did not take it: what waits will not be there. Returns -errno. */
int fgd_sync_break(struct fgd_store *store, int code, struct fg_error *err);

/* --- steps of a transaction --- */

/* Binds by `types`, one letter a value, and runs: i int64_t, t text (const char *), b blob (const void *, int), r an id or 0 for
 * none. */
int fgd_sql_run(struct fgd_store *store, enum fgd_statement which, struct fg_error *err, const char *types, ...);
/* The same without running: the caller steps and resets. */
sqlite3_stmt *fgd_sql_bind(struct fgd_store *store, enum fgd_statement which, const char *types, ...);
int fgd_sql_step(struct fgd_store *store, enum fgd_statement which, struct fg_error *err);
int fgd_sql_begin(struct fgd_store *store, struct fg_error *err);
/* Commits if `r` is 0, else takes everything back. `is_change`: somebody asked for it; the rider writes down who did. */
int fgd_sql_finish(struct fgd_store *store, int r, bool is_change, struct fg_error *err);
/* First column of the first row, as text. */
int fgd_sql_word(struct fgd_store *store, const char *sql, char *ret, size_t size, struct fg_error *err);
/* Calls row() for each row of `sql`. */
int fgd_sql_walk(struct fgd_store *store, const char *sql, const void *visitor, int (*row)(sqlite3_stmt *, const void *), struct fg_error *err);
void fgd_sql_text(sqlite3_stmt *statement, int column, char *ret, size_t size);

#endif
