/* SPDX-License-Identifier: Apache-2.0
 * What a stream says about itself, and its attributes. */
#include "sim/exec.h"

#define ATTRIBUTES (sizeof(((struct fgsim_stream *)NULL)->attribute) / sizeof(CUstreamAttrValue))

/* `stream`, or return why there is none. */
#define STREAM(name, handle, stream)                                                                                   \
        CUresult stream##_result;                                                                                      \
        struct fgsim_stream *stream;                                                                                   \
        FGSIM_ENTER(name);                                                                                             \
        stream = fgsim_stream_get(handle, &stream##_result);                                                           \
        if (!stream)                                                                                                   \
        return stream##_result

CUresult cuStreamGetPriority(CUstream handle, int *ret)
{
        STREAM(cuStreamGetPriority, handle, stream);
        if (!ret)
                return CUDA_ERROR_INVALID_VALUE;
        *ret = stream->priority;
        return CUDA_SUCCESS;
}

CUresult cuStreamGetFlags(CUstream handle, unsigned int *ret)
{
        STREAM(cuStreamGetFlags, handle, stream);
        if (!ret)
                return CUDA_ERROR_INVALID_VALUE;
        *ret = stream->flags;
        return CUDA_SUCCESS;
}

CUresult cuStreamGetId(CUstream handle, unsigned long long *ret)
{
        STREAM(cuStreamGetId, handle, stream);
        if (!ret)
                return CUDA_ERROR_INVALID_VALUE;
        *ret = stream->id;
        return CUDA_SUCCESS;
}

CUresult cuStreamGetDevice(CUstream handle, CUdevice *ret)
{
        STREAM(cuStreamGetDevice, handle, stream);
        if (!ret)
                return CUDA_ERROR_INVALID_VALUE;
        *ret = fgsim_ordinal_of(stream->home->ctx->gpu);
        return CUDA_SUCCESS;
}

CUresult cuStreamGetCtx(CUstream handle, CUcontext *ret)
{
        STREAM(cuStreamGetCtx, handle, stream);
        if (!ret)
                return CUDA_ERROR_INVALID_VALUE;
        *ret = (CUcontext)stream->home->ctx;
        return CUDA_SUCCESS;
}

CUresult cuStreamGetCtx_v2(CUstream handle, CUcontext *ret, CUgreenCtx *ret_green)
{
        STREAM(cuStreamGetCtx_v2, handle, stream);
        if (ret)
                *ret = (CUcontext)stream->home->ctx;
        if (ret_green)
                *ret_green = NULL;
        return CUDA_SUCCESS;
}

CUresult cuStreamCopyAttributes(CUstream to, CUstream from)
{
        STREAM(cuStreamCopyAttributes, to, target);
        STREAM(cuStreamCopyAttributes, from, source);
        for (size_t i = 0; i < ATTRIBUTES; i++)
                target->attribute[i] = source->attribute[i];
        return CUDA_SUCCESS;
}

/* Priority is a stream's own; the others are kept and change nothing here. */
CUresult cuStreamGetAttribute(CUstream handle, CUstreamAttrID id, CUstreamAttrValue *ret)
{
        STREAM(cuStreamGetAttribute, handle, stream);
        if (!ret || (size_t)id >= ATTRIBUTES)
                return CUDA_ERROR_INVALID_VALUE;
        *ret = stream->attribute[id];
        if (id == CU_LAUNCH_ATTRIBUTE_PRIORITY)
                ret->priority = stream->priority;
        return CUDA_SUCCESS;
}

CUresult cuStreamSetAttribute(CUstream handle, CUstreamAttrID id, const CUstreamAttrValue *value)
{
        STREAM(cuStreamSetAttribute, handle, stream);
        if (!value || (size_t)id >= ATTRIBUTES)
                return CUDA_ERROR_INVALID_VALUE;
        if (id == CU_LAUNCH_ATTRIBUTE_PRIORITY)
                stream->priority = value->priority;
        stream->attribute[id] = *value;
        return CUDA_SUCCESS;
}

/* Managed memory is visible everywhere here, whatever it is attached to. */
CUresult cuStreamAttachMemAsync(CUstream handle, CUdeviceptr ptr, size_t bytes, unsigned int flags)
{
        const struct fgsim_range *range;
        STREAM(cuStreamAttachMemAsync, handle, stream);
        range = fgsim_range_find(ptr);
        if (!range || flags == 0 || (flags & (flags - 1)) || flags > CU_MEM_ATTACH_SINGLE)
                return CUDA_ERROR_INVALID_VALUE;
        if (flags == CU_MEM_ATTACH_SINGLE && stream == stream->home->legacy)
                return CUDA_ERROR_INVALID_VALUE;
        return CUDA_SUCCESS;
}
