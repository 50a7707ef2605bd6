/* SPDX-License-Identifier: Apache-2.0 */
#include "simulate/inflation.h"

#include "base/cleanup.h"
#include "sched/cluster_choose.h"
#include "simulate/random.h"

#include <errno.h>
#include <string.h>

struct arrivals {
        struct fg_cluster_pod *pod;
        size_t count;
};

static int64_t wanted(const struct fg_cluster_pod *pod)
{
        return (int64_t)pod->milli * pod->gpus;
}

static int64_t capacity_of(const struct fg_replay_nodes *nodes)
{
        int64_t sum = 0;
        for (size_t i = 0; i < nodes->count; i++)
                sum += (int64_t)nodes->shape[i].gpus * FG_CLUSTER_GPU;
        return sum;
}

/* The trace shuffled, then draws from it. The bound keeps a trace with almost no GPUs from going on for ever. */
static int draw_arrivals(const struct fg_replay_pods *pods, int64_t capacity, uint64_t *random, struct arrivals *ret)
{
        size_t room = pods->count * 2, n = pods->count;
        int64_t demand = 0;
        fg_autofree struct fg_cluster_pod *list = malloc(room * sizeof(*list));
        if (!list)
                return -ENOMEM;
        memcpy(list, pods->pod, n * sizeof(*list));
        for (size_t i = 0; i < n; i++)
                demand += wanted(&list[i]);
        if (demand == 0 || capacity == 0)
                return -EINVAL;
        for (size_t i = n; i > 1; i--) {
                size_t j = fg_replay_below(random, i);
                struct fg_cluster_pod swap = list[i - 1];
                list[i - 1] = list[j];
                list[j] = swap;
        }
        while (demand * 100 < capacity * FG_REPLAY_DEMAND && n < FG_REPLAY_PODS_MAX * 16u) {
                if (n == room) {
                        struct fg_cluster_pod *more = realloc(list, 2 * room * sizeof(*list));
                        if (!more)
                                return -ENOMEM;
                        list = more;
                        room *= 2;
                }
                list[n] = pods->pod[fg_replay_below(random, pods->count)];
                demand += wanted(&list[n++]);
        }
        *ret = (struct arrivals){FG_TAKE_PTR(list), n};
        return 0;
}

static int shuffled_cluster(const struct fg_replay_nodes *nodes, uint64_t *random, struct fg_cluster **ret)
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

static int replay(struct fg_cluster *c, struct fg_chooser *ch, const struct arrivals *a, int64_t capacity, struct fg_replay_inflation *ret)
{
        uint32_t seen[FG_REPLAY_DEMAND + 1] = {0};
        int64_t demand = 0, allocated = 0;
        for (size_t i = 0; i < a->count; i++) {
                struct fg_cluster_place place;
                int r = fg_chooser_choose(ch, &a->pod[i], &place);
                if (r == 0)
                        r = fg_cluster_take(c, &a->pod[i], place);
                if (r < 0 && r != -ENOSPC)
                        return r;
                demand += wanted(&a->pod[i]);
                allocated += r == 0 ? wanted(&a->pod[i]) : 0;
                ret->placed += r == 0;
                int64_t percent = (200 * demand + capacity) / (2 * capacity);
                if (percent <= FG_REPLAY_DEMAND) {
                        ret->allocated[percent] += 100. * (double)allocated / (double)capacity;
                        seen[percent]++;
                }
        }
        ret->arrivals = a->count;
        for (size_t i = 0; i <= FG_REPLAY_DEMAND; i++)
                ret->allocated[i] = seen[i] ? ret->allocated[i] / seen[i] : -1;
        return 0;
}

int fg_replay_inflate(const struct fg_replay_nodes *nodes, const struct fg_replay_pods *pods, const struct fg_mix *mix,
                      const struct fg_cluster_policy *policy, uint64_t seed, struct fg_replay_inflation *ret)
{
        FG_CLEANUP(fg_cluster_freep) struct fg_cluster *c = NULL;
        FG_CLEANUP(fg_chooser_freep) struct fg_chooser *ch = NULL;
        struct arrivals a = {0};
        uint64_t random = seed;
        struct fg_replay_inflation result = {0};
        int64_t capacity = capacity_of(nodes);
        int r = shuffled_cluster(nodes, &random, &c);
        if (r == 0)
                r = draw_arrivals(pods, capacity, &random, &a);
        if (r == 0)
                r = fg_chooser_new(&ch, c, mix, policy, random);
        if (r == 0)
                r = replay(c, ch, &a, capacity, &result);
        if (r == 0)
                *ret = result;
        free(a.pod);
        return r;
}
