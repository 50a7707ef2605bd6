/* SPDX-License-Identifier: Apache-2.0
 * Updating a ready graph from another one of the same shape. Both are sorted by the same rule, so nodes correspond by
 * place. */
#include "sim/graph.h"

static void number(struct fgsim_graph *graph)
{
        uint32_t place = 0;

        for (struct fgsim_node *n = graph->first; n; n = n->next)
                n->place = place++;
}

static bool same_needs(const struct fgsim_node *a, const struct fgsim_node *b)
{
        if (a->need_count != b->need_count)
                return false;
        for (size_t i = 0; i < a->need_count; i++) {
                bool found = false;
                for (size_t k = 0; k < b->need_count && !found; k++)
                        found = a->needs[i]->place == b->needs[k]->place;
                if (!found)
                        return false;
        }
        return true;
}

static CUgraphExecUpdateResult compare(const struct fgsim_graph *ready, const struct fgsim_graph *new,
                                       struct fgsim_node **ret)
{
        struct fgsim_node *n = new->first;

        if (ready->count != new->count)
                return CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
        for (const struct fgsim_node *r = ready->first; r; r = r->next, n = n->next) {
                *ret = n->origin;
                if (r->task.type != n->task.type)
                        return CU_GRAPH_EXEC_UPDATE_ERROR_NODE_TYPE_CHANGED;
                if (!same_needs(r, n))
                        return CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
                if (r->task.type == CU_GRAPH_NODE_TYPE_MEM_ALLOC || r->task.type == CU_GRAPH_NODE_TYPE_MEM_FREE)
                        return CU_GRAPH_EXEC_UPDATE_ERROR_NOT_SUPPORTED;
                if (r->task.type == CU_GRAPH_NODE_TYPE_MEMCPY && r->task.copy.lane != n->task.copy.lane)
                        return CU_GRAPH_EXEC_UPDATE_ERROR_PARAMETERS_CHANGED;
        }
        *ret = NULL;
        return CU_GRAPH_EXEC_UPDATE_SUCCESS;
}

static void swap_tasks(struct fgsim_graph *ready, struct fgsim_graph *new)
{
        struct fgsim_node *n = new->first;

        for (struct fgsim_node *r = ready->first; r; r = r->next, n = n->next) {
                struct fgsim_task task = r->task;
                r->task = n->task;
                n->task = task;
        }
}

static CUresult update(CUgraphExec exec_handle, CUgraph graph_handle, CUgraphExecUpdateResultInfo *info)
{
        struct fgsim_graph_exec *exec = fgsim_object_get(exec_handle, FGSIM_EXEC);
        const struct fgsim_graph *graph = fgsim_graph_get(graph_handle);
        struct fgsim_node *node = NULL;
        struct fgsim_graph *new;

        *info = (CUgraphExecUpdateResultInfo){.result = CU_GRAPH_EXEC_UPDATE_ERROR};
        if (!exec || !graph)
                return CUDA_ERROR_INVALID_VALUE;
        new = fgsim_graph_dup(graph);
        if (!new)
                return CUDA_ERROR_OUT_OF_MEMORY;
        if (fgsim_graph_sort(new)) {
                number(exec->graph);
                number(new);
                info->result = compare(exec->graph, new, &node);
                info->errorNode = (CUgraphNode)node;
        }
        if (info->result == CU_GRAPH_EXEC_UPDATE_SUCCESS)
                swap_tasks(exec->graph, new);
        fgsim_graph_free(new);
        return info->result == CU_GRAPH_EXEC_UPDATE_SUCCESS ? CUDA_SUCCESS : CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
}

CUresult cuGraphExecUpdate(CUgraphExec exec, CUgraph graph, CUgraphNode *ret_node, CUgraphExecUpdateResult *ret)
{
        CUgraphExecUpdateResultInfo info;
        CUresult r;

        FGSIM_ENTER(cuGraphExecUpdate);
        r = update(exec, graph, &info);
        if (ret_node)
                *ret_node = info.errorNode;
        if (ret)
                *ret = info.result;
        return r;
}

CUresult cuGraphExecUpdate_v2(CUgraphExec exec, CUgraph graph, CUgraphExecUpdateResultInfo *ret)
{
        FGSIM_ENTER(cuGraphExecUpdate_v2);
        return ret ? update(exec, graph, ret) : CUDA_ERROR_INVALID_VALUE;
}
