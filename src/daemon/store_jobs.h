/* SPDX-License-Identifier: Apache-2.0
 * Jobs, their runs and the projects' standings in the store. Each function is one durable transaction, but those called step. */
#ifndef FGD_STORE_JOBS_H
#define FGD_STORE_JOBS_H

#include "daemon/jobs.h"
#include "daemon/store.h"

#define FGD_STORE_LIVE (-2)

/* A row of jobs. */
struct fgd_store_job {
        int64_t id, project, owner; /* owner 0: the operator's */
        const char *owner_name, *name, *command;
        int64_t uid, class, gpus, memory, share, mode, device, is_array, first, count, at_once, time_limit, not_before, retries, submitted;
        int64_t state, hold, cancelling, next, done, failed, cancelled, started, ended;
};

/* Assigns job->id, and says so before the transaction ends. */
struct fgd_job_made {
        int (*made)(void *user, struct fgd_job *job, struct fg_error *err);
        void *user;
};
int fgd_store_add_job(struct fgd_store *store, struct fgd_job *job, const struct fgd_submit *submit, const struct fgd_job_made *made,
                      struct fg_error *err);
/* What changes of a job. */
int fgd_store_put_job(struct fgd_store *store, const struct fgd_job *job, struct fg_error *err);
/* The same, with what waits of it cancelled too. */
int fgd_store_cancel_job(struct fgd_store *store, const struct fgd_job *job, int64_t now, struct fg_error *err);
int fgd_store_hold_job(struct fgd_store *store, const struct fgd_job *job, struct fg_error *err);
/* Its budget, or that it has none; `goes_on`: and its hold, as above. */
int fgd_store_budget_job(struct fgd_store *store, const struct fgd_job *job, bool goes_on, struct fg_error *err);
int fgd_store_step_budget(struct fgd_store *store, const struct fgd_job *job, struct fg_error *err);
/* 1: *ret; 0: it has none. */
int fgd_store_get_budget(struct fgd_store *store, int64_t job, struct fgd_job_limit *ret);
/* A run and its job; as a step: of the transaction at hand. */
int fgd_store_put_run(struct fgd_store *store, const struct fgd_job *job, const struct fgd_run_result *result, struct fg_error *err);
int fgd_store_step_run(struct fgd_store *store, const struct fgd_job *job, const struct fgd_run_result *result, struct fg_error *err);

/* The spec as it was given; allocated. */
int fgd_store_job_spec(struct fgd_store *store, int64_t id, void **ret, size_t *ret_size, struct fg_error *err);
/* 1: *ret; 0: there is none. */
int fgd_store_get_run(struct fgd_store *store, int64_t job, uint32_t index, struct fgd_run_result *ret);
/* In the order of their elements, until row() returns other than 0. */
int fgd_store_read_runs(struct fgd_store *store, int64_t job, uint32_t from, int (*row)(void *user, const struct fgd_run_result *result), void *user,
                        struct fg_error *err);
/* 1 when there is one; what row() gets lives during the call. */
int fgd_store_get_job(struct fgd_store *store, int64_t id, int (*row)(void *user, const struct fgd_store_job *job), void *user,
                      struct fg_error *err);
/* Newest first from before `before`: of one project, or in one state (-1: any, FGD_STORE_LIVE: not over), until row() returns other than 0. */
int fgd_store_read_jobs(struct fgd_store *store, int64_t before, int64_t project, int state, int (*row)(void *user, const struct fgd_store_job *job),
                        void *user, struct fg_error *err);

struct fgd_store_jobs {
        int (*job)(void *user, const struct fgd_store_job *row);                       /* not over, by id */
        int (*run)(void *user, int64_t job, const struct fgd_run_result *result);      /* of those: not over, or behind `next`; by job and index */
        int (*limit)(void *user, int64_t job, const struct fgd_job_limit *limit);
        int (*ended)(void *user, int64_t count);
        int (*standing)(void *user, int64_t project, uint64_t use, uint64_t at);
        void *user;
};
int fgd_store_load_standings(struct fgd_store *store, const struct fgd_store_jobs *visitor, struct fg_error *err);
int fgd_store_load_jobs(struct fgd_store *store, const struct fgd_store_jobs *visitor, struct fg_error *err);

/* The oldest job that is over; 0: none. */
int64_t fgd_store_oldest_job(struct fgd_store *store);
/* Its runs below an element go, and if `is_last` it itself. */
int fgd_store_forget_job(struct fgd_store *store, int64_t id, uint32_t below, bool is_last, struct fg_error *err);
/* Several in one transaction: begin, step…, end, as with usage. */
int fgd_store_step_standing(struct fgd_store *store, int64_t project, uint64_t use, uint64_t at, struct fg_error *err);

#endif
