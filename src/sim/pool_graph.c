/* SPDX-License-Identifier: Apache-2.0
 * Memory of graphs. Addresses are given when a node is made; the GPU's memory is taken when the node runs and stays
 * reserved for further graphs until cuDeviceGraphMemTrim. */
#include "sim/internal.h"

#define IN_USE 1u

static struct account {
        pthread_mutex_t lock;
        uint64_t used, used_high, reserved, reserved_high;
} accounts[FGSIM_GPUS_MAX] = {[0 ... FGSIM_GPUS_MAX - 1] = {.lock = PTHREAD_MUTEX_INITIALIZER}};

static uint64_t high(uint64_t mark, uint64_t now)
{
        return now > mark ? now : mark;
}

CUresult fgsim_graphmem_new(struct fgsim_context *ctx, size_t bytes, CUdeviceptr *ret)
{
        if (!bytes)
                return CUDA_ERROR_INVALID_VALUE;
        if (bytes > fgsim_spec.gpu[ctx->gpu].memory)
                return CUDA_ERROR_OUT_OF_MEMORY;
        struct fgsim_range *range = fgsim_arena_new(bytes, 1);
        if (!range)
                return CUDA_ERROR_OUT_OF_MEMORY;
        range->ctx = ctx;
        range->gpu = ctx->gpu;
        range->is_device = true;
        fg_store_release(&range->kind, FGSIM_MEM_GRAPH);
        *ret = range->base;
        return CUDA_SUCCESS;
}

static struct fgsim_range *find(CUdeviceptr ptr)
{
        struct fgsim_range *range = fgsim_arena_find(ptr);
        return range && range->kind == FGSIM_MEM_GRAPH && range->base == ptr ? range : NULL;
}

/* With the account's lock. */
static bool reserve(uint32_t gpu, struct account *a, uint64_t need)
{
        uint64_t missing = need > a->reserved ? need - a->reserved : 0;
        if (missing && !fgsim_gpu_take(gpu, missing) && !(fgsim_pool_squeeze(gpu) && fgsim_gpu_take(gpu, missing)))
                return false;
        a->reserved += missing;
        a->reserved_high = high(a->reserved_high, a->reserved);
        return true;
}

CUresult fgsim_graphmem_use(CUdeviceptr ptr)
{
        struct fgsim_range *range = find(ptr);
        if (!range)
                return CUDA_ERROR_INVALID_VALUE;
        struct account *a = &accounts[range->gpu];
        CUresult result = CUDA_SUCCESS;
        pthread_mutex_lock(&a->lock);
        uint64_t need = a->used + fgsim_round(range->size, FGSIM_UNIT);
        if (range->flags & IN_USE) {
                result = CUDA_ERROR_INVALID_VALUE;
        } else if (!reserve(range->gpu, a, need)) {
                result = CUDA_ERROR_OUT_OF_MEMORY;
        } else {
                range->flags |= IN_USE;
                a->used = need;
                a->used_high = high(a->used_high, need);
        }
        pthread_mutex_unlock(&a->lock);
        return result;
}

void fgsim_graphmem_unuse(CUdeviceptr ptr)
{
        struct fgsim_range *range = find(ptr);
        if (!range)
                return;
        struct account *a = &accounts[range->gpu];
        pthread_mutex_lock(&a->lock);
        if (range->flags & IN_USE)
                a->used -= fgsim_round(range->size, FGSIM_UNIT);
        range->flags &= ~IN_USE;
        pthread_mutex_unlock(&a->lock);
}

void fgsim_graphmem_gone(CUdeviceptr ptr)
{
        struct fgsim_range *range = find(ptr);
        fgsim_graphmem_unuse(ptr);
        if (range)
                fgsim_arena_free(range);
}

bool fgsim_graphmem_in_use(const struct fgsim_range *range)
{
        return fg_load_acquire(&range->flags) & IN_USE;
}

CUresult cuDeviceGraphMemTrim(CUdevice device)
{
        FGSIM_ENTER(cuDeviceGraphMemTrim);
        uint32_t gpu;
        if (!fgsim_gpu_of(device, &gpu))
                return CUDA_ERROR_INVALID_DEVICE;
        struct account *a = &accounts[gpu];
        pthread_mutex_lock(&a->lock);
        fgsim_gpu_give(gpu, a->reserved - a->used);
        a->reserved = a->used;
        pthread_mutex_unlock(&a->lock);
        return CUDA_SUCCESS;
}

CUresult cuDeviceGetGraphMemAttribute(CUdevice device, CUgraphMem_attribute attribute, void *value)
{
        FGSIM_ENTER(cuDeviceGetGraphMemAttribute);
        uint32_t gpu;
        if (!value || (unsigned)attribute > CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH)
                return CUDA_ERROR_INVALID_VALUE;
        if (!fgsim_gpu_of(device, &gpu))
                return CUDA_ERROR_INVALID_DEVICE;
        struct account *a = &accounts[gpu];
        pthread_mutex_lock(&a->lock);
        const uint64_t figures[] = {a->used, a->used_high, a->reserved, a->reserved_high};
        pthread_mutex_unlock(&a->lock);
        *(cuuint64_t *)value = figures[attribute];
        return CUDA_SUCCESS;
}

CUresult cuDeviceSetGraphMemAttribute(CUdevice device, CUgraphMem_attribute attribute, void *value)
{
        FGSIM_ENTER(cuDeviceSetGraphMemAttribute);
        uint32_t gpu;
        if (!value || *(cuuint64_t *)value)
                return CUDA_ERROR_INVALID_VALUE;
        if (!fgsim_gpu_of(device, &gpu))
                return CUDA_ERROR_INVALID_DEVICE;
        struct account *a = &accounts[gpu];
        CUresult result = CUDA_SUCCESS;
        pthread_mutex_lock(&a->lock);
        if (attribute == CU_GRAPH_MEM_ATTR_USED_MEM_HIGH)
                a->used_high = a->used;
        else if (attribute == CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH)
                a->reserved_high = a->reserved;
        else
                result = CUDA_ERROR_INVALID_VALUE;
        pthread_mutex_unlock(&a->lock);
        return result;
}
