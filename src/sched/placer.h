/* SPDX-License-Identifier: Apache-2.0
 * The policies of clusters for the devices of one node: each device is a node with one GPU, once for its memory and once for its time;
 * the scores of both add up. What is asked for usually is learned, from a prior of even parts. */
#ifndef FG_SCHED_PLACER_H
#define FG_SCHED_PLACER_H

#include "sched/cluster_policy.h"

struct fg_placer;

/* A policy that draws is -EINVAL: the same devices give the same answer. -ENOMEM. */
int fg_placer_new(struct fg_placer **ret, const struct fg_cluster_policy *policy);
struct fg_placer *fg_placer_free(struct fg_placer *p);
const struct fg_cluster_policy *fg_placer_policy(const struct fg_placer *p);

/* Of a device, in milli of the whole: what is free or wanted of its memory and of its time. */
struct fg_placer_part {
        uint16_t memory, share;
};
/* Rounded up: what fits in bytes fits in milli. Of nothing: all. */
uint16_t fg_placer_milli(uint64_t memory, uint64_t memory_whole);

/* Somebody got so much (0: not known); at some of these calls what is usual is worked out again, 0.1 ms. Old ones count for
 * less and less. Without memory for that all stays as it was. */
void fg_placer_saw(struct fg_placer *p, struct fg_placer_part got);

/* How good a device with so much free is for a request that fits, 1 of each at least; higher is better. */
int32_t fg_placer_score(const struct fg_placer *p, struct fg_placer_part left, struct fg_placer_part wanted);

static inline void fg_placer_freep(struct fg_placer **p)
{
        fg_placer_free(*p);
}

#endif
