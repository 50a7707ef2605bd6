/* SPDX-License-Identifier: Apache-2.0
 * A cluster in use for long: pods drawn from a trace come at random moments, stay for a random while (both memoryless) and leave. */
#ifndef FG_REPLAY_CHURN_H
#define FG_REPLAY_CHURN_H

#include "simulate/stage.h"

#define FG_REPLAY_CHURN_ARRIVALS 60000u /* that are counted, after as many that are not */
#define FG_REPLAY_CHURN_LOAD_MAX 200u
#define FG_REPLAY_REPACK_MAX     100u
#define FG_REPLAY_MOVE_COST      .01 /* of the mean stay, by which a move prolongs a stay: Philly's jobs take 11 481 s, a checkpoint to restore 60 s */

struct fg_replay_churn {
        double refused;   /* % of the GPUs that were wanted by those who came */
        double allocated; /* % of the GPUs' capacity, mean over time */
        double moves, lost; /* by repacking: in 100 arrivals; % of the capacity held by those who were being moved, in `allocated` too */
};

/* `load`: what all who come would hold if all found a place, in % of the capacity without nodes that were added, 1 to FG_REPLAY_CHURN_LOAD_MAX. -EINVAL: another
 * load, the trace wants no GPUs, or the cluster has none; -ENOMEM. */
int fg_replay_churn(const struct fg_replay_nodes *nodes, const struct fg_replay_pods *pods, const struct fg_mix *mix,
                    const struct fg_replay_policy *policy, unsigned load, uint64_t seed, struct fg_replay_churn *ret);

#endif
