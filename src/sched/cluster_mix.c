/* SPDX-License-Identifier: Apache-2.0
 * A request of one GPU can use a GPU's free g if d <= g, so what one GPU offers is g times the weight of those requests: a table
 * by the node's CPU level and g's level. Requests of several GPUs want whole ones: a table by the number of free ones. */
#include "sched/cluster_mix.h"

#include "sched/cluster_gap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LEVELS (FG_MIX_SHAPES_MAX + 1u)

struct shape {
        struct fg_cluster_pod pod; /* memory: 0 */
        uint64_t count;
};

struct fg_mix {
        unsigned models;         /* of the cluster: the highest, and one */
        unsigned cpus, shares;   /* levels */
        int32_t cpu[LEVELS];     /* ascending; level l: cpu[l - 1] <= free < cpu[l] */
        uint8_t share_level[FG_CLUSTER_GPU + 1];
        int scarcity[FG_CLUSTER_MODELS_MAX];
        int16_t gap[FG_CLUSTER_GPU + 1];
        struct fg_gang gang;
        /* Weight of what can be used: a row for each model and CPU level, by share level, or by number of whole free GPUs. */
        int32_t *part;
        int32_t (*whole)[FG_CLUSTER_GPUS_MAX + 1];
};

static size_t row_of(const struct fg_mix *m, unsigned model, unsigned cpu)
{
        return (size_t)model * (m->cpus + 1) + cpu;
}

static int32_t *part_of(const struct fg_mix *m, unsigned model, unsigned cpu)
{
        return &m->part[row_of(m, model, cpu) * (m->shares + 1)];
}

static int32_t *whole_of(const struct fg_mix *m, unsigned model, unsigned cpu)
{
        return m->whole[row_of(m, model, cpu)];
}

static int by_shape(const void *a, const void *b)
{
        const struct fg_cluster_pod *p = a, *q = b;
        if (p->cpu != q->cpu)
                return p->cpu < q->cpu ? -1 : 1;
        if (p->milli != q->milli)
                return p->milli < q->milli ? -1 : 1;
        if (p->gpus != q->gpus)
                return p->gpus < q->gpus ? -1 : 1;
        return p->models != q->models ? p->models < q->models ? -1 : 1 : 0;
}

static int by_count(const void *a, const void *b)
{
        const struct shape *p = a, *q = b;
        return p->count != q->count ? p->count > q->count ? -1 : 1 : by_shape(&p->pod, &q->pod);
}

/* The pods as shapes, most frequent first. */
static int count_shapes(const struct fg_cluster_pod *pod, size_t count, struct shape **ret, size_t *ret_count)
{
        struct fg_cluster_pod *sorted = malloc(count * sizeof(*sorted));
        struct shape *shape = calloc(count, sizeof(*shape));
        size_t n = 0;
        if (!sorted || !shape) {
                free(sorted);
                free(shape);
                return -ENOMEM;
        }
        memcpy(sorted, pod, count * sizeof(*sorted));
        qsort(sorted, count, sizeof(*sorted), by_shape);
        for (size_t i = 0; i < count; i++) {
                if (i == 0 || by_shape(&sorted[i], &sorted[i - 1]) != 0)
                        shape[n++].pod = sorted[i];
                shape[n - 1].count++;
        }
        qsort(shape, n, sizeof(*shape), by_count);
        free(sorted);
        *ret = shape;
        *ret_count = n;
        return 0;
}

static int by_number(const void *a, const void *b)
{
        const int32_t *p = a, *q = b;
        return (*p > *q) - (*p < *q);
}

static unsigned distinct(int32_t *value, unsigned count)
{
        unsigned n = 0;
        qsort(value, count, sizeof(*value), by_number);
        for (unsigned i = 0; i < count; i++)
                if (n == 0 || value[n - 1] != value[i])
                        value[n++] = value[i];
        return n;
}

static void set_levels(struct fg_mix *m, const struct shape *shape, size_t count)
{
        int32_t share[LEVELS];
        unsigned level = 0;
        for (size_t i = 0; i < count; i++) {
                m->cpu[i] = shape[i].pod.cpu;
                share[i] = shape[i].pod.milli;
        }
        m->cpus = distinct(m->cpu, (unsigned)count);
        m->shares = distinct(share, (unsigned)count);
        for (unsigned g = 0; g <= FG_CLUSTER_GPU; g++) {
                while (level < m->shares && (unsigned)share[level] <= g)
                        level++;
                m->share_level[g] = (uint8_t)level;
        }
}

static unsigned cpu_level(const struct fg_mix *m, int32_t cpu)
{
        unsigned low = 0, high = m->cpus;
        while (low < high) {
                unsigned middle = (low + high) / 2;
                if (m->cpu[middle] <= cpu)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static void add_weight(struct fg_mix *m, const struct fg_cluster_pod *pod, int32_t weight)
{
        for (unsigned model = 0; model < m->models; model++) {
                if (pod->gpus == 0 || (pod->models && !(pod->models >> model & 1)))
                        continue;
                for (unsigned l = cpu_level(m, pod->cpu); l <= m->cpus; l++) {
                        for (unsigned s = m->share_level[pod->milli]; pod->gpus == 1 && s <= m->shares; s++)
                                part_of(m, model, l)[s] += weight;
                        for (unsigned k = pod->gpus; pod->gpus > 1 && k <= FG_CLUSTER_GPUS_MAX; k++)
                                whole_of(m, model, l)[k] += weight;
                }
        }
}

static void set_scarcity(struct fg_mix *m, const struct fg_cluster *c, const struct fg_cluster_pod *pod, size_t count)
{
        int64_t has[FG_CLUSTER_MODELS_MAX] = {0}, wanted[FG_CLUSTER_MODELS_MAX] = {0};
        for (size_t i = 0; i < fg_cluster_count(c); i++)
                has[fg_cluster_node(c, i)->has.model] += fg_cluster_node(c, i)->has.gpus * FG_CLUSTER_GPU;
        for (size_t i = 0; i < count; i++)
                for (unsigned b = 0; b < FG_CLUSTER_MODELS_MAX; b++)
                        if (pod[i].models >> b & 1)
                                wanted[b] += pod[i].milli * pod[i].gpus / __builtin_popcountll(pod[i].models);
        for (unsigned b = 0; b < FG_CLUSTER_MODELS_MAX; b++)
                m->scarcity[b] = has[b] == 0 ? 0 : wanted[b] > has[b] ? 1000 : (int)(1000 * wanted[b] / has[b]);
}

static unsigned count_models(const struct fg_cluster *c)
{
        unsigned models = 0;
        for (size_t i = 0; i < fg_cluster_count(c); i++)
                if (fg_cluster_node(c, i)->has.model >= models)
                        models = fg_cluster_node(c, i)->has.model + 1u;
        return models;
}

int fg_mix_new(struct fg_mix **ret, const struct fg_cluster *c, const struct fg_cluster_pod *pod, size_t count, unsigned coverage)
{
        struct shape *shape;
        size_t shapes, n = 0;
        uint64_t sum = 0;
        if (count == 0)
                return -EINVAL;
        int r = count_shapes(pod, count, &shape, &shapes);
        if (r < 0)
                return r;
        while (n < shapes && n < FG_MIX_SHAPES_MAX && sum * 1000 < (uint64_t)count * coverage)
                sum += shape[n++].count;
        struct fg_mix *m = calloc(1, sizeof(*m));
        if (m) {
                m->models = count_models(c);
                set_levels(m, shape, n);
                m->part = calloc(row_of(m, m->models, 0) * (m->shares + 1), sizeof(*m->part));
                m->whole = calloc(row_of(m, m->models, 0), sizeof(*m->whole));
        }
        if (m && m->part && m->whole && fg_gap_worth(pod, count, m->gap) == 0 && fg_gang_set(&m->gang, c, pod, count) == 0) {
                for (size_t i = 0; i < n; i++)
                        add_weight(m, &shape[i].pod, (int32_t)(shape[i].count * FG_MIX_ONE / sum));
                set_scarcity(m, c, pod, count);
                *ret = m;
        } else {
                fg_mix_free(m);
                r = -ENOMEM;
        }
        free(shape);
        return r;
}

struct fg_mix *fg_mix_free(struct fg_mix *m)
{
        if (m) {
                free(m->part);
                free(m->whole);
                free(m);
        }
        return NULL;
}

int fg_mix_gap(const struct fg_mix *m, unsigned gap)
{
        return m->gap[gap];
}

const struct fg_gang *fg_mix_gang(const struct fg_mix *m)
{
        return &m->gang;
}

int fg_mix_scarcity(const struct fg_mix *m, unsigned model)
{
        return m->scarcity[model];
}

/* What the GPUs offer at this CPU level; *ret_whole: how many are free as a whole. */
static int64_t offers(const struct fg_mix *m, const struct fg_cluster_node *n, const int32_t *part, unsigned *ret_whole)
{
        int64_t sum = 0;
        unsigned whole = 0;
        for (size_t i = 0; i < n->has.gpus; i++) {
                sum += (int64_t)n->gpu[i] * part[m->share_level[n->gpu[i]]];
                whole += n->gpu[i] == FG_CLUSTER_GPU;
        }
        *ret_whole = whole;
        return sum;
}

static int64_t offers_whole(const int32_t *weight, unsigned whole)
{
        return (int64_t)FG_CLUSTER_GPU * whole * weight[whole];
}

void fg_mix_use(const struct fg_mix *m, const struct fg_cluster_node *n, const struct fg_cluster_pod *pod, struct fg_mix_use *ret)
{
        unsigned whole, before = cpu_level(m, n->cpu), after = cpu_level(m, n->cpu - pod->cpu);
        const int32_t *part = part_of(m, n->has.model, after), *several = whole_of(m, n->has.model, after);
        int64_t sum = offers(m, n, part_of(m, n->has.model, before), &whole);
        ret->before = sum + offers_whole(whole_of(m, n->has.model, before), whole);
        if (after != before)
                sum = offers(m, n, part, &whole);
        if (pod->gpus == 0 || pod->milli == FG_CLUSTER_GPU) {
                sum -= (int64_t)pod->gpus * FG_CLUSTER_GPU * part[m->share_level[FG_CLUSTER_GPU]];
                ret->after[0] = sum + offers_whole(several, whole - pod->gpus);
                return;
        }
        for (size_t i = 0; i < n->has.gpus; i++) {
                int g = n->gpu[i], left = g - pod->milli;
                if (left >= 0)
                        ret->after[i] = sum - (int64_t)g * part[m->share_level[g]] + (int64_t)left * part[m->share_level[left]] +
                                        offers_whole(several, whole - (g == FG_CLUSTER_GPU));
        }
}
