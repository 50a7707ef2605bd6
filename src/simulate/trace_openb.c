/* SPDX-License-Identifier: Apache-2.0 */
#include "simulate/trace_openb.h"

#include "base/cleanup.h"
#include "simulate/csv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int find_model(const struct fg_replay_nodes *n, const char *text, size_t len)
{
        for (unsigned i = 0; i < n->models; i++)
                if (strlen(n->model[i]) == len && memcmp(n->model[i], text, len) == 0)
                        return (int)i;
        return -1;
}

static int add_model(const struct fg_csv *c, size_t w, struct fg_replay_nodes *n, struct fg_error *err)
{
        const struct fg_csv_field *f = fg_csv_text(c, w);
        int i = find_model(n, f->text, f->len);
        if (i >= 0)
                return i;
        if (f->len >= sizeof n->model[0] || memchr(f->text, '|', f->len) || memchr(f->text, '\0', f->len))
                return fg_csv_refuse(c, w, "allowed are up to 31 characters without |", err);
        if (n->models == FG_CLUSTER_MODELS_MAX - 1) /* the last bit means one that no node has */
                return fg_csv_refuse(c, w, "a cluster may have up to 63 models", err);
        memcpy(n->model[n->models], f->text, f->len);
        return (int)n->models++;
}

static const struct fg_csv_column node_column[] = {{"cpu_milli", 0, FG_CLUSTER_CPU_MAX, false, NULL},
                                                   {"memory_mib", 0, FG_CLUSTER_MEMORY_MAX, false, NULL},
                                                   {"gpu", 0, FG_CLUSTER_GPUS_MAX, false, NULL},
                                                   {"model", 0, 0, false, NULL}};

static int read_node(struct fg_csv *c, struct fg_replay_nodes *n, struct fg_error *err)
{
        int model = add_model(c, 3, n, err);
        if (model < 0)
                return model;
        if (n->count == FG_CLUSTER_NODES_MAX)
                return fg_error_set(err, -EINVAL, "%s:%u: more than %u nodes", c->name, c->line, FG_CLUSTER_NODES_MAX);
        if (fg_csv_grow(&n->shape, n->count, sizeof(*n->shape)) < 0)
                return fg_error_set(err, -ENOMEM, "%s: out of memory", c->name);
        n->shape[n->count++] = (struct fg_cluster_shape){(int32_t)c->value[0], (int32_t)c->value[1], (uint8_t)c->value[2], (uint8_t)model};
        return 0;
}

int fg_replay_parse_nodes(const char *name, const char *text, size_t len, struct fg_replay_nodes *ret, struct fg_error *err)
{
        FG_CLEANUP(fg_replay_clear_nodes) struct fg_replay_nodes n = {0};
        struct fg_csv c;
        int r = fg_csv_open(&c, name, text, len, node_column, 4, err);
        while (r == 0 && (r = fg_csv_next(&c, err)) == 1)
                r = read_node(&c, &n, err);
        if (r < 0)
                return r;
        if (n.count == 0)
                return fg_error_set(err, -EINVAL, "%s: no nodes; each line after the first is one", name);
        *ret = n;
        n = (struct fg_replay_nodes){0};
        return 0;
}

static const struct fg_csv_column pod_column[] = {{"cpu_milli", 0, FG_CLUSTER_CPU_MAX, false, NULL},
                                                  {"memory_mib", 0, FG_CLUSTER_MEMORY_MAX, false, NULL},
                                                  {"num_gpu", 0, FG_CLUSTER_GPUS_MAX, false, NULL},
                                                  {"gpu_milli", 0, FG_CLUSTER_GPU, false, NULL},
                                                  {"gpu_spec", 0, 0, true, NULL}};

/* The kinds of node that there are, those with the most first: a pod is tried on few of them. */
struct largest {
        struct fg_cluster_shape *shape, most; /* most: of any node, each by itself */
        size_t count;
};

static int by_size(const void *a, const void *b)
{
        const struct fg_cluster_shape *x = a, *y = b;
        if (x->gpus != y->gpus)
                return x->gpus > y->gpus ? -1 : 1;
        if (x->cpu != y->cpu)
                return x->cpu > y->cpu ? -1 : 1;
        if (x->memory != y->memory)
                return x->memory > y->memory ? -1 : 1;
        return x->model - y->model;
}

static int find_largest(const struct fg_replay_nodes *n, struct largest *ret)
{
        ret->shape = malloc((n->count + 1) * sizeof(*ret->shape));
        if (!ret->shape)
                return -ENOMEM;
        memcpy(ret->shape, n->shape, n->count * sizeof(*ret->shape));
        qsort(ret->shape, n->count, sizeof(*ret->shape), by_size);
        for (size_t i = 0; i < n->count; i++) {
                const struct fg_cluster_shape *s = &ret->shape[i];
                if (ret->count == 0 || by_size(s, &ret->shape[ret->count - 1]) != 0)
                        ret->shape[ret->count++] = *s;
                ret->most.gpus = s->gpus > ret->most.gpus ? s->gpus : ret->most.gpus;
                ret->most.cpu = s->cpu > ret->most.cpu ? s->cpu : ret->most.cpu;
                ret->most.memory = s->memory > ret->most.memory ? s->memory : ret->most.memory;
        }
        return 0;
}

/* What no node could ever take is a mistake in the trace or the cluster, and would only make all policies look worse. That the models it
 * names cannot take it is none: public traces have such pods, made by naming models at random. */
static int check_size(const struct fg_csv *c, const struct largest *l, const struct fg_cluster_pod *pod, struct fg_error *err)
{
        const int64_t most[] = {l->most.cpu, l->most.memory, l->most.gpus};
        char allowed[96];
        for (size_t i = 0; i < l->count; i++)
                if (l->shape[i].gpus >= pod->gpus && l->shape[i].cpu >= pod->cpu && l->shape[i].memory >= pod->memory)
                        return 0;
        for (size_t w = 0; w < 3; w++) {
                snprintf(allowed, sizeof allowed, "allowed is up to %lld, the most that a node has", (long long)most[w]);
                if (c->value[w] > most[w])
                        return fg_csv_refuse(c, w, allowed, err);
        }
        return fg_error_set(err, -EINVAL, "%s:%u: %d milli-CPU, %d MiB and %d GPUs: each there is on some node, but no node has them all",
                            c->name, c->line, pod->cpu, pod->memory, pod->gpus);
}

/* "A10|T4" as a set; of models that no node has, the last bit, which no node has. */
static int read_models(const struct fg_csv *c, const struct fg_replay_nodes *nodes, uint64_t *ret, struct fg_error *err)
{
        *ret = 0;
        if (c->place[4] < 0)
                return 0;
        const struct fg_csv_field *f = fg_csv_text(c, 4);
        for (size_t at = 0; at < f->len;) {
                const char *bar = memchr(f->text + at, '|', f->len - at);
                size_t len = bar ? (size_t)(bar - f->text) - at : f->len - at;
                int i = find_model(nodes, f->text + at, len);
                if (len == 0)
                        return fg_csv_refuse(c, 4, "allowed are names of models with | between them", err);
                if (i >= 0)
                        *ret |= (uint64_t)1 << i;
                at += len + 1;
        }
        if (f->len && *ret == 0)
                *ret = (uint64_t)1 << (FG_CLUSTER_MODELS_MAX - 1);
        return 0;
}

static int read_pod(struct fg_csv *c, const struct fg_replay_nodes *nodes, const struct largest *largest, struct fg_replay_pods *p,
                    struct fg_error *err)
{
        struct fg_cluster_pod pod = {.cpu = (int32_t)c->value[0], .memory = (int32_t)c->value[1], .gpus = (uint16_t)c->value[2],
                                     .milli = (uint16_t)(c->value[2] ? c->value[3] : 0)};
        int r = read_models(c, nodes, &pod.models, err);
        if (r < 0)
                return r;
        if (!fg_cluster_pod_is_valid(&pod))
                return fg_csv_refuse(c, 3, pod.gpus > 1 ? "of several GPUs all 1000 are wanted" : "allowed is 1 to 1000", err);
        r = check_size(c, largest, &pod, err);
        if (r < 0)
                return r;
        if (p->count == FG_REPLAY_PODS_MAX)
                return fg_error_set(err, -EINVAL, "%s:%u: more than %u pods", c->name, c->line, FG_REPLAY_PODS_MAX);
        if (fg_csv_grow(&p->pod, p->count, sizeof(*p->pod)) < 0)
                return fg_error_set(err, -ENOMEM, "%s: out of memory", c->name);
        p->pod[p->count++] = pod;
        return 0;
}

int fg_replay_parse_pods(const char *name, const char *text, size_t len, const struct fg_replay_nodes *nodes, struct fg_replay_pods *ret,
                         struct fg_error *err)
{
        FG_CLEANUP(fg_replay_clear_pods) struct fg_replay_pods p = {0};
        struct fg_csv c;
        struct largest largest = {0};
        int r = fg_csv_open(&c, name, text, len, pod_column, 5, err);
        if (r == 0)
                r = find_largest(nodes, &largest);
        if (r == -ENOMEM)
                return fg_error_set(err, r, "%s: out of memory", name);
        while (r == 0 && (r = fg_csv_next(&c, err)) == 1)
                r = read_pod(&c, nodes, &largest, &p, err);
        free(largest.shape);
        if (r < 0)
                return r;
        if (p.count == 0)
                return fg_error_set(err, -EINVAL, "%s: no pods; each line after the first is one", name);
        *ret = p;
        p = (struct fg_replay_pods){0};
        return 0;
}

void fg_replay_clear_nodes(struct fg_replay_nodes *nodes)
{
        free(nodes->shape);
        *nodes = (struct fg_replay_nodes){0};
}

void fg_replay_clear_pods(struct fg_replay_pods *pods)
{
        free(pods->pod);
        *pods = (struct fg_replay_pods){0};
}
