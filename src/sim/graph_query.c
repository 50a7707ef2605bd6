/* SPDX-License-Identifier: Apache-2.0
 * Graphs as the program sees them: made, copied, destroyed, asked about. */
#include "sim/graph.h"

#include <stdio.h>
#include <stdlib.h>

CUresult cuGraphCreate(CUgraph *ret, unsigned int flags)
{
        struct fgsim_graph *graph;

        FGSIM_ENTER(cuGraphCreate);
        if (!ret || flags)
                return CUDA_ERROR_INVALID_VALUE;
        graph = fgsim_graph_new();
        if (!graph)
                return CUDA_ERROR_OUT_OF_MEMORY;
        *ret = (CUgraph)graph;
        return CUDA_SUCCESS;
}

CUresult cuGraphDestroy(CUgraph handle)
{
        struct fgsim_graph *graph = fgsim_graph_get(handle);

        FGSIM_ENTER(cuGraphDestroy);
        if (!graph || graph->is_child)
                return CUDA_ERROR_INVALID_VALUE;
        fgsim_graph_free(graph);
        return CUDA_SUCCESS;
}

CUresult cuGraphClone(CUgraph *ret, CUgraph handle)
{
        const struct fgsim_graph *graph = fgsim_graph_get(handle);
        struct fgsim_graph *copy;

        FGSIM_ENTER(cuGraphClone);
        if (!ret || !graph)
                return CUDA_ERROR_INVALID_VALUE;
        for (const struct fgsim_node *n = graph->first; n; n = n->next)
                if (n->task.type == CU_GRAPH_NODE_TYPE_MEM_ALLOC || n->task.type == CU_GRAPH_NODE_TYPE_MEM_FREE)
                        return CUDA_ERROR_NOT_SUPPORTED;
        copy = fgsim_graph_dup(graph);
        if (!copy)
                return CUDA_ERROR_OUT_OF_MEMORY;
        *ret = (CUgraph)copy;
        return CUDA_SUCCESS;
}

CUresult cuGraphNodeFindInClone(CUgraphNode *ret, CUgraphNode original, CUgraph clone_handle)
{
        const struct fgsim_node *node = fgsim_node_get(original);
        const struct fgsim_graph *clone = fgsim_graph_get(clone_handle);
        struct fgsim_node *found = node && clone ? fgsim_graph_copy_of(clone, node) : NULL;

        FGSIM_ENTER(cuGraphNodeFindInClone);
        if (!found || !ret)
                return CUDA_ERROR_INVALID_VALUE;
        *ret = (CUgraphNode)found;
        return CUDA_SUCCESS;
}

CUresult cuGraphDestroyNode(CUgraphNode handle)
{
        struct fgsim_node *node = fgsim_node_get(handle);

        FGSIM_ENTER(cuGraphDestroyNode);
        if (!node)
                return CUDA_ERROR_INVALID_VALUE;
        if (node->task.type == CU_GRAPH_NODE_TYPE_MEM_ALLOC || node->task.type == CU_GRAPH_NODE_TYPE_MEM_FREE)
                return CUDA_ERROR_NOT_SUPPORTED;
        fgsim_node_free(node);
        return CUDA_SUCCESS;
}

CUresult cuGraphNodeGetType(CUgraphNode handle, CUgraphNodeType *ret)
{
        const struct fgsim_node *node = fgsim_node_get(handle);

        FGSIM_ENTER(cuGraphNodeGetType);
        if (!node || !ret)
                return CUDA_ERROR_INVALID_VALUE;
        *ret = node->task.type;
        return CUDA_SUCCESS;
}

CUresult cuGraphNodeGetContainingGraph(CUgraphNode handle, CUgraph *ret)
{
        const struct fgsim_node *node = fgsim_node_get(handle);

        FGSIM_ENTER(cuGraphNodeGetContainingGraph);
        if (!node || !ret)
                return CUDA_ERROR_INVALID_VALUE;
        *ret = (CUgraph)node->graph;
        return CUDA_SUCCESS;
}

CUresult cuGraphNodeGetLocalId(CUgraphNode handle, unsigned int *ret)
{
        const struct fgsim_node *node = fgsim_node_get(handle);

        FGSIM_ENTER(cuGraphNodeGetLocalId);
        if (!node || !ret)
                return CUDA_ERROR_INVALID_VALUE;
        *ret = node->id;
        return CUDA_SUCCESS;
}

CUresult cuGraphNodeGetToolsId(CUgraphNode handle, unsigned long long *ret)
{
        const struct fgsim_node *node = fgsim_node_get(handle);

        FGSIM_ENTER(cuGraphNodeGetToolsId);
        if (!node || !ret)
                return CUDA_ERROR_INVALID_VALUE;
        *ret = (unsigned long long)node->graph->id << 32 | node->id;
        return CUDA_SUCCESS;
}

CUresult cuGraphGetId(CUgraph handle, unsigned int *ret)
{
        const struct fgsim_graph *graph = fgsim_graph_get(handle);

        FGSIM_ENTER(cuGraphGetId);
        if (!graph || !ret)
                return CUDA_ERROR_INVALID_VALUE;
        *ret = graph->id;
        return CUDA_SUCCESS;
}

static CUresult nodes_of(CUgraph handle, bool roots_only, CUgraphNode *nodes, size_t *count)
{
        const struct fgsim_graph *graph = fgsim_graph_get(handle);
        size_t found = 0;

        if (!graph || !count)
                return CUDA_ERROR_INVALID_VALUE;
        for (struct fgsim_node *n = graph->first; n; n = n->next) {
                if (roots_only && n->need_count)
                        continue;
                if (nodes && found < *count)
                        nodes[found] = (CUgraphNode)n;
                found++;
        }
        for (size_t i = found; nodes && i < *count; i++)
                nodes[i] = NULL;
        if (!nodes || found < *count)
                *count = found;
        return CUDA_SUCCESS;
}

CUresult cuGraphGetNodes(CUgraph graph, CUgraphNode *nodes, size_t *count)
{
        FGSIM_ENTER(cuGraphGetNodes);
        return nodes_of(graph, false, nodes, count);
}

CUresult cuGraphGetRootNodes(CUgraph graph, CUgraphNode *nodes, size_t *count)
{
        FGSIM_ENTER(cuGraphGetRootNodes);
        return nodes_of(graph, true, nodes, count);
}

static const char *name_of(CUgraphNodeType type)
{
        static const char *const names[] = {"kernel",       "memcpy", "memset", "host",  "graph", "empty", "event wait",
                                            "event record", "signal", "wait",   "alloc", "free",  "memop"};

        return (unsigned)type < sizeof(names) / sizeof(names[0]) ? names[type] : "other";
}

CUresult cuGraphDebugDotPrint(CUgraph handle, const char *path, unsigned int flags)
{
        const struct fgsim_graph *graph = fgsim_graph_get(handle);
        FILE *out;

        FGSIM_ENTER(cuGraphDebugDotPrint);
        if (!graph || !path)
                return CUDA_ERROR_INVALID_VALUE;
        out = fopen(path, "we");
        if (!out)
                return CUDA_ERROR_OPERATING_SYSTEM;
        fprintf(out, "digraph graph_%u {\n", graph->id);
        for (const struct fgsim_node *n = graph->first; n; n = n->next) {
                fprintf(out, "  n%u [label=\"%u: %s\"];\n", n->id, n->id, name_of(n->task.type));
                for (size_t i = 0; i < n->need_count; i++)
                        fprintf(out, "  n%u -> n%u;\n", n->needs[i]->id, n->id);
        }
        fprintf(out, "}\n");
        return fclose(out) == 0 ? CUDA_SUCCESS : CUDA_ERROR_OPERATING_SYSTEM;
}
