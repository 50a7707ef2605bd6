/* SPDX-License-Identifier: Apache-2.0
 *
 * What an executable graph needs is the sum of its allocation nodes. It is reserved on top of the graphs' pool before a
 * launch and settled to the driver's figure after it. */
#include "shim/cuda/graph_memory.h"

#include "shim/cuda/hook.h"
#include "shim/cuda/memory.h"
#include "shim/cuda/pool.h"

#include <stdlib.h>

#define DEPTH_MAX 16 /* graphs in graphs */

uint32_t fgc_graph_memory_seen;

/* --- what a graph asks for --- */

static uint64_t bytes_of_graph(CUgraph graph, int depth);

static uint64_t bytes_of_node(CUgraphNode node, int depth)
{
        CUDA_MEM_ALLOC_NODE_PARAMS parameters;
        CUgraphNodeType type;
        CUgraph child;

        if (FGC_REAL(cuGraphNodeGetType, node, &type) != CUDA_SUCCESS)
                return 0;
        if (type == CU_GRAPH_NODE_TYPE_MEM_ALLOC &&
            FGC_REAL(cuGraphMemAllocNodeGetParams, node, &parameters) == CUDA_SUCCESS)
                return fgc_round_up(parameters.bytesize, FGC_UNIT);
        if (type == CU_GRAPH_NODE_TYPE_GRAPH && FGC_REAL(cuGraphChildGraphNodeGetGraph, node, &child) == CUDA_SUCCESS)
                return bytes_of_graph(child, depth + 1);
        return 0;
}

static uint64_t bytes_of_graph(CUgraph graph, int depth)
{
        uint64_t bytes = 0;
        size_t count = 0;
        CUgraphNode *nodes;

        if (depth > DEPTH_MAX || FGC_REAL(cuGraphGetNodes, graph, NULL, &count) != CUDA_SUCCESS || count == 0)
                return 0;
        nodes = calloc(count, sizeof(*nodes));
        if (!nodes || FGC_REAL(cuGraphGetNodes, graph, nodes, &count) != CUDA_SUCCESS)
                count = 0;
        for (size_t i = 0; i < count; i++)
                bytes += bytes_of_node(nodes[i], depth);
        free(nodes);
        return bytes;
}

void fgc_graph_memory_made_slow(CUgraphExec exec, CUgraph graph)
{
        struct fgc_alloc entry = {(uintptr_t)exec, NULL, bytes_of_graph(graph, 0), FGC_ALLOC_EXEC}, old;

        fgc_graph_memory_gone_slow(exec);
        if (entry.bytes)
                fgc_alloc_enter(&fgc_handles, entry,
                                &old); /* without memory to note it, launches settle, but do not reserve */
}

void fgc_graph_memory_gone_slow(CUgraphExec exec)
{
        struct fgc_alloc entry;

        if (fgc_alloc_take(&fgc_handles, (uintptr_t)exec, &entry) && entry.kind != FGC_ALLOC_EXEC)
                fgc_alloc_put_back(&fgc_handles, entry);
}

/* --- launching --- */

/* What the pool had reserved and in use after a graph's latest launch is kept in the entry's owner, in units of 512
 * bytes. */
static void *figures_pack(uint64_t reserved, uint64_t used)
{
        return (void *)(uintptr_t)(reserved / FGC_UNIT << 32 | (used / FGC_UNIT & UINT32_MAX));
}

static bool find(CUgraphExec exec, struct fgc_alloc *ret)
{
        return fgc_alloc_find(&fgc_handles, (uintptr_t)exec, ret) && ret->kind == FGC_ALLOC_EXEC;
}

/* There is room for it, or what it had when it ran before is still there and nobody took more since. */
static bool has_its_memory(const struct fgc_pool *pool, const struct fgc_alloc *entry)
{
        uint64_t reserved, used, before = (uintptr_t)entry->owner;

        if (!fgc_pool_reserved(pool, &reserved) || !fgc_pool_used(pool, &used))
                return false;
        return used + entry->bytes <= reserved ||
               (before && reserved / FGC_UNIT >= before >> 32 && used / FGC_UNIT <= (before & UINT32_MAX));
}

CUresult fgc_graph_memory_begin_slow(struct fgc_vgpu *vgpu, CUgraphExec exec, struct fgc_graph_use *use)
{
        struct fgc_alloc entry;
        struct fgc_pool *pool;
        CUresult r;

        if (!vgpu || !find(exec, &entry))
                return CUDA_SUCCESS;
        pool = fgc_pool_of_graphs(vgpu);
        if (!pool)
                return CUDA_ERROR_OUT_OF_MEMORY;
        if (has_its_memory(pool, &entry))
                return CUDA_SUCCESS;
        r = fgc_pool_begin_on_top(pool, entry.bytes);
        if (r == CUDA_SUCCESS)
                *use = (struct fgc_graph_use){pool, exec, entry.bytes};
        return r;
}

CUresult fgc_graph_memory_end_slow(struct fgc_graph_use *use, CUresult r)
{
        struct fgc_alloc entry;
        uint64_t reserved, used;

        fgc_pool_end_on_top(use->pool, use->bytes);
        if (r != CUDA_SUCCESS || !fgc_pool_reserved(use->pool, &reserved) || !fgc_pool_used(use->pool, &used))
                return r;
        if (find(use->exec, &entry) && fgc_alloc_take_same(&fgc_handles, entry)) {
                entry.owner = figures_pack(reserved, used);
                fgc_alloc_put_back(&fgc_handles, entry);
        }
        return r;
}
