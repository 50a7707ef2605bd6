/* SPDX-License-Identifier: Apache-2.0
 * Primary contexts: one object for each GPU, brought to life by the first retain, laid down by the last release. */
#include "sim/internal.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct fgsim_context *primaries[FGSIM_GPUS_MAX];
static unsigned wanted_flags[FGSIM_GPUS_MAX];

/* With the lock. */
static struct fgsim_context *object_of(uint32_t gpu)
{
        if (primaries[gpu])
                return primaries[gpu];
        struct fgsim_context *ctx = fgsim_object_new(FGSIM_CONTEXT, sizeof *ctx);
        if (!ctx)
                return NULL;
        ctx->gpu = gpu;
        ctx->is_primary = true;
        ctx->next = fg_load_acquire(&fgsim_contexts);
        while (!fg_cas_acq_rel(&fgsim_contexts, &ctx->next, ctx))
                ;
        return primaries[gpu] = ctx;
}

struct fgsim_context *fgsim_context_primary(uint32_t gpu)
{
        pthread_mutex_lock(&lock);
        struct fgsim_context *ctx = object_of(gpu);
        pthread_mutex_unlock(&lock);
        return ctx;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *ret, CUdevice device)
{
        FGSIM_ENTER_FREE(cuDevicePrimaryCtxRetain);
        uint32_t gpu;
        if (!ret)
                return CUDA_ERROR_INVALID_VALUE;
        if (!fgsim_gpu_of(device, &gpu))
                return CUDA_ERROR_INVALID_DEVICE;
        pthread_mutex_lock(&lock);
        struct fgsim_context *ctx = object_of(gpu);
        CUresult result = ctx ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
        if (ctx && !ctx->is_active)
                result = fgsim_context_make(ctx, gpu, wanted_flags[gpu]);
        if (result == CUDA_SUCCESS) {
                ctx->attached++;
                *ret = (CUcontext)ctx;
        }
        pthread_mutex_unlock(&lock);
        return result;
}

static void lay_down(struct fgsim_context *ctx)
{
        ctx->attached = 0;
        fgsim_context_unmake(ctx);
        fgsim_pool_device_reset(ctx->gpu);
}

static CUresult release(CUdevice device)
{
        uint32_t gpu;
        if (!fgsim_gpu_of(device, &gpu))
                return CUDA_ERROR_INVALID_DEVICE;
        pthread_mutex_lock(&lock);
        struct fgsim_context *ctx = primaries[gpu];
        CUresult result = ctx && ctx->attached ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
        if (result == CUDA_SUCCESS && --ctx->attached == 0)
                lay_down(ctx);
        pthread_mutex_unlock(&lock);
        return result;
}

CUresult cuDevicePrimaryCtxRelease(CUdevice device)
{
        FGSIM_ENTER_FREE(cuDevicePrimaryCtxRelease);
        return release(device);
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device)
{
        FGSIM_ENTER_FREE(cuDevicePrimaryCtxRelease_v2);
        return release(device);
}

static CUresult reset(CUdevice device)
{
        uint32_t gpu;
        if (!fgsim_gpu_of(device, &gpu))
                return CUDA_ERROR_INVALID_DEVICE;
        pthread_mutex_lock(&lock);
        if (primaries[gpu] && primaries[gpu]->is_active)
                lay_down(primaries[gpu]);
        pthread_mutex_unlock(&lock);
        return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxReset(CUdevice device)
{
        FGSIM_ENTER_FREE(cuDevicePrimaryCtxReset);
        return reset(device);
}

CUresult cuDevicePrimaryCtxReset_v2(CUdevice device)
{
        FGSIM_ENTER_FREE(cuDevicePrimaryCtxReset_v2);
        return reset(device);
}

static CUresult set_flags(CUdevice device, unsigned flags, bool even_active)
{
        uint32_t gpu;
        if (!fgsim_gpu_of(device, &gpu))
                return CUDA_ERROR_INVALID_DEVICE;
        if (flags & ~0xffu)
                return CUDA_ERROR_INVALID_VALUE;
        pthread_mutex_lock(&lock);
        bool active = primaries[gpu] && primaries[gpu]->is_active;
        if (active && even_active)
                primaries[gpu]->flags = flags;
        if (!active || even_active)
                wanted_flags[gpu] = flags;
        pthread_mutex_unlock(&lock);
        return active && !even_active ? CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE : CUDA_SUCCESS;
}

/* Before 11.0 the flags of an active one could not be changed. */
CUresult cuDevicePrimaryCtxSetFlags(CUdevice device, unsigned int flags)
{
        FGSIM_ENTER_FREE(cuDevicePrimaryCtxSetFlags);
        return set_flags(device, flags, false);
}

CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice device, unsigned int flags)
{
        FGSIM_ENTER_FREE(cuDevicePrimaryCtxSetFlags_v2);
        return set_flags(device, flags, true);
}

CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned int *flags, int *active)
{
        FGSIM_ENTER_FREE(cuDevicePrimaryCtxGetState);
        uint32_t gpu;
        if (!flags || !active)
                return CUDA_ERROR_INVALID_VALUE;
        if (!fgsim_gpu_of(device, &gpu))
                return CUDA_ERROR_INVALID_DEVICE;
        pthread_mutex_lock(&lock);
        *active = primaries[gpu] && primaries[gpu]->is_active;
        *flags = *active ? primaries[gpu]->flags : wanted_flags[gpu];
        pthread_mutex_unlock(&lock);
        return CUDA_SUCCESS;
}
