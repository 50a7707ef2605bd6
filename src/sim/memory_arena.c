/* SPDX-License-Identifier: Apache-2.0
 * Allocations of device memory. Up to a MiB they share a chunk with others of their size class (a slab), above they
 * have chunks of their own. Allocating, freeing and finding an address are O(1) in the number of allocations; finding
 * takes no lock. */
#include "sim/chunk.h"
#include "sim/internal.h"

#include <stdlib.h>

#define SMALL_MAX (1u << 20)
#define FINE      8u /* classes of 512, 1024 … 4096; then four for each doubling */
#define CLASSES   (FINE + 4 * 8)

struct slab {
        uint64_t base;
        uint32_t size, count, used, fresh, class;
        uint32_t free_head;       /* index + 1, linked through range.reserved */
        struct slab *prev, *next; /* of those with room */
        struct fgsim_range range[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct slab *with_room[CLASSES];
static uint64_t last_id;

static unsigned class_of(uint64_t bytes)
{
        if (bytes <= 4096)
                return (unsigned)((bytes + 511) / 512) - 1;
        unsigned shift = 63 - (unsigned)__builtin_clzll(bytes - 1); /* bytes is in (2^shift, 2^(shift+1)] */
        return FINE + (shift - 12) * 4 + (unsigned)((bytes - 1 - (1ull << shift)) >> (shift - 2));
}

static uint32_t class_bytes(unsigned class)
{
        if (class < FINE)
                return (class + 1) * 512;
        unsigned shift = 12 + (class - FINE) / 4;
        return (1u << shift) + ((class - FINE) % 4 + 1) * (1u << (shift - 2));
}

static void push_room(struct slab *s)
{
        s->prev = NULL;
        s->next = with_room[s->class];
        if (s->next)
                s->next->prev = s;
        with_room[s->class] = s;
}

static void drop_room(struct slab *s)
{
        if (s->prev)
                s->prev->next = s->next;
        else
                with_room[s->class] = s->next;
        if (s->next)
                s->next->prev = s->prev;
}

static struct slab *new_slab(unsigned class)
{
        uint32_t size = class_bytes(class), count = (uint32_t)(FGSIM_CHUNK / size);
        struct slab *s = calloc(1, sizeof *s + count * sizeof s->range[0]);
        struct fgsim_chunk *chunk;
        uint64_t base = s ? fgsim_chunk_take(1, &chunk) : 0;
        if (!base) {
                free(s);
                return NULL;
        }
        *s = (struct slab){.base = base, .size = size, .count = count, .class = class};
        chunk->owner = s;
        fg_store_release(&chunk->state, FGSIM_CHUNK_SLAB);
        push_room(s);
        return s;
}

static struct fgsim_range *new_small(uint64_t bytes)
{
        unsigned class = class_of(bytes);
        struct slab *s = with_room[class] ? with_room[class] : new_slab(class);
        if (!s)
                return NULL;
        uint32_t index = s->free_head ? s->free_head - 1 : s->fresh++;
        struct fgsim_range *range = &s->range[index];
        if (s->free_head)
                s->free_head = range->reserved;
        if (++s->used == s->count)
                drop_room(s);
        *range = (struct fgsim_range){.base = s->base + (uint64_t)index * s->size};
        return range;
}

static struct fgsim_range *new_large(uint64_t bytes)
{
        uint64_t count = fgsim_round(bytes, FGSIM_CHUNK) / FGSIM_CHUNK;
        struct fgsim_range *range = calloc(1, sizeof *range);
        struct fgsim_chunk *chunk;
        uint64_t base = range && count < UINT32_MAX / 2 ? fgsim_chunk_take((uint32_t)count, &chunk) : 0;
        if (!base) {
                free(range);
                return NULL;
        }
        range->base = base;
        for (uint64_t i = 0; i < count; i++) {
                chunk[i].owner = range;
                fg_store_release(&chunk[i].state, FGSIM_CHUNK_LARGE);
        }
        return range;
}

struct fgsim_range *fgsim_arena_new(uint64_t bytes, uint64_t align)
{
        pthread_mutex_lock(&lock);
        struct fgsim_range *range = bytes <= SMALL_MAX && align <= FGSIM_UNIT ? new_small(bytes) : new_large(bytes);
        if (range) {
                range->size = bytes;
                range->id = ++last_id;
        }
        pthread_mutex_unlock(&lock);
        return range;
}

uint64_t fgsim_memory_id(void)
{
        pthread_mutex_lock(&lock);
        uint64_t id = ++last_id;
        pthread_mutex_unlock(&lock);
        return id;
}

/* The last one of its class stays, so that one allocation that comes and goes does not make and break slabs. */
static void free_small(struct slab *s, struct fgsim_range *range)
{
        range->reserved = s->free_head;
        s->free_head = (uint32_t)(range - s->range) + 1;
        if (s->used-- == s->count)
                push_room(s);
        if (s->used == 0 && (s->prev || s->next)) {
                drop_room(s);
                fgsim_chunk_give(s->base, 1);
                free(s);
        }
}

void fgsim_arena_free(struct fgsim_range *range)
{
        struct fgsim_region *region;
        pthread_mutex_lock(&lock);
        struct fgsim_chunk *chunk = fgsim_chunk_find(range->base, &region);
        fg_store_release(&range->kind, 0);
        if (chunk->state == FGSIM_CHUNK_SLAB) {
                free_small(chunk->owner, range);
        } else {
                fgsim_chunk_give(range->base, (uint32_t)(fgsim_round(range->size, FGSIM_CHUNK) / FGSIM_CHUNK));
                free(range);
        }
        pthread_mutex_unlock(&lock);
}

struct fgsim_range *fgsim_arena_find(uint64_t address)
{
        struct fgsim_region *region;
        struct fgsim_chunk *chunk = fgsim_chunk_find(address, &region);
        uint8_t state = chunk ? fg_load_acquire(&chunk->state) : FGSIM_CHUNK_FREE;
        struct fgsim_range *range = NULL;
        if (state == FGSIM_CHUNK_SLAB) {
                struct slab *s = chunk->owner;
                range = &s->range[(uint32_t)(address - s->base) / s->size];
        } else if (state == FGSIM_CHUNK_LARGE) {
                range = chunk->owner;
        }
        return range && range->kind && address - range->base < range->size ? range : NULL;
}

int fgsim_arena_file(uint64_t address, uint64_t *ret_offset)
{
        struct fgsim_region *region;
        if (!fgsim_chunk_find(address, &region))
                return -1;
        *ret_offset = address - region->base;
        return region->fd;
}

/* fn may free the range it is given: so no run of free chunks is skipped, what is written in one inside of a run means nothing. */
static void each_in_slab(struct fgsim_chunk *chunk, void (*fn)(struct fgsim_range *, void *), void *arg)
{
        struct slab *s = chunk->owner;
        for (uint32_t i = 0; i < s->fresh; i++) {
                if (s->range[i].kind)
                        fn(&s->range[i], arg);
                if (chunk->owner != s || chunk->state != FGSIM_CHUNK_SLAB)
                        return;
        }
}

void fgsim_arena_each(void (*fn)(struct fgsim_range *range, void *arg), void *arg)
{
        for (uint32_t r = 0; r < fg_load_acquire(&fgsim_region_count); r++) {
                struct fgsim_region *region = &fgsim_regions[r];
                for (uint32_t c = 0; c < region->chunks; c++) {
                        struct fgsim_chunk *chunk = &region->chunk[c];
                        struct fgsim_range *range = chunk->owner;
                        if (chunk->state == FGSIM_CHUNK_SLAB)
                                each_in_slab(chunk, fn, arg);
                        else if (chunk->state == FGSIM_CHUNK_LARGE && range->base == region->base + c * FGSIM_CHUNK &&
                                 range->kind)
                                fn(range, arg);
                }
        }
}
