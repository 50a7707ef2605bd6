/* SPDX-License-Identifier: Apache-2.0
 *
 * Philly's jobs (Jeon et al., USENIX ATC'19) replayed on one pool of 8-GPU nodes against an order of src/sched/order.
 * Times in s. docs/design/order.md says what is simulated. */
#ifndef FG_SIMULATE_PHILLY_H
#define FG_SIMULATE_PHILLY_H

#include "sched/order.h"

#define FG_PHILLY_DAY      86400
#define FG_PHILLY_JOBS_MAX 1000000u
#define FG_PHILLY_NODES    4096u
#define FG_PHILLY_NODE     8u   /* GPUs of a node */
#define FG_PHILLY_GPUS_MAX 1024u /* of a job */

struct fg_philly_job {
        int64_t submitted, length; /* submitted: since the beginning of the window */
        uint64_t project;
        uint32_t gpus;
};
struct fg_philly_trace {
        struct fg_philly_job *job; /* as submitted; the caller frees it */
        size_t jobs;
};

/* Columns job_id,submit_s,vc,num_gpus,duration_s. Jobs submitted from..to-1, but for projects with fewer than `least` of
 * them. -EINVAL names line and column; -ENOENT and others of the file; -ENOMEM. */
int fg_philly_read(const char *path, int64_t from, int64_t to, size_t least, struct fg_philly_trace *ret,
                   struct fg_error *err);

struct fg_philly_result {
        double mean, queue, short_queue; /* JCT; of it waiting; of jobs under an hour */
        double long_slowdown;            /* mean of JCT / length of jobs of a day and more */
        int64_t p99;                     /* JCT */
        uint64_t preemptions;
};
/* -EINVAL: a pool that is empty, too large, or smaller than a job; -ENOMEM. */
int fg_philly_run(const struct fg_philly_trace *trace, uint32_t gpus, const struct fg_order_policy *policy,
                  struct fg_philly_result *ret, struct fg_error *err);

#endif
