/* SPDX-License-Identifier: Apache-2.0
 * Hash tables whose nodes lie inside the objects. Tenants choose names, so the hash is keyed with what only this process
 * knows (SipHash): nobody can make the names of others collide. */
#ifndef FGD_TABLE_H
#define FGD_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct fgd_node {
        struct fgd_node *next;
        uint64_t hash;
};

struct fgd_table {
        struct fgd_node **bucket;
        uint32_t size, count; /* size is a power of 2, or 0 */
};

/* Once, before any other use. -errno: no randomness. */
int fgd_hash_start(void);
uint64_t fgd_hash(const void *data, size_t size);
uint64_t fgd_hash_text(const char *text);
uint64_t fgd_hash_number(uint64_t number);

/* Makes room for one more, so that fgd_table_add() cannot fail. */
int fgd_table_reserve(struct fgd_table *table);
void fgd_table_add(struct fgd_table *table, struct fgd_node *node, uint64_t hash);
void fgd_table_remove(struct fgd_table *table, struct fgd_node *node);
/* Those with the same hash, one after the other; NULL: no more. */
struct fgd_node *fgd_table_first(const struct fgd_table *table, uint64_t hash);
struct fgd_node *fgd_table_next(const struct fgd_node *node);
void fgd_table_clear(struct fgd_table *table); /* the nodes are the caller's */

#define FGD_OF_NODE(node, type, member) ((type *)((char *)(node) - offsetof(type, member)))

#endif
