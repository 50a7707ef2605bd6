/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/cuda/alloc.h"

#include "base/atomic.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>

#define CELLS_MIN     128u /* three pages */
#define TRIES_A_YIELD 64

struct fgc_alloc_table fgc_pointers, fgc_handles, fgc_physicals;

static __attribute__((noinline)) void wait_for(struct fgc_alloc_stripe *stripe)
{
        for (int tries = 1; fg_load_relaxed(&stripe->lock) || fg_swap_acquire(&stripe->lock, 1); tries++) {
                if (tries % TRIES_A_YIELD == 0)
                        sched_yield(); /* its holder may have been put off this processor */
                else
                        fg_cpu_pause();
        }
}

static inline void lock(struct fgc_alloc_stripe *stripe)
{
        if (__builtin_expect(fg_swap_acquire(&stripe->lock, 1) != 0, 0))
                wait_for(stripe);
}

static void unlock(struct fgc_alloc_stripe *stripe)
{
        fg_store_release(&stripe->lock, 0);
}

/* Keys are multiples of large powers of two: only the high bits of the product are well mixed. */
static uint64_t hash(uint64_t key)
{
        return key * 0x9e3779b97f4a7c15u;
}

static struct fgc_alloc_stripe *stripe_of(struct fgc_alloc_table *table, uint64_t hashed)
{
        return &table->stripe[hashed >> (64 - FGC_ALLOC_STRIPE_BITS)];
}

static uint64_t start(const struct fgc_alloc_stripe *stripe, uint64_t hashed)
{
        return (hashed << FGC_ALLOC_STRIPE_BITS) >> stripe->shift;
}

/* Word by word: a wide load behind two narrow stores of the same bytes waits for them to leave the processor's store
 * buffer. */
static inline void copy(struct fgc_alloc *to, const struct fgc_alloc *from)
{
        fg_store_relaxed(&to->key, fg_load_relaxed(&from->key));
        fg_store_relaxed(&to->owner, fg_load_relaxed(&from->owner));
        fg_store_relaxed(&to->bytes, fg_load_relaxed(&from->bytes));
        fg_store_relaxed(&to->kind, fg_load_relaxed(&from->kind));
}

/* The key's cell, or the empty one where it would be. */
static struct fgc_alloc *probe(const struct fgc_alloc_stripe *stripe, uint64_t key)
{
        uint64_t i = start(stripe, hash(key));

        while (stripe->cell[i].kind && stripe->cell[i].key != key)
                i = (i + 1) & (stripe->cells - 1);
        return &stripe->cell[i];
}

/* Closes the gap, so that no probe stops short: later cells of the run move up unless that would put them before their
 * start. */
static void remove_at(struct fgc_alloc_stripe *stripe, uint64_t gap)
{
        uint64_t mask = stripe->cells - 1;

        for (uint64_t i = (gap + 1) & mask; stripe->cell[i].kind; i = (i + 1) & mask) {
                uint64_t home = start(stripe, hash(stripe->cell[i].key));
                if (((i - home) & mask) >= ((i - gap) & mask)) {
                        stripe->cell[gap] = stripe->cell[i];
                        gap = i;
                }
        }
        stripe->cell[gap].kind = 0;
        stripe->used--;
}

/* --- a child of fork() --- */

/* Whoever held a lock is not here. What the parent has allocated is nothing to the child, whom no driver serves. */
static void forget(void)
{
        memset(&fgc_pointers, 0, sizeof(fgc_pointers));
        memset(&fgc_handles, 0, sizeof(fgc_handles));
        memset(&fgc_physicals, 0, sizeof(fgc_physicals));
}

static void watch_forks(void)
{
        pthread_atfork(NULL, NULL, forget);
}

/* --- growing --- */

static struct fgc_alloc *cells_new(uint64_t cells)
{
        static pthread_once_t once = PTHREAD_ONCE_INIT;
        void *memory = mmap(NULL, cells * sizeof(struct fgc_alloc), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                            -1, 0);

        pthread_once(&once, watch_forks);
        return memory == MAP_FAILED ? NULL : memory;
}

static void cells_free(struct fgc_alloc *cell, uint64_t cells)
{
        if (cell)
                munmap(cell, cells * sizeof(struct fgc_alloc));
}

static bool is_full(const struct fgc_alloc_stripe *stripe)
{
        return stripe->used >= stripe->limit;
}

/* Under the lock: moves all entries to `cell`; the old ones' memory is left in the arguments. */
static void move(struct fgc_alloc_stripe *stripe, struct fgc_alloc **cell, uint64_t *cells)
{
        struct fgc_alloc *old = stripe->cell;
        uint64_t count = stripe->cells;

        stripe->cell = *cell;
        stripe->cells = *cells;
        stripe->limit = *cells / 4 * 3;
        stripe->shift = 64 - (uint32_t)__builtin_ctzll(*cells);
        for (uint64_t i = 0; i < count; i++)
                if (old[i].kind)
                        *probe(stripe, old[i].key) = old[i];
        *cell = old;
        *cells = count;
}

/* Called and left under the lock, which is given up meanwhile. */
static __attribute__((noinline)) int grow(struct fgc_alloc_stripe *stripe)
{
        uint64_t cells = stripe->cells ? stripe->cells * 2 : CELLS_MIN;
        struct fgc_alloc *cell;

        unlock(stripe);
        cell = cells_new(cells);
        lock(stripe);
        if (!cell)
                return is_full(stripe) ? -ENOMEM : 0;
        if (stripe->cells < cells)
                move(stripe, &cell, &cells);
        unlock(stripe);
        cells_free(cell, cells);
        lock(stripe);
        return 0;
}

/* --- the interface --- */

int fgc_alloc_enter(struct fgc_alloc_table *table, struct fgc_alloc entry, struct fgc_alloc *ret_old)
{
        struct fgc_alloc_stripe *stripe = stripe_of(table, hash(entry.key));
        struct fgc_alloc *cell;
        int r = 0;

        lock(stripe);
        while (__builtin_expect(is_full(stripe), 0) && r == 0)
                r = grow(stripe);
        if (__builtin_expect(r == 0, 1)) {
                cell = probe(stripe, entry.key);
                r = cell->kind != 0;
                if (__builtin_expect(r, 0))
                        *ret_old = *cell;
                stripe->used += !r;
                copy(cell, &entry);
        }
        unlock(stripe);
        return r;
}

void fgc_alloc_put_back(struct fgc_alloc_table *table, struct fgc_alloc entry)
{
        struct fgc_alloc_stripe *stripe = stripe_of(table, hash(entry.key));
        struct fgc_alloc *cell;

        lock(stripe);
        /* Others may have filled the stripe up to the mark meanwhile; a quarter is left beyond it. One cell stays
         * empty. */
        if (stripe->cells && stripe->used + 1 < stripe->cells) {
                cell = probe(stripe, entry.key);
                stripe->used += cell->kind == 0;
                *cell = entry;
        }
        unlock(stripe);
}

bool fgc_alloc_take(struct fgc_alloc_table *table, uint64_t key, struct fgc_alloc *ret)
{
        struct fgc_alloc_stripe *stripe = stripe_of(table, hash(key));
        struct fgc_alloc *cell;
        bool found = false;

        lock(stripe);
        if (stripe->cell) {
                cell = probe(stripe, key);
                found = cell->kind != 0;
                if (found) {
                        copy(ret, cell);
                        remove_at(stripe, (uint64_t)(cell - stripe->cell));
                }
        }
        unlock(stripe);
        return found;
}

static bool same(const struct fgc_alloc *a, const struct fgc_alloc *b)
{
        return a->kind == b->kind && a->key == b->key && a->owner == b->owner && a->bytes == b->bytes;
}

bool fgc_alloc_take_same(struct fgc_alloc_table *table, struct fgc_alloc entry)
{
        struct fgc_alloc_stripe *stripe = stripe_of(table, hash(entry.key));
        struct fgc_alloc *cell;
        bool found = false;

        lock(stripe);
        if (stripe->cell) {
                cell = probe(stripe, entry.key);
                found = same(cell, &entry);
                if (found)
                        remove_at(stripe, (uint64_t)(cell - stripe->cell));
        }
        unlock(stripe);
        return found;
}

bool fgc_alloc_find(struct fgc_alloc_table *table, uint64_t key, struct fgc_alloc *ret)
{
        struct fgc_alloc_stripe *stripe = stripe_of(table, hash(key));
        bool found = false;

        lock(stripe);
        if (stripe->cell) {
                *ret = *probe(stripe, key);
                found = ret->kind != 0;
        }
        unlock(stripe);
        return found;
}

size_t fgc_alloc_list(struct fgc_alloc_table *table, bool (*want)(const struct fgc_alloc *, const void *),
                      const void *arg, struct fgc_alloc *ret, size_t room)
{
        size_t count = 0;

        for (size_t s = 0; s < 1u << FGC_ALLOC_STRIPE_BITS; s++) {
                struct fgc_alloc_stripe *stripe = &table->stripe[s];
                lock(stripe);
                for (uint64_t i = 0; i < stripe->cells; i++) {
                        if (!stripe->cell[i].kind || !want(&stripe->cell[i], arg))
                                continue;
                        if (count++ < room)
                                ret[count - 1] = stripe->cell[i];
                }
                unlock(stripe);
        }
        return count;
}
