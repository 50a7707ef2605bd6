/* SPDX-License-Identifier: Apache-2.0 */
#include "integrations/scheduler/scheduler.h"

#include <string.h>

/* What a want takes of this GPU: 0 is all. */
static uint64_t memory_on(const struct fgi_sched_want *want, const struct fgi_sched_gpu *gpu)
{
        return want->memory ? want->memory : gpu->memory;
}

static uint32_t share_on(const struct fgi_sched_want *want, const struct fgi_sched_gpu *gpu)
{
        return want->share ? want->share : gpu->share;
}

/* Resources take no notice of taints: the kubelet gives them. Of a claim that tolerates some, kube-scheduler knows which. */
static bool is_tainted(const struct fgi_sched_gpu *gpu, const struct fgi_sched_want *want)
{
        return gpu->taint && want->of_claim && !want->tolerates;
}

static bool is_large_enough(const struct fgi_sched_gpu *gpu, const struct fgi_sched_want *want)
{
        return memory_on(want, gpu) <= gpu->memory && share_on(want, gpu) <= gpu->share;
}

static bool has_room(const struct fgi_sched_gpu *gpu, const struct fgi_sched_want *want)
{
        return memory_on(want, gpu) <= gpu->memory_free && share_on(want, gpu) <= gpu->share_free;
}

uint64_t fgi_sched_met(const struct fgi_sched_gpu *gpu, const struct fgi_sched_want *want)
{
        uint64_t memory = memory_on(want, gpu), share = share_on(want, gpu);
        uint64_t of_memory = memory ? (uint64_t)((__uint128_t)gpu->memory_free * 1000 / memory) : 1000, of_share = share ? gpu->share_free * 1000ull / share : 1000;
        return of_memory < of_share ? of_memory : of_share;
}

static struct fgi_sched_verdict judge_one(const struct fgi_sched_node *node, const struct fgi_sched_want *want)
{
        struct fgi_sched_verdict v = {.lack = FGI_SCHED_TOO_LARGE, .want = want};
        for (uint32_t i = 0; i < node->gpus; i++) {
                const struct fgi_sched_gpu *gpu = &node->gpu[i];
                if (!is_large_enough(gpu, want))
                        continue;
                if (is_tainted(gpu, want)) {
                        v.lack = v.lack == FGI_SCHED_TOO_LARGE ? FGI_SCHED_TAINTED : v.lack;
                        v.tainted = v.tainted ? v.tainted : gpu;
                        continue;
                }
                if (!v.best || fgi_sched_met(gpu, want) > fgi_sched_met(v.best, want))
                        v.best = gpu;
                if (has_room(gpu, want))
                        return (struct fgi_sched_verdict){.want = want, .best = gpu};
                v.lack = FGI_SCHED_NO_ROOM;
        }
        return v;
}

bool fgi_sched_is_full(const struct fgi_sched_gpu *gpu)
{
        return gpu->taint && strcmp(gpu->taint, FGI_KUBE_DOMAIN "/full") == 0;
}

uint64_t fgi_sched_nearness(const struct fgi_sched_verdict *v)
{
        return !v->best ? 0 : fgi_sched_is_full(v->best) ? 1 : 2 + fgi_sched_met(v->best, v->want);
}

struct fgi_sched_verdict fgi_sched_judge_whole(const struct fgi_sched_node *node, const struct fgi_sched_want *want)
{
        struct fgi_sched_verdict best = {.lack = FGI_SCHED_TOO_LARGE, .want = want};
        for (uint32_t i = 0; i < node->gpus; i++) {
                const struct fgi_sched_gpu *gpu = &node->gpu[i];
                const struct fgi_sched_verdict v = {.lack = FGI_SCHED_NO_ROOM, .want = want, .best = gpu};
                if (want->memory > gpu->whole || want->share > 1000)
                        continue;
                if (is_tainted(gpu, want) && !fgi_sched_is_full(gpu)) {
                        best.lack = best.lack == FGI_SCHED_TOO_LARGE ? FGI_SCHED_TAINTED : best.lack;
                        best.tainted = best.tainted ? best.tainted : gpu;
                } else if (fgi_sched_nearness(&v) > fgi_sched_nearness(&best)) {
                        best = v;
                }
        }
        return best;
}

/* Several may each fit alone and not together: only what is certain is said. */
static bool is_too_much(const struct fgi_sched_node *node, const struct fgi_sched_wants *wants)
{
        uint64_t memory = 0, share = 0, memory_free = 0, share_free = 0;
        for (size_t i = 0; i < wants->count; i++) {
                memory += wants->want[i].memory;
                share += wants->want[i].share;
        }
        for (uint32_t i = 0; i < node->gpus; i++) {
                memory_free += node->gpu[i].memory_free;
                share_free += node->gpu[i].share_free;
        }
        return memory > memory_free || share > share_free;
}

struct fgi_sched_verdict fgi_sched_judge(const struct fgi_sched_node *node, const struct fgi_sched_wants *wants)
{
        struct fgi_sched_verdict v = {0};
        if (node->has_more)
                return v;
        /* Where classes alone are offered no GPU is told of; how many are left the kubelet says. */
        if (node->gpus == 0) {
                for (size_t i = 0; i < wants->count && !v.lack; i++)
                        if (wants->want[i].of_claim)
                                v = (struct fgi_sched_verdict){.lack = FGI_SCHED_NO_GPUS, .want = &wants->want[i]};
                return v;
        }
        for (size_t i = 0; i < wants->count; i++) {
                v = judge_one(node, &wants->want[i]);
                if (v.lack)
                        return v;
        }
        if (is_too_much(node, wants))
                return (struct fgi_sched_verdict){.lack = FGI_SCHED_NO_ROOM, .want = v.want};
        return v;
}

static unsigned milli_on(const struct fgi_sched_node *node, const struct fgi_sched_want *want)
{
        const struct fgi_sched_gpu *gpu = &node->gpu[0];
        uint64_t memory = gpu->memory ? (uint64_t)(((__uint128_t)memory_on(want, gpu) * 1000 + gpu->memory - 1) / gpu->memory) : 1000, share = share_on(want, gpu);
        uint64_t milli = memory > share ? memory : share;
        return milli < 1 ? 1 : milli > FG_CLUSTER_GPU ? FG_CLUSTER_GPU : (unsigned)milli;
}

int32_t fgi_sched_score(struct fgi_sched_view *view, size_t node, const struct fgi_sched_want *want)
{
        struct fg_fleet_verdict v;
        const struct fg_fleet_ask *part = view->node[node].gpus ? fgi_sched_view_part(view, milli_on(&view->node[node], want)) : NULL;
        if (!part || fg_fleet_judge(view->fleet, part, (uint32_t)node, &v) < 0 || v.lack != FG_FLEET_FITS)
                return FG_SCORE_NONE;
        return v.score;
}
