/* SPDX-License-Identifier: Apache-2.0
 * Time is counted in mean gaps between arrivals. Those who are there stand in a heap, the next one to leave first. */
#include "simulate/churn.h"

#include "base/cleanup.h"
#include "sched/repack.h"
#include "simulate/random.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define LOOK 300u /* guests looked at after 100 arrivals */

struct guest {
        double leaves;
        struct fg_repack_guest at;
};

struct churn {
        struct fg_cluster *cluster;
        struct fg_chooser *chooser;
        struct guest *guest; /* heap */
        size_t guests;
        uint64_t random;
        double now, counted_from;
        double allocated, held; /* milli now; milli · time since counted_from */
        double wanted, refused; /* milli of those who came and count */
        struct fg_repack repack;
        double delay, moves, lost; /* of a move; those that count; milli · time */
};

/* Memoryless with mean 1. */
static double draw_wait(uint64_t *random)
{
        return -log1p(-(double)(fg_replay_random(random) >> 11) * 0x1p-53);
}

static void swap(struct guest *a, struct guest *b)
{
        struct guest c = *a;
        *a = *b;
        *b = c;
}

static void add_guest(struct churn *s, struct guest guest)
{
        size_t i = s->guests++;
        s->guest[i] = guest;
        for (; i && s->guest[(i - 1) / 2].leaves > s->guest[i].leaves; i = (i - 1) / 2)
                swap(&s->guest[i], &s->guest[(i - 1) / 2]);
}

static void sink(struct churn *s, size_t i)
{
        for (;;) {
                size_t least = i;
                for (size_t k = 2 * i + 1; k <= 2 * i + 2 && k < s->guests; k++)
                        if (s->guest[k].leaves < s->guest[least].leaves)
                                least = k;
                if (least == i)
                        return;
                swap(&s->guest[i], &s->guest[least]);
                i = least;
        }
}

static struct guest take_first(struct churn *s)
{
        struct guest first = s->guest[0];
        s->guest[0] = s->guest[--s->guests];
        sink(s, 0);
        return first;
}

static void pass_time(struct churn *s, double to)
{
        if (to > s->counted_from)
                s->held += s->allocated * (to - (s->now > s->counted_from ? s->now : s->counted_from));
        s->now = to;
}

static int leave_until(struct churn *s, double now)
{
        while (s->guests && s->guest[0].leaves <= now) {
                struct guest g = take_first(s);
                pass_time(s, g.leaves);
                s->allocated -= (double)fg_replay_wanted(&g.at.pod);
                int r = fg_cluster_release(s->cluster, &g.at.pod, g.at.place);
                if (r < 0)
                        return r;
        }
        pass_time(s, now);
        return 0;
}

static int arrive(struct churn *s, const struct fg_cluster_pod *pod, double stay, bool counts)
{
        struct guest g = {.leaves = s->now + stay, .at = {.pod = *pod}};
        int r = fg_chooser_choose(s->chooser, pod, &g.at.place);
        if (r == 0)
                r = fg_cluster_take(s->cluster, pod, g.at.place);
        if (r < 0 && r != -ENOSPC)
                return r;
        if (counts)
                s->wanted += (double)fg_replay_wanted(pod);
        if (counts && r < 0)
                s->refused += (double)fg_replay_wanted(pod);
        if (r == 0) {
                s->allocated += (double)fg_replay_wanted(pod);
                add_guest(s, g);
        }
        return 0;
}

/* It holds its new place from now on, and does nothing there until it is as far as it was. */
static void was_moved(void *user, size_t i)
{
        struct churn *s = user;
        s->guest[i].leaves += s->delay;
        if (s->now < s->counted_from)
                return;
        s->moves++;
        s->lost += (double)fg_replay_wanted(&s->guest[i].at.pod) * s->delay;
}

static int repack(struct churn *s)
{
        int r = fg_repack(&s->repack, s->cluster, s->chooser, &s->guest[0].at, sizeof(*s->guest), s->guests, was_moved, s);
        for (size_t i = s->guests / 2; r > 0 && i-- > 0;)
                sink(s, i);
        return r < 0 ? r : 0;
}

static int live(struct churn *s, const struct fg_replay_pods *pods, double stay)
{
        for (size_t i = 0; i < 2 * FG_REPLAY_CHURN_ARRIVALS; i++) {
                int r = leave_until(s, s->now + draw_wait(&s->random));
                if (i == FG_REPLAY_CHURN_ARRIVALS)
                        s->counted_from = s->now;
                if (r == 0 && s->repack.moves && i % 100 == 0)
                        r = repack(s);
                const struct fg_cluster_pod *pod = &pods->pod[fg_replay_below(&s->random, pods->count)];
                if (r == 0)
                        r = arrive(s, pod, stay * draw_wait(&s->random), i >= FG_REPLAY_CHURN_ARRIVALS);
                if (r < 0)
                        return r;
        }
        return 0;
}

int fg_replay_churn(const struct fg_replay_nodes *nodes, const struct fg_replay_pods *pods, const struct fg_mix *mix,
                    const struct fg_replay_policy *policy, unsigned load, uint64_t seed, struct fg_replay_churn *ret)
{
        FG_CLEANUP(fg_cluster_freep) struct fg_cluster *c = NULL;
        FG_CLEANUP(fg_chooser_freep) struct fg_chooser *ch = NULL;
        fg_autofree struct guest *guest = malloc(2 * FG_REPLAY_CHURN_ARRIVALS * sizeof(*guest));
        struct churn s = {.guest = guest, .random = seed, .counted_from = INFINITY};
        double capacity = (double)fg_replay_capacity(nodes), wanted = 0;
        for (size_t i = 0; i < pods->count; i++)
                wanted += (double)fg_replay_wanted(&pods->pod[i]);
        if (load == 0 || load > FG_REPLAY_CHURN_LOAD_MAX || wanted == 0 || capacity == 0)
                return -EINVAL;
        int r = guest ? fg_replay_shuffled(nodes, &s.random, &c) : -ENOMEM;
        if (r == 0)
                r = fg_replay_chooser(c, mix, policy, seed, &ch);
        s.cluster = c;
        s.chooser = ch;
        double stay = load / 100. * (double)fg_replay_own_capacity(nodes) / (wanted / (double)pods->count);
        s.repack = (struct fg_repack){.look = LOOK, .moves = policy->repack, .gain = policy->policy->move ? policy->policy->move : 1};
        s.delay = stay * FG_REPLAY_MOVE_COST;
        if (r == 0)
                r = live(&s, pods, stay);
        double held = (s.now - s.counted_from) * capacity / 100;
        if (r == 0)
                *ret = (struct fg_replay_churn){100 * s.refused / s.wanted, s.held / held, 100 * s.moves / FG_REPLAY_CHURN_ARRIVALS, s.lost / held};
        return r;
}
