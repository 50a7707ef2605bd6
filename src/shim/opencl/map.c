/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/opencl/map.h"

#include "base/atomic.h"

#include <errno.h>
#include <stdlib.h>

#define MAP_MIN_CELLS 64u

struct cell {
        const void *key; /* (a) written once, after which it stays */
        void *value;     /* (a) NULL: forgotten */
};

struct fgo_table {
        struct fgo_table *older; /* readers may still be in there */
        size_t cells;            /* a power of two */
        size_t used;             /* cells with a key; at most three quarters */
        size_t live;             /* cells with a value */
        struct cell cell[];
};

static size_t map_start(const struct fgo_table *table, const void *key)
{
        return ((uint64_t)(uintptr_t)key >> 4) * 0x9e3779b97f4a7c15ull >> 20 & (table->cells - 1);
}

/* The key's cell, or the empty one where it would be. */
static struct cell *map_find(struct fgo_table *table, const void *key)
{
        for (size_t i = map_start(table, key);; i = (i + 1) & (table->cells - 1)) {
                const void *found = fg_load_acquire(&table->cell[i].key);
                if (found == key || !found)
                        return &table->cell[i];
        }
}

void *fgo_map_get(const struct fgo_map *map, const void *key)
{
        struct fgo_table *table = fg_load_acquire(&map->table);

        if (!table || !key)
                return NULL;
        return fg_load_acquire(&map_find(table, key)->value);
}

static void map_insert(struct fgo_table *table, const void *key, void *value)
{
        struct cell *cell = map_find(table, key);

        if (!cell->key)
                table->used++;
        fg_store_release(&cell->value, value);
        fg_store_release(&cell->key, key);
        table->live++;
}

/* A new table with room for one more; forgotten keys are left behind. */
static int map_rebuild(struct fgo_map *map)
{
        struct fgo_table *old = map->table, *table;
        size_t cells = old ? old->cells : MAP_MIN_CELLS;

        while (old && old->live >= cells / 3)
                cells *= 2;
        table = calloc(1, sizeof(*table) + cells * sizeof(struct cell));
        if (!table)
                return -ENOMEM;
        table->cells = cells;
        for (size_t i = 0; old && i < old->cells; i++)
                if (old->cell[i].value)
                        map_insert(table, old->cell[i].key, old->cell[i].value);
        table->older = old;
        if (map->locked_reads) {
                free(old);
                table->older = NULL;
        }
        fg_store_release(&map->table, table);
        return 0;
}

static int map_set(struct fgo_map *map, const void *key, void *value, void **ret_old)
{
        struct fgo_table *table = map->table;
        struct cell *cell = table ? map_find(table, key) : NULL;

        if (cell && cell->key) {
                *ret_old = cell->value;
                table->live += (value != NULL) - (cell->value != NULL);
                fg_store_release(&cell->value, value);
                return 0;
        }
        *ret_old = NULL;
        if (!value)
                return 0;
        if (!table || table->used >= table->cells / 4 * 3) {
                int r = map_rebuild(map);
                if (r < 0)
                        return r;
        }
        map_insert(map->table, key, value);
        return 0;
}

int fgo_map_put(struct fgo_map *map, const void *key, void *value, void **ret_old)
{
        void *old;
        int r;

        pthread_mutex_lock(&map->lock);
        r = map_set(map, key, value, &old);
        pthread_mutex_unlock(&map->lock);
        if (ret_old)
                *ret_old = old;
        return r;
}

void *fgo_map_take(struct fgo_map *map, const void *key)
{
        void *old = NULL;

        if (key)
                fgo_map_put(map, key, NULL, &old);
        return old;
}
