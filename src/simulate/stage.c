/* SPDX-License-Identifier: Apache-2.0 */
#include "simulate/stage.h"

#include "base/cleanup.h"
#include "simulate/random.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int64_t fg_replay_capacity(const struct fg_replay_nodes *nodes)
{
        int64_t sum = 0;
        for (size_t i = 0; i < nodes->count; i++)
                sum += (int64_t)nodes->shape[i].gpus * FG_CLUSTER_GPU;
        return sum;
}

int64_t fg_replay_own_capacity(const struct fg_replay_nodes *nodes)
{
        struct fg_replay_nodes own = *nodes;
        own.count -= own.added;
        return fg_replay_capacity(&own);
}

int fg_replay_more_nodes(const struct fg_replay_nodes *nodes, size_t more, uint64_t seed, struct fg_replay_nodes *ret)
{
        struct fg_replay_nodes n = *nodes;
        if (more > FG_CLUSTER_NODES_MAX - nodes->count || fg_replay_capacity(nodes) == 0)
                return -EINVAL;
        n.shape = malloc((nodes->count + more) * sizeof(*n.shape));
        if (!n.shape)
                return -ENOMEM;
        memcpy(n.shape, nodes->shape, nodes->count * sizeof(*n.shape));
        for (n.added = 0; n.added < more;) {
                const struct fg_cluster_shape *drawn = &nodes->shape[fg_replay_below(&seed, nodes->count)];
                if (drawn->gpus)
                        n.shape[nodes->count + n.added++] = *drawn;
        }
        n.count = nodes->count + more;
        *ret = n;
        return 0;
}

void fg_replay_slice(struct fg_replay_pods *pods, unsigned slices)
{
        for (size_t i = 0; i < pods->count; i++) {
                unsigned taken = (pods->pod[i].milli * slices + FG_CLUSTER_GPU - 1) / FG_CLUSTER_GPU;
                pods->pod[i].milli = (uint16_t)(taken * FG_CLUSTER_GPU / slices);
        }
}

int fg_replay_shuffled(const struct fg_replay_nodes *nodes, uint64_t *random, struct fg_cluster **ret)
{
        fg_autofree struct fg_cluster_shape *shape = malloc(nodes->count * sizeof(*shape));
        if (!shape)
                return -ENOMEM;
        memcpy(shape, nodes->shape, nodes->count * sizeof(*shape));
        for (size_t i = nodes->count; i > 1; i--) {
                size_t j = fg_replay_below(random, i);
                struct fg_cluster_shape swap = shape[i - 1];
                shape[i - 1] = shape[j];
                shape[j] = swap;
        }
        return fg_cluster_new(ret, shape, nodes->count);
}

int fg_replay_chooser(const struct fg_cluster *c, const struct fg_mix *mix, const struct fg_replay_policy *policy, uint64_t seed,
                      struct fg_chooser **ret)
{
        int r = fg_chooser_new(ret, c, mix, policy->policy, seed);
        if (r == 0 && policy->any_tie)
                fg_chooser_shuffle_ties(*ret);
        return r;
}
