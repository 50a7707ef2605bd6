/* SPDX-License-Identifier: Apache-2.0
 * Ranges outside the arena: registered host memory, reserved addresses, mappings of other processes' memory. Sorted by
 * address. */
#include "sim/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static struct fgsim_range **places;
static size_t place_count, place_room;

/* The first place that ends above the address. With the lock. */
static size_t lower(uint64_t address)
{
        size_t low = 0, high = place_count;
        while (low < high) {
                size_t middle = (low + high) / 2;
                if (places[middle]->base + places[middle]->size <= address)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static bool overlaps(uint64_t base, uint64_t size)
{
        size_t at = lower(base);
        return at < place_count && places[at]->base < base + size;
}

bool fgsim_place_overlaps(uint64_t base, uint64_t size)
{
        pthread_rwlock_rdlock(&lock);
        bool found = overlaps(base, size);
        pthread_rwlock_unlock(&lock);
        return found;
}

static int insert(struct fgsim_range *range)
{
        if (place_count == place_room) {
                size_t room = place_room ? 2 * place_room : 64;
                struct fgsim_range **more = realloc(places, room * sizeof *more);
                if (!more)
                        return -ENOMEM;
                places = more;
                place_room = room;
        }
        size_t at = lower(range->base);
        memmove(&places[at + 1], &places[at], (place_count - at) * sizeof *places);
        places[at] = range;
        fg_store_release(&place_count, place_count + 1);
        return 0;
}

int fgsim_place_add(const struct fgsim_range *range, struct fgsim_range **ret)
{
        struct fgsim_range *copy = malloc(sizeof *copy);
        if (!copy)
                return -ENOMEM;
        *copy = *range;
        copy->id = fgsim_memory_id();
        pthread_rwlock_wrlock(&lock);
        int r = overlaps(copy->base, copy->size) ? -EEXIST : insert(copy);
        pthread_rwlock_unlock(&lock);
        if (r < 0)
                free(copy);
        else
                *ret = copy;
        return r;
}

struct fgsim_range *fgsim_place_find(uint64_t address)
{
        if (!fg_load_acquire(&place_count))
                return NULL;
        pthread_rwlock_rdlock(&lock);
        size_t at = lower(address);
        struct fgsim_range *found = at < place_count && places[at]->base <= address ? places[at] : NULL;
        pthread_rwlock_unlock(&lock);
        return found;
}

void fgsim_place_remove(struct fgsim_range *range)
{
        pthread_rwlock_wrlock(&lock);
        size_t at = lower(range->base);
        if (at < place_count && places[at] == range) {
                memmove(&places[at], &places[at + 1], (place_count - at - 1) * sizeof *places);
                fg_store_release(&place_count, place_count - 1);
                free(range);
        }
        pthread_rwlock_unlock(&lock);
}

/* fn may remove the range it is given. */
void fgsim_place_each(void (*fn)(struct fgsim_range *range, void *arg), void *arg)
{
        uint64_t address = 0;
        for (;;) {
                pthread_rwlock_rdlock(&lock);
                size_t at = lower(address);
                struct fgsim_range *range = at < place_count ? places[at] : NULL;
                if (range)
                        address = range->base + range->size;
                pthread_rwlock_unlock(&lock);
                if (!range)
                        return;
                fn(range, arg);
        }
}
