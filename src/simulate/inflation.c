/* SPDX-License-Identifier: Apache-2.0 */
#include "simulate/inflation.h"

#include "base/cleanup.h"
#include "simulate/random.h"

#include <errno.h>
#include <string.h>

struct arrivals {
        struct fg_cluster_pod *pod;
        size_t count;
};

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
                demand += fg_replay_wanted(&list[i]);
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
                demand += fg_replay_wanted(&list[n++]);
        }
        *ret = (struct arrivals){FG_TAKE_PTR(list), n};
        return 0;
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
                demand += fg_replay_wanted(&a->pod[i]);
                allocated += r == 0 ? fg_replay_wanted(&a->pod[i]) : 0;
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
                            const struct fg_replay_policy *policy, uint64_t seed, struct fg_replay_inflation *ret)
{
        FG_CLEANUP(fg_cluster_freep) struct fg_cluster *c = NULL;
        FG_CLEANUP(fg_chooser_freep) struct fg_chooser *ch = NULL;
        struct arrivals a = {0};
        uint64_t random = seed;
        struct fg_replay_inflation result = {0};
        int64_t capacity = fg_replay_capacity(nodes);
        int r = fg_replay_shuffled(nodes, &random, &c);
        if (r == 0)
                r = draw_arrivals(pods, capacity, &random, &a);
        if (r == 0)
                r = fg_replay_chooser(c, mix, policy, random, &ch);
        if (r == 0)
                r = replay(c, ch, &a, capacity, &result);
        if (r == 0)
                *ret = result;
        free(a.pod);
        return r;
}
