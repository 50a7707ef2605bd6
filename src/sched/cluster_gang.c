/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/cluster_gang.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

static bool can_host(const struct fg_gang_shape *s, const struct fg_cluster_shape *has)
{
        return has->gpus >= s->gpus && has->cpu >= s->cpu && (!s->models || s->models >> has->model & 1);
}

static int by_shape(const void *a, const void *b)
{
        const struct fg_gang_shape *p = a, *q = b;
        if (p->gpus != q->gpus)
                return p->gpus < q->gpus ? -1 : 1;
        if (p->cpu != q->cpu)
                return p->cpu < q->cpu ? -1 : 1;
        return (p->models > q->models) - (p->models < q->models);
}

static int by_weight(const void *a, const void *b)
{
        const struct fg_gang_shape *p = a, *q = b;
        return p->weight != q->weight ? p->weight > q->weight ? -1 : 1 : by_shape(a, b);
}

/* Equal ones next to each other become one, with the number of them as weight. */
static size_t merge(struct fg_gang_shape *shape, size_t count)
{
        size_t n = 0;
        qsort(shape, count, sizeof(*shape), by_shape);
        for (size_t i = 0; i < count; i++) {
                if (n && by_shape(&shape[n - 1], &shape[i]) == 0)
                        shape[n - 1].weight++;
                else
                        shape[n++] = shape[i];
        }
        return n;
}

static void weigh(struct fg_gang_shape *s, const struct fg_cluster *c)
{
        uint64_t places = 0;
        for (size_t i = 0; i < fg_cluster_count(c); i++) {
                const struct fg_cluster_shape *has = &fg_cluster_node(c, i)->has;
                places += can_host(s, has) ? has->gpus / s->gpus : 0;
        }
        s->weight = places == 0 ? 0 : s->gpus * (s->weight < (double)places ? sqrt(s->weight / (double)places) : 1);
}

int fg_gang_set(struct fg_gang *g, const struct fg_cluster *c, const struct fg_cluster_pod *pod, size_t count)
{
        size_t n = 0;
        struct fg_gang_shape *all = calloc(count ? count : 1, sizeof(*all));
        if (!all)
                return -ENOMEM;
        for (size_t i = 0; i < count; i++)
                if (pod[i].gpus > 1)
                        all[n++] = (struct fg_gang_shape){pod[i].cpu, pod[i].gpus, pod[i].models, 1};
        n = merge(all, n);
        qsort(all, n, sizeof(*all), by_weight);
        g->shapes = n < FG_GANG_SHAPES_MAX ? (unsigned)n : FG_GANG_SHAPES_MAX;
        for (unsigned i = 0; i < g->shapes; i++) {
                g->shape[i] = all[i];
                weigh(&g->shape[i], c);
        }
        free(all);
        return 0;
}

static double part(int32_t has, int32_t wants)
{
        double q = has >= wants ? 1 : (double)has / wants;
        return q * q * q * q;
}

double fg_gang_room(const struct fg_gang *g, const struct fg_cluster_node *n, unsigned whole, int32_t cpu)
{
        double sum = 0;
        for (unsigned i = 0; i < g->shapes; i++)
                if (can_host(&g->shape[i], &n->has))
                        sum += g->shape[i].weight * part((int32_t)whole, g->shape[i].gpus) * part(cpu, g->shape[i].cpu);
        return sum;
}
