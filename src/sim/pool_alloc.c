/* SPDX-License-Identifier: Apache-2.0
 * Stream-ordered allocation. Memory is there when the call returns; a free takes effect when its stream has come to it,
 * but an allocation of the same size in the same stream may have the memory before, as it can only be used after. */
#include "sim/pool.h"

#include <stdlib.h>

#define THREADS_OWN ((CUstream)2)

static CUstream per_thread(CUstream stream)
{
        return stream ? stream : THREADS_OWN;
}

/* ---- reuse within a stream ---- */
static struct fgsim_range *reuse(struct fgsim_pool *pool, struct fgsim_context *ctx, uint64_t bytes, CUstream stream)
{
        struct fgsim_range *range = NULL;
        /* Handle 2 is another stream in each thread. */
        if (stream == THREADS_OWN || !fg_load_relaxed(&pool->pending))
                return NULL;
        pthread_mutex_lock(&pool->lock);
        for (struct fgsim_pending **at = &pool->pending; *at && !range; at = &(*at)->next) {
                struct fgsim_pending *p = *at;
                if (p->stream != stream || p->ctx != ctx ||
                    fgsim_round(p->range->size, FGSIM_UNIT) != fgsim_round(bytes, FGSIM_UNIT))
                        continue;
                range = p->range;
                p->reused = true;
                *at = p->next;
                break;
        }
        pthread_mutex_unlock(&pool->lock);
        if (range) {
                range->size = bytes;
                fg_store_release(&range->is_freed, false);
        }
        return range;
}

static CUresult new_range(struct fgsim_pool *pool, struct fgsim_context *ctx, uint64_t bytes, struct fgsim_range **ret)
{
        uint64_t rounded = fgsim_round(bytes, FGSIM_UNIT);
        CUresult result = fgsim_pool_take(pool, rounded);
        if (result != CUDA_SUCCESS) {
                /* What streams are about to free may be enough. */
                fgsim_exec_drain(ctx);
                result = fgsim_pool_take(pool, rounded);
        }
        if (result != CUDA_SUCCESS)
                return result;
        struct fgsim_range *range = fgsim_arena_new(bytes, 1);
        if (!range) {
                fgsim_pool_give(pool, rounded);
                return CUDA_ERROR_OUT_OF_MEMORY;
        }
        range->ctx = ctx;
        range->gpu = pool->gpu;
        range->owner = pool;
        range->is_device = pool->is_device;
        fg_store_release(&range->kind, FGSIM_MEM_ASYNC);
        *ret = range;
        return CUDA_SUCCESS;
}

static CUresult allocate(struct fgsim_pool *pool, CUdeviceptr *ret, size_t bytes, CUstream stream)
{
        struct fgsim_context *ctx;
        if (!ret || !bytes)
                return CUDA_ERROR_INVALID_VALUE;
        CUresult result = fgsim_exec_stream_check(stream, &ctx);
        if (result != CUDA_SUCCESS)
                return result;
        if (fgsim_exec_stream_is_capturing(stream))
                return fgsim_exec_capture_alloc(stream, bytes, ret);
        if (!pool)
                pool = fgsim_pool_of_gpu(ctx->gpu, true);
        if (!pool || pool->is_imported)
                return pool ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_OUT_OF_MEMORY;
        if (pool->is_device && bytes > fgsim_spec.gpu[pool->gpu].memory)
                return CUDA_ERROR_OUT_OF_MEMORY;
        struct fgsim_range *range = reuse(pool, ctx, bytes, stream);
        if (!range)
                result = new_range(pool, ctx, bytes, &range);
        if (result == CUDA_SUCCESS)
                *ret = range->base;
        return result;
}

CUresult cuMemAllocAsync(CUdeviceptr *ret, size_t bytes, CUstream stream)
{
        FGSIM_ENTER_CONTEXT(cuMemAllocAsync, ctx);
        return allocate(NULL, ret, bytes, stream);
}

CUresult cuMemAllocAsync_ptsz(CUdeviceptr *ret, size_t bytes, CUstream stream)
{
        FGSIM_ENTER_CONTEXT(cuMemAllocAsync_ptsz, ctx);
        return allocate(NULL, ret, bytes, per_thread(stream));
}

CUresult cuMemAllocFromPoolAsync(CUdeviceptr *ret, size_t bytes, CUmemoryPool handle, CUstream stream)
{
        FGSIM_ENTER_CONTEXT(cuMemAllocFromPoolAsync, ctx);
        struct fgsim_pool *pool = fgsim_pool_get(handle);
        return pool ? allocate(pool, ret, bytes, stream) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemAllocFromPoolAsync_ptsz(CUdeviceptr *ret, size_t bytes, CUmemoryPool handle, CUstream stream)
{
        FGSIM_ENTER_CONTEXT(cuMemAllocFromPoolAsync_ptsz, ctx);
        struct fgsim_pool *pool = fgsim_pool_get(handle);
        return pool ? allocate(pool, ret, bytes, per_thread(stream)) : CUDA_ERROR_INVALID_VALUE;
}

/* ---- frees ---- */
void fgsim_pool_free(struct fgsim_range *range)
{
        struct fgsim_pool *pool = range->owner;
        uint64_t bytes = fgsim_round(range->size, FGSIM_UNIT);
        fgsim_arena_free(range);
        fgsim_pool_give(pool, bytes);
}

static void free_now(struct fgsim_range *range)
{
        if (range->kind == FGSIM_MEM_ASYNC)
                fgsim_pool_free(range);
        else
                fgsim_memory_free(range);
}

/* With the pool's lock: takes it off the list. */
static void forget(struct fgsim_pool *pool, struct fgsim_pending *p)
{
        struct fgsim_pending **at = &pool->pending;
        while (*at && *at != p)
                at = &(*at)->next;
        if (*at)
                fg_store_relaxed(at, p->next);
}

/* The stream has come to the free. */
static void arrive(void *arg)
{
        struct fgsim_pending *p = arg;
        bool reused = false;
        if (p->pool) {
                pthread_mutex_lock(&p->pool->lock);
                reused = p->reused;
                if (!reused)
                        forget(p->pool, p);
                pthread_mutex_unlock(&p->pool->lock);
        }
        if (!reused)
                free_now(p->range);
        free(p);
}

static CUresult free_in_order(struct fgsim_range *range, struct fgsim_context *ctx, CUstream stream)
{
        if (__atomic_exchange_n(&range->is_freed, true, __ATOMIC_ACQ_REL))
                return CUDA_ERROR_INVALID_VALUE;
        struct fgsim_pending *p = malloc(sizeof *p);
        if (!p) {
                fgsim_exec_drain(ctx);
                free_now(range);
                return CUDA_SUCCESS;
        }
        struct fgsim_pool *pool = range->kind == FGSIM_MEM_ASYNC ? range->owner : NULL;
        *p = (struct fgsim_pending){.range = range, .pool = pool, .ctx = ctx, .stream = stream};
        if (pool) {
                pthread_mutex_lock(&pool->lock);
                p->next = pool->pending;
                fg_store_relaxed(&pool->pending, p);
                pthread_mutex_unlock(&pool->lock);
        }
        CUresult result = fgsim_exec_stream_call(stream, arrive, p);
        if (result != CUDA_SUCCESS)
                arrive(p);
        return result;
}

static CUresult free_async(CUdeviceptr address, CUstream stream)
{
        struct fgsim_context *ctx;
        CUresult result = fgsim_exec_stream_check(stream, &ctx);
        if (result != CUDA_SUCCESS)
                return result;
        if (fgsim_exec_stream_is_capturing(stream))
                return fgsim_exec_capture_free(stream, address);
        if (!address)
                return CUDA_SUCCESS;
        struct fgsim_range *range = fgsim_range_find(address);
        if (!range || range->base != address)
                return CUDA_ERROR_INVALID_VALUE;
        switch (range->kind) {
        case FGSIM_MEM_IPC:
                if (!(range->flags & FGSIM_FREED_AS_MEMORY))
                        return CUDA_ERROR_INVALID_VALUE;
                fgsim_exec_drain(ctx);
                return fgsim_ipc_close(address) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
        case FGSIM_MEM_ASYNC:
        case FGSIM_MEM_DEVICE:
        case FGSIM_MEM_MANAGED:
                return free_in_order(range, ctx, stream);
        case FGSIM_MEM_GRAPH:
                fgsim_exec_drain(range->ctx);
                if (!fgsim_graphmem_in_use(range))
                        return CUDA_ERROR_INVALID_VALUE;
                fgsim_graphmem_unuse(address);
                return CUDA_SUCCESS;
        default:
                return CUDA_ERROR_INVALID_VALUE;
        }
}

CUresult cuMemFreeAsync(CUdeviceptr address, CUstream stream)
{
        FGSIM_ENTER_CONTEXT(cuMemFreeAsync, ctx);
        return free_async(address, stream);
}

CUresult cuMemFreeAsync_ptsz(CUdeviceptr address, CUstream stream)
{
        FGSIM_ENTER_CONTEXT(cuMemFreeAsync_ptsz, ctx);
        return free_async(address, per_thread(stream));
}
