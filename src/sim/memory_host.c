/* SPDX-License-Identifier: Apache-2.0
 * Pinned host memory: allocated here, or the program's own, registered. Costs the GPU nothing. */
#include "sim/internal.h"

#include <errno.h>

#define ALLOC_FLAGS (CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP | CU_MEMHOSTALLOC_WRITECOMBINED)
#define REGISTER_FLAGS                                                                                                 \
        (CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP | CU_MEMHOSTREGISTER_IOMEMORY |                    \
         CU_MEMHOSTREGISTER_READ_ONLY)

static CUresult allocate(struct fgsim_context *ctx, void **ret, size_t bytes, unsigned flags)
{
        if (!ret || !bytes || (flags & ~(unsigned)ALLOC_FLAGS))
                return CUDA_ERROR_INVALID_VALUE;
        FGSIM_PERMITTED();
        struct fgsim_range *range = fgsim_arena_new(bytes, 1);
        if (!range)
                return CUDA_ERROR_OUT_OF_MEMORY;
        range->ctx = ctx;
        range->gpu = ctx->gpu;
        range->flags = flags | CU_MEMHOSTALLOC_DEVICEMAP;
        fg_store_release(&range->kind, FGSIM_MEM_HOST);
        *ret = (void *)range->base;
        return CUDA_SUCCESS;
}

CUresult cuMemHostAlloc(void **ret, size_t bytes, unsigned int flags)
{
        FGSIM_ENTER_CONTEXT(cuMemHostAlloc, ctx);
        return allocate(ctx, ret, bytes, flags);
}

CUresult cuMemAllocHost_v2(void **ret, size_t bytes)
{
        FGSIM_ENTER_CONTEXT(cuMemAllocHost_v2, ctx);
        return allocate(ctx, ret, bytes, 0);
}

CUresult cuMemAllocHost(void **ret, unsigned int bytes)
{
        return cuMemAllocHost_v2(ret, bytes);
}

CUresult cuMemFreeHost(void *p)
{
        FGSIM_ENTER_CONTEXT(cuMemFreeHost, ctx);
        if (!p)
                return CUDA_SUCCESS;
        FGSIM_PERMITTED();
        struct fgsim_range *range = fgsim_arena_find((uint64_t)p);
        if (!range || range->kind != FGSIM_MEM_HOST || range->base != (uint64_t)p ||
            __atomic_exchange_n(&range->is_freed, true, __ATOMIC_ACQ_REL))
                return CUDA_ERROR_INVALID_VALUE;
        fgsim_exec_drain(range->ctx);
        fgsim_memory_free(range);
        return CUDA_SUCCESS;
}

static CUresult register_memory(struct fgsim_context *ctx, void *p, size_t bytes, unsigned flags)
{
        if (!p || !bytes || (flags & ~(unsigned)REGISTER_FLAGS) || (uint64_t)p + bytes < bytes)
                return CUDA_ERROR_INVALID_VALUE;
        struct fgsim_range *made, range = {.base = (uint64_t)p,
                                           .size = bytes,
                                           .ctx = ctx,
                                           .gpu = ctx->gpu,
                                           .flags = flags,
                                           .kind = FGSIM_MEM_REGISTERED};
        if (fgsim_arena_find((uint64_t)p))
                return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
        int r = fgsim_place_add(&range, &made);
        return r == 0         ? CUDA_SUCCESS
               : r == -EEXIST ? CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED
                              : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult cuMemHostRegister_v2(void *p, size_t bytes, unsigned int flags)
{
        FGSIM_ENTER_CONTEXT(cuMemHostRegister_v2, ctx);
        return register_memory(ctx, p, bytes, flags);
}

CUresult cuMemHostRegister(void *p, size_t bytes, unsigned int flags)
{
        FGSIM_ENTER_CONTEXT(cuMemHostRegister, ctx);
        return register_memory(ctx, p, bytes, flags);
}

CUresult cuMemHostUnregister(void *p)
{
        FGSIM_ENTER_CONTEXT(cuMemHostUnregister, ctx);
        struct fgsim_range *range = fgsim_place_find((uint64_t)p);
        if (!p || !range || range->kind != FGSIM_MEM_REGISTERED || range->base != (uint64_t)p)
                return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
        fgsim_exec_drain(range->ctx);
        fgsim_place_remove(range);
        return CUDA_SUCCESS;
}

static struct fgsim_range *pinned(const void *p)
{
        struct fgsim_range *range = fgsim_range_find((uint64_t)p);
        return range && (range->kind == FGSIM_MEM_HOST || range->kind == FGSIM_MEM_REGISTERED) ? range : NULL;
}

CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr *ret, void *p, unsigned int flags)
{
        FGSIM_ENTER_CONTEXT(cuMemHostGetDevicePointer_v2, ctx);
        if (!ret || flags || !p || !pinned(p))
                return CUDA_ERROR_INVALID_VALUE;
        *ret = (CUdeviceptr)p;
        return CUDA_SUCCESS;
}

CUresult cuMemHostGetFlags(unsigned int *flags, void *p)
{
        FGSIM_ENTER_CONTEXT(cuMemHostGetFlags, ctx);
        struct fgsim_range *range = p ? pinned(p) : NULL;
        if (!flags || !range || range->kind != FGSIM_MEM_HOST)
                return CUDA_ERROR_INVALID_VALUE;
        *flags = range->flags;
        return CUDA_SUCCESS;
}
