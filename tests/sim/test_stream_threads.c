/* SPDX-License-Identifier: Apache-2.0
 * Many threads, streams, events, graphs and captures at once: everything asked for happens, in each stream's
 * order. */
#include "exec_test.h"

#include <pthread.h>

#define THREADS 6
#define ROUNDS  300
#define STREAMS 3

struct worker {
        pthread_t thread;
        unsigned seed;
        int asked; /* kernels */
        int done[STREAMS];
        CUdeviceptr memory;
};

static struct worker workers[THREADS];
static atomic_int errors;

/* Counts in its stream's own order: parameter 0 where, 1 which number it is. */
static void count(void **params, const unsigned grid[3], const unsigned block[3])
{
        int *where = *(int **)params[0];

        if (*where != *(int *)params[1])
                atomic_fetch_add(&errors, 1);
        (*where)++;
}

static void must(CUresult r)
{
        if (r != CUDA_SUCCESS)
                atomic_fetch_add(&errors, 1);
}

static void capture_some(CUstream s, CUfunction busy)
{
        CUgraphExec exec;
        CUgraph graph;

        must(cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
        for (int i = 0; i < 3; i++)
                must(launch(busy, s, NULL));
        must(cuStreamEndCapture(s, &graph));
        must(cuGraphInstantiateWithFlags(&exec, graph, 0));
        must(cuGraphLaunch(exec, s));
        must(cuGraphLaunch(exec, s));
        must(cuGraphExecDestroy(exec));
        must(cuGraphDestroy(graph));
}

static void step(struct worker *w, CUstream *streams, int *launched, CUfunction counter, CUfunction busy, CUevent event)
{
        int k = (int)(rand_r(&w->seed) % STREAMS);
        int *where = &w->done[k];

        switch (rand_r(&w->seed) % 8) {
        case 0:
                must(cuEventRecord(event, streams[k]));
                must(cuStreamWaitEvent(streams[(k + 1) % STREAMS], event, 0));
                break;
        case 1:
                must(cuMemsetD8Async(w->memory, 1, 4096, streams[k]));
                break;
        case 2:
                capture_some(streams[k], busy);
                break;
        case 3:
                must(cuStreamSynchronize(streams[k]));
                if (*where != launched[k])
                        atomic_fetch_add(&errors, 1);
                break;
        case 4:
                cuStreamQuery(streams[k]);
                break;
        default:
                must(launch(counter, streams[k], (void *[]){&where, &launched[k]}));
                launched[k]++;
                w->asked++;
        }
}

static void *work(void *arg)
{
        struct worker *w = arg;
        int launched[STREAMS] = {0};
        CUstream streams[STREAMS];
        CUfunction counter, busy;
        CUevent event;

        must(cuCtxSetCurrent(context));
        must(cuModuleGetFunction(&counter, module, "count"));
        must(cuModuleGetFunction(&busy, module, "tiny"));
        must(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
        must(cuMemAlloc_v2(&w->memory, 4096));
        for (int i = 0; i < STREAMS; i++)
                must(cuStreamCreate(&streams[i], i ? CU_STREAM_NON_BLOCKING : CU_STREAM_DEFAULT));
        for (int i = 0; i < ROUNDS; i++)
                step(w, streams, launched, counter, busy, event);
        must(cuEventDestroy_v2(event));
        for (int i = 0; i < STREAMS; i++)
                must(cuStreamDestroy_v2(streams[i])); /* with work in them */
        must(cuMemFree_v2(w->memory));
        return NULL;
}

static void test_all_at_once(void **state)
{
        for (int i = 0; i < THREADS; i++) {
                workers[i].seed = (unsigned)i + 1;
                assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
        }
        for (int i = 0; i < THREADS; i++)
                pthread_join(workers[i].thread, NULL);
        OK(cuCtxSynchronize());
        assert_int_equal(atomic_load(&errors), 0);
        for (int i = 0; i < THREADS; i++) {
                int done = 0;
                for (int k = 0; k < STREAMS; k++)
                        done += workers[i].done[k];
                assert_int_equal(done, workers[i].asked);
        }
}

/* A context that goes while its streams are full takes everything along, and the next one is fine. */
static void test_contexts_come_and_go(void **state)
{
        for (int i = 0; i < 20; i++) {
                CUfunction f;
                CUcontext other;
                CUmodule m;
                CUstream s;

                OK(cuCtxCreate_v2(&other, 0, 0));
                OK(cuModuleLoadData(&m, kernels));
                OK(cuModuleGetFunction(&f, m, "busy1"));
                OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
                OK(launch(f, s, NULL));
                OK(launch(f, CU_STREAM_PER_THREAD, NULL));
                OK(cuCtxDestroy_v2(other));
                IS(cuStreamQuery(s), CUDA_ERROR_INVALID_HANDLE);
        }
}

static int open_all(void **state)
{
        set_up(NULL);
        OK(cuModuleUnload(module));
        fgsim_kernel_register("count", count, 0);
        fgsim_kernel_arguments("count", 2, (size_t[]){sizeof(int *), sizeof(int)});
        OK(cuModuleLoadData(&module, "fastgpu-sim\nkernel tiny time=2us\n"));
        return 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_all_at_once),
                cmocka_unit_test(test_contexts_come_and_go),
        };

        return cmocka_run_group_tests(tests, open_all, tear_down);
}
