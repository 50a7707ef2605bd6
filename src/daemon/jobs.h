/* SPDX-License-Identifier: Apache-2.0
 *
 * Jobs: what was submitted (job), and each time that a command of it is to run, runs or ran (run). A job has `count` elements;
 * one that is no array has one. docs/design/jobs.md has the rules.
 *
 * In memory are jobs that have not ended, and of them only those elements that wait in the queue or hold vGPUs; what has ended, and what
 * is to be run, is in the store. Equation: count == done + failed + cancelled + waiting + active, for each job.
 * Owner of everything here: the main thread. */
#ifndef FGD_JOBS_H
#define FGD_JOBS_H

#include "base/job.h"
#include "daemon/job_link.h"
#include "daemon/jobs_pace.h"
#include "daemon/model.h"
#include "daemon/problem.h"
#include "daemon/quota.h"
#include "daemon/worker.h"
#include "sched/money.h"
#include "sched/order.h"
#include "sched/queue.h"

#include <limits.h>
#include <systemd/sd-event.h>

#define FGD_ARRAY_MAX     1000000u /* elements */
#define FGD_ARRAY_INDEX   2000000000u
#define FGD_JOB_WINDOW    256u  /* elements of one array in the queue at once: they are alike, and one pass starts no more */
#define FGD_JOB_RETRIES   100u
#define FGD_JOB_TEXT      (128u << 10) /* bytes of command and environment together */
#define FGD_JOB_SECONDS   (365u * 86400u)
#define FGD_JOBS_MAX      250000u /* that have not ended */
#define FGD_JOBS_USER_MAX 100000u /* of one user in one project */
#define FGD_JOB_ID_SIZE   32u   /* "ID" or "ID/INDEX", with its NUL */

/* As stored. A job is QUEUED, RUNNING (some of it runs) or one of the last three. */
enum fgd_job_state {
        FGD_JOB_QUEUED,
        FGD_JOB_STARTING,
        FGD_JOB_RUNNING,
        FGD_JOB_SUSPENDED,
        FGD_JOB_STOPPING,
        FGD_JOB_DONE,
        FGD_JOB_FAILED,
        FGD_JOB_CANCELLED,
        FGD_JOB_STATES
};
extern const char *const fgd_job_state_names[FGD_JOB_STATES];
static inline bool fgd_job_is_over(enum fgd_job_state state)
{
        return state >= FGD_JOB_DONE;
}

/* Why something waits that could run. In the queue's words: 0 releases. Up to BUDGET as stored; those behind it are tried again. */
enum fgd_job_hold { FGD_HOLD_NONE, FGD_HOLD_PERSON, FGD_HOLD_BUDGET, FGD_HOLD_OWNER, FGD_HOLD_ORGANISATION, FGD_HOLD_FAILED, FGD_HOLD_CROWDED };

struct fgd_job;
struct fgd_active;
struct fgd_job_budget;
struct fgd_launch;

/* What a job may cost. Nano-units of the currency. */
struct fgd_job_limit {
        char currency[FG_CURRENCY_MAX];
        int64_t amount; /* 0: whatever it takes */
        int64_t before; /* what its number had cost when it was submitted: more than 0 where a store was lost */
};

/* What a project, or a user in it, has in the queue. */
struct fgd_job_account {
        struct fgd_node by_pair;
        struct fgd_project *project;
        struct fgd_user *user; /* NULL: the project itself */
        struct fg_queue_account *account;
        struct fg_queue_amounts held; /* by sets of jobs, as booked with the quotas; jobs: of a project, that have begun and not gone */
        uint32_t jobs;
        uint64_t saved_use; /* of a project: as it is in the store */
        struct fgd_pace pace; /* of a project */
};

#define FGD_RUN_HELD      1u /* a person suspended it, or its budget */
#define FGD_RUN_CANCELLED 2u /* a person told it to end */
#define FGD_RUN_REQUEUED  4u /* told to end to make room */
#define FGD_RUN_FLAGS     7u

/* How an attempt ended, or how far it is. Times are unix ms, 0: not yet. */
struct fgd_run_result {
        enum fgd_job_state state;
        uint32_t index, attempt; /* index: from 0, of the job's elements */
        uint8_t flags; /* FGD_RUN_… */
        int64_t started, ended;
        int code, signal; /* -1: did not end that way */
        uint64_t ran;     /* ms */
        uint64_t gpu_ns, cpu_us, max_rss, log, dropped;
        char why[160];
};

TAILQ_HEAD(fgd_run_list, fgd_run);
struct fgd_run {
        struct fgd_job *job;
        struct fg_queue_job *entry;
        struct fgd_active *active; /* NULL while it waits */
        TAILQ_ENTRY(fgd_run) of_job; /* by index */
        uint32_t index;
        uint16_t attempt;
        uint8_t hold; /* enum fgd_job_hold */
        bool has_row; /* in the store: has begun, is held, or is to be tried again */
};

/* What a run has while it holds vGPUs. */
struct fgd_active {
        TAILQ_ENTRY(fgd_active) order;
        struct fgd_run *run;
        struct fgd_set *set;       /* NULL: going away */
        struct fgd_job_link *link; /* NULL: not started yet, or ended */
        struct fgd_launch *launch; /* the worker is at it: what it is told meanwhile it hears then */
        struct fgd_manager *manager;
        struct fgd_run_result result, before; /* before: while the store is written */
        enum fgd_job_state final;             /* what it will be when its vGPUs are gone; QUEUED: it is tried again */
        uint64_t charged_ns;
        bool is_suspending;             /* to be suspended once its runner can be told */
        bool is_by_itself;              /* how long it ran tells how long others of its kind will */
        bool has_ended;                 /* nothing of it lives; its vGPUs go */
        sd_event_source *again;         /* what failed is tried again */
};

struct fgd_job {
        struct fgd_node by_id;
        TAILQ_ENTRY(fgd_job) order; /* by id */
        struct fgd_project *project;
        struct fgd_user *owner; /* NULL: the operator's */
        struct fgd_job_account *of_project, *of_user;
        struct fgd_run_list runs; /* those that wait in the queue, and those that hold vGPUs */
        struct fgd_job_budget *budget; /* NULL: none */
        uint8_t *settled; /* by element from `next` on: has a row in the store; NULL: none */
        int64_t id, submitted, not_before, started, ended; /* submitted, started, ended: unix ms; not_before: unix s; 0: none */
        uint64_t memory;
        uint64_t key; /* jobs_learn.c: its place in the order of its project */
        uint32_t uid, gpus, device, first, count, at_once, time_limit; /* device: FG_QUEUE_ANY; at_once 0: all; time_limit: s, 0: none */
        uint32_t next;                                                 /* elements from here on are not in the queue yet */
        uint32_t done, failed, cancelled, waiting, active;
        uint32_t queued; /* runs in the queue that wait */
        uint16_t share;
        uint8_t class, mode, retries;
        uint8_t hold; /* enum fgd_job_hold: PERSON or BUDGET, all of it waits */
        bool is_array, is_cancelling;
        char name[]; /* short names are many */
};

struct fgd_jobs {
        struct fgd_table by_id, accounts;
        TAILQ_HEAD(, fgd_job) list;
        TAILQ_HEAD(, fgd_active) active;
        TAILQ_HEAD(, fgd_job_budget) budgets;
        struct fg_queue *queue;
        uint32_t count, waiting, active_count; /* jobs; elements that wait, that are active */
        uint64_t ended;                        /* jobs in the store that are over */
        uint64_t base, base_at;                /* the queue's clock: `base` us at fg_now() base_at */
        int64_t skew;                          /* us from the wall clock to the queue's, as they were at the start */
        char folder[PATH_MAX];                 /* of the jobs' own folders */
        struct fgd_worker *worker;             /* makes them, starts the runners in them, removes them */
        bool is_forgetting;                    /* it has folders of jobs that are over too long */
        sd_event_source *pass, *timer, *forget;
        struct fgd_log_waits *logs;
        struct fg_order *order;                /* what was learned of jobs that ended */
        struct fgd_job *rekey;                 /* the next one whose key is looked at in this round; NULL: no round */
        uint64_t rekey_at, learned_at;         /* fg_now() of the last round, of the last save */
        bool has_learned, has_learned_more;    /* since the last save, since the last round */
        uint64_t quiet_until;                  /* us of fg_now(): no pass before */
        uint64_t minute_at;                    /* fg_now() of the last look that comes once a minute */
        uint32_t soft_holds;                   /* runs held until then */
        bool has_failed;                       /* said once */
};

int fgd_jobs_new(struct fgd_manager *manager, struct fg_error *err);
void fgd_jobs_free(struct fgd_manager *manager); /* what runs goes on */
/* Takes in what the store holds. */
int fgd_jobs_load(struct fgd_manager *manager, struct fg_error *err);
/* Once devices and pages are known: those that run are taken over, those that were about to are started. */
void fgd_jobs_adopt(struct fgd_manager *manager);
/* Something changed that may let a job start. Cheap. */
void fgd_jobs_kick(struct fgd_manager *manager);
static inline bool fgd_jobs_any(const struct fgd_jobs *jobs)
{
        return jobs && jobs->count;
}

/* --- jobs_submit.c: each is durable when it returns 0, and otherwise nothing has changed --- */

struct fgd_submit {
        char name[64];
        struct fgd_project *project;
        struct fgd_user *owner;
        uint32_t uid, gpus, share, class, retries, time_limit, first, count, at_once;
        bool is_array;
        uint64_t memory;
        enum fg_mode mode;
        struct fgd_device *device; /* NULL: any */
        int64_t not_before;
        struct fgd_job_limit limit;
        char command[256]; /* for people */
        const void *spec;  /* fg_job_spec_write() */
        size_t spec_size;
};
int fgd_job_submit(struct fgd_manager *manager, const struct fgd_submit *submit, struct fgd_job **ret, struct fgd_problem *problem);
/* `index` -1: all of it. What waits is gone at once, what runs is told to end. *ret_gone: the job was freed with that. */
int fgd_job_cancel(struct fgd_manager *manager, struct fgd_job *job, int64_t index, bool *ret_gone, struct fgd_problem *problem);
/* Suspends what runs and holds what waits, or releases it. */
int fgd_job_hold(struct fgd_manager *manager, struct fgd_job *job, int64_t index, bool is_held, struct fgd_problem *problem);
/* The same to all of it, as its budget is used up. */
int fgd_job_hold_for_budget(struct fgd_manager *manager, struct fgd_job *job, struct fgd_problem *problem);

/* --- jobs.c --- */

struct fgd_job *fgd_job_find(const struct fgd_manager *manager, int64_t id);
/* NULL: neither in the queue nor active. */
struct fgd_run *fgd_run_find(const struct fgd_job *job, uint32_t index);
struct fgd_job *fgd_job_new(const char *name);
void fgd_job_free(struct fgd_job *job);
/* Room in the tables and its accounts, so that fgd_job_add() cannot fail. */
int fgd_job_reserve(struct fgd_manager *manager, struct fgd_job *job);
void fgd_job_add(struct fgd_manager *manager, struct fgd_job *job);
/* Elements begin to wait or run, or no longer do: counted with the job and the quotas. */
void fgd_job_move(struct fgd_manager *manager, struct fgd_job *job, int64_t waiting, int64_t active);
/* It has ended: forgotten here, the store has it. */
void fgd_job_remove(struct fgd_manager *manager, struct fgd_job *job);
/* As the store is to have it: over when nothing waits or runs. */
enum fgd_job_state fgd_job_state_of(const struct fgd_job *job);
bool fgd_run_is_cancelled(const struct fgd_run *run);
enum fgd_job_state fgd_run_state(const struct fgd_run *run);
/* "5" or "5/3": the index as the submitter counts. Returns buf. */
char *fgd_job_id(const struct fgd_job *job, uint32_t index, char buf[FGD_JOB_ID_SIZE]);
struct fgd_job_account *fgd_job_account_find(const struct fgd_manager *manager, const struct fgd_project *project, const struct fgd_user *user);
struct fgd_job_account *fgd_job_account(struct fgd_manager *manager, struct fgd_project *project, struct fgd_user *user); /* NULL: no memory */
/* Jobs that have not ended: of a project, of a user (`project` NULL: anywhere). */
bool fgd_jobs_of(const struct fgd_manager *manager, const struct fgd_project *project, const struct fgd_user *user);
/* A project is deleted: its standing with it. */
void fgd_jobs_forget_project(struct fgd_manager *manager, struct fgd_project *project);
/* unix ms */
int64_t fgd_wall_ms(void);

/* --- jobs_queue.c --- */

uint64_t fgd_jobs_now(const struct fgd_jobs *jobs); /* us of the queue's clock */
/* Puts elements of the job into the queue, as many as may be there. -ENOMEM: some are missing; the next pass tries again. */
int fgd_job_feed(struct fgd_manager *manager, struct fgd_job *job);
/* An element that waits, put into the queue. NULL: out of memory. */
struct fgd_run *fgd_run_add(struct fgd_manager *manager, struct fgd_job *job, uint32_t index, uint32_t attempt, enum fgd_job_hold hold);
int fgd_run_enqueue(struct fgd_manager *manager, struct fgd_run *run);
void fgd_run_remove(struct fgd_manager *manager, struct fgd_run *run);
void fgd_run_hold(struct fgd_manager *manager, struct fgd_run *run, enum fgd_job_hold hold);
void fgd_jobs_scene(struct fgd_manager *manager, struct fg_queue_device *device, struct fg_queue_scene *ret);
/* Tells the performance model what waits. */
void fgd_jobs_demand(struct fgd_manager *manager);
/* Accounts as the quotas are now. */
void fgd_jobs_settle_accounts(struct fgd_manager *manager);
/* Starts the timers of passes. */
int fgd_jobs_watch(struct fgd_manager *manager);
void fgd_run_charge(struct fgd_manager *manager, struct fgd_run *run, uint64_t now);
/* GPU time of what runs, charged to the projects. */
void fgd_jobs_charge(struct fgd_manager *manager);
int fgd_jobs_save_standings(struct fgd_manager *manager);

/* --- api_why.c --- */

/* Of enum fg_queue_reason, as the API and /metrics call them. */
#define FGD_WHY_NAMES (FG_QUEUE_PASS_FULL + 1u)
extern const char *const fgd_why_names[FGD_WHY_NAMES];

/* --- jobs_learn.c: how long jobs ran, and what order follows --- */

#define FGD_LEARN_EXPLAIN 192u

/* What an earlier daemon learned; from nothing where that is missing or damaged. -ENOMEM. */
int fgd_learn_load(struct fgd_manager *manager);
/* Texts in the state folder, for others that learn. -ENOENT: there is none yet. */
int fgd_learn_read(const struct fgd_manager *manager, const char *name, char **ret, size_t *ret_size, struct fg_error *err);
int fgd_learn_write(const struct fgd_manager *manager, const char *name, const char *text, size_t size);
/* Of its stem: "train-17" and "train-18" are the same program tried twice. Never 0. */
uint64_t fgd_learn_name(const char *name);
/* At most every ten minutes unless `now`. Trouble is logged. */
void fgd_learn_save(struct fgd_manager *manager, bool now);
/* It ended by itself after that much running. */
void fgd_learn_end(struct fgd_manager *manager, const struct fgd_job *job, uint64_t ran_ms);
/* Sets job->key, before any run of it is in the queue. */
void fgd_learn_key(struct fgd_manager *manager, struct fgd_job *job);
uint64_t fgd_learn_key_of(const void *run);
/* Part of a round over all keys, if one is due: once a minute, or a few seconds after the last when more was learned. true: there is more to do. */
bool fgd_learn_refresh(struct fgd_manager *manager);
/* The job goes away. */
void fgd_learn_forget(struct fgd_manager *manager, const struct fgd_job *job);
/* "predicted 14 min from 212 earlier runs of `train.py` by this project"; "" while nothing is known. */
const char *fgd_learn_explain(const struct fgd_manager *manager, const struct fgd_job *job, char buf[FGD_LEARN_EXPLAIN]);

/* --- jobs_run.c --- */

/* Makes the run's vGPUs at these places and starts its runner. */
void fgd_run_start(struct fgd_manager *manager, struct fgd_run *run, const struct fg_queue_place *place, size_t places);
/* Starts the runner of a run that has its vGPUs. */
void fgd_run_launch(struct fgd_manager *manager, struct fgd_run *run);
/* What a folder says of a run that an earlier daemon had. */
void fgd_run_adopt(struct fgd_manager *manager, struct fgd_run *run);
struct fgd_active *fgd_active_new(struct fgd_manager *manager, struct fgd_run *run);
void fgd_active_free(struct fgd_manager *manager, struct fgd_active *active);
void fgd_run_suspend(struct fgd_manager *manager, struct fgd_run *run);
void fgd_run_resume(struct fgd_manager *manager, struct fgd_run *run);
void fgd_run_stop(struct fgd_manager *manager, struct fgd_run *run);
/* Stops it to make room; it is started again later. */
void fgd_run_requeue(struct fgd_manager *manager, struct fgd_run *run);
/* What its folder told before its runner has: nothing of it is news. */
void fgd_run_recall(struct fgd_run *run, const struct fg_job_status *status);
/* The store has forgotten its vGPUs, which are still there: what an attempt did that is made again was for nothing. */
void fgd_run_discard(struct fgd_run *run);
/* A job's set is about to be taken out of the store: what its run has come to, for the same transaction. */
void fgd_run_closing(struct fgd_manager *manager, struct fgd_run *run);
/* It could not be written: all is as before. */
void fgd_run_not_closed(struct fgd_manager *manager, struct fgd_run *run);
/* The set is gone, and the row of its run says so. */
void fgd_run_closed(struct fgd_manager *manager, struct fgd_run *run);
/* The loop was taken since `begin` (fg_now()) by a job of that project and that owner's id. */
void fgd_jobs_spent(struct fgd_manager *manager, struct fgd_job_account *project, int64_t owner, uint64_t begin);
static inline int64_t fgd_job_owner_id(const struct fgd_job *job)
{
        return job->owner ? job->owner->id : 0;
}
/* The folder of the run's attempt. Returns buf. */
char *fgd_run_folder(const struct fgd_manager *manager, const struct fgd_job *job, uint32_t index, uint32_t attempt, char *buf, size_t size);
/* GPU time of a set so far. */
uint64_t fgd_set_gpu_ns(struct fgd_set *set);

/* --- jobs_forget.c --- */

/* Jobs that are over, beyond those that are kept, go with their folders, a few at a time. */
void fgd_jobs_trim(struct fgd_manager *manager);

#endif
