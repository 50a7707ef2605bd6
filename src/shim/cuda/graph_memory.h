/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory that graphs allocate. Their allocation nodes take from a pool of the device's own, which grows when a graph is
 * launched or uploaded and shrinks when it is trimmed: it is charged like every other pool (pool.h). For who hooks
 * launches:
 *
 *      before cuGraphLaunch   r = fgc_graph_memory_begin(vgpu, exec, &use); refuse with r if it is not CUDA_SUCCESS
 *      after it               return fgc_graph_memory_end(&use, result)
 *
 * While this process has not put an allocation into a graph, that costs one relaxed load. */
#ifndef FGC_GRAPH_MEMORY_H
#define FGC_GRAPH_MEMORY_H

#include "base/atomic.h"
#include "shim/cuda/device.h"

struct fgc_pool;
struct fgc_graph_use {
        struct fgc_pool *pool; /* NULL: nothing to settle */
        CUgraphExec exec;
        uint64_t bytes;
};

extern uint32_t fgc_graph_memory_seen; /* (a) a graph allocation was seen */

void fgc_graph_memory_made_slow(CUgraphExec exec, CUgraph graph);
void fgc_graph_memory_gone_slow(CUgraphExec exec);
CUresult fgc_graph_memory_begin_slow(struct fgc_vgpu *vgpu, CUgraphExec exec, struct fgc_graph_use *use);
CUresult fgc_graph_memory_end_slow(struct fgc_graph_use *use, CUresult r);

static inline void fgc_graph_memory_made(CUgraphExec exec, CUgraph graph)
{
        if (__builtin_expect(fg_load_relaxed(&fgc_graph_memory_seen) != 0, 0))
                fgc_graph_memory_made_slow(exec, graph);
}

static inline void fgc_graph_memory_gone(CUgraphExec exec)
{
        if (__builtin_expect(fg_load_relaxed(&fgc_graph_memory_seen) != 0, 0))
                fgc_graph_memory_gone_slow(exec);
}

static inline CUresult fgc_graph_memory_begin(struct fgc_vgpu *vgpu, CUgraphExec exec, struct fgc_graph_use *use)
{
        use->pool = NULL;
        return __builtin_expect(fg_load_relaxed(&fgc_graph_memory_seen) != 0, 0)
                       ? fgc_graph_memory_begin_slow(vgpu, exec, use)
                       : CUDA_SUCCESS;
}

static inline CUresult fgc_graph_memory_end(struct fgc_graph_use *use, CUresult r)
{
        return use->pool ? fgc_graph_memory_end_slow(use, r) : r;
}

#endif
