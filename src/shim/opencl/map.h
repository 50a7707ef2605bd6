/* SPDX-License-Identifier: Apache-2.0
 *
 * From a handle or an address to what the layer knows about it. Looking up is lock-free and takes a few nanoseconds; it
 * is on the path of every launch. Open addressing with linear probing; a key's cell is never given to another key while
 * the table lives, so that readers need no protection. Keys are addresses, which allocators use again: a table stays as
 * large as the largest number of distinct addresses since it was last rebuilt. */
#ifndef FGO_MAP_H
#define FGO_MAP_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fgo_table;

struct fgo_map {
        struct fgo_table *table; /* (a) */
        pthread_mutex_t lock;    /* writers; never held across a call of the driver */
        bool locked_reads;       /* nobody calls fgo_map_get(): old tables can be freed at once */
};

#define FGO_MAP_INIT                                                                                                   \
        {                                                                                                              \
                .lock = PTHREAD_MUTEX_INITIALIZER                                                                      \
        }

/* NULL: unknown. */
void *fgo_map_get(const struct fgo_map *map, const void *key);
/* Sets the key's value (NULL: forget it) and returns the previous one in *ret_old (may be NULL). 0 or -ENOMEM. */
int fgo_map_put(struct fgo_map *map, const void *key, void *value, void **ret_old);
/* Removes and returns the key's value. */
void *fgo_map_take(struct fgo_map *map, const void *key);

#endif
