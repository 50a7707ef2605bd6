/* SPDX-License-Identifier: Apache-2.0
 * The functions that take nodes of any kind, and launch attributes. */
#include "sim/graph.h"

#include <string.h>

static CUresult add(CUgraphNode *ret, CUgraph graph, const CUgraphNode *needs, size_t count, CUgraphNodeParams *p)
{
        CUresult r = p ? fgsim_node_add(ret, graph, needs, count, p) : CUDA_ERROR_INVALID_VALUE;

        if (r == CUDA_SUCCESS && p->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC)
                p->alloc.dptr = fgsim_node_get(*ret)->task.memory->ptr;
        else if (r == CUDA_SUCCESS && p->type == CU_GRAPH_NODE_TYPE_GRAPH)
                p->graph.graph = (CUgraph)fgsim_node_get(*ret)->task.graph;
        return r;
}

CUresult cuGraphAddNode(CUgraphNode *ret, CUgraph graph, const CUgraphNode *needs, size_t count, CUgraphNodeParams *p)
{
        FGSIM_ENTER(cuGraphAddNode);
        return add(ret, graph, needs, count, p);
}

CUresult cuGraphAddNode_v2(CUgraphNode *ret, CUgraph graph, const CUgraphNode *needs, const CUgraphEdgeData *edges,
                           size_t count, CUgraphNodeParams *p)
{
        FGSIM_ENTER(cuGraphAddNode_v2);
        return add(ret, graph, needs, count, p);
}

CUresult cuGraphAddNode_v3(CUgraphNode *ret, CUgraph graph, const CUgraphNode *needs, const CUgraphEdgeData *edges,
                           size_t count, CUgraphNodeParams *p)
{
        FGSIM_ENTER(cuGraphAddNode_v3);
        return add(ret, graph, needs, count, p);
}

CUresult cuGraphNodeSetParams(CUgraphNode node, CUgraphNodeParams *p)
{
        FGSIM_ENTER(cuGraphNodeSetParams);
        return p ? fgsim_node_set(fgsim_node_get(node), p) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGraphNodeSetParams_v2(CUgraphNode node, CUgraphNodeParams *p)
{
        FGSIM_ENTER(cuGraphNodeSetParams_v2);
        return p ? fgsim_node_set(fgsim_node_get(node), p) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGraphNodeGetParams(CUgraphNode handle, CUgraphNodeParams *ret)
{
        const struct fgsim_node *node = fgsim_node_get(handle);

        FGSIM_ENTER(cuGraphNodeGetParams);
        return node && ret ? fgsim_task_params(&node->task, ret) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGraphExecNodeSetParams(CUgraphExec exec, CUgraphNode node, CUgraphNodeParams *p)
{
        FGSIM_ENTER(cuGraphExecNodeSetParams);
        return p ? fgsim_node_set(fgsim_exec_node(exec, node), p) : CUDA_ERROR_INVALID_VALUE;
}

static struct fgsim_node *kernel_node(CUgraphNode handle)
{
        struct fgsim_node *node = fgsim_node_get(handle);

        return node && node->task.type == CU_GRAPH_NODE_TYPE_KERNEL ? node : NULL;
}

#define ATTRIBUTES (sizeof(((struct fgsim_node *)NULL)->attribute) / sizeof(CUlaunchAttributeValue))

CUresult cuGraphKernelNodeGetAttribute(CUgraphNode handle, CUkernelNodeAttrID id, CUkernelNodeAttrValue *ret)
{
        const struct fgsim_node *node = kernel_node(handle);

        FGSIM_ENTER(cuGraphKernelNodeGetAttribute);
        if (!node || !ret || (size_t)id >= ATTRIBUTES)
                return CUDA_ERROR_INVALID_VALUE;
        *ret = node->attribute[id];
        return CUDA_SUCCESS;
}

CUresult cuGraphKernelNodeSetAttribute(CUgraphNode handle, CUkernelNodeAttrID id, const CUkernelNodeAttrValue *value)
{
        struct fgsim_node *node = kernel_node(handle);

        FGSIM_ENTER(cuGraphKernelNodeSetAttribute);
        if (!node || !value || (size_t)id >= ATTRIBUTES)
                return CUDA_ERROR_INVALID_VALUE;
        node->attribute[id] = *value;
        return CUDA_SUCCESS;
}

CUresult cuGraphKernelNodeCopyAttributes(CUgraphNode to_handle, CUgraphNode from_handle)
{
        struct fgsim_node *to = kernel_node(to_handle), *from = kernel_node(from_handle);

        FGSIM_ENTER(cuGraphKernelNodeCopyAttributes);
        if (!to || !from)
                return CUDA_ERROR_INVALID_VALUE;
        memmove(to->attribute, from->attribute, sizeof(to->attribute));
        return CUDA_SUCCESS;
}
