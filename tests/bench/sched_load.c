/* SPDX-License-Identifier: Apache-2.0
 * sched-load NODES PODS TIMES: fills a fleet of the file's nodes, so many times over, with pods drawn from the other file until they want
 * all of its GPUs, and says as JSON what a decision took in ns of processor time, and how many bytes of memory the fleet has. */
#include "base/cleanup.h"
#include "sched/fleet.h"
#include "simulate/random.h"
#include "simulate/stage.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DECISIONS_MAX 2000000u

static int64_t now_ns(void)
{
        struct timespec ts;
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
        return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static size_t in_use(void)
{
        struct mallinfo2 m = mallinfo2();
        return m.uordblks + m.hblkhd;
}

static void must(int r, const char *what, const struct fg_error *err)
{
        if (r >= 0)
                return;
        fprintf(stderr, "%s: %s\n", what, err->text[0] ? err->text : strerror(-r));
        exit(1);
}

static struct fg_fleet *make_fleet(const struct fg_replay_nodes *nodes, const struct fg_replay_pods *pods, size_t times)
{
        struct fg_fleet *f;
        struct fg_error err = {0};
        size_t count = nodes->count * times;
        fg_autofree struct fg_fleet_node *node = calloc(count, sizeof *node);
        fg_autofree char(*name)[24] = calloc(count, sizeof *name);
        if (!node || !name)
                exit(1);
        for (size_t i = 0; i < count; i++) {
                const struct fg_cluster_shape *s = &nodes->shape[i % nodes->count];
                snprintf(name[i], sizeof name[i], "openb-node-%zu", i);
                node[i] = (struct fg_fleet_node){.name = name[i], .cpu = s->cpu, .memory = s->memory, .gpus = s->gpus, .model = nodes->model[s->model]};
        }
        must(fg_fleet_new(&f, node, count, fg_cluster_policy_find("fastgpu"), pods->pod, pods->count, &err), "fleet", &err);
        return f;
}

static bool is_same(const struct fg_cluster_pod *a, const struct fg_cluster_pod *b)
{
        return a->cpu == b->cpu && a->memory == b->memory && a->milli == b->milli && a->gpus == b->gpus && a->models == b->models;
}

/* One for many alike. */
static void make_asks(struct fg_fleet *f, const struct fg_replay_nodes *nodes, const struct fg_replay_pods *pods, struct fg_fleet_ask **ask)
{
        struct fg_error err = {0};
        for (size_t i = 0; i < pods->count; i++) {
                const struct fg_cluster_pod *p = &pods->pod[i];
                const char *model[FG_CLUSTER_MODELS_MAX];
                struct fg_fleet_request q = {.cpu = p->cpu, .memory = p->memory, .milli = p->milli, .gpus = p->gpus, .model = model};
                size_t k = 0;
                while (k < i && !is_same(&pods->pod[k], p))
                        k++;
                ask[i] = ask[k];
                if (k < i)
                        continue;
                for (unsigned m = 0; m < nodes->models; m++)
                        if (p->models >> m & 1)
                                model[q.models++] = nodes->model[m];
                must(fg_fleet_ask(f, &q, &ask[i], &err), "ask", &err);
        }
}

static int by_value(const void *a, const void *b)
{
        int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
        return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
        struct fg_replay_nodes nodes;
        struct fg_replay_pods pods;
        struct fg_error err = {0};
        size_t times = argc == 4 ? strtoul(argv[3], NULL, 10) : 0, decisions = 0, placed = 0;
        if (times == 0) {
                fprintf(stderr, "usage: %s NODES PODS TIMES\n", argv[0]);
                return 2;
        }
        must(fg_replay_read_nodes(argv[1], &nodes, &err), "nodes", &err);
        must(fg_replay_read_pods(argv[2], &nodes, &pods, &err), "pods", &err);
        struct fg_fleet_ask **ask = calloc(pods.count, sizeof *ask);
        int64_t *took = malloc(DECISIONS_MAX * sizeof *took), left = fg_replay_capacity(&nodes) * (int64_t)times;
        if (!ask || !took)
                return 1;
        size_t before = in_use();
        struct fg_fleet *f = make_fleet(&nodes, &pods, times);
        make_asks(f, &nodes, &pods, ask);
        for (uint64_t random = 42; left > 0 && decisions < DECISIONS_MAX; decisions++) {
                size_t i = fg_replay_below(&random, pods.count);
                struct fg_cluster_place place;
                int64_t start = now_ns();
                int r = fg_fleet_decide(f, ask[i], &place);
                took[decisions] = now_ns() - start;
                left -= fg_replay_wanted(&pods.pod[i]);
                if (r == 0) {
                        must(fg_fleet_take(f, ask[i], place), "take", &err);
                        placed++;
                }
        }
        size_t bytes = in_use() - before;
        qsort(took, decisions, sizeof *took, by_value);
        printf("{\"nodes\": %zu, \"decisions\": %zu, \"placed\": %zu, \"median_ns\": %lld, \"p99_ns\": %lld, \"bytes\": %zu, \"bytes_per_node\": %.0f}\n",
               fg_fleet_count(f), decisions, placed, (long long)took[decisions / 2], (long long)took[decisions * 99 / 100], bytes,
               (double)bytes / (double)fg_fleet_count(f));
        return 0;
}
