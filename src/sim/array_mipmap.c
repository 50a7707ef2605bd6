/* SPDX-License-Identifier: Apache-2.0
 * Mipmaps: levels of halved extents, one after the other in one piece of memory. */
#include "sim/array.h"

static size_t half(size_t extent, unsigned level)
{
        return extent ? (extent >> level ? extent >> level : 1) : 0;
}

static unsigned levels_of(const CUDA_ARRAY3D_DESCRIPTOR *d)
{
        bool flat = d->Flags & (CUDA_ARRAY3D_LAYERED | CUDA_ARRAY3D_CUBEMAP);
        size_t largest = d->Width > d->Height ? d->Width : d->Height;
        if (!flat && d->Depth > largest)
                largest = d->Depth;
        return largest ? 64 - (unsigned)__builtin_clzll(largest) : 1;
}

/* Layers stay as they are, extents are halved. */
static CUDA_ARRAY3D_DESCRIPTOR level_desc(const CUDA_ARRAY3D_DESCRIPTOR *d, unsigned level)
{
        CUDA_ARRAY3D_DESCRIPTOR one = *d;
        one.Width = half(d->Width, level);
        one.Height = half(d->Height, level);
        if (!(d->Flags & (CUDA_ARRAY3D_LAYERED | CUDA_ARRAY3D_CUBEMAP)))
                one.Depth = half(d->Depth, level);
        return one;
}

static void destroy(struct fgsim_mipmap *m)
{
        for (unsigned i = 0; i < m->levels; i++)
                fgsim_object_free(m->level[i]);
        struct fgsim_range *range = m->range;
        fgsim_object_free(m);
        if (range)
                fgsim_memory_free(range);
}

static CUresult add_level(struct fgsim_mipmap *m, const CUDA_ARRAY3D_DESCRIPTOR *desc)
{
        struct fgsim_array layout = {0};
        CUresult result = fgsim_array_layout(desc, &layout);
        struct fgsim_array *a = result == CUDA_SUCCESS ? fgsim_object_new(FGSIM_ARRAY, sizeof *a) : NULL;
        if (!a)
                return result == CUDA_SUCCESS ? CUDA_ERROR_OUT_OF_MEMORY : result;
        layout.object = a->object;
        *a = layout;
        a->gpu = m->ctx->gpu;
        a->ctx = m->ctx;
        a->owner = &m->object;
        m->level[m->levels++] = a;
        m->bytes += a->bytes;
        return CUDA_SUCCESS;
}

static void place_levels(struct fgsim_mipmap *m, unsigned char *data)
{
        for (unsigned i = 0; i < m->levels; i++) {
                m->level[i]->data = data;
                data += m->level[i]->bytes;
        }
}

CUresult fgsim_mipmap_new(struct fgsim_context *ctx, const CUDA_ARRAY3D_DESCRIPTOR *desc, unsigned levels,
                          unsigned char *data, uint64_t bytes, CUmipmappedArray *ret)
{
        unsigned most = levels_of(desc);
        struct fgsim_mipmap *m = levels ? fgsim_object_new(FGSIM_MIPMAP, sizeof *m) : NULL;
        if (!m)
                return levels ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_ERROR_INVALID_VALUE;
        m->ctx = ctx;
        m->desc = *desc;
        CUresult result = CUDA_SUCCESS;
        for (unsigned i = 0; i < levels && i < most && i < FGSIM_LEVELS_MAX && result == CUDA_SUCCESS; i++) {
                CUDA_ARRAY3D_DESCRIPTOR one = level_desc(desc, i);
                result = add_level(m, &one);
        }
        if (result == CUDA_SUCCESS && !data) {
                result = fgsim_memory_new(ctx, m->bytes, FGSIM_MEM_ARRAY, &m->range);
                data = m->range ? (unsigned char *)m->range->base : NULL;
        } else if (result == CUDA_SUCCESS && m->bytes > bytes) {
                result = CUDA_ERROR_INVALID_VALUE;
        }
        if (result != CUDA_SUCCESS) {
                destroy(m);
                return result;
        }
        place_levels(m, data);
        *ret = (CUmipmappedArray)m;
        return CUDA_SUCCESS;
}

CUresult cuMipmappedArrayCreate(CUmipmappedArray *ret, const CUDA_ARRAY3D_DESCRIPTOR *desc, unsigned int levels)
{
        FGSIM_ENTER_CONTEXT(cuMipmappedArrayCreate, ctx);
        if (!ret || !desc)
                return CUDA_ERROR_INVALID_VALUE;
        FGSIM_PERMITTED();
        return fgsim_mipmap_new(ctx, desc, levels, NULL, 0, ret);
}

CUresult cuMipmappedArrayDestroy(CUmipmappedArray handle)
{
        FGSIM_ENTER_CONTEXT(cuMipmappedArrayDestroy, ctx);
        struct fgsim_mipmap *m = fgsim_object_get(handle, FGSIM_MIPMAP);
        if (!m)
                return CUDA_ERROR_INVALID_HANDLE;
        FGSIM_PERMITTED();
        fgsim_exec_drain(m->ctx);
        destroy(m);
        return CUDA_SUCCESS;
}

CUresult cuMipmappedArrayGetLevel(CUarray *ret, CUmipmappedArray handle, unsigned int level)
{
        FGSIM_ENTER_CONTEXT(cuMipmappedArrayGetLevel, ctx);
        struct fgsim_mipmap *m = fgsim_object_get(handle, FGSIM_MIPMAP);
        if (!m)
                return CUDA_ERROR_INVALID_HANDLE;
        if (!ret || level >= m->levels)
                return CUDA_ERROR_INVALID_VALUE;
        *ret = (CUarray)m->level[level];
        return CUDA_SUCCESS;
}

CUresult cuMipmappedArrayGetMemoryRequirements(CUDA_ARRAY_MEMORY_REQUIREMENTS *need, CUmipmappedArray handle,
                                               CUdevice device)
{
        FGSIM_ENTER_CONTEXT(cuMipmappedArrayGetMemoryRequirements, ctx);
        struct fgsim_mipmap *m = fgsim_object_get(handle, FGSIM_MIPMAP);
        if (!need || !m)
                return CUDA_ERROR_INVALID_VALUE;
        *need = (CUDA_ARRAY_MEMORY_REQUIREMENTS){.size = fgsim_round(m->bytes, FGSIM_UNIT), .alignment = 512};
        return CUDA_SUCCESS;
}

static void free_one(void *object, void *ctx)
{
        struct fgsim_mipmap *m = object;
        if (m->ctx == ctx)
                destroy(m);
}

void fgsim_mipmap_context_gone(struct fgsim_context *ctx)
{
        fgsim_object_each(FGSIM_MIPMAP, free_one, ctx);
}
