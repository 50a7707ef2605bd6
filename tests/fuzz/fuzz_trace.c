/* SPDX-License-Identifier: Apache-2.0
 * Traces of pods and of jobs, and the clusters that they are for: refused in one clear line that names the file, or what can be replayed.
 * The first byte says which of the three it is. */
#include "simulate/jobs.h"
#include "simulate/trace_openb.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_refused(int r, const struct fg_error *err)
{
        assert(r < 0 && err->code == r && (strncmp(err->text, "trace:", 6) == 0));
        for (const char *c = err->text; *c; c++)
                assert((unsigned char)*c >= 32 && *c != 127);
}

static void try_nodes(const char *text, size_t len)
{
        struct fg_replay_nodes nodes = {0};
        struct fg_error err = {0};
        struct fg_cluster *c = NULL;
        int r = fg_replay_parse_nodes("trace", text, len, &nodes, &err);
        if (r < 0) {
                assert(!nodes.shape);
                check_refused(r, &err);
                return;
        }
        assert(nodes.count > 0 && nodes.models <= FG_CLUSTER_MODELS_MAX - 1);
        assert(fg_cluster_new(&c, nodes.shape, nodes.count) == 0);
        fg_cluster_free(c);
        fg_replay_clear_nodes(&nodes);
}

static void try_pods(const char *text, size_t len)
{
        static struct fg_cluster_shape shape[] = {{64000, 262144, 2, 0}, {96000, 393216, 8, 1}};
        static const struct fg_replay_nodes nodes = {.shape = shape, .count = 2, .model = {"P100", "T4"}, .models = 2};
        struct fg_replay_pods pods = {0};
        struct fg_error err = {0};
        int r = fg_replay_parse_pods("trace", text, len, &nodes, &pods, &err);
        if (r < 0) {
                assert(!pods.pod);
                check_refused(r, &err);
                return;
        }
        for (size_t i = 0; i < pods.count; i++) {
                const struct fg_cluster_pod *p = &pods.pod[i];
                assert(fg_cluster_pod_is_valid(p) && p->cpu <= 96000 && p->memory <= 393216 && p->gpus <= 8);
        }
        fg_replay_clear_pods(&pods);
}

static void try_jobs(const char *text, size_t len)
{
        const struct fg_jobs_window window = {INT64_MIN, INT64_MAX, len % 3};
        struct fg_jobs_trace trace = {0};
        struct fg_error err = {0};
        int64_t last = 0;
        int r = fg_jobs_parse("trace", text, len, &window, &trace, &err);
        if (r < 0) {
                assert(!trace.job);
                check_refused(r, &err);
                return;
        }
        for (size_t i = 0; i < trace.jobs; i++) {
                const struct fg_job *job = &trace.job[i];
                assert(job->submitted >= last && job->length >= 0 && job->gpus >= 1 && job->gpus <= FG_JOBS_GPUS_MAX);
                assert(job->milli >= 1 && job->milli <= FG_JOBS_WHOLE && job->busy <= 1000);
                last = job->submitted;
        }
        if (trace.jobs <= 50 && last < 100000) { /* few enough to be replayed, and over soon */
                static const uint8_t node[] = {4, 8};
                static struct fg_jobs_result result;
                const struct fg_jobs_pool_size pool = {node, 2};
                for (size_t i = 0; i < trace.jobs; i++)
                        trace.job[i].length %= 5000;
                for (const struct fg_order_policy *p = fg_order_policies; p->name; p++) {
                        r = fg_jobs_run(&trace, &pool, p, &result, &err);
                        assert(r == -EINVAL || (r == 0 && result.jobs == trace.jobs && result.queue >= 0));
                }
        }
        free(trace.job);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size == 0)
                return 0;
        const char *text = (const char *)data + 1;
        if (data[0] == 'n')
                try_nodes(text, size - 1);
        else if (data[0] == 'p')
                try_pods(text, size - 1);
        else
                try_jobs(text, size - 1);
        return 0;
}
