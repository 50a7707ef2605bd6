/* SPDX-License-Identifier: Apache-2.0
 * One function for each kind of node and verb: add, get, set, set in a ready graph. */
#include "sim/graph.h"

#include <string.h>

typedef CUgraphNodeParams params_t;

static CUresult set(CUgraphNode node, const params_t *p)
{
        return fgsim_node_set(fgsim_node_get(node), p);
}

static CUresult set_in(CUgraphExec exec, CUgraphNode node, const params_t *p)
{
        return fgsim_node_set(fgsim_exec_node(exec, node), p);
}

/* `member` of the parameters from a struct that may be an older, shorter form of it. */
#define FILLED(kind, member, from)                                                                                     \
        params_t p = {.type = kind};                                                                                   \
        if (!(from))                                                                                                   \
                return CUDA_ERROR_INVALID_VALUE;                                                                       \
        memcpy(&p.member, from, sizeof(*(from)))

#define NODE(kind, member, type, add, get, put, put_in)                                                                \
        CUresult add(CUgraphNode *ret, CUgraph graph, const CUgraphNode *needs, size_t count, const type *from)        \
        {                                                                                                              \
                FGSIM_ENTER(add);                                                                                      \
                FILLED(kind, member, from);                                                                            \
                return fgsim_node_add(ret, graph, needs, count, &p);                                                   \
        }                                                                                                              \
        CUresult get(CUgraphNode node, type *ret)                                                                      \
        {                                                                                                              \
                params_t p;                                                                                            \
                CUresult r;                                                                                            \
                FGSIM_ENTER(get);                                                                                      \
                r = ret ? fgsim_node_params(node, kind, &p) : CUDA_ERROR_INVALID_VALUE;                                \
                if (r == CUDA_SUCCESS)                                                                                 \
                        memcpy(ret, &p.member, sizeof(*ret));                                                          \
                return r;                                                                                              \
        }                                                                                                              \
        CUresult put(CUgraphNode node, const type *from)                                                               \
        {                                                                                                              \
                FGSIM_ENTER(put);                                                                                      \
                FILLED(kind, member, from);                                                                            \
                return set(node, &p);                                                                                  \
        }                                                                                                              \
        CUresult put_in(CUgraphExec exec, CUgraphNode node, const type *from)                                          \
        {                                                                                                              \
                FGSIM_ENTER(put_in);                                                                                   \
                FILLED(kind, member, from);                                                                            \
                return set_in(exec, node, &p);                                                                         \
        }

NODE(CU_GRAPH_NODE_TYPE_KERNEL, kernel, CUDA_KERNEL_NODE_PARAMS_v1, cuGraphAddKernelNode, cuGraphKernelNodeGetParams,
     cuGraphKernelNodeSetParams, cuGraphExecKernelNodeSetParams)
NODE(CU_GRAPH_NODE_TYPE_KERNEL, kernel, CUDA_KERNEL_NODE_PARAMS, cuGraphAddKernelNode_v2, cuGraphKernelNodeGetParams_v2,
     cuGraphKernelNodeSetParams_v2, cuGraphExecKernelNodeSetParams_v2)
NODE(CU_GRAPH_NODE_TYPE_HOST, host, CUDA_HOST_NODE_PARAMS, cuGraphAddHostNode, cuGraphHostNodeGetParams,
     cuGraphHostNodeSetParams, cuGraphExecHostNodeSetParams)
NODE(CU_GRAPH_NODE_TYPE_BATCH_MEM_OP, memOp, CUDA_BATCH_MEM_OP_NODE_PARAMS, cuGraphAddBatchMemOpNode,
     cuGraphBatchMemOpNodeGetParams, cuGraphBatchMemOpNodeSetParams, cuGraphExecBatchMemOpNodeSetParams)

CUresult cuGraphAddMemcpyNode(CUgraphNode *ret, CUgraph graph, const CUgraphNode *needs, size_t count,
                              const CUDA_MEMCPY3D *from, CUcontext ctx)
{
        FGSIM_ENTER(cuGraphAddMemcpyNode);
        FILLED(CU_GRAPH_NODE_TYPE_MEMCPY, memcpy.copyParams, from);
        return fgsim_node_add(ret, graph, needs, count, &p);
}

CUresult cuGraphMemcpyNodeGetParams(CUgraphNode node, CUDA_MEMCPY3D *ret)
{
        params_t p;
        CUresult r;

        FGSIM_ENTER(cuGraphMemcpyNodeGetParams);
        r = ret ? fgsim_node_params(node, CU_GRAPH_NODE_TYPE_MEMCPY, &p) : CUDA_ERROR_INVALID_VALUE;
        if (r == CUDA_SUCCESS)
                *ret = p.memcpy.copyParams;
        return r;
}

CUresult cuGraphMemcpyNodeSetParams(CUgraphNode node, const CUDA_MEMCPY3D *from)
{
        FGSIM_ENTER(cuGraphMemcpyNodeSetParams);
        FILLED(CU_GRAPH_NODE_TYPE_MEMCPY, memcpy.copyParams, from);
        return set(node, &p);
}

CUresult cuGraphExecMemcpyNodeSetParams(CUgraphExec exec, CUgraphNode node, const CUDA_MEMCPY3D *from, CUcontext ctx)
{
        FGSIM_ENTER(cuGraphExecMemcpyNodeSetParams);
        FILLED(CU_GRAPH_NODE_TYPE_MEMCPY, memcpy.copyParams, from);
        return set_in(exec, node, &p);
}

CUresult cuGraphAddMemsetNode(CUgraphNode *ret, CUgraph graph, const CUgraphNode *needs, size_t count,
                              const CUDA_MEMSET_NODE_PARAMS *from, CUcontext ctx)
{
        FGSIM_ENTER(cuGraphAddMemsetNode);
        FILLED(CU_GRAPH_NODE_TYPE_MEMSET, memset, from);
        return fgsim_node_add(ret, graph, needs, count, &p);
}

CUresult cuGraphMemsetNodeGetParams(CUgraphNode node, CUDA_MEMSET_NODE_PARAMS *ret)
{
        params_t p;
        CUresult r;

        FGSIM_ENTER(cuGraphMemsetNodeGetParams);
        r = ret ? fgsim_node_params(node, CU_GRAPH_NODE_TYPE_MEMSET, &p) : CUDA_ERROR_INVALID_VALUE;
        if (r == CUDA_SUCCESS)
                memcpy(ret, &p.memset, sizeof(*ret));
        return r;
}

CUresult cuGraphMemsetNodeSetParams(CUgraphNode node, const CUDA_MEMSET_NODE_PARAMS *from)
{
        FGSIM_ENTER(cuGraphMemsetNodeSetParams);
        FILLED(CU_GRAPH_NODE_TYPE_MEMSET, memset, from);
        return set(node, &p);
}

CUresult cuGraphExecMemsetNodeSetParams(CUgraphExec exec, CUgraphNode node, const CUDA_MEMSET_NODE_PARAMS *from,
                                        CUcontext ctx)
{
        FGSIM_ENTER(cuGraphExecMemsetNodeSetParams);
        FILLED(CU_GRAPH_NODE_TYPE_MEMSET, memset, from);
        return set_in(exec, node, &p);
}

CUresult cuGraphAddEmptyNode(CUgraphNode *ret, CUgraph graph, const CUgraphNode *needs, size_t count)
{
        params_t p = {.type = CU_GRAPH_NODE_TYPE_EMPTY};

        FGSIM_ENTER(cuGraphAddEmptyNode);
        return fgsim_node_add(ret, graph, needs, count, &p);
}

CUresult cuGraphAddChildGraphNode(CUgraphNode *ret, CUgraph graph, const CUgraphNode *needs, size_t count,
                                  CUgraph child)
{
        params_t p = {.type = CU_GRAPH_NODE_TYPE_GRAPH, .graph = {.graph = child}};

        FGSIM_ENTER(cuGraphAddChildGraphNode);
        return fgsim_node_add(ret, graph, needs, count, &p);
}

CUresult cuGraphChildGraphNodeGetGraph(CUgraphNode node, CUgraph *ret)
{
        params_t p;
        CUresult r;

        FGSIM_ENTER(cuGraphChildGraphNodeGetGraph);
        r = ret ? fgsim_node_params(node, CU_GRAPH_NODE_TYPE_GRAPH, &p) : CUDA_ERROR_INVALID_VALUE;
        if (r == CUDA_SUCCESS)
                *ret = p.graph.graph;
        return r;
}

CUresult cuGraphExecChildGraphNodeSetParams(CUgraphExec exec, CUgraphNode node, CUgraph child)
{
        params_t p = {.type = CU_GRAPH_NODE_TYPE_GRAPH, .graph = {.graph = child}};

        FGSIM_ENTER(cuGraphExecChildGraphNodeSetParams);
        return set_in(exec, node, &p);
}

#define EVENT_NODE(kind, add, get, put, put_in)                                                                        \
        CUresult add(CUgraphNode *ret, CUgraph graph, const CUgraphNode *needs, size_t count, CUevent event)           \
        {                                                                                                              \
                params_t p = {.type = kind, .eventRecord = {.event = event}};                                          \
                FGSIM_ENTER(add);                                                                                      \
                return fgsim_node_add(ret, graph, needs, count, &p);                                                   \
        }                                                                                                              \
        CUresult get(CUgraphNode node, CUevent *ret)                                                                   \
        {                                                                                                              \
                params_t p;                                                                                            \
                CUresult r;                                                                                            \
                FGSIM_ENTER(get);                                                                                      \
                r = ret ? fgsim_node_params(node, kind, &p) : CUDA_ERROR_INVALID_VALUE;                                \
                if (r == CUDA_SUCCESS)                                                                                 \
                        *ret = p.eventRecord.event;                                                                    \
                return r;                                                                                              \
        }                                                                                                              \
        CUresult put(CUgraphNode node, CUevent event)                                                                  \
        {                                                                                                              \
                params_t p = {.type = kind, .eventRecord = {.event = event}};                                          \
                FGSIM_ENTER(put);                                                                                      \
                return set(node, &p);                                                                                  \
        }                                                                                                              \
        CUresult put_in(CUgraphExec exec, CUgraphNode node, CUevent event)                                             \
        {                                                                                                              \
                params_t p = {.type = kind, .eventRecord = {.event = event}};                                          \
                FGSIM_ENTER(put_in);                                                                                   \
                return set_in(exec, node, &p);                                                                         \
        }

EVENT_NODE(CU_GRAPH_NODE_TYPE_EVENT_RECORD, cuGraphAddEventRecordNode, cuGraphEventRecordNodeGetEvent,
           cuGraphEventRecordNodeSetEvent, cuGraphExecEventRecordNodeSetEvent)
EVENT_NODE(CU_GRAPH_NODE_TYPE_WAIT_EVENT, cuGraphAddEventWaitNode, cuGraphEventWaitNodeGetEvent,
           cuGraphEventWaitNodeSetEvent, cuGraphExecEventWaitNodeSetEvent)

CUresult cuGraphAddMemAllocNode(CUgraphNode *ret, CUgraph graph, const CUgraphNode *needs, size_t count,
                                CUDA_MEM_ALLOC_NODE_PARAMS *params)
{
        CUresult r;

        FGSIM_ENTER(cuGraphAddMemAllocNode);
        FILLED(CU_GRAPH_NODE_TYPE_MEM_ALLOC, alloc, params);
        r = fgsim_node_add(ret, graph, needs, count, &p);
        if (r == CUDA_SUCCESS)
                params->dptr = fgsim_node_get(*ret)->task.memory->ptr;
        return r;
}

CUresult cuGraphMemAllocNodeGetParams(CUgraphNode node, CUDA_MEM_ALLOC_NODE_PARAMS *ret)
{
        params_t p;
        CUresult r;

        FGSIM_ENTER(cuGraphMemAllocNodeGetParams);
        r = ret ? fgsim_node_params(node, CU_GRAPH_NODE_TYPE_MEM_ALLOC, &p) : CUDA_ERROR_INVALID_VALUE;
        if (r == CUDA_SUCCESS)
                memcpy(ret, &p.alloc, sizeof(*ret));
        return r;
}

CUresult cuGraphAddMemFreeNode(CUgraphNode *ret, CUgraph graph, const CUgraphNode *needs, size_t count, CUdeviceptr ptr)
{
        params_t p = {.type = CU_GRAPH_NODE_TYPE_MEM_FREE, .free = {.dptr = ptr}};

        FGSIM_ENTER(cuGraphAddMemFreeNode);
        return fgsim_node_add(ret, graph, needs, count, &p);
}

CUresult cuGraphMemFreeNodeGetParams(CUgraphNode node, CUdeviceptr *ret)
{
        params_t p;
        CUresult r;

        FGSIM_ENTER(cuGraphMemFreeNodeGetParams);
        r = ret ? fgsim_node_params(node, CU_GRAPH_NODE_TYPE_MEM_FREE, &p) : CUDA_ERROR_INVALID_VALUE;
        if (r == CUDA_SUCCESS)
                *ret = p.free.dptr;
        return r;
}
