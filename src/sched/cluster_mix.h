/* SPDX-License-Identifier: Apache-2.0
 * The typical requests of a cluster, and what of a node they could use (FGD, USENIX ATC'23).
 *
 * For a request of d milli of each of k GPUs, what a node has in vain is all of it where the request does not fit, else what
 * is free on GPUs with less than d. Its mean over the requests is the node's fragmentation; the rest is of use. */
#ifndef FG_SCHED_CLUSTER_MIX_H
#define FG_SCHED_CLUSTER_MIX_H

#include "sched/cluster.h"
#include "sched/cluster_gang.h"

#define FG_MIX_SHAPES_MAX 128u
#define FG_MIX_SHIFT      20
#define FG_MIX_ONE        (1 << FG_MIX_SHIFT) /* the weights of all requests */

struct fg_mix;

/* Typical: the most frequent shapes that cover `coverage` permille of the pods, at most FG_MIX_SHAPES_MAX. The scarcity of a
 * model is what the pods that name it want, over what the cluster has. -EINVAL: no pods; -ENOMEM. */
int fg_mix_new(struct fg_mix **ret, const struct fg_cluster *c, const struct fg_cluster_pod *pod, size_t count, unsigned coverage);
struct fg_mix *fg_mix_free(struct fg_mix *m);

/* milli × FG_MIX_ONE of what is free on this node that the typical requests can use, once `pod` is there on GPU `gpu` (a part),
 * or on free ones (whole; `gpu` is ignored). */
struct fg_mix_use {
        int64_t before;                     /* the pod is not there */
        int64_t after[FG_CLUSTER_GPUS_MAX]; /* by GPU, for a part; [0] otherwise */
};
void fg_mix_use(const struct fg_mix *m, const struct fg_cluster_node *n, const struct fg_cluster_pod *pod, struct fg_mix_use *ret);

/* What `gap` free milli of one GPU are worth to those who want a part of one: cluster_gap.h. */
int fg_mix_gap(const struct fg_mix *m, unsigned gap);
/* Those who want several GPUs; the mix's. */
const struct fg_gang *fg_mix_gang(const struct fg_mix *m);

/* Permille of the model that is wanted by name. */
int fg_mix_scarcity(const struct fg_mix *m, unsigned model);

static inline void fg_mix_freep(struct fg_mix **m)
{
        fg_mix_free(*m);
}

#endif
