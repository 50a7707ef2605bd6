/* SPDX-License-Identifier: Apache-2.0
 *
 * An ordered set of intrusive nodes, by key and then by order: a treap whose priorities are a hash of the order, so
 * that its shape depends on what is in it and on nothing else. All but first and next: O(log n). */
#ifndef FG_SCHED_QUEUE_TREE_H
#define FG_SCHED_QUEUE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fg_queue_node {
        struct fg_queue_node *parent, *left, *right;
        uint64_t key, order;
};

struct fg_queue_tree {
        struct fg_queue_node *root;
};

bool fg_queue_node_before(const struct fg_queue_node *a, const struct fg_queue_node *b);
/* key and order are set by the caller and stay while the node is in the tree. */
void fg_queue_tree_insert(struct fg_queue_tree *tree, struct fg_queue_node *node);
void fg_queue_tree_remove(struct fg_queue_tree *tree, struct fg_queue_node *node);
/* NULL: none. */
struct fg_queue_node *fg_queue_tree_first(const struct fg_queue_tree *tree);
struct fg_queue_node *fg_queue_tree_next(const struct fg_queue_node *node);
struct fg_queue_node *fg_queue_tree_previous(const struct fg_queue_node *node);

#endif
