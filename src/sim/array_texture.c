/* SPDX-License-Identifier: Apache-2.0
 * Texture and surface objects: they keep what they were made from. */
#include "sim/array.h"

struct texture {
        struct fgsim_object object;
        struct fgsim_context *ctx;
        bool is_surface, has_view;
        CUDA_RESOURCE_DESC resource;
        CUDA_TEXTURE_DESC texture;
        CUDA_RESOURCE_VIEW_DESC view;
};

static bool good_resource(const CUDA_RESOURCE_DESC *d)
{
        switch ((int)d->resType) {
        case CU_RESOURCE_TYPE_ARRAY:
                return fgsim_object_get(d->res.array.hArray, FGSIM_ARRAY) != NULL;
        case CU_RESOURCE_TYPE_MIPMAPPED_ARRAY:
                return fgsim_object_get(d->res.mipmap.hMipmappedArray, FGSIM_MIPMAP) != NULL;
        case CU_RESOURCE_TYPE_LINEAR:
                return fgsim_range_find(d->res.linear.devPtr) != NULL;
        case CU_RESOURCE_TYPE_PITCH2D:
                return fgsim_range_find(d->res.pitch2D.devPtr) != NULL;
        default:
                return false;
        }
}

static struct texture *find(unsigned long long handle, bool is_surface)
{
        struct texture *t = fgsim_object_get((void *)handle, FGSIM_TEXTURE);
        return t && t->is_surface == is_surface ? t : NULL;
}

CUresult cuTexObjectCreate(CUtexObject *ret, const CUDA_RESOURCE_DESC *resource, const CUDA_TEXTURE_DESC *texture,
                           const CUDA_RESOURCE_VIEW_DESC *view)
{
        FGSIM_ENTER_CONTEXT(cuTexObjectCreate, ctx);
        if (!ret || !resource || !texture || !good_resource(resource))
                return CUDA_ERROR_INVALID_VALUE;
        struct texture *t = fgsim_object_new(FGSIM_TEXTURE, sizeof *t);
        if (!t)
                return CUDA_ERROR_OUT_OF_MEMORY;
        t->ctx = ctx;
        t->resource = *resource;
        t->texture = *texture;
        t->has_view = view != NULL;
        if (view)
                t->view = *view;
        *ret = (CUtexObject)t;
        return CUDA_SUCCESS;
}

CUresult cuTexObjectDestroy(CUtexObject handle)
{
        FGSIM_ENTER_CONTEXT(cuTexObjectDestroy, ctx);
        struct texture *t = find(handle, false);
        if (!t)
                return CUDA_ERROR_INVALID_VALUE;
        fgsim_object_free(t);
        return CUDA_SUCCESS;
}

CUresult cuTexObjectGetResourceDesc(CUDA_RESOURCE_DESC *desc, CUtexObject handle)
{
        FGSIM_ENTER_CONTEXT(cuTexObjectGetResourceDesc, ctx);
        struct texture *t = find(handle, false);
        if (!desc || !t)
                return CUDA_ERROR_INVALID_VALUE;
        *desc = t->resource;
        return CUDA_SUCCESS;
}

CUresult cuTexObjectGetTextureDesc(CUDA_TEXTURE_DESC *desc, CUtexObject handle)
{
        FGSIM_ENTER_CONTEXT(cuTexObjectGetTextureDesc, ctx);
        struct texture *t = find(handle, false);
        if (!desc || !t)
                return CUDA_ERROR_INVALID_VALUE;
        *desc = t->texture;
        return CUDA_SUCCESS;
}

CUresult cuTexObjectGetResourceViewDesc(CUDA_RESOURCE_VIEW_DESC *desc, CUtexObject handle)
{
        FGSIM_ENTER_CONTEXT(cuTexObjectGetResourceViewDesc, ctx);
        struct texture *t = find(handle, false);
        if (!desc || !t || !t->has_view)
                return CUDA_ERROR_INVALID_VALUE;
        *desc = t->view;
        return CUDA_SUCCESS;
}

CUresult cuSurfObjectCreate(CUsurfObject *ret, const CUDA_RESOURCE_DESC *resource)
{
        FGSIM_ENTER_CONTEXT(cuSurfObjectCreate, ctx);
        if (!ret || !resource || resource->resType != CU_RESOURCE_TYPE_ARRAY || !good_resource(resource))
                return CUDA_ERROR_INVALID_VALUE;
        struct texture *t = fgsim_object_new(FGSIM_TEXTURE, sizeof *t);
        if (!t)
                return CUDA_ERROR_OUT_OF_MEMORY;
        t->ctx = ctx;
        t->is_surface = true;
        t->resource = *resource;
        *ret = (CUsurfObject)t;
        return CUDA_SUCCESS;
}

CUresult cuSurfObjectDestroy(CUsurfObject handle)
{
        FGSIM_ENTER_CONTEXT(cuSurfObjectDestroy, ctx);
        struct texture *t = find(handle, true);
        if (!t)
                return CUDA_ERROR_INVALID_VALUE;
        fgsim_object_free(t);
        return CUDA_SUCCESS;
}

CUresult cuSurfObjectGetResourceDesc(CUDA_RESOURCE_DESC *desc, CUsurfObject handle)
{
        FGSIM_ENTER_CONTEXT(cuSurfObjectGetResourceDesc, ctx);
        struct texture *t = find(handle, true);
        if (!desc || !t)
                return CUDA_ERROR_INVALID_VALUE;
        *desc = t->resource;
        return CUDA_SUCCESS;
}

static void free_one(void *object, void *ctx)
{
        struct texture *t = object;
        if (t->ctx == ctx)
                fgsim_object_free(t);
}

void fgsim_texture_context_gone(struct fgsim_context *ctx)
{
        fgsim_object_each(FGSIM_TEXTURE, free_one, ctx);
}
