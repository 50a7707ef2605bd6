/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/cluster_policy.h"

#include <math.h>
#include <string.h>

/* The scale of the published scores: the largest node. */
#define CPU_MAX   128000
#define MILLI_MAX 8000

/* The fullest GPU that has room. */
static unsigned tightest_gpu(const struct fg_cluster_node *n, const struct fg_cluster_pod *pod)
{
        unsigned best = 0;
        int least = FG_CLUSTER_GPU + 1;
        for (unsigned i = 0; i < n->has.gpus; i++)
                if (n->gpu[i] >= pod->milli && n->gpu[i] < least) {
                        best = i;
                        least = n->gpu[i];
                }
        return best;
}

static bool is_part(const struct fg_cluster_pod *pod)
{
        return pod->gpus == 1 && pod->milli < FG_CLUSTER_GPU;
}

static int wanted(const struct fg_cluster_pod *pod)
{
        return pod->milli * pod->gpus;
}

static int32_t score_first(const struct fg_mix *m, const struct fg_cluster_node *n, const struct fg_cluster_pod *pod, unsigned *ret_gpu)
{
        *ret_gpu = tightest_gpu(n, pod);
        return 0;
}

static int32_t score_best(const struct fg_mix *m, const struct fg_cluster_node *n, const struct fg_cluster_pod *pod, unsigned *ret_gpu)
{
        *ret_gpu = tightest_gpu(n, pod);
        return (int32_t)(100 * (1 - .5 * (n->cpu - pod->cpu) / CPU_MAX - .5 * (n->milli - wanted(pod)) / MILLI_MAX));
}

static int32_t score_dot(const struct fg_mix *m, const struct fg_cluster_node *n, const struct fg_cluster_pod *pod, unsigned *ret_gpu)
{
        double cpu = (double)n->cpu * pod->cpu / CPU_MAX / CPU_MAX, gpu = (double)n->milli * wanted(pod) / MILLI_MAX / MILLI_MAX;
        *ret_gpu = tightest_gpu(n, pod);
        return (int32_t)(100 * (1 - (cpu + gpu) / 2));
}

static int free_gpus(const struct fg_cluster_node *n)
{
        int count = 0;
        for (unsigned i = 0; i < n->has.gpus; i++)
                count += n->gpu[i] == FG_CLUSTER_GPU;
        return count;
}

/* As published, on its scale of 0 to 100: a shared GPU with room; free GPUs of a node in use, the fewer the better; a node whose
 * GPUs are all free. Without GPUs every node is as good. */
static int32_t score_packing(const struct fg_mix *m, const struct fg_cluster_node *n, const struct fg_cluster_pod *pod, unsigned *ret_gpu)
{
        int whole = free_gpus(n);
        *ret_gpu = tightest_gpu(n, pod);
        if (pod->gpus == 0)
                return 0;
        if (whole == n->has.gpus)
                return 33 - whole > whole ? 33 - whole : whole;
        if (is_part(pod) && n->gpu[*ret_gpu] < FG_CLUSTER_GPU)
                return 100 - n->gpu[*ret_gpu] / 100;
        return 50 - pod->gpus;
}

/* As published: nodes with requests of the same size alone, then with others too, then without any, then with others alone; in each the
 * fullest, in 25 steps. */
static int32_t score_clustering(const struct fg_mix *m, const struct fg_cluster_node *n, const struct fg_cluster_pod *pod, unsigned *ret_gpu)
{
        unsigned kinds = 0;
        bool same = n->pods[fg_cluster_kind(pod)] > 0;
        *ret_gpu = tightest_gpu(n, pod);
        if (pod->gpus == 0)
                return 0;
        for (unsigned i = 1; i < FG_CLUSTER_KINDS; i++)
                kinds += n->pods[i] > 0;
        return 25 * (MILLI_MAX - n->milli) / MILLI_MAX + (same ? kinds == 1 ? 75 : 50 : kinds == 0 ? 25 : 0);
}

static int32_t score_spread(const struct fg_mix *m, const struct fg_cluster_node *n, const struct fg_cluster_pod *pod, unsigned *ret_gpu)
{
        unsigned best = 0;
        for (unsigned i = 1; i < n->has.gpus; i++)
                if (n->gpu[i] > n->gpu[best])
                        best = i;
        *ret_gpu = best;
        return pod->gpus ? n->milli : n->cpu / 10;
}

/* What is left beside the pod, at most 999: the less, the better it packs. */
static int32_t left_beside(const struct fg_cluster_node *n, const struct fg_cluster_pod *pod, unsigned gpu)
{
        return is_part(pod) ? n->gpu[gpu] - pod->milli : (n->milli - wanted(pod)) / (int)(FG_CLUSTER_GPUS_MAX + 1);
}

static int32_t score_cheapest(const struct fg_mix *m, const struct fg_cluster_node *n, const struct fg_cluster_pod *pod, unsigned *ret_gpu)
{
        *ret_gpu = tightest_gpu(n, pod);
        return -(int32_t)n->has.price * 1000 - left_beside(n, pod, *ret_gpu);
}

static int32_t score_near(const struct fg_mix *m, const struct fg_cluster_node *n, const struct fg_cluster_pod *pod, unsigned *ret_gpu)
{
        bool away = pod->site && pod->site != n->has.site;
        return score_cheapest(m, n, pod, ret_gpu) - (away ? (int32_t)FG_CLUSTER_PRICE_MAX * 1000 + 1000 : 0);
}

/* int(100 sigmoid(x / 1000)): the x, in milli, from which on it is 51, 52, … 99. */
static const int sigmoid_step[] = {
        41,   81,   121,  161,  201,  242,  282,  323,  364,  406,  448,  490,  533,  576,  620,  664,  709,
        754,  801,  848,  896,  945,  995,  1046, 1099, 1153, 1209, 1266, 1325, 1387, 1451, 1517, 1586, 1659,
        1735, 1816, 1901, 1993, 2091, 2198, 2314, 2443, 2587, 2752, 2945, 3179, 3477, 3892, 4596};

static int32_t sigmoid(int64_t milli)
{
        size_t steps = sizeof sigmoid_step / sizeof *sigmoid_step;
        int32_t level = 50;
        if (milli < 0) {
                for (level = 49; level > 0 && -milli >= sigmoid_step[49 - level]; level--)
                        ;
                return level;
        }
        for (size_t i = 0; i < steps && milli >= sigmoid_step[i]; i++)
                level++;
        return level;
}

static int32_t score_fgd(const struct fg_mix *m, const struct fg_cluster_node *n, const struct fg_cluster_pod *pod, unsigned *ret_gpu)
{
        struct fg_mix_use use;
        int32_t best = FG_SCORE_NONE;
        fg_mix_use(m, n, pod, &use);
        for (unsigned i = 0; i < (is_part(pod) ? n->has.gpus : 1u); i++) {
                if (is_part(pod) && n->gpu[i] < pod->milli)
                        continue;
                int64_t less = (int64_t)wanted(pod) * FG_MIX_ONE - (use.before - use.after[i]);
                int32_t score = sigmoid(less >> FG_MIX_SHIFT);
                if (score > best) {
                        best = score;
                        *ret_gpu = i;
                }
        }
        return best;
}

/* Weights of the default policy, chosen on seeds 1001 to 1006 of the inflation and 401 to 404 of the churn; those around them differ
 * by a twentieth of a point. Milli for a milli, but for GANG. */
#define GAP      10 /* what the gap of a GPU loses in worth */
#define STRAND   2  /* what is free, but without CPU to use it: a GPU wants 10 cores */
#define CORE_PER 10
#define GANG     50 /* milli for a place of one GPU that is wanted once, see cluster_gang.h */

static double stranded(int milli, int cpu)
{
        double s = milli - (double)cpu / CORE_PER;
        return s > 0 ? s : 0;
}

/* What the node loses by the pod wherever on it, in milli. */
static double node_cost(const struct fg_mix *m, const struct fg_cluster_node *n, const struct fg_cluster_pod *pod, unsigned whole)
{
        int want = wanted(pod), cpu = n->cpu - pod->cpu;
        unsigned taken = is_part(pod) ? 0 : pod->gpus;
        double strand = stranded(n->milli - want, cpu) - stranded(n->milli, n->cpu);
        double gang = fg_gang_room(fg_mix_gang(m), n, whole, n->cpu) - fg_gang_room(fg_mix_gang(m), n, whole - taken, cpu);
        return STRAND * strand + GANG * gang + fg_mix_scarcity(m, n->has.model) * want / 1000.;
}

/* FGD's gain, unrounded, less what the gap loses in worth, what is stranded for want of CPU, what of a rare model is used up, and what
 * those lose who want several GPUs. */
static int32_t score_fastgpu(const struct fg_mix *m, const struct fg_cluster_node *n, const struct fg_cluster_pod *pod, unsigned *ret_gpu)
{
        unsigned whole = (unsigned)free_gpus(n);
        int32_t cpu = n->cpu - pod->cpu;
        double base = wanted(pod) - node_cost(m, n, pod, whole), broken = 0, best = -INFINITY;
        struct fg_mix_use use;
        fg_mix_use(m, n, pod, &use);
        if (is_part(pod) && whole)
                broken = GANG * (fg_gang_room(fg_mix_gang(m), n, whole, cpu) - fg_gang_room(fg_mix_gang(m), n, whole - 1, cpu));
        for (unsigned i = 0; i < (is_part(pod) ? n->has.gpus : 1u); i++) {
                double score = base - (double)(use.before - use.after[i]) / FG_MIX_ONE;
                if (is_part(pod) && n->gpu[i] < pod->milli)
                        continue;
                if (is_part(pod))
                        score -= GAP * (fg_mix_gap(m, n->gpu[i]) - fg_mix_gap(m, n->gpu[i] - pod->milli)) +
                                 (n->gpu[i] == FG_CLUSTER_GPU ? broken : 0);
                if (score > best) {
                        best = score;
                        *ret_gpu = i;
                }
        }
        return (int32_t)(best * 1024); /* to 1/1024 milli: a million milli are within 32 bits */
}

const struct fg_cluster_policy fg_cluster_policy_table[] = {
        {"fastgpu", "Keeps what is left useful to the requests that come", score_fastgpu, false, 100 * 1024},
        {"fgd", "Fragmentation gradient descent as published (USENIX ATC'23)", score_fgd, false},
        {"best-fit", "The node with the least CPU and GPU left", score_best, false},
        {"dot-product", "The node whose free CPU and GPU are least like the request", score_dot, false},
        {"packing", "Shared GPUs, then nodes in use, then idle nodes, as published", score_packing, false},
        {"clustering", "Nodes with requests of the same size, then the fullest, as published", score_clustering, false},
        {"first-fit", "The first node with room", score_first, false},
        {"spread", "The node with the most free", score_spread, false},
        {"cheapest", "The node with the least price, of those the fullest GPU", score_cheapest, false},
        {"near", "The request's own site, there and elsewhere the least price", score_near, false},
        {"random", "Any node with room, any of its GPUs", score_first, true},
        {0},
};

const struct fg_cluster_policy *fg_cluster_policy_find(const char *name)
{
        for (const struct fg_cluster_policy *p = fg_cluster_policy_table; p->name; p++)
                if (strcmp(p->name, name) == 0)
                        return p;
        return NULL;
}
