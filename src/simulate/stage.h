/* SPDX-License-Identifier: Apache-2.0
 * What the replays over a cluster have in common: the cluster in an order drawn from the seed, and a chooser for a policy. */
#ifndef FG_REPLAY_STAGE_H
#define FG_REPLAY_STAGE_H

#include "sched/cluster_choose.h"
#include "simulate/trace_openb.h"

struct fg_replay_policy {
        const struct fg_cluster_policy *policy;
        bool any_tie; /* equal scores go to any of them, not to the first */
        unsigned repack; /* under churn: moves in 100 arrivals, at most; 0: none */
};

static inline int64_t fg_replay_wanted(const struct fg_cluster_pod *pod)
{
        return (int64_t)pod->milli * pod->gpus;
}

int64_t fg_replay_capacity(const struct fg_replay_nodes *nodes); /* milli */

/* -EINVAL, -ENOMEM as of fg_cluster_new(). */
int fg_replay_shuffled(const struct fg_replay_nodes *nodes, uint64_t *random, struct fg_cluster **ret);
int fg_replay_chooser(const struct fg_cluster *c, const struct fg_mix *mix, const struct fg_replay_policy *policy, uint64_t seed,
                      struct fg_chooser **ret);

#endif
