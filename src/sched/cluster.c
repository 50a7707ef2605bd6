/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/cluster.h"

#include <errno.h>
#include <stdlib.h>

struct fg_cluster {
        size_t count;
        uint64_t changes;
        struct fg_cluster_node *node;
        uint32_t *log; /* ring of `count` */
};

const char *const fg_cluster_lack_text[FG_CLUSTER_LACK_COUNT] = {
        [FG_CLUSTER_FITS] = "fits",
        [FG_CLUSTER_CLOSED] = "closed",
        [FG_CLUSTER_LACKS_MODEL] = "another GPU model",
        [FG_CLUSTER_LACKS_CPU] = "too little CPU free",
        [FG_CLUSTER_LACKS_MEMORY] = "too little memory free",
        [FG_CLUSTER_LACKS_GPUS] = "too few GPUs",
        [FG_CLUSTER_LACKS_SHARE] = "too little free on its GPUs",
};

static bool is_shape(const struct fg_cluster_shape *s)
{
        return s->cpu >= 0 && s->cpu <= FG_CLUSTER_CPU_MAX && s->memory >= 0 && s->memory <= FG_CLUSTER_MEMORY_MAX &&
               s->gpus <= FG_CLUSTER_GPUS_MAX && s->model < FG_CLUSTER_MODELS_MAX && s->price <= FG_CLUSTER_PRICE_MAX;
}

static void node_reset(struct fg_cluster_node *n, struct fg_cluster_shape has)
{
        *n = (struct fg_cluster_node){.cpu = has.cpu, .memory = has.memory, .milli = has.gpus * FG_CLUSTER_GPU, .has = has};
        for (size_t i = 0; i < has.gpus; i++)
                n->gpu[i] = FG_CLUSTER_GPU;
}

int fg_cluster_new(struct fg_cluster **ret, const struct fg_cluster_shape *shape, size_t count)
{
        if (count == 0 || count > FG_CLUSTER_NODES_MAX)
                return -EINVAL;
        for (size_t i = 0; i < count; i++)
                if (!is_shape(&shape[i]))
                        return -EINVAL;
        struct fg_cluster *c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        c->count = count;
        c->node = calloc(count, sizeof(*c->node));
        c->log = calloc(count, sizeof(*c->log));
        if (!c->node || !c->log) {
                fg_cluster_free(c);
                return -ENOMEM;
        }
        for (size_t i = 0; i < count; i++)
                node_reset(&c->node[i], shape[i]);
        *ret = c;
        return 0;
}

struct fg_cluster *fg_cluster_free(struct fg_cluster *c)
{
        if (c) {
                free(c->node);
                free(c->log);
                free(c);
        }
        return NULL;
}

void fg_cluster_reset(struct fg_cluster *c)
{
        for (size_t i = 0; i < c->count; i++)
                node_reset(&c->node[i], c->node[i].has);
        /* Whoever follows the changes has missed more than are kept. */
        c->changes += c->count + 1;
}

size_t fg_cluster_count(const struct fg_cluster *c)
{
        return c->count;
}

const struct fg_cluster_node *fg_cluster_node(const struct fg_cluster *c, size_t i)
{
        return &c->node[i];
}

uint64_t fg_cluster_changes(const struct fg_cluster *c)
{
        return c->changes;
}

uint32_t fg_cluster_changed(const struct fg_cluster *c, uint64_t k)
{
        return c->log[k % c->count];
}

bool fg_cluster_pod_is_valid(const struct fg_cluster_pod *p)
{
        if (p->cpu < 0 || p->memory < 0 || p->gpus > FG_CLUSTER_GPUS_MAX || p->milli > FG_CLUSTER_GPU)
                return false;
        return p->gpus == 0 ? p->milli == 0 : p->milli > 0 && (p->gpus == 1 || p->milli == FG_CLUSTER_GPU);
}

enum fg_cluster_lack fg_cluster_judge(const struct fg_cluster_node *n, const struct fg_cluster_pod *pod)
{
        unsigned room = 0;
        if (n->closed)
                return FG_CLUSTER_CLOSED;
        if (pod->models && !(pod->models >> n->has.model & 1))
                return FG_CLUSTER_LACKS_MODEL;
        if (n->cpu < pod->cpu)
                return FG_CLUSTER_LACKS_CPU;
        if (n->memory < pod->memory)
                return FG_CLUSTER_LACKS_MEMORY;
        if (n->has.gpus < pod->gpus)
                return FG_CLUSTER_LACKS_GPUS;
        for (size_t i = 0; i < n->has.gpus && room < pod->gpus; i++)
                room += n->gpu[i] >= pod->milli;
        return room < pod->gpus ? FG_CLUSTER_LACKS_SHARE : FG_CLUSTER_FITS;
}

static bool is_place(const struct fg_cluster *c, const struct fg_cluster_pod *pod, struct fg_cluster_place place)
{
        return fg_cluster_pod_is_valid(pod) && place.node < c->count &&
               (unsigned)__builtin_popcount(place.gpus) == pod->gpus && place.gpus >> c->node[place.node].has.gpus == 0;
}

static void note(struct fg_cluster *c, size_t node)
{
        c->log[c->changes++ % c->count] = (uint32_t)node;
}

int fg_cluster_close(struct fg_cluster *c, size_t i, bool closed)
{
        if (i >= c->count)
                return -EINVAL;
        c->node[i].closed = closed;
        note(c, i);
        return 0;
}

int fg_cluster_set_price(struct fg_cluster *c, size_t i, uint32_t price)
{
        if (i >= c->count || price > FG_CLUSTER_PRICE_MAX)
                return -EINVAL;
        c->node[i].has.price = price;
        note(c, i);
        return 0;
}

static void change(struct fg_cluster *c, const struct fg_cluster_pod *pod, struct fg_cluster_place place, int sign)
{
        struct fg_cluster_node *n = &c->node[place.node];
        n->cpu -= sign * pod->cpu;
        n->memory -= sign * pod->memory;
        n->milli -= sign * pod->milli * pod->gpus;
        for (size_t i = 0; i < n->has.gpus; i++)
                if (place.gpus >> i & 1)
                        n->gpu[i] = (uint16_t)(n->gpu[i] - sign * pod->milli);
        n->pods[fg_cluster_kind(pod)] = (uint16_t)(n->pods[fg_cluster_kind(pod)] + sign);
        note(c, place.node);
}

int fg_cluster_take(struct fg_cluster *c, const struct fg_cluster_pod *pod, struct fg_cluster_place place)
{
        if (!is_place(c, pod, place))
                return -EINVAL;
        const struct fg_cluster_node *n = &c->node[place.node];
        if (fg_cluster_judge(n, pod) != FG_CLUSTER_FITS || n->pods[fg_cluster_kind(pod)] == UINT16_MAX)
                return -ENOSPC;
        for (size_t i = 0; i < n->has.gpus; i++)
                if (place.gpus >> i & 1 && n->gpu[i] < pod->milli)
                        return -ENOSPC;
        change(c, pod, place, 1);
        return 0;
}

int fg_cluster_release(struct fg_cluster *c, const struct fg_cluster_pod *pod, struct fg_cluster_place place)
{
        if (!is_place(c, pod, place))
                return -EINVAL;
        const struct fg_cluster_node *n = &c->node[place.node];
        if (n->pods[fg_cluster_kind(pod)] == 0 || pod->cpu > n->has.cpu - n->cpu || pod->memory > n->has.memory - n->memory)
                return -EINVAL;
        for (size_t i = 0; i < n->has.gpus; i++)
                if (place.gpus >> i & 1 && n->gpu[i] + pod->milli > FG_CLUSTER_GPU)
                        return -EINVAL;
        change(c, pod, place, -1);
        return 0;
}
