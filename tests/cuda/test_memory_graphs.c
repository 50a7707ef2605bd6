/* SPDX-License-Identifier: Apache-2.0
 * Memory that graphs allocate, by nodes and by capture: charged from the launch until the device's graph pool is
 * trimmed, refused over the quota, once however often the graph runs. */
#include "test_memory.h"

#define BYTES (32 * MiB)

static uint64_t looked(void)
{
        size_t available, total;

        CHECK_OK(cuCtxSynchronize());
        CHECK_OK(cuMemGetInfo_v2(&available, &total));
        return used(0);
}

static CUgraphExec by_nodes(void)
{
        CUDA_MEM_ALLOC_NODE_PARAMS p = {.poolProps = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                                                      .location = {CU_MEM_LOCATION_TYPE_DEVICE, {0}}},
                                        .bytesize = BYTES};
        CUgraphNode get, put;
        CUgraphExec exec;
        CUgraph graph;

        CHECK_OK(cuGraphCreate(&graph, 0));
        CHECK_OK(cuGraphAddMemAllocNode(&get, graph, NULL, 0, &p));
        CHECK(p.dptr);
        CHECK_OK(cuGraphAddMemFreeNode(&put, graph, &get, 1, p.dptr));
        CHECK_OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
        CHECK_OK(cuGraphDestroy(graph));
        return exec;
}

static CUgraphExec by_capture(void)
{
        CUdeviceptr pointer;
        CUgraphExec exec;
        CUstream stream;
        CUgraph graph;

        CHECK_OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
        CHECK_OK(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
        CHECK_OK(cuMemAllocAsync(&pointer, BYTES, stream));
        CHECK_SAME(used(0), 0); /* nothing is allocated yet */
        CHECK_OK(cuMemFreeAsync(pointer, stream));
        CHECK_OK(cuStreamEndCapture(stream, &graph));
        CHECK_OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
        CHECK_OK(cuGraphDestroy(graph));
        CHECK_OK(cuStreamDestroy_v2(stream));
        return exec;
}

static void check(CUgraphExec exec)
{
        CHECK_SAME(looked(), 0);
        set_quota(0, BYTES - 1);
        CHECK_IS(cuGraphLaunch(exec, 0), CUDA_ERROR_OUT_OF_MEMORY);
        CHECK_SAME(used(0), 0);
        set_quota(0, BYTES);
        for (int i = 0; i < 10; i++)
                CHECK_OK(cuGraphLaunch(exec, 0));
        CHECK_SAME(looked(), BYTES);
        CHECK_OK(cuGraphLaunch_ptsz(exec, 0));
        CHECK_SAME(looked(), BYTES);
        CHECK_OK(cuGraphExecDestroy(exec));
}

/* Idle graph memory makes room for what would be refused otherwise. */
static void check_trim(void)
{
        CUdeviceptr pointer;

        CHECK_SAME(used(0), BYTES);
        CHECK_OK(cuMemAlloc_v2(&pointer, BYTES));
        CHECK_SAME(used(0), BYTES);
        CHECK_OK(cuMemFree_v2(pointer));
        CHECK_SAME(used(0), 0);
}

int main(void)
{
        uint64_t really;

        begin();
        really = really_used(0);
        check(by_nodes());
        check_trim();
        set_quota(0, 1024 * MiB);
        check(by_capture());
        check_trim();
        CHECK_SAME(really_used(0), really);
        return 0;
}
