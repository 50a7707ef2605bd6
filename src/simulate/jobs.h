/* SPDX-License-Identifier: Apache-2.0
 *
 * Jobs, as a trace has them, replayed on a pool of nodes against an order of src/sched/order. Times in s. docs/design/order.md says
 * what is simulated, docs/design/simulate.md what a file looks like. */
#ifndef FG_SIMULATE_JOBS_H
#define FG_SIMULATE_JOBS_H

#include "sched/order.h"

#define FG_JOBS_DAY       86400
#define FG_JOBS_MAX       1000000u
#define FG_JOBS_NODES_MAX 65536u
#define FG_JOBS_NODE_MAX  64u   /* GPUs of a node */
#define FG_JOBS_GPUS_MAX  1024u /* of a job */
#define FG_JOBS_WHOLE     1000u /* milli of one GPU */

struct fg_job {
        int64_t submitted, length; /* submitted: since the beginning of the window */
        uint64_t project, user, name; /* hashes; user and name 0: not known */
        uint32_t gpus;
        uint16_t milli; /* of each of them */
        int16_t busy;   /* permille of what it holds that it used; -1: not known */
};
struct fg_jobs_trace {
        struct fg_job *job; /* as submitted; the caller frees it */
        size_t jobs;
        size_t left_out; /* outside the window, or of projects with too few */
};

/* Which of a file's jobs: submitted from..to-1 (INT64_MIN: from the first one on), but for projects with fewer than `least` of them. */
struct fg_jobs_window {
        int64_t from, to;
        size_t least;
};

/* -EINVAL names line and column, what was found and what is allowed; -ENOMEM; the second one: also those of the file. */
int fg_jobs_parse(const char *name, const char *text, size_t len, const struct fg_jobs_window *window, struct fg_jobs_trace *ret,
                  struct fg_error *err);
int fg_jobs_read(const char *path, const struct fg_jobs_window *window, struct fg_jobs_trace *ret, struct fg_error *err);
/* As a trace's jobs, but drawn from them with replacement: what else could have happened. -ENOMEM. */
int fg_jobs_draw(const struct fg_jobs_trace *from, uint64_t seed, struct fg_jobs_trace *ret);
/* Parts of GPUs rounded up to whole slices of which a GPU has that many. */
void fg_jobs_slice(struct fg_jobs_trace *trace, unsigned slices);

/* GPUs of each node, up to FG_JOBS_NODE_MAX. */
struct fg_jobs_pool_size {
        const uint8_t *node;
        size_t nodes;
};

#define FG_JOBS_CLASSES 6u   /* by length: under 1 min, 10 min, 1 h, 6 h, 1 d, and longer */
#define FG_JOBS_COURSE  256u /* at most so many points over time */

/* One stretch of time, sums over it of GPUs × s. */
struct fg_jobs_stretch {
        double capacity, demand, held, busy, known, lost; /* demand: at most the capacity; known: held by jobs whose use is known */
};

struct fg_jobs_result {
        double mean, queue, short_queue; /* JCT; of it waiting; of jobs under an hour */
        double long_slowdown;            /* mean of JCT / length of jobs of a day and more */
        int64_t p99;                     /* JCT */
        uint64_t preemptions;
        size_t jobs;
        double quantile[101];                        /* JCT */
        double wait[FG_JOBS_CLASSES];                /* mean, by length */
        uint64_t jobs_of[FG_JOBS_CLASSES];
        int64_t stretch_s;                           /* the course: each that long */
        size_t stretches;
        struct fg_jobs_stretch course[FG_JOBS_COURSE], sum; /* sum: over all of it */
};
/* -EINVAL: a pool that is empty, too large, or too small for a job; -ENOMEM. */
int fg_jobs_run(const struct fg_jobs_trace *trace, const struct fg_jobs_pool_size *pool, const struct fg_order_policy *policy,
                struct fg_jobs_result *ret, struct fg_error *err);

/* P = α·U·S·V of a stretch, as far as the trace says: S from what could be served, U of jobs whose use is known (1 otherwise), alpha from
 * what suspending cost; V is 1. 0 where nothing was wanted: *ret_s and others are then 1. */
struct fg_jobs_factors {
        double p, alpha, u, s;
};
struct fg_jobs_factors fg_jobs_factors(const struct fg_jobs_stretch *stretch);

#endif
