/* SPDX-License-Identifier: Apache-2.0
 * Graphs as data: made, copied, sorted, freed. */
#include "sim/graph.h"

#include <stdlib.h>
#include <string.h>

struct fgsim_graph *fgsim_graph_new(void)
{
        static uint32_t count;
        struct fgsim_graph *graph = fgsim_object_new(FGSIM_GRAPH, sizeof(*graph));

        if (graph)
                graph->id = fg_add_relaxed(&count, 1) + 1;
        return graph;
}

static void node_release(struct fgsim_node *node)
{
        fgsim_task_clear(&node->task);
        free(node->needs);
        fgsim_object_free(node);
}

void fgsim_graph_free(struct fgsim_graph *graph)
{
        struct fgsim_node *next;

        if (!graph)
                return;
        for (struct fgsim_node *node = graph->first; node; node = next) {
                next = node->next;
                node_release(node);
        }
        fgsim_keeps_drop(graph);
        fgsim_object_free(graph);
}

bool fgsim_graph_has(const struct fgsim_graph *graph, const CUgraphNode *nodes, size_t count)
{
        if (count && !nodes)
                return false;
        for (size_t i = 0; i < count; i++) {
                const struct fgsim_node *node = fgsim_node_get(nodes[i]);
                if (!node || node->graph != graph)
                        return false;
        }
        return true;
}

CUresult fgsim_graph_add(struct fgsim_graph *graph, const struct fgsim_task *task, struct fgsim_node *const *needs,
                         size_t count, struct fgsim_node **ret)
{
        struct fgsim_node *node = fgsim_object_new(FGSIM_NODE, sizeof(*node));

        if (!node)
                return CUDA_ERROR_OUT_OF_MEMORY;
        node->needs = malloc((count + 1) * sizeof(*node->needs));
        if (!node->needs || !fgsim_task_dup(&node->task, task)) {
                free(node->needs);
                fgsim_object_free(node);
                return CUDA_ERROR_OUT_OF_MEMORY;
        }
        if (count)
                memcpy(node->needs, needs, count * sizeof(*needs));
        node->need_count = count;
        node->graph = graph;
        node->id = graph->next_id++;
        if (task->type == CU_GRAPH_NODE_TYPE_GRAPH)
                node->task.graph->is_child = true;
        if (graph->last)
                graph->last->next = node;
        else
                graph->first = node;
        graph->last = node;
        graph->count++;
        *ret = node;
        return CUDA_SUCCESS;
}

static void forget_need(struct fgsim_node *node, const struct fgsim_node *need)
{
        for (size_t i = 0; i < node->need_count; i++)
                if (node->needs[i] == need)
                        node->needs[i--] = node->needs[--node->need_count];
}

void fgsim_node_free(struct fgsim_node *node)
{
        struct fgsim_graph *graph = node->graph;
        struct fgsim_node *before = NULL;

        for (struct fgsim_node *n = graph->first; n; n = n->next) {
                forget_need(n, node);
                if (n->next == node)
                        before = n;
        }
        if (before)
                before->next = node->next;
        else
                graph->first = node->next;
        if (graph->last == node)
                graph->last = before;
        graph->count--;
        node_release(node);
}

static bool dup_node(struct fgsim_graph *graph, struct fgsim_node *node)
{
        struct fgsim_node *copy;

        if (fgsim_graph_add(graph, &node->task, node->needs, node->need_count, &copy) != CUDA_SUCCESS)
                return false;
        copy->id = node->id;
        copy->origin = node;
        copy->is_disabled = node->is_disabled;
        memcpy(copy->attribute, node->attribute, sizeof(copy->attribute));
        node->copy = copy;
        return true;
}

struct fgsim_graph *fgsim_graph_dup(const struct fgsim_graph *graph)
{
        struct fgsim_graph *copy = fgsim_graph_new();

        for (struct fgsim_node *n = graph->first; n && copy; n = n->next) {
                if (!dup_node(copy, n)) {
                        fgsim_graph_free(copy);
                        copy = NULL;
                }
        }
        if (!copy)
                return NULL;
        copy->next_id = graph->next_id;
        for (struct fgsim_node *n = copy->first; n; n = n->next)
                for (size_t i = 0; i < n->need_count; i++)
                        n->needs[i] = n->needs[i]->copy;
        if (fgsim_keeps_dup(copy, graph))
                return copy;
        fgsim_graph_free(copy);
        return NULL;
}

struct fgsim_node *fgsim_graph_copy_of(const struct fgsim_graph *graph, const struct fgsim_node *origin)
{
        struct fgsim_node *node = graph->first;

        while (node && node->origin != origin)
                node = node->next;
        return node;
}

void fgsim_graph_reach(struct fgsim_graph *graph, struct fgsim_node *const *nodes, size_t count)
{
        bool any = true;

        for (struct fgsim_node *n = graph->first; n; n = n->next)
                n->is_reached = false;
        for (size_t i = 0; i < count; i++)
                nodes[i]->is_reached = true;
        while (any) {
                any = false;
                for (struct fgsim_node *n = graph->first; n; n = n->next)
                        for (size_t i = 0; n->is_reached && i < n->need_count; i++) {
                                any |= !n->needs[i]->is_reached;
                                n->needs[i]->is_reached = true;
                        }
        }
}

static bool is_ready(const struct fgsim_node *node)
{
        for (size_t i = 0; i < node->need_count; i++)
                if (!node->needs[i]->is_reached)
                        return false;
        return true;
}

/* Takes the first ready node again and again; lists made in order are one pass. */
static bool sort_list(struct fgsim_graph *graph)
{
        struct fgsim_node *rest = graph->first, **at = &rest;

        for (struct fgsim_node *n = rest; n; n = n->next)
                n->is_reached = false;
        graph->first = graph->last = NULL;
        while (*at) {
                struct fgsim_node *node = *at;
                if (!is_ready(node)) {
                        at = &node->next;
                        continue;
                }
                *at = node->next;
                node->next = NULL;
                node->is_reached = true;
                if (graph->last)
                        graph->last->next = node;
                else
                        graph->first = node;
                graph->last = node;
                at = &rest;
        }
        if (!rest)
                return true;
        if (graph->last)
                graph->last->next = rest;
        else
                graph->first = rest;
        return false;
}

bool fgsim_graph_sort(struct fgsim_graph *graph)
{
        for (struct fgsim_node *n = graph->first; n; n = n->next)
                if (n->task.type == CU_GRAPH_NODE_TYPE_GRAPH && !fgsim_graph_sort(n->task.graph))
                        return false;
        return sort_list(graph);
}
