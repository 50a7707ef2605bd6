/* SPDX-License-Identifier: Apache-2.0
 * Philly's jobs against each order: prints the table of docs/design/order.md and judges it. 77: no trace here.
 *
 *      philly_rows FILE [GPUS [POLICY...]] */
#include "simulate/jobs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What is known of 512 GPUs: mean JCT within 1 %; for learned orders the most that is allowed. */
static const struct {
        const char *policy;
        double mean, most, p99_most, long_most;
} known[] = {
        {"fifo", 324773, 0, 0, 0}, {"fifo-skip", 34890, 0, 0, 0},      {"sjf", 17044, 0, 0, 0},
        {"srtf", 14317, 0, 0, 0},  {"mean", 0, 21000, 375093, 1.6}, {"gittins", 0, 17500, 375093, 1.5},
};

static uint8_t node[FG_JOBS_NODES_MAX];

static int run(const struct fg_jobs_trace *trace, uint32_t gpus, const struct fg_order_policy *policy, struct fg_jobs_result *ret,
               struct fg_error *err)
{
        struct fg_jobs_pool_size pool = {node, gpus / 8};
        memset(node, 8, sizeof(node));
        return fg_jobs_run(trace, &pool, policy, ret, err);
}

static int row(const struct fg_jobs_trace *trace, uint32_t gpus, const char *name)
{
        const struct fg_order_policy *policy = fg_order_policy_find(name);
        struct fg_jobs_result a, b;
        struct fg_error err = {0};
        int bad = 0;
        if (!policy || run(trace, gpus, policy, &a, &err) < 0) {
                fprintf(stderr, "%s: %s\n", name, policy ? err.text : "no such policy");
                return 1;
        }
        printf("| %s | %.0f | %.0f | %lld | %.0f | %.2f | %llu |\n", name, a.mean, a.queue, (long long)a.p99, a.short_queue,
               a.long_slowdown, (unsigned long long)a.preemptions);
        fflush(stdout);
        for (size_t i = 0; gpus == 512 && i < sizeof(known) / sizeof(known[0]); i++) {
                if (strcmp(known[i].policy, name) != 0)
                        continue;
                bad |= known[i].mean > 0 && fabs(a.mean / known[i].mean - 1) > 0.01;
                bad |= known[i].most > 0 && (a.mean > known[i].most || a.p99 > known[i].p99_most || a.long_slowdown > known[i].long_most);
        }
        if (strcmp(name, "mean") == 0)
                bad |= run(trace, gpus, policy, &b, &err) < 0 || memcmp(&a, &b, sizeof(a)) != 0;
        if (bad)
                printf("%s is not what it should be\n", name);
        return bad;
}

int main(int argc, char **argv)
{
        const char *folder = getenv("FASTGPU_TRACES");
        char path[4096];
        struct fg_jobs_window window = {0, (int64_t)61 * FG_JOBS_DAY, 10};
        struct fg_jobs_trace trace;
        struct fg_error err = {0};
        int bad = 0;
        snprintf(path, sizeof(path), folder ? "%s/philly/philly_jobs.csv" : "%s", folder ? folder : argc > 1 ? argv[1] : "");
        if (access(path, R_OK) < 0) {
                printf("SKIPPED: no trace '%s'; FASTGPU_TRACES names the folder that has philly/philly_jobs.csv\n", path);
                return 77;
        }
        if (fg_jobs_read(path, &window, &trace, &err) < 0) {
                fprintf(stderr, "%s\n", err.text);
                return 1;
        }
        uint32_t gpus = argc > 2 ? (uint32_t)atoi(argv[2]) : 512;
        printf("%zu jobs, %u GPUs\n| policy | mean JCT s | mean queue | p99 JCT | queue of jobs < 1 h | long-job slow-down | "
               "preemptions |\n|---|---|---|---|---|---|---|\n", trace.jobs, gpus);
        for (int i = 3; i < argc; i++)
                bad |= row(&trace, gpus, argv[i]);
        for (const struct fg_order_policy *p = fg_order_policies; argc <= 3 && p->name; p++)
                bad |= row(&trace, gpus, p->name);
        free(trace.job);
        return bad;
}
