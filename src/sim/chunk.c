/* SPDX-License-Identifier: Apache-2.0
 * Chunks: where device memory gets its addresses and its pages.
 *
 * A region is a mapping of a sparse file: what nobody has written to costs nothing, and any part of it can be mapped a
 * second time, by cuMemMap here or by another process. Regions are never given back. */
#include "sim/chunk.h"

#include "base/atomic.h"

#include <stddef.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define NONE         UINT32_MAX
#define REGION_BYTES (512ull << 30)
#define DIRTY_MAX    (1ull << 30) /* freed bytes whose pages we keep for the next allocation */

struct fgsim_region fgsim_regions[FGSIM_REGIONS_MAX];
uint32_t fgsim_region_count;

static uint64_t dirty_bytes;

static unsigned bin_of(uint32_t run)
{
        return 31 - (unsigned)__builtin_clz(run);
}

static void unlink_run(struct fgsim_region *r, uint32_t first)
{
        struct fgsim_chunk *c = &r->chunk[first];
        if (c->prev != NONE)
                r->chunk[c->prev].next = c->next;
        else
                r->bin[bin_of(c->run)] = c->next;
        if (c->next != NONE)
                r->chunk[c->next].prev = c->prev;
}

static void link_run(struct fgsim_region *r, uint32_t first, uint32_t run, bool dirty)
{
        struct fgsim_chunk *c = &r->chunk[first];
        uint32_t *head = &r->bin[bin_of(run)];
        c->state = r->chunk[first + run - 1].state = FGSIM_CHUNK_FREE;
        c->run = r->chunk[first + run - 1].run = run;
        c->dirty = dirty;
        c->prev = NONE;
        c->next = *head;
        if (*head != NONE)
                r->chunk[*head].prev = first;
        *head = first;
}

/* A file size limit would stop us with a signal. */
static uint64_t largest_file(uint64_t bytes)
{
        struct rlimit limit;
        if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < bytes)
                bytes = limit.rlim_cur / FGSIM_CHUNK * FGSIM_CHUNK;
        return bytes;
}

/* Aligned to a chunk, so that mappings in steps of 2 MiB fit. */
static void *map_aligned(int fd, uint64_t bytes)
{
        char *space = mmap(NULL, bytes + FGSIM_CHUNK, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (space == MAP_FAILED)
                return MAP_FAILED;
        size_t skip = (FGSIM_CHUNK - (uintptr_t)space % FGSIM_CHUNK) % FGSIM_CHUNK;
        if (skip)
                munmap(space, skip);
        if (FGSIM_CHUNK - skip)
                munmap(space + skip + bytes, FGSIM_CHUNK - skip);
        void *map = mmap(space + skip, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED, fd, 0);
        if (map == MAP_FAILED)
                munmap(space + skip, bytes);
        return map;
}

static bool open_region(struct fgsim_region *r, uint64_t bytes)
{
        bytes = largest_file(bytes);
        int fd = bytes ? memfd_create("fastgpu-sim", MFD_CLOEXEC) : -1;
        if (fd < 0)
                return false;
        void *map = ftruncate(fd, (off_t)bytes) == 0 ? map_aligned(fd, bytes) : MAP_FAILED;
        size_t table_bytes = bytes / FGSIM_CHUNK * sizeof(struct fgsim_chunk);
        void *table = map == MAP_FAILED ? MAP_FAILED
                                        : mmap(NULL, table_bytes, PROT_READ | PROT_WRITE,
                                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (table == MAP_FAILED) {
                if (map != MAP_FAILED)
                        munmap(map, bytes);
                close(fd);
                return false;
        }
        *r = (struct fgsim_region){.base = (uint64_t)map,
                                   .bytes = bytes,
                                   .fd = fd,
                                   .chunks = (uint32_t)(bytes / FGSIM_CHUNK),
                                   .chunk = table};
        for (unsigned i = 0; i < sizeof r->bin / sizeof r->bin[0]; i++)
                r->bin[i] = NONE;
        link_run(r, 0, r->chunks, false);
        return true;
}

/* As large as the limits of this process allow, but for `count` chunks. */
static bool add_region(uint32_t count)
{
        uint32_t n = fgsim_region_count;
        for (uint64_t bytes = REGION_BYTES; n < FGSIM_REGIONS_MAX && bytes >= count * FGSIM_CHUNK; bytes /= 4)
                if (open_region(&fgsim_regions[n], bytes)) {
                        fg_store_release(&fgsim_region_count, n + 1);
                        return true;
                }
        return false;
}

static uint32_t find_run(struct fgsim_region *r, uint32_t count)
{
        unsigned bins = sizeof r->bin / sizeof r->bin[0];
        uint32_t first = r->bin[bin_of(count)];
        /* The own bin holds shorter ones too: not many are looked at. */
        for (unsigned tries = 0; first != NONE && r->chunk[first].run < count; tries++)
                first = tries < 32 ? r->chunk[first].next : NONE;
        for (unsigned bin = bin_of(count) + 1; first == NONE && bin < bins; bin++)
                first = r->bin[bin];
        return first;
}

static uint64_t take_from(struct fgsim_region *r, uint32_t count, struct fgsim_chunk **ret_chunk)
{
        uint32_t first = find_run(r, count);
        if (first == NONE)
                return 0;
        struct fgsim_chunk *c = &r->chunk[first];
        uint32_t rest = c->run - count;
        unlink_run(r, first);
        if (rest)
                link_run(r, first + count, rest, c->dirty);
        if (c->dirty && dirty_bytes >= count * FGSIM_CHUNK)
                dirty_bytes -= count * FGSIM_CHUNK;
        *ret_chunk = c;
        return r->base + first * FGSIM_CHUNK;
}

uint64_t fgsim_chunk_take(uint32_t count, struct fgsim_chunk **ret_chunk)
{
        uint64_t address = 0;
        for (uint32_t i = 0; i < fgsim_region_count && !address; i++)
                address = take_from(&fgsim_regions[i], count, ret_chunk);
        if (!address && add_region(count))
                address = take_from(&fgsim_regions[fgsim_region_count - 1], count, ret_chunk);
        return address;
}

/* The pages of all that is free. */
static void drop_pages(void)
{
        for (uint32_t i = 0; i < fgsim_region_count; i++) {
                struct fgsim_region *r = &fgsim_regions[i];
                for (unsigned bin = 0; bin < sizeof r->bin / sizeof r->bin[0]; bin++)
                        for (uint32_t c = r->bin[bin]; c != NONE; c = r->chunk[c].next)
                                if (r->chunk[c].dirty) {
                                        madvise((void *)(r->base + c * FGSIM_CHUNK), r->chunk[c].run * FGSIM_CHUNK,
                                                MADV_REMOVE);
                                        r->chunk[c].dirty = false;
                                }
        }
        dirty_bytes = 0;
}

void fgsim_chunk_give(uint64_t address, uint32_t count)
{
        struct fgsim_region *r = 0;
        fgsim_chunk_find(address, &r);
        uint32_t first = (uint32_t)((address - r->base) / FGSIM_CHUNK), run = count;
        for (uint32_t i = 0; i < count; i++)
                r->chunk[first + i].owner = 0, r->chunk[first + i].state = FGSIM_CHUNK_FREE;
        dirty_bytes += count * FGSIM_CHUNK;
        /* A free neighbour is known by the state at the end that touches us: inner chunks of free runs are FREE as
         * well. */
        if (first + run < r->chunks && r->chunk[first + run].state == FGSIM_CHUNK_FREE) {
                uint32_t after = first + run;
                run += r->chunk[after].run;
                unlink_run(r, after);
        }
        if (first > 0 && r->chunk[first - 1].state == FGSIM_CHUNK_FREE) {
                uint32_t before = first - r->chunk[first - 1].run;
                run += first - before;
                first = before;
                unlink_run(r, before);
        }
        link_run(r, first, run, true);
        if (dirty_bytes > DIRTY_MAX)
                drop_pages();
}
