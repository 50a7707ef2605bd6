/* SPDX-License-Identifier: Apache-2.0
 * How good a node is for a pod: one row for each policy. */
#ifndef FG_SCHED_CLUSTER_POLICY_H
#define FG_SCHED_CLUSTER_POLICY_H

#include "sched/cluster.h"
#include "sched/cluster_mix.h"

#define FG_SCORE_NONE INT32_MIN /* the pod does not fit */

struct fg_cluster_policy {
        const char *name, *doc;
        /* The score of a node that the pod fits, above FG_SCORE_NONE; higher is better, and equal ones go to the first node.
         * *ret_gpu: for a part of a GPU, which. Depends on nothing else than its arguments. */
        int32_t (*score)(const struct fg_mix *m, const struct fg_cluster_node *n, const struct fg_cluster_pod *pod, unsigned *ret_gpu);
        bool random; /* no scores: any node that fits, any GPU of it */
        int32_t move; /* the difference of scores that is worth a move (repack.h); 0: any */
};

extern const struct fg_cluster_policy fg_cluster_policy_table[]; /* ends with a NULL name; the default is the first */
/* NULL: there is none of this name. */
const struct fg_cluster_policy *fg_cluster_policy_find(const char *name);

#endif
