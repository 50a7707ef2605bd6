/* SPDX-License-Identifier: Apache-2.0
 * Memory pools: what they reserve of the GPU, what of that is used, and when they give back. A pool is an account, not
 * a place: its memory is never fragmented. */
#include "sim/pool.h"

#include <string.h>

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct fgsim_pool *pools; /* none leaves the list; destroyed ones are made again */
static struct fgsim_pool *defaults[FGSIM_GPUS_MAX], *currents[FGSIM_GPUS_MAX];

struct fgsim_pool *fgsim_pool_get(CUmemoryPool handle)
{
        struct fgsim_pool *pool = fgsim_object_get(handle, FGSIM_POOL);
        return pool && !pool->is_destroyed ? pool : NULL;
}

/* ---- the account; with the pool's lock ---- */
static void set_reserved(struct fgsim_pool *pool, uint64_t reserved)
{
        if (pool->is_device && reserved < pool->reserved)
                fgsim_gpu_give(pool->gpu, pool->reserved - reserved);
        fg_store_relaxed(&pool->reserved, reserved);
        if (reserved > pool->reserved_high)
                pool->reserved_high = reserved;
}

static bool grow(struct fgsim_pool *pool, uint64_t missing)
{
        static const uint64_t grains[] = {FGSIM_POOL_GRAIN, FGSIM_POOL_PAGE, FGSIM_UNIT};
        for (int i = 0; i < 3; i++) {
                uint64_t more = fgsim_round(missing, grains[i]);
                if (pool->max && pool->reserved + more > pool->max)
                        continue;
                if (pool->is_device && !fgsim_gpu_take(pool->gpu, more))
                        continue;
                set_reserved(pool, pool->reserved + more);
                return true;
        }
        return false;
}

static bool shrink(struct fgsim_pool *pool, uint64_t keep)
{
        uint64_t floor = fgsim_round(pool->used, FGSIM_POOL_PAGE);
        keep = keep > floor ? keep : floor;
        if (pool->reserved <= keep)
                return false;
        set_reserved(pool, keep);
        return true;
}

static bool try_take(struct fgsim_pool *pool, uint64_t bytes)
{
        pthread_mutex_lock(&pool->lock);
        uint64_t need = pool->used + bytes;
        bool fits = need <= pool->reserved || grow(pool, need - pool->reserved);
        if (fits) {
                fg_store_relaxed(&pool->used, need);
                if (need > pool->used_high)
                        pool->used_high = need;
        }
        pthread_mutex_unlock(&pool->lock);
        return fits;
}

CUresult fgsim_pool_take(struct fgsim_pool *pool, uint64_t bytes)
{
        if (try_take(pool, bytes))
                return CUDA_SUCCESS;
        return fgsim_pool_squeeze(pool->gpu) && try_take(pool, bytes) ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

void fgsim_pool_give(struct fgsim_pool *pool, uint64_t bytes)
{
        pthread_mutex_lock(&pool->lock);
        fg_store_relaxed(&pool->used, pool->used - (bytes < pool->used ? bytes : pool->used));
        if (pool->is_destroyed)
                set_reserved(pool, pool->used);
        pthread_mutex_unlock(&pool->lock);
}

/* ---- all of them ---- */
bool fgsim_pool_squeeze(uint32_t gpu)
{
        bool found = false;
        for (struct fgsim_pool *pool = fg_load_acquire(&pools); pool; pool = pool->next) {
                if (pool->gpu != gpu || !pool->is_device)
                        continue;
                pthread_mutex_lock(&pool->lock);
                found |= shrink(pool, 0);
                pthread_mutex_unlock(&pool->lock);
        }
        return found;
}

void fgsim_pool_at_sync(struct fgsim_context *ctx)
{
        for (struct fgsim_pool *pool = fg_load_acquire(&pools); pool; pool = pool->next) {
                if (pool->gpu != ctx->gpu || fg_load_relaxed(&pool->reserved) == fg_load_relaxed(&pool->used))
                        continue;
                pthread_mutex_lock(&pool->lock);
                shrink(pool, pool->threshold);
                pthread_mutex_unlock(&pool->lock);
        }
}

void fgsim_pool_device_reset(uint32_t gpu)
{
        fgsim_pool_squeeze(gpu);
        pthread_mutex_lock(&list_lock);
        currents[gpu] = NULL;
        pthread_mutex_unlock(&list_lock);
}

static bool good_props(const CUmemPoolProps *props, uint32_t *ret_gpu)
{
        *ret_gpu = 0;
        if (props->allocType != CU_MEM_ALLOCATION_TYPE_PINNED && props->allocType != CU_MEM_ALLOCATION_TYPE_MANAGED)
                return false;
        if ((int)props->handleTypes & ~CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
                return false;
        switch ((int)props->location.type) {
        case CU_MEM_LOCATION_TYPE_DEVICE:
                return fgsim_gpu_of(props->location.id, ret_gpu);
        case CU_MEM_LOCATION_TYPE_HOST:
        case CU_MEM_LOCATION_TYPE_HOST_NUMA:
        case CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT:
                return true;
        default:
                return false;
        }
}

CUresult fgsim_pool_new(const CUmemPoolProps *props, struct fgsim_pool **ret)
{
        uint32_t gpu;
        if (!good_props(props, &gpu))
                return CUDA_ERROR_INVALID_VALUE;
        struct fgsim_pool *pool = fgsim_object_new(FGSIM_POOL, sizeof *pool);
        if (!pool)
                return CUDA_ERROR_OUT_OF_MEMORY;
        pthread_mutex_init(&pool->lock, NULL);
        pool->props = *props;
        pool->gpu = gpu;
        pool->max = props->maxSize;
        pool->is_device = props->location.type == CU_MEM_LOCATION_TYPE_DEVICE;
        pool->reuse[0] = pool->reuse[1] = pool->reuse[2] = 1;
        pool->peer[gpu] = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
        pthread_mutex_lock(&list_lock);
        pool->next = pools;
        fg_store_release(&pools, pool);
        pthread_mutex_unlock(&list_lock);
        *ret = pool;
        return CUDA_SUCCESS;
}

struct fgsim_pool *fgsim_pool_of_gpu(uint32_t gpu, bool current)
{
        struct fgsim_pool *chosen = current ? fg_load_acquire(&currents[gpu]) : NULL;
        if (chosen)
                return chosen;
        if (fg_load_acquire(&defaults[gpu]))
                return defaults[gpu];
        CUmemPoolProps props = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                                .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = fgsim_ordinal_of(gpu)}};
        struct fgsim_pool *made, *none = NULL;
        if (fgsim_pool_new(&props, &made) != CUDA_SUCCESS)
                return NULL;
        made->is_default = true;
        /* Two threads may have made one each: the second stays unused in the list. */
        fg_cas_acq_rel(&defaults[gpu], &none, made);
        return defaults[gpu];
}

/* ---- entries ---- */
CUresult cuMemPoolCreate(CUmemoryPool *ret, const CUmemPoolProps *props)
{
        FGSIM_ENTER(cuMemPoolCreate);
        struct fgsim_pool *pool;
        if (!ret || !props)
                return CUDA_ERROR_INVALID_VALUE;
        CUresult result = fgsim_pool_new(props, &pool);
        if (result == CUDA_SUCCESS)
                *ret = (CUmemoryPool)pool;
        return result;
}

/* What is still allocated keeps its memory until it is freed. */
CUresult cuMemPoolDestroy(CUmemoryPool handle)
{
        FGSIM_ENTER(cuMemPoolDestroy);
        struct fgsim_pool *pool = fgsim_pool_get(handle);
        if (!pool || pool->is_default)
                return CUDA_ERROR_INVALID_VALUE;
        pthread_mutex_lock(&list_lock);
        for (uint32_t gpu = 0; gpu < FGSIM_GPUS_MAX; gpu++)
                if (currents[gpu] == pool)
                        currents[gpu] = NULL;
        pthread_mutex_unlock(&list_lock);
        pthread_mutex_lock(&pool->lock);
        pool->is_destroyed = true;
        set_reserved(pool, pool->used);
        pthread_mutex_unlock(&pool->lock);
        return CUDA_SUCCESS;
}

CUresult cuMemPoolTrimTo(CUmemoryPool handle, size_t keep)
{
        FGSIM_ENTER(cuMemPoolTrimTo);
        struct fgsim_pool *pool = fgsim_pool_get(handle);
        if (!pool)
                return CUDA_ERROR_INVALID_VALUE;
        pthread_mutex_lock(&pool->lock);
        shrink(pool, fgsim_round(keep, FGSIM_UNIT));
        pthread_mutex_unlock(&pool->lock);
        return CUDA_SUCCESS;
}

CUresult cuDeviceGetDefaultMemPool(CUmemoryPool *ret, CUdevice device)
{
        FGSIM_ENTER(cuDeviceGetDefaultMemPool);
        uint32_t gpu;
        if (!ret)
                return CUDA_ERROR_INVALID_VALUE;
        if (!fgsim_gpu_of(device, &gpu))
                return CUDA_ERROR_INVALID_DEVICE;
        *ret = (CUmemoryPool)fgsim_pool_of_gpu(gpu, false);
        return *ret ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult cuDeviceGetMemPool(CUmemoryPool *ret, CUdevice device)
{
        FGSIM_ENTER(cuDeviceGetMemPool);
        uint32_t gpu;
        if (!ret)
                return CUDA_ERROR_INVALID_VALUE;
        if (!fgsim_gpu_of(device, &gpu))
                return CUDA_ERROR_INVALID_DEVICE;
        *ret = (CUmemoryPool)fgsim_pool_of_gpu(gpu, true);
        return *ret ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult cuDeviceSetMemPool(CUdevice device, CUmemoryPool handle)
{
        FGSIM_ENTER(cuDeviceSetMemPool);
        uint32_t gpu;
        struct fgsim_pool *pool = fgsim_pool_get(handle);
        if (!fgsim_gpu_of(device, &gpu))
                return CUDA_ERROR_INVALID_DEVICE;
        if (!pool || (pool->is_device && pool->gpu != gpu) || pool->is_imported)
                return CUDA_ERROR_INVALID_VALUE;
        fg_store_release(&currents[gpu], pool->is_default ? NULL : pool);
        return CUDA_SUCCESS;
}
