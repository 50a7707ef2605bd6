/* SPDX-License-Identifier: Apache-2.0
 * cuMemAlloc and its kin: device and managed memory, pitched rows, figures. Each allocation takes its bytes, rounded up
 * to 512, from the GPU. Managed memory counts as if it lay on the GPU all the time. */
#include "sim/internal.h"

struct fgsim_range *fgsim_range_find(CUdeviceptr address)
{
        struct fgsim_range *range = fgsim_arena_find(address);
        return range ? range : fgsim_place_find(address);
}

CUresult fgsim_memory_new(struct fgsim_context *ctx, size_t bytes, enum fgsim_kind kind, struct fgsim_range **ret)
{
        uint64_t charged = fgsim_round(bytes, FGSIM_UNIT);
        if (bytes > fgsim_spec.gpu[ctx->gpu].memory)
                return CUDA_ERROR_OUT_OF_MEMORY;
        if (!fgsim_gpu_take(ctx->gpu, charged) && !(fgsim_pool_squeeze(ctx->gpu) && fgsim_gpu_take(ctx->gpu, charged)))
                return CUDA_ERROR_OUT_OF_MEMORY;
        struct fgsim_range *range = fgsim_arena_new(bytes, 1);
        if (!range) {
                fgsim_gpu_give(ctx->gpu, charged);
                return CUDA_ERROR_OUT_OF_MEMORY;
        }
        range->charged = charged;
        range->ctx = ctx;
        range->gpu = ctx->gpu;
        range->is_device = true;
        fg_store_release(&range->kind, (uint8_t)kind);
        *ret = range;
        return CUDA_SUCCESS;
}

void fgsim_memory_free(struct fgsim_range *range)
{
        uint64_t charged = range->charged;
        uint32_t gpu = range->gpu;
        fgsim_arena_free(range);
        if (charged)
                fgsim_gpu_give(gpu, charged);
}

static CUresult allocate(struct fgsim_context *ctx, size_t bytes, enum fgsim_kind kind, CUdeviceptr *ret)
{
        struct fgsim_range *range;
        if (!ret || !bytes)
                return CUDA_ERROR_INVALID_VALUE;
        FGSIM_PERMITTED();
        CUresult result = fgsim_memory_new(ctx, bytes, kind, &range);
        if (result == CUDA_SUCCESS)
                *ret = range->base;
        return result;
}

CUresult cuMemAlloc_v2(CUdeviceptr *ret, size_t bytes)
{
        FGSIM_ENTER_CONTEXT(cuMemAlloc_v2, ctx);
        return allocate(ctx, bytes, FGSIM_MEM_DEVICE, ret);
}

CUresult cuMemAllocManaged(CUdeviceptr *ret, size_t bytes, unsigned int flags)
{
        FGSIM_ENTER_CONTEXT(cuMemAllocManaged, ctx);
        if (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST && flags != CU_MEM_ATTACH_SINGLE)
                return CUDA_ERROR_INVALID_VALUE;
        return allocate(ctx, bytes, FGSIM_MEM_MANAGED, ret);
}

/* Rows start at multiples of the texture alignment. */
CUresult cuMemAllocPitch_v2(CUdeviceptr *ret, size_t *ret_pitch, size_t width, size_t height, unsigned int element)
{
        FGSIM_ENTER_CONTEXT(cuMemAllocPitch_v2, ctx);
        size_t bytes, pitch = fgsim_round(width, 512);
        if (!ret || !ret_pitch || !width || !height || (element != 4 && element != 8 && element != 16) || pitch < width)
                return CUDA_ERROR_INVALID_VALUE;
        if (__builtin_mul_overflow(pitch, height, &bytes))
                return CUDA_ERROR_OUT_OF_MEMORY;
        CUresult result = allocate(ctx, bytes, FGSIM_MEM_DEVICE, ret);
        if (result == CUDA_SUCCESS)
                *ret_pitch = pitch;
        return result;
}

/* Whoever sets it first frees it. */
static bool claim(struct fgsim_range *range)
{
        return !__atomic_exchange_n(&range->is_freed, true, __ATOMIC_ACQ_REL);
}

static CUresult release(struct fgsim_range *range)
{
        switch (range->kind) {
        case FGSIM_MEM_DEVICE:
        case FGSIM_MEM_MANAGED:
                if (!claim(range))
                        return CUDA_ERROR_INVALID_VALUE;
                fgsim_exec_drain(range->ctx);
                fgsim_memory_free(range);
                return CUDA_SUCCESS;
        case FGSIM_MEM_ASYNC:
                if (!claim(range))
                        return CUDA_ERROR_INVALID_VALUE;
                fgsim_exec_drain(range->ctx);
                fgsim_pool_free(range);
                return CUDA_SUCCESS;
        case FGSIM_MEM_GRAPH:
                fgsim_exec_drain(range->ctx);
                if (!fgsim_graphmem_in_use(range))
                        return CUDA_ERROR_INVALID_VALUE;
                fgsim_graphmem_unuse(range->base);
                return CUDA_SUCCESS;
        case FGSIM_MEM_IPC:
                if (!(range->flags & FGSIM_FREED_AS_MEMORY))
                        return CUDA_ERROR_INVALID_VALUE;
                fgsim_exec_drain(range->ctx);
                return fgsim_ipc_close(range->base) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
        case FGSIM_MEM_EXTERNAL:
                fgsim_exec_drain(range->ctx);
                fgsim_external_unmap(range);
                return CUDA_SUCCESS;
        default:
                return CUDA_ERROR_INVALID_VALUE;
        }
}

CUresult cuMemFree_v2(CUdeviceptr address)
{
        FGSIM_ENTER_CONTEXT(cuMemFree_v2, ctx);
        if (!address)
                return CUDA_SUCCESS;
        FGSIM_PERMITTED();
        struct fgsim_range *range = fgsim_range_find(address);
        return range && range->base == address ? release(range) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemGetInfo_v2(size_t *ret_free, size_t *ret_total)
{
        FGSIM_ENTER_CONTEXT(cuMemGetInfo_v2, ctx);
        uint64_t total = fgsim_spec.gpu[ctx->gpu].memory;
        if (ret_free)
                *ret_free = total - fgsim_gpu_used(ctx->gpu);
        if (ret_total)
                *ret_total = total;
        return CUDA_SUCCESS;
}

CUresult cuMemGetInfo(unsigned int *ret_free, unsigned int *ret_total)
{
        size_t left, total;
        CUresult result = cuMemGetInfo_v2(&left, &total);
        if (result == CUDA_SUCCESS && ret_free)
                *ret_free = left < UINT32_MAX ? (unsigned)left : UINT32_MAX;
        if (result == CUDA_SUCCESS && ret_total)
                *ret_total = total < UINT32_MAX ? (unsigned)total : UINT32_MAX;
        return result;
}

CUresult cuMemGetAddressRange_v2(CUdeviceptr *base, size_t *size, CUdeviceptr address)
{
        FGSIM_ENTER_CONTEXT(cuMemGetAddressRange_v2, ctx);
        struct fgsim_range *range = fgsim_range_find(address);
        if (!range || range->kind == FGSIM_MEM_REGISTERED)
                return CUDA_ERROR_NOT_FOUND;
        if (base)
                *base = range->base;
        if (size)
                *size = range->size;
        return CUDA_SUCCESS;
}

/* ---- modules' globals ---- */
CUresult fgsim_memory_take(struct fgsim_context *ctx, size_t bytes, CUdeviceptr *ret)
{
        struct fgsim_range *range;
        CUresult result = bytes ? fgsim_memory_new(ctx, bytes, FGSIM_MEM_MODULE, &range) : CUDA_ERROR_INVALID_VALUE;
        if (result == CUDA_SUCCESS)
                *ret = range->base;
        return result;
}

void fgsim_memory_drop(CUdeviceptr address)
{
        struct fgsim_range *range = fgsim_arena_find(address);
        if (range && range->base == address && range->kind == FGSIM_MEM_MODULE && claim(range))
                fgsim_memory_free(range);
}

/* ---- a context goes ---- */
static void free_in_arena(struct fgsim_range *range, void *ctx)
{
        if (range->ctx != ctx || !claim(range))
                return;
        if (range->kind == FGSIM_MEM_ASYNC)
                fgsim_pool_free(range);
        else if (range->kind != FGSIM_MEM_GRAPH)
                fgsim_memory_free(range);
}

static void free_in_places(struct fgsim_range *range, void *ctx)
{
        if (range->ctx != ctx)
                return;
        if (range->kind == FGSIM_MEM_IPC || range->kind == FGSIM_MEM_EXTERNAL)
                fgsim_ipc_release(range);
        else if (range->kind == FGSIM_MEM_REGISTERED)
                fgsim_place_remove(range);
}

void fgsim_memory_context_gone(struct fgsim_context *ctx)
{
        fgsim_arena_each(free_in_arena, ctx);
        fgsim_place_each(free_in_places, ctx);
}
