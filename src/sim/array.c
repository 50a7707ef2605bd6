/* SPDX-License-Identifier: Apache-2.0
 * CUDA arrays: 1D, 2D, 3D, layered, cube maps. Contents are rows after rows, without padding: what an array costs is
 * its bytes, rounded up to 512. (Real GPUs pad to tiles.) */
#include "sim/array.h"

#include <string.h>

/* Bytes of one channel; 0: a format that the simulator does not have (planes, packed video). */
static uint32_t channel_bytes(CUarray_format format)
{
        switch ((int)format) {
        case CU_AD_FORMAT_UNSIGNED_INT8:
        case CU_AD_FORMAT_SIGNED_INT8:
        case CU_AD_FORMAT_UNORM_INT8X1:
        case CU_AD_FORMAT_UNORM_INT8X2:
        case CU_AD_FORMAT_UNORM_INT8X4:
        case CU_AD_FORMAT_SNORM_INT8X1:
        case CU_AD_FORMAT_SNORM_INT8X2:
        case CU_AD_FORMAT_SNORM_INT8X4:
                return 1;
        case CU_AD_FORMAT_UNSIGNED_INT16:
        case CU_AD_FORMAT_SIGNED_INT16:
        case CU_AD_FORMAT_HALF:
        case CU_AD_FORMAT_UNORM_INT16X1:
        case CU_AD_FORMAT_UNORM_INT16X2:
        case CU_AD_FORMAT_UNORM_INT16X4:
        case CU_AD_FORMAT_SNORM_INT16X1:
        case CU_AD_FORMAT_SNORM_INT16X2:
        case CU_AD_FORMAT_SNORM_INT16X4:
                return 2;
        case CU_AD_FORMAT_UNSIGNED_INT32:
        case CU_AD_FORMAT_SIGNED_INT32:
        case CU_AD_FORMAT_FLOAT:
                return 4;
        default:
                return 0;
        }
}

/* Block-compressed: bytes of a block of 4 by 4 texels, else 0. */
static uint32_t block_bytes(CUarray_format format)
{
        if ((int)format < CU_AD_FORMAT_BC1_UNORM || (int)format > CU_AD_FORMAT_BC7_UNORM_SRGB)
                return 0;
        bool small = format == CU_AD_FORMAT_BC1_UNORM || format == CU_AD_FORMAT_BC1_UNORM_SRGB ||
                     format == CU_AD_FORMAT_BC4_UNORM || format == CU_AD_FORMAT_BC4_SNORM;
        return small ? 8 : 16;
}

static bool good_shape(const CUDA_ARRAY3D_DESCRIPTOR *d)
{
        bool layered = d->Flags & CUDA_ARRAY3D_LAYERED, cube = d->Flags & CUDA_ARRAY3D_CUBEMAP;
        if (!d->Width || d->Width > 1u << 28 || d->Height > 1u << 20 || d->Depth > 1u << 20 || (d->Flags & ~0x1ffu))
                return false;
        if (d->NumChannels != 1 && d->NumChannels != 2 && d->NumChannels != 4)
                return false;
        if (d->Flags & (CUDA_ARRAY3D_SPARSE | CUDA_ARRAY3D_DEFERRED_MAPPING | CUDA_ARRAY3D_VIDEO_ENCODE_DECODE))
                return false;
        if (cube && (d->Width != d->Height || (layered ? d->Depth == 0 || d->Depth % 6 : d->Depth != 6)))
                return false;
        if (layered && !d->Depth)
                return false;
        return layered || cube || !d->Depth || d->Height;
}

CUresult fgsim_array_layout(const CUDA_ARRAY3D_DESCRIPTOR *d, struct fgsim_array *a)
{
        uint32_t block = block_bytes(d->Format), channel = channel_bytes(d->Format);
        if (!good_shape(d) || (!block && !channel))
                return CUDA_ERROR_INVALID_VALUE;
        size_t width = block ? (d->Width + 3) / 4 : d->Width, height = d->Height ? d->Height : 1;
        a->desc = *d;
        a->element = block ? block : channel * d->NumChannels;
        a->rows = block ? (height + 3) / 4 : height;
        a->layers = d->Depth ? d->Depth : 1;
        a->pitch = width * a->element;
        if (__builtin_mul_overflow(a->pitch, a->rows, &a->slice) ||
            __builtin_mul_overflow(a->slice, a->layers, &a->bytes))
                return CUDA_ERROR_INVALID_VALUE;
        return CUDA_SUCCESS;
}

static CUresult create(CUarray *ret, const CUDA_ARRAY3D_DESCRIPTOR *desc, struct fgsim_context *ctx)
{
        struct fgsim_array layout = {0};
        struct fgsim_range *range;
        CUresult result = fgsim_array_layout(desc, &layout);
        if (result != CUDA_SUCCESS)
                return result;
        FGSIM_PERMITTED();
        struct fgsim_array *a = fgsim_object_new(FGSIM_ARRAY, sizeof *a);
        result = a ? fgsim_memory_new(ctx, layout.bytes, FGSIM_MEM_ARRAY, &range) : CUDA_ERROR_OUT_OF_MEMORY;
        if (result != CUDA_SUCCESS) {
                fgsim_object_free(a);
                return result;
        }
        layout.object = a->object;
        *a = layout;
        a->gpu = ctx->gpu;
        a->ctx = ctx;
        a->charged = range->charged;
        a->data = (unsigned char *)range->base;
        *ret = (CUarray)a;
        return CUDA_SUCCESS;
}

CUresult cuArray3DCreate_v2(CUarray *ret, const CUDA_ARRAY3D_DESCRIPTOR *desc)
{
        FGSIM_ENTER_CONTEXT(cuArray3DCreate_v2, ctx);
        return ret && desc ? create(ret, desc, ctx) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuArray3DCreate(CUarray *ret, const CUDA_ARRAY3D_DESCRIPTOR_v1 *desc)
{
        FGSIM_ENTER_CONTEXT(cuArray3DCreate, ctx);
        if (!ret || !desc)
                return CUDA_ERROR_INVALID_VALUE;
        CUDA_ARRAY3D_DESCRIPTOR wide = {.Width = desc->Width,
                                        .Height = desc->Height,
                                        .Depth = desc->Depth,
                                        .Format = desc->Format,
                                        .NumChannels = desc->NumChannels,
                                        .Flags = desc->Flags};
        return create(ret, &wide, ctx);
}

CUresult cuArrayCreate_v2(CUarray *ret, const CUDA_ARRAY_DESCRIPTOR *desc)
{
        FGSIM_ENTER_CONTEXT(cuArrayCreate_v2, ctx);
        if (!ret || !desc)
                return CUDA_ERROR_INVALID_VALUE;
        CUDA_ARRAY3D_DESCRIPTOR wide = {
                .Width = desc->Width, .Height = desc->Height, .Format = desc->Format, .NumChannels = desc->NumChannels};
        return create(ret, &wide, ctx);
}

CUresult cuArrayCreate(CUarray *ret, const CUDA_ARRAY_DESCRIPTOR_v1 *desc)
{
        FGSIM_ENTER_CONTEXT(cuArrayCreate, ctx);
        if (!ret || !desc)
                return CUDA_ERROR_INVALID_VALUE;
        CUDA_ARRAY3D_DESCRIPTOR wide = {
                .Width = desc->Width, .Height = desc->Height, .Format = desc->Format, .NumChannels = desc->NumChannels};
        return create(ret, &wide, ctx);
}

/* With what it lies in, unless it is part of something. */
void fgsim_array_destroy(struct fgsim_array *a)
{
        struct fgsim_range *range = a->owner ? NULL : fgsim_arena_find((uint64_t)a->data);
        fgsim_object_free(a);
        if (range)
                fgsim_memory_free(range);
}

CUresult cuArrayDestroy(CUarray handle)
{
        FGSIM_ENTER_CONTEXT(cuArrayDestroy, ctx);
        struct fgsim_array *a = fgsim_object_get(handle, FGSIM_ARRAY);
        if (!a || a->owner)
                return CUDA_ERROR_INVALID_HANDLE;
        FGSIM_PERMITTED();
        fgsim_exec_drain(a->ctx);
        fgsim_array_destroy(a);
        return CUDA_SUCCESS;
}

/* ---- questions ---- */
CUresult cuArray3DGetDescriptor_v2(CUDA_ARRAY3D_DESCRIPTOR *desc, CUarray handle)
{
        FGSIM_ENTER_CONTEXT(cuArray3DGetDescriptor_v2, ctx);
        struct fgsim_array *a = fgsim_object_get(handle, FGSIM_ARRAY);
        if (!desc)
                return CUDA_ERROR_INVALID_VALUE;
        if (!a)
                return CUDA_ERROR_INVALID_HANDLE;
        *desc = a->desc;
        return CUDA_SUCCESS;
}

CUresult cuArray3DGetDescriptor(CUDA_ARRAY3D_DESCRIPTOR_v1 *desc, CUarray handle)
{
        CUDA_ARRAY3D_DESCRIPTOR wide;
        CUresult result = desc ? cuArray3DGetDescriptor_v2(&wide, handle) : CUDA_ERROR_INVALID_VALUE;
        if (result == CUDA_SUCCESS)
                *desc = (CUDA_ARRAY3D_DESCRIPTOR_v1){.Width = (unsigned)wide.Width,
                                                     .Height = (unsigned)wide.Height,
                                                     .Depth = (unsigned)wide.Depth,
                                                     .Format = wide.Format,
                                                     .NumChannels = wide.NumChannels,
                                                     .Flags = wide.Flags};
        return result;
}

CUresult cuArrayGetDescriptor_v2(CUDA_ARRAY_DESCRIPTOR *desc, CUarray handle)
{
        CUDA_ARRAY3D_DESCRIPTOR wide;
        CUresult result = desc ? cuArray3DGetDescriptor_v2(&wide, handle) : CUDA_ERROR_INVALID_VALUE;
        if (result == CUDA_SUCCESS)
                *desc = (CUDA_ARRAY_DESCRIPTOR){.Width = wide.Width,
                                                .Height = wide.Height,
                                                .Format = wide.Format,
                                                .NumChannels = wide.NumChannels};
        return result;
}

CUresult cuArrayGetDescriptor(CUDA_ARRAY_DESCRIPTOR_v1 *desc, CUarray handle)
{
        CUDA_ARRAY3D_DESCRIPTOR wide;
        CUresult result = desc ? cuArray3DGetDescriptor_v2(&wide, handle) : CUDA_ERROR_INVALID_VALUE;
        if (result == CUDA_SUCCESS)
                *desc = (CUDA_ARRAY_DESCRIPTOR_v1){.Width = (unsigned)wide.Width,
                                                   .Height = (unsigned)wide.Height,
                                                   .Format = wide.Format,
                                                   .NumChannels = wide.NumChannels};
        return result;
}

CUresult cuArrayGetMemoryRequirements(CUDA_ARRAY_MEMORY_REQUIREMENTS *need, CUarray handle, CUdevice device)
{
        FGSIM_ENTER_CONTEXT(cuArrayGetMemoryRequirements, ctx);
        struct fgsim_array *a = fgsim_object_get(handle, FGSIM_ARRAY);
        if (!need || !a)
                return CUDA_ERROR_INVALID_VALUE;
        *need = (CUDA_ARRAY_MEMORY_REQUIREMENTS){.size = fgsim_round(a->bytes, FGSIM_UNIT), .alignment = 512};
        return CUDA_SUCCESS;
}

static void free_one(void *object, void *ctx)
{
        struct fgsim_array *a = object;
        if (a->ctx == ctx && !a->owner)
                fgsim_array_destroy(a);
}

void fgsim_array_context_gone(struct fgsim_context *ctx)
{
        fgsim_mipmap_context_gone(ctx);
        fgsim_object_each(FGSIM_ARRAY, free_one, ctx);
        fgsim_texture_context_gone(ctx);
}
