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

/* Milli that are free and of no use to typical requests. */
static double fragmented(const struct fg_cluster *c, const struct fg_mix *mix)
{
        static const struct fg_cluster_pod nothing = {0};
        double sum = 0;
        for (size_t i = 0; i < fg_cluster_count(c); i++) {
                const struct fg_cluster_node *n = fg_cluster_node(c, i);
                struct fg_mix_use use;
                if (n->milli == 0)
                        continue;
                fg_mix_use(mix, n, &nothing, &use);
                sum += n->milli - (double)use.before / FG_MIX_ONE;
        }
        return sum;
}

struct filling {
        struct fg_cluster *cluster;
        struct fg_chooser *chooser;
        const struct fg_mix *mix; /* NULL: fragments are not asked for */
        int64_t capacity, demand, allocated;
        uint32_t seen[FG_REPLAY_DEMAND + 1];
};

static int64_t percent_of(const struct filling *f, int64_t demand)
{
        return (200 * demand + f->capacity) / (2 * f->capacity);
}

static int arrive(struct filling *f, const struct fg_cluster_pod *pod, struct fg_replay_inflation *ret)
{
        struct fg_cluster_place place;
        int r = fg_chooser_choose(f->chooser, pod, &place);
        if (r == 0)
                r = fg_cluster_take(f->cluster, pod, place);
        if (r < 0 && r != -ENOSPC)
                return r;
        f->demand += fg_replay_wanted(pod);
        f->allocated += r == 0 ? fg_replay_wanted(pod) : 0;
        ret->placed += r == 0;
        return 0;
}

static int replay(struct filling *f, const struct arrivals *a, size_t own, struct fg_replay_inflation *ret)
{
        for (size_t i = 0; i < a->count; i++) {
                int r = arrive(f, &a->pod[i], ret);
                if (r < 0)
                        return r;
                if (i + 1 == own) {
                        ret->refused = 100. * (double)(f->demand - f->allocated) / (double)f->demand;
                        ret->refused_pods = 100. * (double)(own - ret->placed) / (double)own;
                }
                int64_t percent = percent_of(f, f->demand);
                if (percent > FG_REPLAY_DEMAND)
                        continue;
                ret->allocated[percent] += 100. * (double)f->allocated / (double)f->capacity;
                f->seen[percent]++;
                if (f->mix && (i + 1 == a->count || percent_of(f, f->demand + fg_replay_wanted(&a->pod[i + 1])) > percent))
                        ret->fragmented[percent] = 100 * fragmented(f->cluster, f->mix) / (double)f->capacity;
        }
        ret->arrivals = a->count;
        for (size_t i = 0; i <= FG_REPLAY_DEMAND; i++)
                ret->allocated[i] = f->seen[i] ? ret->allocated[i] / f->seen[i] : -1;
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
        struct filling f = {.mix = policy->fragments ? mix : NULL, .capacity = fg_replay_capacity(nodes)};
        int r = fg_replay_shuffled(nodes, &random, &c);
        if (r == 0)
                r = draw_arrivals(pods, f.capacity, &random, &a);
        if (r == 0)
                r = fg_replay_chooser(c, mix, policy, random, &ch);
        f.cluster = c;
        f.chooser = ch;
        if (r == 0)
                r = replay(&f, &a, pods->count, &result);
        if (r == 0)
                *ret = result;
        free(a.pod);
        return r;
}
