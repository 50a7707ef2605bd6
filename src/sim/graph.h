/* SPDX-License-Identifier: Apache-2.0
 * Graphs: nodes that say what to do and what must be done before. As on the real driver, one graph is one thread's at a
 * time. */
#ifndef FGSIM_GRAPH_H
#define FGSIM_GRAPH_H

#include "sim/exec_task.h"

struct fgsim_node {
        struct fgsim_object object;
        uint32_t id, place; /* place: in a sorted graph */
        bool is_disabled, is_reached;
        struct fgsim_graph *graph;
        struct fgsim_node *next; /* in the graph's list */
        struct fgsim_task task;
        struct fgsim_node **needs; /* what must be done before */
        size_t need_count;
        struct fgsim_node *origin; /* of which it is the copy */
        struct fgsim_node *copy;   /* used while a graph is copied */
        CUlaunchAttributeValue attribute[20];
};

struct fgsim_keep {
        struct fgsim_keep *next;
        CUuserObject object;
        unsigned count;
};

struct fgsim_graph {
        struct fgsim_object object;
        uint32_t id, next_id;
        struct fgsim_node *first, *last;
        size_t count;
        struct fgsim_keep *keeps; /* user objects */
        bool is_child;            /* belongs to a node: not the program's to destroy */
};

struct fgsim_graph *fgsim_graph_new(void);
void fgsim_graph_free(struct fgsim_graph *graph);
struct fgsim_graph *fgsim_graph_dup(const struct fgsim_graph *graph);
CUresult fgsim_graph_add(struct fgsim_graph *graph, const struct fgsim_task *task, struct fgsim_node *const *needs,
                         size_t count, struct fgsim_node **ret);
void fgsim_node_free(struct fgsim_node *node); /* and every edge to it */
bool fgsim_graph_has(const struct fgsim_graph *graph, const CUgraphNode *nodes, size_t count);
struct fgsim_node *fgsim_graph_copy_of(const struct fgsim_graph *graph, const struct fgsim_node *origin);
/* Sets is_reached in the given nodes and all that they need, clears it in the others. */
void fgsim_graph_reach(struct fgsim_graph *graph, struct fgsim_node *const *nodes, size_t count);
/* Puts the list into an order that the edges allow; false: there is none. Children too. */
bool fgsim_graph_sort(struct fgsim_graph *graph);

static inline struct fgsim_node *fgsim_node_get(CUgraphNode handle)
{
        return fgsim_object_get(handle, FGSIM_NODE);
}

static inline struct fgsim_graph *fgsim_graph_get(CUgraph handle)
{
        return fgsim_object_get(handle, FGSIM_GRAPH);
}

/* A graph made ready to run. */
struct fgsim_graph_exec {
        struct fgsim_object object;
        uint32_t id;
        cuuint64_t flags;
        struct fgsim_graph *graph;
        struct fgsim_mark *last; /* of its last launch */
};

/* graph_node.c: what a program asks for, as a task. */
CUresult fgsim_task_from(const CUgraphNodeParams *params, struct fgsim_task *ret);
CUresult fgsim_task_params(const struct fgsim_task *task, CUgraphNodeParams *ret);
CUresult fgsim_node_add(CUgraphNode *ret, CUgraph graph, const CUgraphNode *needs, size_t count,
                        const CUgraphNodeParams *params);
CUresult fgsim_node_set(struct fgsim_node *node, const CUgraphNodeParams *params); /* NULL: an invalid handle */
CUresult fgsim_node_params(CUgraphNode node, CUgraphNodeType type, CUgraphNodeParams *ret);
/* graph_exec.c: the node of the ready graph that was made from this one; NULL: none. */
struct fgsim_node *fgsim_exec_node(CUgraphExec exec, CUgraphNode node);

/* graph_user.c */
void fgsim_keeps_drop(struct fgsim_graph *graph);
bool fgsim_keeps_dup(struct fgsim_graph *to, const struct fgsim_graph *from);

#endif
