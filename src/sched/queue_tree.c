/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/queue_tree.h"

bool fg_queue_node_before(const struct fg_queue_node *a, const struct fg_queue_node *b)
{
        return a->key != b->key ? a->key < b->key : a->order < b->order;
}

/* splitmix64's finaliser (Steele, Lea, Flood 2014). */
static uint64_t priority_of(const struct fg_queue_node *node)
{
        uint64_t z = node->order + 0x9e3779b97f4a7c15u;

        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
}

/* What points to this node. */
static struct fg_queue_node **link_of(struct fg_queue_tree *tree, struct fg_queue_node *node)
{
        struct fg_queue_node *parent = node->parent;

        if (!parent)
                return &tree->root;
        return parent->left == node ? &parent->left : &parent->right;
}

/* The child takes its parent's place, which becomes a child of it. */
static void rotate_up(struct fg_queue_tree *tree, struct fg_queue_node *child)
{
        struct fg_queue_node *parent = child->parent, *moved;

        *link_of(tree, parent) = child;
        if (parent->left == child) {
                moved = child->right;
                parent->left = moved;
                child->right = parent;
        } else {
                moved = child->left;
                parent->right = moved;
                child->left = parent;
        }
        if (moved)
                moved->parent = parent;
        child->parent = parent->parent;
        parent->parent = child;
}

void fg_queue_tree_insert(struct fg_queue_tree *tree, struct fg_queue_node *node)
{
        struct fg_queue_node **link = &tree->root, *parent = NULL;
        uint64_t priority = priority_of(node);

        while (*link) {
                parent = *link;
                link = fg_queue_node_before(node, parent) ? &parent->left : &parent->right;
        }
        *link = node;
        node->parent = parent;
        node->left = node->right = NULL;
        while (node->parent && priority_of(node->parent) < priority)
                rotate_up(tree, node);
}

void fg_queue_tree_remove(struct fg_queue_tree *tree, struct fg_queue_node *node)
{
        struct fg_queue_node *child;

        while (node->left && node->right)
                rotate_up(tree, priority_of(node->left) > priority_of(node->right) ? node->left : node->right);
        child = node->left ? node->left : node->right;
        *link_of(tree, node) = child;
        if (child)
                child->parent = node->parent;
}

struct fg_queue_node *fg_queue_tree_first(const struct fg_queue_tree *tree)
{
        struct fg_queue_node *node = tree->root;

        while (node && node->left)
                node = node->left;
        return node;
}

struct fg_queue_node *fg_queue_tree_next(const struct fg_queue_node *node)
{
        struct fg_queue_node *next = node->right;

        if (next) {
                while (next->left)
                        next = next->left;
                return next;
        }
        for (next = node->parent; next && next->right == node; next = next->parent)
                node = next;
        return next;
}

struct fg_queue_node *fg_queue_tree_previous(const struct fg_queue_node *node)
{
        struct fg_queue_node *previous = node->left;

        if (previous) {
                while (previous->right)
                        previous = previous->right;
                return previous;
        }
        for (previous = node->parent; previous && previous->left == node; previous = previous->parent)
                node = previous;
        return previous;
}
