/* SPDX-License-Identifier: Apache-2.0
 * The inflation protocol of FGD (USENIX ATC'23): the pods of a trace come in random order, then more of them drawn from it, up to
 * 130 % of what the GPUs have; nobody leaves, and who finds no place is gone. */
#ifndef FG_REPLAY_INFLATION_H
#define FG_REPLAY_INFLATION_H

#include "simulate/stage.h"

#define FG_REPLAY_DEMAND 130 /* % of the capacity at which the arrivals end */

/* Means over the arrivals at each percent of demand. */
struct fg_replay_inflation {
        double allocated[FG_REPLAY_DEMAND + 1]; /* % of the GPUs' capacity; < 0: nobody arrived there */
        double fragmented[FG_REPLAY_DEMAND + 1]; /* % of it that is free and of no use to typical requests, after the last of them */
        double refused; /* % of what the trace itself wants of the GPUs, before more is drawn from it */
        double refused_pods; /* % of its pods */
        uint64_t arrivals, placed;
};

/* Nodes stand in an order drawn from the seed: equal scores go to the first. The same for all policies. -EINVAL: the trace wants no
 * GPUs, or the cluster has none; -ENOMEM. */
int fg_replay_inflate(const struct fg_replay_nodes *nodes, const struct fg_replay_pods *pods, const struct fg_mix *mix,
                      const struct fg_replay_policy *policy, uint64_t seed, struct fg_replay_inflation *ret);

#endif
