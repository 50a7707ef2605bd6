/* SPDX-License-Identifier: Apache-2.0
 * Regions of address space, in chunks of 2 MiB, each region one sparse file. With the lock of memory_arena.c. */
#ifndef FGSIM_CHUNK_H
#define FGSIM_CHUNK_H

#include <stdbool.h>
#include <stdint.h>

#define FGSIM_CHUNK       (2ull << 20)
#define FGSIM_REGIONS_MAX 64

enum fgsim_chunk_state { FGSIM_CHUNK_FREE, FGSIM_CHUNK_SLAB, FGSIM_CHUNK_LARGE };

struct fgsim_chunk {
        void *owner;      /* slab or range */
        uint32_t run;     /* chunks in the run; at its first and last chunk */
        uint32_t prev, next; /* in the list of free runs, at the first chunk */
        uint8_t state;
        bool dirty;       /* free: was written to, its pages are still there */
};

struct fgsim_region {
        uint64_t base, bytes;
        int fd;
        uint32_t chunks, bin[24]; /* free runs by the logarithm of their length */
        struct fgsim_chunk *chunk;
};

extern struct fgsim_region fgsim_regions[FGSIM_REGIONS_MAX];
extern uint32_t fgsim_region_count; /* read it with acquire */

/* A run of `count` chunks; *ret_chunk is its first. 0: no address space. */
uint64_t fgsim_chunk_take(uint32_t count, struct fgsim_chunk **ret_chunk);
void fgsim_chunk_give(uint64_t address, uint32_t count);

/* The chunk that holds the address, NULL. Needs no lock. */
static inline struct fgsim_chunk *fgsim_chunk_find(uint64_t address, struct fgsim_region **ret_region)
{
        uint32_t count = __atomic_load_n(&fgsim_region_count, __ATOMIC_ACQUIRE);
        for (uint32_t i = 0; i < count; i++) {
                struct fgsim_region *region = &fgsim_regions[i];
                if (address - region->base >= region->bytes)
                        continue;
                *ret_region = region;
                return &region->chunk[(address - region->base) / FGSIM_CHUNK];
        }
        return 0;
}

#endif
