/* SPDX-License-Identifier: Apache-2.0
 * A replay of jobs while it goes on. */
#ifndef FG_SIMULATE_JOBS_INTERNAL_H
#define FG_SIMULATE_JOBS_INTERNAL_H

#include "simulate/jobs_pool.h"

struct fg_jobs_entry {
        const struct fg_job *is;
        double key;
        int64_t rest, ran, since, end; /* rest: with what suspending cost; since: when it last began */
        int state;
        struct fg_jobs_place place;
};

struct fg_jobs_replay {
        struct fg_jobs_pool pool;
        const struct fg_order_policy *policy;
        struct fg_order *order;
        struct fg_jobs_entry *job, **active;
        size_t jobs, next, actives, ended;
        int64_t now;
        uint64_t preemptions;
        int64_t least;                      /* milli that the smallest job wants */
        int64_t waiting, held, known, busy; /* milli; known: of held, where the use is known; busy: of that, in permille of a milli */
        int64_t stretch_s;
        struct fg_jobs_stretch course[FG_JOBS_COURSE];
};

/* Time goes on: what is held, and what is wanted, is counted up to then. */
void fg_jobs_pass(struct fg_jobs_replay *r, int64_t to);
/* Work of so many milli × s has to be done again. */
void fg_jobs_lose(struct fg_jobs_replay *r, int64_t milli_s);
/* -ENOMEM. */
int fg_jobs_judge(const struct fg_jobs_replay *r, struct fg_jobs_result *ret);

#endif
