/* SPDX-License-Identifier: Apache-2.0
 *
 * Where allocations get into graphs, and where graphs become executable. A node's pool may be on any device: its number
 * is translated here, as it is nowhere else that these calls are hooked. */
#include "shim/cuda/gate.h"
#include "shim/cuda/graph_memory.h"
#include "shim/cuda/hook.h"
#include "shim/cuda/translate.h"

#include <errno.h>

static CUresult seen(CUresult r)
{
        if (r == CUDA_SUCCESS)
                fg_store_relaxed(&fgc_graph_memory_seen, 1);
        return r;
}

CUresult fgc_cuGraphAddMemAllocNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *after, size_t count,
                                    CUDA_MEM_ALLOC_NODE_PARAMS *parameters)
{
        FGC_SCRATCH(scratch);
        CUDA_MEM_ALLOC_NODE_PARAMS real;
        CUresult r;

        FGC_PASS(cuGraphAddMemAllocNode, node, graph, after, count, parameters);
        if (!parameters)
                return FGC_REAL(cuGraphAddMemAllocNode, node, graph, after, count, parameters);
        real = *parameters;
        real.poolProps.location = fgc_location_in(real.poolProps.location);
        real.accessDescs = fgc_access_in(real.accessDescs, real.accessDescCount, &scratch);
        if (parameters->accessDescs && !real.accessDescs)
                return CUDA_ERROR_OUT_OF_MEMORY;
        r = FGC_REAL(cuGraphAddMemAllocNode, node, graph, after, count, &real);
        parameters->dptr = real.dptr;
        return seen(r);
}

static CUresult added(CUgraphNodeParams *mine, const CUgraphNodeParams *real, CUresult r)
{
        if (r != CUDA_SUCCESS)
                return r;
        fgc_node_wrote(mine, real);
        return mine && (int)mine->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC ? seen(r) : r;
}

#define ADD_NODE(name, params, ...)                                                                                    \
        CUresult fgc_##name params                                                                                     \
        {                                                                                                              \
                FGC_SCRATCH(scratch);                                                                                  \
                CUgraphNodeParams copy, *mine = node_params;                                                           \
                CUresult r;                                                                                            \
                                                                                                                       \
                FGC_PASS(name, __VA_ARGS__);                                                                           \
                node_params = fgc_node_in(node_params, &copy, &scratch);                                               \
                if (mine && !node_params)                                                                              \
                        return CUDA_ERROR_OUT_OF_MEMORY;                                                               \
                r = FGC_REAL(name, __VA_ARGS__);                                                                       \
                return added(mine, node_params, r);                                                                    \
        }

ADD_NODE(cuGraphAddNode,
         (CUgraphNode * node, CUgraph graph, const CUgraphNode *after, size_t count, CUgraphNodeParams *node_params),
         node, graph, after, count, node_params)
ADD_NODE(cuGraphAddNode_v2,
         (CUgraphNode * node, CUgraph graph, const CUgraphNode *after, const CUgraphEdgeData *edges, size_t count,
          CUgraphNodeParams *node_params),
         node, graph, after, edges, count, node_params)
ADD_NODE(cuGraphAddNode_v3,
         (CUgraphNode * node, CUgraph graph, const CUgraphNode *after, const CUgraphEdgeData *edges, size_t count,
          CUgraphNodeParams *node_params),
         node, graph, after, edges, count, node_params)

/* --- executable graphs --- */

/* Some forms upload at once, which takes the memory: then it is reserved here, as a launch would. */
static CUresult made(CUresult r, const CUgraphExec *exec, CUgraph graph)
{
        if (r == CUDA_SUCCESS)
                fgc_graph_memory_made(*exec, graph);
        return r;
}

#define INSTANTIATE(name, params, ...)                                                                                 \
        CUresult fgc_##name params                                                                                     \
        {                                                                                                              \
                FGC_PASS(name, __VA_ARGS__);                                                                           \
                return made(FGC_REAL(name, __VA_ARGS__), exec, graph);                                                 \
        }

INSTANTIATE(cuGraphInstantiate, (CUgraphExec * exec, CUgraph graph, CUgraphNode *node, char *log, size_t size), exec,
            graph, node, log, size)
INSTANTIATE(cuGraphInstantiate_v2, (CUgraphExec * exec, CUgraph graph, CUgraphNode *node, char *log, size_t size), exec,
            graph, node, log, size)
INSTANTIATE(cuGraphInstantiateWithFlags, (CUgraphExec * exec, CUgraph graph, unsigned long long flags), exec, graph,
            flags)
INSTANTIATE(cuGraphInstantiateWithParams,
            (CUgraphExec * exec, CUgraph graph, CUDA_GRAPH_INSTANTIATE_PARAMS *parameters), exec, graph, parameters)
INSTANTIATE(cuGraphInstantiateWithParams_ptsz,
            (CUgraphExec * exec, CUgraph graph, CUDA_GRAPH_INSTANTIATE_PARAMS *parameters), exec, graph, parameters)

#define UPLOAD(name, plain)                                                                                            \
        CUresult fgc_##name(CUgraphExec exec, CUstream stream)                                                         \
        {                                                                                                              \
                struct fgc_graph_use use;                                                                              \
                CUresult r;                                                                                            \
                                                                                                                       \
                FGC_PASS(name, exec, stream);                                                                          \
                r = fgc_graph_memory_begin(fgc_vgpu_of_stream(plain(stream)), exec, &use);                             \
                return r != CUDA_SUCCESS ? r : fgc_graph_memory_end(&use, FGC_REAL(name, exec, stream));               \
        }

UPLOAD(cuGraphUpload, fgc_stream_plain)
UPLOAD(cuGraphUpload_ptsz, fgc_stream_ptsz)

CUresult fgc_cuGraphExecUpdate(CUgraphExec exec, CUgraph graph, CUgraphNode *node, CUgraphExecUpdateResult *result)
{
        FGC_PASS(cuGraphExecUpdate, exec, graph, node, result);
        return made(FGC_REAL(cuGraphExecUpdate, exec, graph, node, result), &exec, graph);
}

CUresult fgc_cuGraphExecUpdate_v2(CUgraphExec exec, CUgraph graph, CUgraphExecUpdateResultInfo *result)
{
        FGC_PASS(cuGraphExecUpdate_v2, exec, graph, result);
        return made(FGC_REAL(cuGraphExecUpdate_v2, exec, graph, result), &exec, graph);
}

CUresult fgc_cuGraphExecDestroy(CUgraphExec exec)
{
        FGC_PASS(cuGraphExecDestroy, exec);
        fgc_graph_memory_gone(exec);
        return FGC_REAL(cuGraphExecDestroy, exec);
}
