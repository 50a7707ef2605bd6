/* SPDX-License-Identifier: Apache-2.0
 * What functions say about themselves. */
#include "sim/module.h"

#define FUNCTION(name, handle, function)                                                                               \
        struct fgsim_function *function;                                                                               \
        FGSIM_ENTER(name);                                                                                             \
        function = fgsim_function_get(handle);                                                                         \
        if (!function)                                                                                                 \
        return CUDA_ERROR_INVALID_HANDLE

#define ATTRIBUTES ((int)(sizeof(((struct fgsim_function *)NULL)->attribute) / sizeof(int)))
#define REGISTERS  32

static CUresult get_attribute(const struct fgsim_function *function, CUfunction_attribute attribute, int *ret)
{
        const struct fgsim_gpu_spec *gpu = &fgsim_spec.gpu[function->module->ctx->gpu];

        if (!ret || (int)attribute < 0 || (int)attribute >= ATTRIBUTES)
                return CUDA_ERROR_INVALID_VALUE;
        switch (attribute) {
        case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
                *ret = 1024;
                break;
        case CU_FUNC_ATTRIBUTE_NUM_REGS:
                *ret = REGISTERS;
                break;
        case CU_FUNC_ATTRIBUTE_PTX_VERSION:
        case CU_FUNC_ATTRIBUTE_BINARY_VERSION:
                *ret = (int)(gpu->major * 10 + gpu->minor);
                break;
        case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
                *ret = function->attribute[attribute] ? function->attribute[attribute] : 48 * 1024;
                break;
        default:
                *ret = function->attribute[attribute];
        }
        return CUDA_SUCCESS;
}

static CUresult set_attribute(struct fgsim_function *function, CUfunction_attribute attribute, int value)
{
        if ((int)attribute < CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES || (int)attribute >= ATTRIBUTES)
                return CUDA_ERROR_INVALID_VALUE;
        if (attribute == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES &&
            (value < 0 || (uint32_t)value > fgsim_spec.gpu[function->module->ctx->gpu].shared_per_sm))
                return CUDA_ERROR_INVALID_VALUE;
        function->attribute[attribute] = value;
        return CUDA_SUCCESS;
}

static CUresult param_info(const struct fgsim_function *function, size_t index, size_t *ret_offset, size_t *ret_bytes)
{
        size_t offset = 0;

        if (index >= function->arg_count || !ret_offset)
                return CUDA_ERROR_INVALID_VALUE;
        for (size_t i = 0;; i++) {
                size_t bytes = function->arg[i], to = bytes >= 16 ? 16 : bytes >= 8 ? 8 : bytes >= 4 ? 4 : bytes;
                offset = (offset + to - 1) / to * to;
                if (i == index)
                        break;
                offset += bytes;
        }
        *ret_offset = offset;
        if (ret_bytes)
                *ret_bytes = function->arg[index];
        return CUDA_SUCCESS;
}

CUresult cuFuncGetAttribute(int *ret, CUfunction_attribute attribute, CUfunction handle)
{
        FUNCTION(cuFuncGetAttribute, handle, function);
        return get_attribute(function, attribute, ret);
}

CUresult cuFuncSetAttribute(CUfunction handle, CUfunction_attribute attribute, int value)
{
        FUNCTION(cuFuncSetAttribute, handle, function);
        return set_attribute(function, attribute, value);
}

CUresult cuKernelGetAttribute(int *ret, CUfunction_attribute attribute, CUkernel kernel, CUdevice device)
{
        FUNCTION(cuKernelGetAttribute, (CUfunction)kernel, function);
        return get_attribute(function, attribute, ret);
}

CUresult cuKernelSetAttribute(CUfunction_attribute attribute, int value, CUkernel kernel, CUdevice device)
{
        FUNCTION(cuKernelSetAttribute, (CUfunction)kernel, function);
        return set_attribute(function, attribute, value);
}

CUresult cuKernelSetCacheConfig(CUkernel kernel, CUfunc_cache config, CUdevice device)
{
        FUNCTION(cuKernelSetCacheConfig, (CUfunction)kernel, function);
        return (unsigned)config <= CU_FUNC_CACHE_PREFER_EQUAL ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuFuncSetCacheConfig(CUfunction handle, CUfunc_cache config)
{
        FUNCTION(cuFuncSetCacheConfig, handle, function);
        return (unsigned)config <= CU_FUNC_CACHE_PREFER_EQUAL ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuFuncSetSharedMemConfig(CUfunction handle, CUsharedconfig config)
{
        FUNCTION(cuFuncSetSharedMemConfig, handle, function);
        return CUDA_SUCCESS;
}

CUresult cuFuncGetModule(CUmodule *ret, CUfunction handle)
{
        FUNCTION(cuFuncGetModule, handle, function);
        if (!ret)
                return CUDA_ERROR_INVALID_VALUE;
        *ret = (CUmodule)function->module;
        return CUDA_SUCCESS;
}

CUresult cuFuncGetName(const char **ret, CUfunction handle)
{
        FUNCTION(cuFuncGetName, handle, function);
        if (!ret)
                return CUDA_ERROR_INVALID_VALUE;
        *ret = function->name;
        return CUDA_SUCCESS;
}

CUresult cuFuncGetParamInfo(CUfunction handle, size_t index, size_t *ret_offset, size_t *ret_bytes)
{
        FUNCTION(cuFuncGetParamInfo, handle, function);
        return param_info(function, index, ret_offset, ret_bytes);
}

CUresult cuKernelGetParamInfo(CUkernel kernel, size_t index, size_t *ret_offset, size_t *ret_bytes)
{
        FUNCTION(cuKernelGetParamInfo, (CUfunction)kernel, function);
        return param_info(function, index, ret_offset, ret_bytes);
}

CUresult cuFuncGetParamCount(CUfunction handle, size_t *ret)
{
        FUNCTION(cuFuncGetParamCount, handle, function);
        if (!ret)
                return CUDA_ERROR_INVALID_VALUE;
        *ret = function->arg_count;
        return CUDA_SUCCESS;
}

CUresult cuKernelGetParamCount(CUkernel kernel, size_t *ret)
{
        FUNCTION(cuKernelGetParamCount, (CUfunction)kernel, function);
        if (!ret)
                return CUDA_ERROR_INVALID_VALUE;
        *ret = function->arg_count;
        return CUDA_SUCCESS;
}

CUresult cuFuncLoad(CUfunction handle)
{
        FUNCTION(cuFuncLoad, handle, function);
        return CUDA_SUCCESS;
}

CUresult cuFuncIsLoaded(CUfunctionLoadingState *ret, CUfunction handle)
{
        FUNCTION(cuFuncIsLoaded, handle, function);
        if (!ret)
                return CUDA_ERROR_INVALID_VALUE;
        *ret = CU_FUNCTION_LOADING_STATE_LOADED;
        return CUDA_SUCCESS;
}
