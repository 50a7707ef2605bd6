/* SPDX-License-Identifier: Apache-2.0
 * Edges. All are plain ones: edge data is accepted and answered as zeros. */
#include "sim/graph.h"

#include <stdlib.h>
#include <string.h>

static bool needs(const struct fgsim_node *node, const struct fgsim_node *need)
{
        for (size_t i = 0; i < node->need_count; i++)
                if (node->needs[i] == need)
                        return true;
        return false;
}

static CUresult add(CUgraph handle, const CUgraphNode *from, const CUgraphNode *to, size_t count)
{
        const struct fgsim_graph *graph = fgsim_graph_get(handle);

        if (!graph || !fgsim_graph_has(graph, from, count) || !fgsim_graph_has(graph, to, count))
                return CUDA_ERROR_INVALID_VALUE;
        for (size_t i = 0; i < count; i++) {
                struct fgsim_node *node = fgsim_node_get(to[i]), *need = fgsim_node_get(from[i]), **grown;
                if (node == need || needs(node, need))
                        return CUDA_ERROR_INVALID_VALUE;
                grown = realloc(node->needs, (node->need_count + 1) * sizeof(*grown));
                if (!grown)
                        return CUDA_ERROR_OUT_OF_MEMORY;
                node->needs = grown;
                node->needs[node->need_count++] = need;
        }
        return CUDA_SUCCESS;
}

static CUresult take_away(CUgraph handle, const CUgraphNode *from, const CUgraphNode *to, size_t count)
{
        const struct fgsim_graph *graph = fgsim_graph_get(handle);

        if (!graph || !fgsim_graph_has(graph, from, count) || !fgsim_graph_has(graph, to, count))
                return CUDA_ERROR_INVALID_VALUE;
        for (size_t i = 0; i < count; i++) {
                struct fgsim_node *node = fgsim_node_get(to[i]), *need = fgsim_node_get(from[i]);
                if (!needs(node, need))
                        return CUDA_ERROR_INVALID_VALUE;
                for (size_t k = 0; k < node->need_count; k++)
                        if (node->needs[k] == need)
                                node->needs[k--] = node->needs[--node->need_count];
        }
        return CUDA_SUCCESS;
}

/* Lists are asked for twice: with NULL for their length, then with room. */
struct list {
        CUgraphNode *from, *to;
        CUgraphEdgeData *data;
        size_t room, found;
};

static void list_add(struct list *list, const struct fgsim_node *from, const struct fgsim_node *to)
{
        if (list->found < list->room) {
                if (list->from)
                        list->from[list->found] = (CUgraphNode)from;
                if (list->to)
                        list->to[list->found] = (CUgraphNode)to;
                if (list->data)
                        memset(&list->data[list->found], 0, sizeof(*list->data));
        }
        list->found++;
}

static void list_end(const struct list *list, size_t *count)
{
        bool asks = !list->from && !list->to;

        for (size_t i = list->found; !asks && i < list->room; i++) {
                if (list->from)
                        list->from[i] = NULL;
                if (list->to)
                        list->to[i] = NULL;
        }
        if (asks || list->found < list->room)
                *count = list->found;
}

static CUresult edges_of(CUgraph handle, CUgraphNode *from, CUgraphNode *to, CUgraphEdgeData *data, size_t *count)
{
        const struct fgsim_graph *graph = fgsim_graph_get(handle);
        struct list list = {from, to, data, count ? *count : 0, 0};

        if (!graph || !count || !from != !to)
                return CUDA_ERROR_INVALID_VALUE;
        for (const struct fgsim_node *n = graph->first; n; n = n->next)
                for (size_t i = 0; i < n->need_count; i++)
                        list_add(&list, n->needs[i], n);
        list_end(&list, count);
        return CUDA_SUCCESS;
}

static CUresult needs_of(CUgraphNode handle, CUgraphNode *nodes, CUgraphEdgeData *data, size_t *count)
{
        const struct fgsim_node *node = fgsim_node_get(handle);
        struct list list = {nodes, NULL, data, count ? *count : 0, 0};

        if (!node || !count)
                return CUDA_ERROR_INVALID_VALUE;
        for (size_t i = 0; i < node->need_count; i++)
                list_add(&list, node->needs[i], node);
        list_end(&list, count);
        return CUDA_SUCCESS;
}

static CUresult dependents_of(CUgraphNode handle, CUgraphNode *nodes, CUgraphEdgeData *data, size_t *count)
{
        const struct fgsim_node *node = fgsim_node_get(handle);
        struct list list = {NULL, nodes, data, count ? *count : 0, 0};

        if (!node || !count)
                return CUDA_ERROR_INVALID_VALUE;
        for (const struct fgsim_node *n = node->graph->first; n; n = n->next)
                if (needs(n, node))
                        list_add(&list, node, n);
        list_end(&list, count);
        return CUDA_SUCCESS;
}

CUresult cuGraphAddDependencies(CUgraph graph, const CUgraphNode *from, const CUgraphNode *to, size_t count)
{
        FGSIM_ENTER(cuGraphAddDependencies);
        return add(graph, from, to, count);
}

CUresult cuGraphAddDependencies_v2(CUgraph graph, const CUgraphNode *from, const CUgraphNode *to,
                                   const CUgraphEdgeData *data, size_t count)
{
        FGSIM_ENTER(cuGraphAddDependencies_v2);
        return add(graph, from, to, count);
}

CUresult cuGraphRemoveDependencies(CUgraph graph, const CUgraphNode *from, const CUgraphNode *to, size_t count)
{
        FGSIM_ENTER(cuGraphRemoveDependencies);
        return take_away(graph, from, to, count);
}

CUresult cuGraphRemoveDependencies_v2(CUgraph graph, const CUgraphNode *from, const CUgraphNode *to,
                                      const CUgraphEdgeData *data, size_t count)
{
        FGSIM_ENTER(cuGraphRemoveDependencies_v2);
        return take_away(graph, from, to, count);
}

CUresult cuGraphGetEdges(CUgraph graph, CUgraphNode *from, CUgraphNode *to, size_t *count)
{
        FGSIM_ENTER(cuGraphGetEdges);
        return edges_of(graph, from, to, NULL, count);
}

CUresult cuGraphGetEdges_v2(CUgraph graph, CUgraphNode *from, CUgraphNode *to, CUgraphEdgeData *data, size_t *count)
{
        FGSIM_ENTER(cuGraphGetEdges_v2);
        return edges_of(graph, from, to, data, count);
}

CUresult cuGraphNodeGetDependencies(CUgraphNode node, CUgraphNode *nodes, size_t *count)
{
        FGSIM_ENTER(cuGraphNodeGetDependencies);
        return needs_of(node, nodes, NULL, count);
}

CUresult cuGraphNodeGetDependencies_v2(CUgraphNode node, CUgraphNode *nodes, CUgraphEdgeData *data, size_t *count)
{
        FGSIM_ENTER(cuGraphNodeGetDependencies_v2);
        return needs_of(node, nodes, data, count);
}

CUresult cuGraphNodeGetDependentNodes(CUgraphNode node, CUgraphNode *nodes, size_t *count)
{
        FGSIM_ENTER(cuGraphNodeGetDependentNodes);
        return dependents_of(node, nodes, NULL, count);
}

CUresult cuGraphNodeGetDependentNodes_v2(CUgraphNode node, CUgraphNode *nodes, CUgraphEdgeData *data, size_t *count)
{
        FGSIM_ENTER(cuGraphNodeGetDependentNodes_v2);
        return dependents_of(node, nodes, data, count);
}
