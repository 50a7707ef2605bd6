/* SPDX-License-Identifier: Apache-2.0
 * Launches as they were before CUDA 4: shape and parameters are set on the function first. */
#include "sim/launch.h"
#include "sim/stream.h"

#include <string.h>

static CUresult set(CUfunction handle, int offset, const void *value, size_t bytes)
{
        struct fgsim_function *function = fgsim_function_get(handle);

        if (!function)
                return CUDA_ERROR_INVALID_HANDLE;
        if (offset < 0 || bytes > sizeof(function->buffer) || (size_t)offset > sizeof(function->buffer) - bytes ||
            !value)
                return CUDA_ERROR_INVALID_VALUE;
        memcpy(function->buffer + offset, value, bytes);
        return CUDA_SUCCESS;
}

CUresult cuFuncSetBlockShape(CUfunction handle, int x, int y, int z)
{
        struct fgsim_function *function = fgsim_function_get(handle);

        FGSIM_ENTER(cuFuncSetBlockShape);
        if (!function)
                return CUDA_ERROR_INVALID_HANDLE;
        if (x <= 0 || y <= 0 || z <= 0 || (int64_t)x * y * z > 1024)
                return CUDA_ERROR_INVALID_VALUE;
        function->block[0] = (unsigned)x;
        function->block[1] = (unsigned)y;
        function->block[2] = (unsigned)z;
        return CUDA_SUCCESS;
}

CUresult cuFuncSetSharedSize(CUfunction handle, unsigned int bytes)
{
        struct fgsim_function *function = fgsim_function_get(handle);

        FGSIM_ENTER(cuFuncSetSharedSize);
        if (!function)
                return CUDA_ERROR_INVALID_HANDLE;
        function->shared = bytes;
        return CUDA_SUCCESS;
}

CUresult cuParamSetSize(CUfunction handle, unsigned int bytes)
{
        struct fgsim_function *function = fgsim_function_get(handle);

        FGSIM_ENTER(cuParamSetSize);
        if (!function)
                return CUDA_ERROR_INVALID_HANDLE;
        if (bytes > sizeof(function->buffer))
                return CUDA_ERROR_INVALID_VALUE;
        function->buffer_bytes = bytes;
        return CUDA_SUCCESS;
}

CUresult cuParamSeti(CUfunction handle, int offset, unsigned int value)
{
        FGSIM_ENTER(cuParamSeti);
        return set(handle, offset, &value, sizeof(value));
}

CUresult cuParamSetf(CUfunction handle, int offset, float value)
{
        FGSIM_ENTER(cuParamSetf);
        return set(handle, offset, &value, sizeof(value));
}

CUresult cuParamSetv(CUfunction handle, int offset, void *value, unsigned int bytes)
{
        FGSIM_ENTER(cuParamSetv);
        return set(handle, offset, value, bytes);
}

static CUresult launch_grid(CUfunction handle, int width, int height, CUstream stream)
{
        struct fgsim_function *function = fgsim_function_get(handle);
        struct fgsim_launch launch;
        size_t bytes;

        if (!function)
                return CUDA_ERROR_INVALID_HANDLE;
        if (width <= 0 || height <= 0)
                return CUDA_ERROR_INVALID_VALUE;
        bytes = function->buffer_bytes;
        launch = (struct fgsim_launch){
                .grid = {(unsigned)width, (unsigned)height, 1},
                .block = {function->block[0], function->block[1], function->block[2]},
                .shared = function->shared,
        };
        return fgsim_launch(&launch, handle, stream, NULL,
                            (void *[]){CU_LAUNCH_PARAM_BUFFER_POINTER, function->buffer, CU_LAUNCH_PARAM_BUFFER_SIZE,
                                       &bytes, CU_LAUNCH_PARAM_END});
}

CUresult cuLaunch(CUfunction handle)
{
        FGSIM_ENTER(cuLaunch);
        return launch_grid(handle, 1, 1, NULL);
}

CUresult cuLaunchGrid(CUfunction handle, int width, int height)
{
        FGSIM_ENTER(cuLaunchGrid);
        return launch_grid(handle, width, height, NULL);
}

CUresult cuLaunchGridAsync(CUfunction handle, int width, int height, CUstream stream)
{
        FGSIM_ENTER(cuLaunchGridAsync);
        return launch_grid(handle, width, height, stream);
}
