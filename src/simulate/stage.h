/* SPDX-License-Identifier: Apache-2.0
 * What the replays over a cluster have in common: the cluster in an order drawn from the seed, and a chooser for a policy. */
#ifndef FG_REPLAY_STAGE_H
#define FG_REPLAY_STAGE_H

#include "sched/cluster_choose.h"
#include "simulate/trace_openb.h"

struct fg_replay_policy {
        const struct fg_cluster_policy *policy;
        bool any_tie;    /* equal scores go to any of them, not to the first */
        bool fragments;  /* also say what is fragmented, which costs time */
        unsigned repack; /* under churn: moves in 100 arrivals, at most; 0: none */
};

static inline int64_t fg_replay_wanted(const struct fg_cluster_pod *pod)
{
        return (int64_t)pod->milli * pod->gpus;
}

int64_t fg_replay_capacity(const struct fg_replay_nodes *nodes); /* milli */
int64_t fg_replay_own_capacity(const struct fg_replay_nodes *nodes); /* without those added */

/* The same nodes, and `more` that are drawn from those with GPUs. -EINVAL: there is none, or too many; -ENOMEM. The caller clears *ret. */
int fg_replay_more_nodes(const struct fg_replay_nodes *nodes, size_t more, uint64_t seed, struct fg_replay_nodes *ret);
/* Parts of GPUs rounded up to whole slices, of which a GPU has that many. */
void fg_replay_slice(struct fg_replay_pods *pods, unsigned slices);

/* -EINVAL, -ENOMEM as of fg_cluster_new(). */
int fg_replay_shuffled(const struct fg_replay_nodes *nodes, uint64_t *random, struct fg_cluster **ret);
int fg_replay_chooser(const struct fg_cluster *c, const struct fg_mix *mix, const struct fg_replay_policy *policy, uint64_t seed,
                      struct fg_chooser **ret);

#endif
