/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/placer.h"

#include <errno.h>
#include <stdlib.h>

#define COVERAGE  950  /* permille of the requests that are typical, as published */
#define HALVE_AT  1024 /* requests */
#define PRIOR_MAX 32u

/* One of the two things that a device has. */
struct side {
        struct fg_mix *mix;
        uint32_t seen, due; /* the mix is worked out again at so many */
        uint32_t asked[FG_CLUSTER_GPU + 1];
};

struct fg_placer {
        const struct fg_cluster_policy *policy;
        struct fg_cluster *one; /* a GPU, for the mixes to be of */
        struct side memory, share;
};

/* Before anybody asked: whole devices, and even parts of them. */
static const struct {
        uint16_t milli;
        uint8_t count;
} prior[] = {{1000, 6}, {500, 4}, {250, 4}, {125, 2}};

static size_t list_asked(const struct side *s, struct fg_cluster_pod *ret)
{
        size_t n = 0;
        for (size_t i = 0; i < sizeof prior / sizeof *prior; i++)
                for (unsigned k = 0; k < prior[i].count; k++)
                        ret[n++] = (struct fg_cluster_pod){.milli = prior[i].milli, .gpus = 1};
        for (unsigned milli = 1; milli <= FG_CLUSTER_GPU; milli++)
                for (uint32_t k = 0; k < s->asked[milli]; k++)
                        ret[n++] = (struct fg_cluster_pod){.milli = (uint16_t)milli, .gpus = 1};
        return n;
}

static int learn(const struct fg_placer *p, struct side *s)
{
        struct fg_mix *mix;
        struct fg_cluster_pod *pod = malloc((PRIOR_MAX + s->seen) * sizeof(*pod));
        int r = pod ? fg_mix_new(&mix, p->one, pod, list_asked(s, pod), COVERAGE) : -ENOMEM;
        free(pod);
        if (r < 0)
                return r;
        fg_mix_free(s->mix);
        s->mix = mix;
        s->due = s->seen + s->seen / 8 + 1;
        return 0;
}

int fg_placer_new(struct fg_placer **ret, const struct fg_cluster_policy *policy)
{
        const struct fg_cluster_shape shape = {.gpus = 1};
        if (policy->random)
                return -EINVAL;
        struct fg_placer *p = calloc(1, sizeof(*p));
        int r = p ? fg_cluster_new(&p->one, &shape, 1) : -ENOMEM;
        if (r == 0) {
                p->policy = policy;
                r = learn(p, &p->memory);
        }
        if (r == 0)
                r = learn(p, &p->share);
        if (r < 0)
                fg_placer_free(p);
        else
                *ret = p;
        return r;
}

struct fg_placer *fg_placer_free(struct fg_placer *p)
{
        if (p) {
                fg_cluster_free(p->one);
                fg_mix_free(p->memory.mix);
                fg_mix_free(p->share.mix);
                free(p);
        }
        return NULL;
}

const struct fg_cluster_policy *fg_placer_policy(const struct fg_placer *p)
{
        return p->policy;
}

static void halve(struct side *s)
{
        s->seen = 0;
        for (unsigned milli = 1; milli <= FG_CLUSTER_GPU; milli++)
                s->seen += s->asked[milli] /= 2;
        s->due = s->seen;
}

static void saw(const struct fg_placer *p, struct side *s, unsigned milli)
{
        if (milli == 0 || milli > FG_CLUSTER_GPU)
                return;
        if (s->seen >= HALVE_AT)
                halve(s);
        s->asked[milli]++;
        s->seen++;
        if (s->seen >= s->due)
                learn(p, s);
}

void fg_placer_saw(struct fg_placer *p, struct fg_placer_part got)
{
        saw(p, &p->memory, got.memory);
        saw(p, &p->share, got.share);
}

uint16_t fg_placer_milli(uint64_t memory, uint64_t memory_whole)
{
        if (memory >= memory_whole)
                return FG_CLUSTER_GPU;
        return (uint16_t)(((unsigned __int128)memory * FG_CLUSTER_GPU + memory_whole - 1) / memory_whole);
}

static int32_t score_side(const struct fg_placer *p, const struct side *s, uint16_t left, uint16_t wanted)
{
        const struct fg_cluster_node node = {.gpu = {left}, .milli = left, .pods = {0, left < FG_CLUSTER_GPU, 0}, .has = {.gpus = 1}};
        const struct fg_cluster_pod pod = {.milli = wanted, .gpus = 1};
        unsigned gpu;
        return p->policy->score(s->mix, &node, &pod, &gpu);
}

int32_t fg_placer_score(const struct fg_placer *p, struct fg_placer_part left, struct fg_placer_part wanted)
{
        return score_side(p, &p->memory, left.memory, wanted.memory) + score_side(p, &p->share, left.share, wanted.share);
}
