/* SPDX-License-Identifier: Apache-2.0
 * The handle table: against a plain array, and readers beside a writer that makes it grow. */
#include "shim/opencl/map.h"

#include <stdio.h>
#include <stdlib.h>

#define KEYS 20000

#define CHECK(condition)                                                                                               \
        do {                                                                                                           \
                if (!(condition)) {                                                                                    \
                        fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                      \
                        exit(1);                                                                                       \
                }                                                                                                      \
        } while (0)

static char memory[KEYS * 16];
static char values[4];

/* A table lives as long as its program. */
static struct fgo_map read_freely = FGO_MAP_INIT;
static struct fgo_map read_locked = {.lock = PTHREAD_MUTEX_INITIALIZER, .locked_reads = true};

static void against_array(struct fgo_map *map)
{
        static void *model[KEYS];
        void *old;

        srand(1);
        CHECK(!fgo_map_get(map, memory) && !fgo_map_get(map, NULL));
        for (int step = 0; step < 400000; step++) {
                int i = rand() % (step < 200000 ? 500 : KEYS);
                void *value = rand() % 3 ? &values[rand() % 4] : NULL;
                CHECK(fgo_map_put(map, &memory[i * 16], value, &old) == 0);
                CHECK(old == model[i]);
                model[i] = value;
                i = rand() % KEYS;
                CHECK(fgo_map_get(map, &memory[i * 16]) == model[i]);
                if (step % 7 == 0) {
                        CHECK(fgo_map_take(map, &memory[i * 16]) == model[i]);
                        model[i] = NULL;
                }
        }
        for (int i = 0; i < KEYS; i++) {
                CHECK(fgo_map_get(map, &memory[i * 16]) == model[i]);
                model[i] = NULL;
        }
}

static struct fgo_map shared = FGO_MAP_INIT;
static int published; /* (a) keys below are in the map */

static void *reader(void *arg)
{
        int n;

        while ((n = __atomic_load_n(&published, __ATOMIC_ACQUIRE)) < KEYS)
                for (int i = n > 50 ? n - 50 : 0; i < n; i++)
                        CHECK(fgo_map_get(&shared, &memory[i * 16]) == &memory[i * 16]);
        return NULL;
}

static void beside_writer(void)
{
        pthread_t thread[2];

        for (int i = 0; i < 2; i++)
                CHECK(pthread_create(&thread[i], NULL, reader, NULL) == 0);
        for (int i = 0; i < KEYS; i++) {
                CHECK(fgo_map_put(&shared, &memory[i * 16], &memory[i * 16], NULL) == 0);
                __atomic_store_n(&published, i + 1, __ATOMIC_RELEASE);
        }
        for (int i = 0; i < 2; i++)
                CHECK(pthread_join(thread[i], NULL) == 0);
}

int main(void)
{
        against_array(&read_freely);
        against_array(&read_locked);
        beside_writer();
        return 0;
}
