/* SPDX-License-Identifier: Apache-2.0
 * What a context is asked and told: device, flags, limits, caches. */
#include "sim/internal.h"

CUresult cuCtxGetDevice(CUdevice *device)
{
        FGSIM_ENTER_FREE(cuCtxGetDevice);
        struct fgsim_context *ctx = fgsim_context_current();
        if (!device)
                return CUDA_ERROR_INVALID_VALUE;
        if (!ctx)
                return CUDA_ERROR_INVALID_CONTEXT;
        *device = fgsim_ordinal_of(ctx->gpu);
        return CUDA_SUCCESS;
}

CUresult cuCtxGetDevice_v2(CUdevice *device, CUcontext handle)
{
        FGSIM_ENTER_FREE(cuCtxGetDevice_v2);
        struct fgsim_context *ctx = fgsim_context_get(handle);
        if (!device)
                return CUDA_ERROR_INVALID_VALUE;
        if (!ctx)
                return CUDA_ERROR_INVALID_CONTEXT;
        *device = fgsim_ordinal_of(ctx->gpu);
        return CUDA_SUCCESS;
}

CUresult cuCtxGetFlags(unsigned int *flags)
{
        FGSIM_ENTER_CONTEXT(cuCtxGetFlags, ctx);
        if (!flags)
                return CUDA_ERROR_INVALID_VALUE;
        *flags = ctx->flags;
        return CUDA_SUCCESS;
}

CUresult cuCtxSetFlags(unsigned int flags)
{
        FGSIM_ENTER_CONTEXT(cuCtxSetFlags, ctx);
        if (flags & ~0xffu)
                return CUDA_ERROR_INVALID_VALUE;
        ctx->flags = flags;
        return CUDA_SUCCESS;
}

CUresult cuCtxGetId(CUcontext handle, unsigned long long *id)
{
        FGSIM_ENTER_FREE(cuCtxGetId);
        struct fgsim_context *ctx = fgsim_context_get(handle);
        if (!ctx)
                return handle ? CUDA_ERROR_CONTEXT_IS_DESTROYED : CUDA_ERROR_INVALID_CONTEXT;
        if (!id)
                return CUDA_ERROR_INVALID_VALUE;
        *id = ctx->id;
        return CUDA_SUCCESS;
}

CUresult cuCtxGetApiVersion(CUcontext handle, unsigned int *version)
{
        FGSIM_ENTER_FREE(cuCtxGetApiVersion);
        struct fgsim_context *ctx = fgsim_context_get(handle);
        if (!version)
                return CUDA_ERROR_INVALID_VALUE;
        if (!ctx)
                return CUDA_ERROR_INVALID_CONTEXT;
        *version = ctx->api_version;
        return CUDA_SUCCESS;
}

CUresult cuCtxSynchronize(void)
{
        FGSIM_ENTER_CONTEXT(cuCtxSynchronize, ctx);
        CUresult result = fgsim_exec_context_sync(ctx);
        fgsim_pool_at_sync(ctx);
        return result;
}

CUresult cuCtxSynchronize_v2(CUcontext handle)
{
        FGSIM_ENTER(cuCtxSynchronize_v2);
        struct fgsim_context *ctx = fgsim_context_get(handle);
        if (!ctx)
                return CUDA_ERROR_INVALID_CONTEXT;
        CUresult result = fgsim_exec_context_sync(ctx);
        fgsim_pool_at_sync(ctx);
        return result;
}

CUresult cuCtxGetStreamPriorityRange(int *least, int *greatest)
{
        FGSIM_ENTER_CONTEXT(cuCtxGetStreamPriorityRange, ctx);
        if (least)
                *least = 0;
        if (greatest)
                *greatest = -5;
        return CUDA_SUCCESS;
}

CUresult cuCtxSetLimit(CUlimit limit, size_t value)
{
        FGSIM_ENTER_CONTEXT(cuCtxSetLimit, ctx);
        if ((unsigned)limit >= sizeof ctx->limit / sizeof ctx->limit[0])
                return CUDA_ERROR_INVALID_VALUE;
        if ((int)limit > CU_LIMIT_PERSISTING_L2_CACHE_SIZE)
                return CUDA_ERROR_UNSUPPORTED_LIMIT;
        ctx->limit[limit] = value;
        return CUDA_SUCCESS;
}

CUresult cuCtxGetLimit(size_t *value, CUlimit limit)
{
        FGSIM_ENTER_CONTEXT(cuCtxGetLimit, ctx);
        if (!value || (unsigned)limit >= sizeof ctx->limit / sizeof ctx->limit[0])
                return CUDA_ERROR_INVALID_VALUE;
        if ((int)limit > CU_LIMIT_PERSISTING_L2_CACHE_SIZE)
                return CUDA_ERROR_UNSUPPORTED_LIMIT;
        *value = ctx->limit[limit];
        return CUDA_SUCCESS;
}

CUresult cuCtxGetCacheConfig(CUfunc_cache *config)
{
        FGSIM_ENTER_CONTEXT(cuCtxGetCacheConfig, ctx);
        if (!config)
                return CUDA_ERROR_INVALID_VALUE;
        *config = ctx->cache;
        return CUDA_SUCCESS;
}

CUresult cuCtxSetCacheConfig(CUfunc_cache config)
{
        FGSIM_ENTER_CONTEXT(cuCtxSetCacheConfig, ctx);
        if ((unsigned)config > CU_FUNC_CACHE_PREFER_EQUAL)
                return CUDA_ERROR_INVALID_VALUE;
        ctx->cache = config;
        return CUDA_SUCCESS;
}

CUresult cuCtxGetSharedMemConfig(CUsharedconfig *config)
{
        FGSIM_ENTER_CONTEXT(cuCtxGetSharedMemConfig, ctx);
        if (!config)
                return CUDA_ERROR_INVALID_VALUE;
        *config = CU_SHARED_MEM_CONFIG_FOUR_BYTE_BANK_SIZE;
        return CUDA_SUCCESS;
}

CUresult cuCtxSetSharedMemConfig(CUsharedconfig config)
{
        FGSIM_ENTER_CONTEXT(cuCtxSetSharedMemConfig, ctx);
        return (unsigned)config > CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

CUresult cuCtxResetPersistingL2Cache(void)
{
        FGSIM_ENTER_CONTEXT(cuCtxResetPersistingL2Cache, ctx);
        return CUDA_SUCCESS;
}

CUresult cuCtxGetExecAffinity(CUexecAffinityParam *param, CUexecAffinityType type)
{
        FGSIM_ENTER_CONTEXT(cuCtxGetExecAffinity, ctx);
        return CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY;
}
