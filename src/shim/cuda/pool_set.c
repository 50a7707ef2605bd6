/* SPDX-License-Identifier: Apache-2.0
 * The process's pools: found by handle, settled and trimmed together. */
#include "shim/cuda/hook.h"
#include "shim/cuda/memory.h"
#include "shim/cuda/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_ASSUMED (UINT64_C(32) << 20) /* what drivers are known to take at once; a power of two */
#define SETTLE_TRIES  64

static struct fgc_pool *pools; /* (a) only ever grows; a pool that is gone leaves a vacant struct */

static struct fgc_pool *graph_pool[FGC_OVERHEAD_VGPUS];  /* (a) by ordinal */
static struct fgc_pool *recent_pool[FGC_OVERHEAD_VGPUS]; /* (a) by ordinal: a hint */

static bool is_charged(const struct fgc_pool *pool)
{
        uint32_t kind = fg_load_acquire(&pool->kind);

        return kind == FGC_POOL_DEVICE || kind == FGC_POOL_GRAPH;
}

/* A child of fork() has no pools, and nobody there to leave their locks. */
static void forget(void)
{
        pools = NULL;
        memset(graph_pool, 0, sizeof(graph_pool));
        memset(recent_pool, 0, sizeof(recent_pool));
        fgc_pools_dirty = 0;
}

static void watch_forks(void)
{
        pthread_atfork(NULL, NULL, forget);
}

/* --- a pool's struct --- */

static struct fgc_pool *take_vacant(void)
{
        for (struct fgc_pool *pool = fg_load_acquire(&pools); pool; pool = pool->next) {
                uint32_t vacant = 0;
                if (!fg_load_relaxed(&pool->kind) && fg_cas_acq_rel(&pool->kind, &vacant, FGC_POOL_MAKING))
                        return pool;
        }
        return NULL;
}

static struct fgc_pool *take_new(void)
{
        static pthread_once_t once = PTHREAD_ONCE_INIT;
        struct fgc_pool *pool = aligned_alloc(_Alignof(struct fgc_pool), sizeof(*pool));

        pthread_once(&once, watch_forks);
        if (!pool)
                return NULL;
        memset(pool, 0, sizeof(*pool));
        pool->kind = FGC_POOL_MAKING;
        pool->next = fg_load_acquire(&pools);
        while (!fg_cas_acq_rel(&pools, &pool->next, pool))
                ;
        return pool;
}

static struct fgc_pool *pool_new(uint32_t kind, CUmemoryPool handle, struct fgc_vgpu *vgpu)
{
        struct fgc_pool *pool = take_vacant();

        if (!pool)
                pool = take_new();
        if (!pool)
                return NULL;
        fg_store_relaxed(&pool->vgpu, vgpu);
        fg_store_relaxed(&pool->handle, handle);
        pool->live = 0;
        fg_store_relaxed(&pool->charged, 0);
        fg_store_relaxed(&pool->dirty, 0);
        pool->chunk = CHUNK_ASSUMED;
        fg_store_release(&pool->kind, kind);
        return pool;
}

/* Enters it and returns whichever pool is the handle's: another thread may have been faster. */
static struct fgc_pool *pool_enter(struct fgc_pool *pool)
{
        struct fgc_alloc entry = {(uintptr_t)pool->handle, pool, 0, FGC_ALLOC_POOL_HANDLE}, old;
        int r = fgc_alloc_enter(&fgc_handles, entry, &old);

        if (r == 0)
                return pool;
        if (r > 0)
                fgc_alloc_put_back(&fgc_handles, old);
        fgc_pool_destroyed(pool, 0);
        return r > 0 ? old.owner : NULL;
}

/* --- by handle --- */

/* Drivers before 13 do not say where a pool is; then only device pools come by a way that no hook sees. */
static uint32_t kind_of(CUmemoryPool handle, struct fgc_vgpu **payer)
{
        int type = CU_MEM_LOCATION_TYPE_DEVICE, id = -1;

        if (FGC_REAL(cuMemPoolGetAttribute, handle, CU_MEMPOOL_ATTR_LOCATION_TYPE, &type) != CUDA_SUCCESS)
                return FGC_POOL_DEVICE;
        if (type != CU_MEM_LOCATION_TYPE_DEVICE)
                return type == CU_MEM_LOCATION_TYPE_NONE ? FGC_POOL_DEVICE : FGC_POOL_FREE;
        if (FGC_REAL(cuMemPoolGetAttribute, handle, CU_MEMPOOL_ATTR_LOCATION_ID, &id) == CUDA_SUCCESS &&
            (!*payer || (*payer)->real != id) && fgc_vgpu_of_real(id))
                *payer = fgc_vgpu_of_real(id);
        return FGC_POOL_DEVICE;
}

static struct fgc_pool *pool_found(CUmemoryPool handle, struct fgc_vgpu *payer)
{
        uint32_t kind = kind_of(handle, &payer);
        struct fgc_pool *pool = payer ? pool_new(kind, handle, payer) : NULL;

        pool = pool ? pool_enter(pool) : NULL;
        if (pool)
                fgc_pool_settle(pool); /* somebody may have used it before we knew */
        return pool;
}

struct fgc_pool *fgc_pool_of(CUmemoryPool handle, struct fgc_vgpu *by)
{
        struct fgc_pool **recent = &recent_pool[by->ordinal % FGC_OVERHEAD_VGPUS], *pool = fg_load_acquire(recent);
        struct fgc_alloc entry;

        /* The struct of a pool that is gone has another handle, or none. */
        if (__builtin_expect(pool && fg_load_relaxed(&pool->handle) == handle, 1))
                return pool;
        if (fgc_alloc_find(&fgc_handles, (uintptr_t)handle, &entry) && entry.kind == FGC_ALLOC_POOL_HANDLE)
                pool = entry.owner;
        else
                pool = pool_found(handle, by);
        fg_store_release(recent, pool);
        return pool;
}

void fgc_pool_adopt(CUmemoryPool made, struct fgc_vgpu *vgpu)
{
        struct fgc_pool *pool = pool_new(FGC_POOL_DEVICE, made, vgpu);

        if (pool)
                pool_enter(pool);
}

void fgc_pool_adopt_free(CUmemoryPool made)
{
        struct fgc_pool *pool = pool_new(FGC_POOL_FREE, made, fgc_vgpus);

        if (pool)
                pool_enter(pool);
}

struct fgc_pool *fgc_pool_of_graphs(struct fgc_vgpu *vgpu)
{
        struct fgc_vgpu *payer = fgc_vgpu_of_real(vgpu->real);
        struct fgc_pool **slot = &graph_pool[payer->ordinal % FGC_OVERHEAD_VGPUS], *found = fg_load_acquire(slot),
                        *made;

        if (found)
                return found;
        made = pool_new(FGC_POOL_GRAPH, NULL, payer);
        if (!made || fg_cas_acq_rel(slot, &found, made))
                return made;
        fg_store_release(&made->kind, 0);
        return found;
}

/* --- all of them --- */

void fgc_pools_settle(bool all)
{
        fg_store_seq_cst(&fgc_pools_dirty, 0);
        for (struct fgc_pool *pool = fg_load_acquire(&pools); pool; pool = pool->next)
                if (is_charged(pool) && (all || fg_load_seq_cst(&pool->dirty)) && !fgc_pool_settle(pool))
                        fg_store_relaxed(&fgc_pools_dirty, 1);
}

static void trim(struct fgc_pool *pool)
{
        CUmemoryPool handle = fg_load_relaxed(&pool->handle);

        if (fg_load_relaxed(&pool->kind) == FGC_POOL_GRAPH)
                FGC_REAL(cuDeviceGraphMemTrim, pool->vgpu->real);
        else if (handle)
                FGC_REAL(cuMemPoolTrimTo, handle, 0);
        for (int tries = 0; tries < SETTLE_TRIES && !fgc_pool_settle(pool); tries++)
                sched_yield();
}

bool fgc_pools_trim(struct fgc_vgpu *vgpu)
{
        uint64_t before = fg_ledger_used(vgpu->ledger);

        for (struct fgc_pool *pool = fg_load_acquire(&pools); pool; pool = pool->next)
                if (is_charged(pool) && fg_load_relaxed(&pool->vgpu) == vgpu && fg_load_relaxed(&pool->charged))
                        trim(pool);
        return fg_ledger_used(vgpu->ledger) < before;
}
