/* SPDX-License-Identifier: Apache-2.0
 * Nodes that can take those who want several GPUs of one node. They are few: who fills the last free node of that kind with small
 * requests keeps a large one waiting for as long as the small ones stay. */
#ifndef FG_SCHED_CLUSTER_GANG_H
#define FG_SCHED_CLUSTER_GANG_H

#include "sched/cluster.h"

#define FG_GANG_SHAPES_MAX 64u

struct fg_gang {
        unsigned shapes;
        struct fg_gang_shape {
                int32_t cpu;
                uint16_t gpus;
                uint64_t models; /* 0: any */
                double weight;   /* GPUs · √(pods that want this / such places in the empty cluster), the quotient at most 1 */
        } shape[FG_GANG_SHAPES_MAX];
};

/* The most frequent requests for several GPUs. -ENOMEM. */
int fg_gang_set(struct fg_gang *g, const struct fg_cluster *c, const struct fg_cluster_pod *pod, size_t count);

/* How much of a place for them a node is that has `whole` GPUs and `cpu` free: the weights of all shapes that it could take when empty,
 * each with the fourth powers of the parts of their GPUs and CPU that are free. A node that is nearly empty is worth keeping too. */
double fg_gang_room(const struct fg_gang *g, const struct fg_cluster_node *n, unsigned whole, int32_t cpu);

#endif
