/* SPDX-License-Identifier: Apache-2.0
 * The pool. Whole GPUs: a job goes on the fullest node that has room; one that is larger than any node takes whole nodes, and its rest
 * goes on another. Parts of GPUs: each on the fullest GPU that is shared already and has room, else on a free one. */
#ifndef FG_SIMULATE_JOBS_POOL_H
#define FG_SIMULATE_JOBS_POOL_H

#include "simulate/jobs.h"

/* A GPU of which a part is taken. */
struct fg_jobs_shared {
        uint32_t node;
        uint16_t free; /* milli; FG_JOBS_WHOLE: it is no shared one any more */
};

struct fg_jobs_pool {
        size_t nodes, shareds, shareds_made;
        uint32_t free, total; /* whole GPUs */
        uint64_t spare;       /* milli that are free of shared ones */
        uint8_t most, least;  /* GPUs of a node */
        uint8_t *size, *left; /* of each node; nodes with the most GPUs first */
        struct fg_jobs_shared *shared;
};

struct fg_jobs_part {
        uint32_t node, shared; /* shared: which; of a whole one not used */
        uint16_t gpus;         /* 0: a part of one */
};

struct fg_jobs_place {
        struct fg_jobs_part *part;
        uint32_t parts;
};

/* -EINVAL: no GPUs, or too many; -ENOMEM. The caller frees it. */
int fg_jobs_pool_new(struct fg_jobs_pool *ret, const struct fg_jobs_pool_size *size);
void fg_jobs_pool_free(struct fg_jobs_pool *pool);

/* Room for so many parts is needed at ret->part. */
uint32_t fg_jobs_parts_max(const struct fg_jobs_pool *pool, const struct fg_job *job);
bool fg_jobs_place(struct fg_jobs_pool *pool, const struct fg_job *job, struct fg_jobs_place *ret);
void fg_jobs_give_back(struct fg_jobs_pool *pool, const struct fg_job *job, const struct fg_jobs_place *place);
/* Takes a place on the same nodes again; false: somebody has it. */
bool fg_jobs_take_back(struct fg_jobs_pool *pool, const struct fg_job *job, struct fg_jobs_place *place);

#endif
