/* SPDX-License-Identifier: Apache-2.0
 * One pool's account. */
#include "shim/cuda/pool.h"

#include "shim/cuda/hook.h"
#include "shim/cuda/memory.h"

#include <errno.h>
#include <sched.h>

#define CHUNK_MAX     (UINT64_C(1) << 30)
#define TRIES_A_YIELD 64

uint32_t fgc_pools_dirty;
uint64_t fgc_pool_waits;

static void lock(struct fgc_pool *pool)
{
        for (int tries = 1; fg_swap_acquire(&pool->lock, 1); tries++) {
                if (tries % TRIES_A_YIELD == 0)
                        sched_yield();
                else
                        fg_cpu_pause();
        }
}

static void unlock(struct fgc_pool *pool)
{
        fg_store_release(&pool->lock, 0);
}

static bool is_a(const struct fgc_pool *pool, enum fgc_pool_kind kind)
{
        return fg_load_relaxed(&pool->kind) == kind;
}

/* --- the driver's figures --- */

static bool figure(const struct fgc_pool *pool, CUmemPool_attribute of_pool, CUgraphMem_attribute of_graphs,
                   uint64_t *ret)
{
        CUmemoryPool handle = fg_load_relaxed(&pool->handle);
        cuuint64_t value = 0;
        CUresult r = CUDA_ERROR_INVALID_VALUE;

        if (is_a(pool, FGC_POOL_GRAPH) && fgc_real.cuDeviceGetGraphMemAttribute)
                r = FGC_REAL(cuDeviceGetGraphMemAttribute, pool->vgpu->real, of_graphs, &value);
        else if (handle)
                r = FGC_REAL(cuMemPoolGetAttribute, handle, of_pool, &value);
        *ret = value;
        return r == CUDA_SUCCESS;
}

bool fgc_pool_reserved(const struct fgc_pool *pool, uint64_t *ret)
{
        return figure(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT, CU_GRAPH_MEM_ATTR_RESERVED_MEM_CURRENT, ret);
}

bool fgc_pool_used(const struct fgc_pool *pool, uint64_t *ret)
{
        return figure(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT, ret);
}

/* --- under the lock --- */

/* What the pool is expected to grow by when `missing` bytes do not fit. */
static uint64_t growth(const struct fgc_pool *pool, uint64_t missing)
{
        return fgc_round_up(missing, fg_load_relaxed(&pool->chunk));
}

/* Charges what the driver has reserved; -ENOMEM: more than the quota allows, as much as fits is charged. */
static int set_charged(struct fgc_pool *pool, uint64_t reserved)
{
        int r = 0;

        if (reserved < pool->charged) {
                fg_ledger_refund(pool->vgpu->ledger, pool->charged - reserved);
                fg_store_relaxed(&pool->charged, reserved);
        } else if (reserved > pool->charged) {
                r = fg_ledger_reserve(pool->vgpu->ledger, reserved - pool->charged);
                if (r == 0)
                        fg_store_relaxed(&pool->charged, reserved);
        }
        return r;
}

/* Nothing is under way, and nothing began since `begun` was read. */
static bool is_quiet(const struct fgc_pool *pool, uint64_t begun)
{
        return pool->begun == begun && fg_load_acquire(&pool->ended) == begun;
}

/* --- an allocation --- */

static void start(struct fgc_pool *pool, uint64_t bytes)
{
        pool->live += bytes;
        fg_store_relaxed(&pool->begun, pool->begun + bytes);
}

static int try_grow(struct fgc_pool *pool, uint64_t bytes, int (*reserve)(struct fg_ledger *, uint64_t))
{
        uint64_t wanted = 0, slack = 0;
        int r = 0;

        if (bytes >> 60) /* no sum with it could be trusted; the ledger refuses it, and counts */
                return fg_ledger_reserve(pool->vgpu->ledger, bytes) == 0 ? -EINVAL : -ENOMEM;
        lock(pool);
        /* It may be smaller than what is charged, and grow from there in its steps: to one step too much at most. */
        if (pool->waits != fg_load_acquire(&fgc_pool_waits))
                slack = pool->chunk;
        if (pool->live + bytes + slack > pool->charged) {
                wanted = growth(pool, pool->live + bytes + slack - pool->charged);
                r = reserve(pool->vgpu->ledger, wanted);
        }
        if (r == 0) {
                fg_store_relaxed(&pool->charged, pool->charged + wanted);
                start(pool, bytes);
        }
        unlock(pool);
        return r;
}

/* `live` to the driver's figure. What is under way may or may not be in that, so it is added. */
static void refresh(struct fgc_pool *pool)
{
        uint64_t used, begun, active;
        bool known;

        lock(pool);
        begun = pool->begun;
        active = begun - fg_load_acquire(&pool->ended);
        fg_store_seq_cst(&pool->dirty, 0);
        unlock(pool);
        known = fgc_pool_used(pool, &used);
        lock(pool);
        /* Nothing began and nothing ended while the driver was asked. */
        if (known && pool->begun == begun && begun - fg_load_acquire(&pool->ended) == active)
                pool->live = used + active < pool->live ? used + active : pool->live;
        else
                fg_store_relaxed(&pool->dirty, 1);
        unlock(pool);
}

/* What was freed is counted until the driver says that it can be used again: only it knows when a stream comes to a
 * free. */
static CUresult begin_slowly(struct fgc_pool *pool, uint64_t bytes, bool *ret_grows)
{
        int r;

        if (fg_load_relaxed(&pool->waits) != fg_load_acquire(&fgc_pool_waits))
                fgc_pool_settle(pool);
        if (fg_load_relaxed(&pool->dirty))
                refresh(pool);
        r = try_grow(pool, bytes, fgc_reserve_quietly);

        if (r == -ENOMEM) {
                fgc_pools_trim(pool->vgpu);
                r = try_grow(pool, bytes, fg_ledger_reserve);
        }
        *ret_grows = r == 0;
        return fgc_refusal(r);
}

CUresult fgc_pool_begin(struct fgc_pool *pool, uint64_t bytes, bool *ret_grows)
{
        bool fits;

        *ret_grows = false;
        if (is_a(pool, FGC_POOL_FREE))
                return CUDA_SUCCESS;
        bytes = fgc_round_up(bytes, FGC_UNIT);
        lock(pool);
        fits = pool->waits == fg_load_acquire(&fgc_pool_waits) && bytes <= pool->charged &&
               pool->live <= pool->charged - bytes;
        if (fits)
                start(pool, bytes);
        unlock(pool);
        if (__builtin_expect(!fits, 0))
                return begin_slowly(pool, bytes, ret_grows);
        if (__builtin_expect(fg_load_relaxed(&pool->vgpu->ledger->limits->closed) != 0, 0))
                return fgc_pool_end(pool, bytes, false, CUDA_ERROR_DEVICE_UNAVAILABLE);
        return CUDA_SUCCESS;
}

/* The driver has grown the pool, or found that it did not have to. */
static int end_grown(struct fgc_pool *pool, uint64_t bytes)
{
        /* The figure is the pool's if nothing else was under way before it was asked for, nor began since. */
        uint64_t begun = fg_load_acquire(&pool->begun), reserved;
        bool alone = fg_load_acquire(&pool->ended) + bytes == begun;
        bool known = fgc_pool_reserved(pool, &reserved);
        int r = 0;

        lock(pool);
        fg_add_seq_cst(&pool->ended, bytes);
        alone = alone && is_quiet(pool, begun);
        if (known && alone && reserved > pool->charged && pool->chunk < CHUNK_MAX)
                fg_store_relaxed(&pool->chunk, pool->chunk * 2);
        if (known && (alone || reserved > pool->charged))
                r = set_charged(pool, reserved);
        unlock(pool);
        return r;
}

CUresult fgc_pool_end(struct fgc_pool *pool, uint64_t bytes, bool grows, CUresult r)
{
        int error = 0;

        if (is_a(pool, FGC_POOL_FREE))
                return r;
        bytes = fgc_round_up(bytes, FGC_UNIT);
        if (grows)
                error = end_grown(pool, bytes);
        else
                fg_add_seq_cst(&pool->ended, bytes);
        if (__builtin_expect(r != CUDA_SUCCESS, 0))
                fgc_pool_freed(pool, bytes);
        return r == CUDA_SUCCESS ? fgc_refusal(error) : r;
}

/* --- graphs --- */

static int try_on_top(struct fgc_pool *pool, uint64_t bytes, int (*reserve)(struct fg_ledger *, uint64_t))
{
        uint64_t grown = growth(pool, bytes);
        int r = reserve(pool->vgpu->ledger, grown);

        if (r < 0)
                return r;
        lock(pool);
        fg_store_relaxed(&pool->charged, pool->charged + grown);
        fg_store_relaxed(&pool->begun, pool->begun + bytes);
        unlock(pool);
        return 0;
}

CUresult fgc_pool_begin_on_top(struct fgc_pool *pool, uint64_t bytes)
{
        int r;

        r = try_on_top(pool, bytes, fgc_reserve_quietly);
        if (r == -ENOMEM) {
                fgc_pools_trim(pool->vgpu);
                r = try_on_top(pool, bytes, fg_ledger_reserve);
        }
        return fgc_refusal(r);
}

void fgc_pool_end_on_top(struct fgc_pool *pool, uint64_t bytes)
{
        lock(pool);
        fg_add_seq_cst(&pool->ended, bytes);
        fg_store_relaxed(&pool->dirty, 1);
        unlock(pool);
        if (!fgc_pool_settle(pool))
                fg_store_relaxed(&fgc_pools_dirty, 1); /* another launch is under way; the last one settles */
}

void fgc_pool_freed(struct fgc_pool *pool, uint64_t bytes)
{
        /* Either this finds fgc_pools_dirty cleared, or fgc_pools_settle(), which clears it first, finds the pool dirty. */
        if (__builtin_expect(!fg_load_relaxed(&pool->dirty), 0))
                fg_store_seq_cst(&pool->dirty, 1);
        if (__builtin_expect(!fg_load_seq_cst(&fgc_pools_dirty), 0))
                fg_store_relaxed(&fgc_pools_dirty, 1);
        if (__builtin_expect(fg_load_relaxed(&pool->handle) != NULL || !is_a(pool, FGC_POOL_DEVICE), 1))
                return;
        lock(pool); /* destroyed: nobody can be asked any more */
        bytes = fgc_round_up(bytes, FGC_UNIT);
        pool->live -= bytes < pool->live ? bytes : pool->live;
        unlock(pool);
}

/* --- settling --- */

static void retire(struct fgc_pool *pool)
{
        set_charged(pool, 0);
        pool->live = 0;
        fg_store_release(&pool->kind, 0);
}

static bool is_destroyed(const struct fgc_pool *pool)
{
        return fg_load_acquire(&pool->kind) == FGC_POOL_DEVICE && !fg_load_relaxed(&pool->handle);
}

/* What was in use of it lived on until now. It may have been retired meanwhile, and be another pool by now. */
static bool settle_destroyed(struct fgc_pool *pool)
{
        lock(pool);
        if (is_destroyed(pool)) {
                fg_store_seq_cst(&pool->dirty, 0);
                if (pool->live == 0 && is_quiet(pool, pool->begun))
                        retire(pool);
        }
        unlock(pool);
        return true;
}

bool fgc_pool_settle(struct fgc_pool *pool)
{
        uint64_t reserved, used, begun, waits = fg_load_acquire(&fgc_pool_waits);
        CUmemoryPool handle = fg_load_relaxed(&pool->handle);
        bool quiet, known;

        if (is_destroyed(pool))
                return settle_destroyed(pool);
        lock(pool);
        begun = pool->begun;
        quiet = is_quiet(pool, begun);
        if (quiet) /* else it is not touched: what is freed meanwhile sets it without the lock */
                fg_store_seq_cst(&pool->dirty, 0);
        unlock(pool);
        if (!quiet)
                return false;
        known = fgc_pool_used(pool, &used) && fgc_pool_reserved(pool, &reserved);
        lock(pool);
        quiet = is_quiet(pool, begun);
        if (quiet && known && fg_load_relaxed(&pool->handle) == handle) { /* else it was destroyed meanwhile */
                set_charged(pool, reserved);
                pool->live = is_a(pool, FGC_POOL_GRAPH) ? 0 : used;
                if (!(waits & UINT32_MAX))
                        fg_store_relaxed(&pool->waits, waits);
        } else { /* what was freed before is looked for the next time */
                fg_store_relaxed(&pool->dirty, 1);
                fg_store_relaxed(&fgc_pools_dirty, 1);
        }
        unlock(pool);
        return quiet || !known;
}

void fgc_pool_destroyed(struct fgc_pool *pool, uint64_t used)
{
        lock(pool);
        fg_store_release(&pool->handle, NULL);
        pool->live = used;
        fg_store_relaxed(&pool->dirty, 1);
        if (is_a(pool, FGC_POOL_FREE) || (used == 0 && is_quiet(pool, pool->begun)))
                retire(pool);
        unlock(pool);
        fg_store_relaxed(&fgc_pools_dirty, 1);
}
