/* SPDX-License-Identifier: Apache-2.0
 * What the entries do where there is no vGPU: refuse, except for what a program asks in order to say so to its user. */
#include "base/atomic.h"
#include "shim/cuda/core.h"

static CUresult closed_uninitialised(void)
{
        return CUDA_ERROR_NOT_INITIALIZED;
}

/* No driver at all: CUDA's runtime understands version 0 as just that. */
static CUresult closed_version(int *version)
{
        if (!version)
                return CUDA_ERROR_INVALID_VALUE;
        *version = 0;
        return CUDA_SUCCESS;
}

static const char *closed_name(CUresult error)
{
        switch (error) {
        case CUDA_SUCCESS:
                return "CUDA_SUCCESS";
        case CUDA_ERROR_NOT_INITIALIZED:
                return "CUDA_ERROR_NOT_INITIALIZED";
        case CUDA_ERROR_NO_DEVICE:
                return "CUDA_ERROR_NO_DEVICE";
        default:
                return NULL;
        }
}

static CUresult closed_error_name(CUresult error, const char **ret)
{
        if (!ret)
                return CUDA_ERROR_INVALID_VALUE;
        *ret = closed_name(error);
        return *ret ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* Another thread may be looking for the driver's meanwhile. */
static void *or_ours(void *real, void *ours)
{
        return real ? real : ours;
}

void *fgc_closed_target(int index)
{
        switch (index) {
        case FGC_cuInit:
        case FGC_cuGetProcAddress:
        case FGC_cuGetProcAddress_v2:
                return fgc_hook_of(index);
        case FGC_cuDriverGetVersion:
                return or_ours(fg_load_relaxed(&fgc_real.cuDriverGetVersion), closed_version);
        case FGC_cuGetErrorName:
                return or_ours(fg_load_relaxed(&fgc_real.cuGetErrorName), closed_error_name);
        case FGC_cuGetErrorString:
                return or_ours(fg_load_relaxed(&fgc_real.cuGetErrorString), closed_error_name);
        default:
                return closed_uninitialised;
        }
}
