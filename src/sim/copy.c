/* SPDX-License-Identifier: Apache-2.0
 * Copies: every form is a box of bytes with two sides. */
#include "sim/copy.h"

#include "sim/stream.h"

#include <stdlib.h>
#include <string.h>

#define STAGE_MAX (64u << 10) /* what the driver copies aside at once, as the real one does */

struct end {
        struct fgsim_side side;
        bool is_device, is_pageable;
        uint32_t gpu;
};

/* One side as CUDA describes it. */
struct described {
        CUmemorytype type;
        const void *host;
        CUdeviceptr device;
        CUarray array;
        size_t x, y, z, pitch, height;
};

static CUresult end_of_array(const struct described *d, const struct fgsim_copy *box, struct end *ret)
{
        const struct fgsim_array *array = fgsim_object_get(d->array, FGSIM_ARRAY);
        size_t row;

        if (!array)
                return CUDA_ERROR_INVALID_HANDLE;
        row = array->desc.Width * array->element;
        if (d->x > row || box->width > row - d->x || d->y + box->height > array->rows ||
            d->z + box->depth > array->layers || !array->data)
                return CUDA_ERROR_INVALID_VALUE;
        ret->side = (struct fgsim_side){array->data + d->z * array->slice + d->y * array->pitch + d->x, array->pitch,
                                        array->slice};
        ret->is_device = true;
        ret->gpu = array->gpu;
        return CUDA_SUCCESS;
}

static CUresult end_of_memory(const struct described *d, const struct fgsim_copy *box, struct end *ret)
{
        uint64_t base = d->type == CU_MEMORYTYPE_HOST ? (uintptr_t)d->host : d->device;
        size_t pitch = d->pitch ? d->pitch : d->x + box->width;
        size_t slice = pitch * (d->height ? d->height : d->y + box->height), last;
        const struct fgsim_range *range = fgsim_range_find(base);

        if (box->height * box->depth > 1 && pitch < d->x + box->width)
                return CUDA_ERROR_INVALID_VALUE;
        last = (d->z + box->depth - 1) * slice + (d->y + box->height - 1) * pitch + d->x + box->width;
        if ((!range && d->type == CU_MEMORYTYPE_DEVICE) || !base || (range && last > range->base + range->size - base))
                return CUDA_ERROR_INVALID_VALUE;
        ret->side = (struct fgsim_side){(unsigned char *)(uintptr_t)base + d->z * slice + d->y * pitch + d->x, pitch,
                                        slice};
        ret->is_device = range && range->is_device;
        ret->is_pageable = !range;
        ret->gpu = range ? range->gpu : 0;
        return CUDA_SUCCESS;
}

static CUresult end_of(const struct described *d, const struct fgsim_copy *box, struct end *ret)
{
        *ret = (struct end){0};
        switch (d->type) {
        case CU_MEMORYTYPE_ARRAY:
                return end_of_array(d, box, ret);
        case CU_MEMORYTYPE_HOST:
        case CU_MEMORYTYPE_DEVICE:
        case CU_MEMORYTYPE_UNIFIED:
                return end_of_memory(d, box, ret);
        default:
                return CUDA_ERROR_INVALID_VALUE;
        }
}

/* `bytes` at `speed` bytes a second; a speed of 0 takes no time of the GPU's. */
static uint64_t time_for(uint64_t bytes, uint64_t speed)
{
        return speed ? (uint64_t)((unsigned __int128)bytes * FG_NSEC_PER_SEC / speed) : 0;
}

/* Within a GPU its compute engine moves the bytes, between GPUs and to the host the copy engines do. */
static void plan(struct fgsim_copy *copy, const struct end *from, const struct end *to)
{
        const struct fgsim_context *ctx = fgsim_context_current();
        const struct fgsim_gpu_spec *gpu = &fgsim_spec.gpu[ctx ? ctx->gpu : 0];
        uint64_t bytes = (uint64_t)copy->width * copy->height * copy->depth;

        copy->gpu = ctx ? ctx->gpu : 0;
        copy->lane = FGSIM_LANE_OUT;
        copy->ns = 0;
        if (from->is_device && to->is_device) {
                copy->lane = from->gpu == to->gpu ? FGSIM_LANE_COMPUTE : FGSIM_LANE_OUT;
                copy->ns = time_for(bytes, from->gpu == to->gpu ? gpu->d2d : gpu->d2h);
        } else if (to->is_device) {
                copy->lane = FGSIM_LANE_IN;
                copy->ns = time_for(bytes, gpu->h2d);
        } else if (from->is_device) {
                copy->ns = time_for(bytes, gpu->d2h);
        }
}

static struct described source_of(const CUDA_MEMCPY3D *a)
{
        return (struct described){a->srcMemoryType, a->srcHost, a->srcDevice, a->srcArray, a->srcXInBytes,
                                  a->srcY,          a->srcZ,    a->srcPitch,  a->srcHeight};
}

static struct described target_of(const CUDA_MEMCPY3D *a)
{
        return (struct described){a->dstMemoryType, a->dstHost, a->dstDevice, a->dstArray, a->dstXInBytes,
                                  a->dstY,          a->dstZ,    a->dstPitch,  a->dstHeight};
}

static CUresult resolve(const CUDA_MEMCPY3D *asked, struct fgsim_copy *ret, struct end *from, struct end *to)
{
        struct described source = source_of(asked), target = target_of(asked);
        CUresult r;

        *ret = (struct fgsim_copy){.width = asked->WidthInBytes, .height = asked->Height, .depth = asked->Depth};
        ret->asked = *asked;
        *from = *to = (struct end){0};
        if (!ret->width || !ret->height || !ret->depth)
                return CUDA_SUCCESS;
        r = end_of(&source, ret, from);
        if (r == CUDA_SUCCESS)
                r = end_of(&target, ret, to);
        ret->from = from->side;
        ret->to = to->side;
        plan(ret, from, to);
        return r;
}

CUresult fgsim_copy_resolve(const CUDA_MEMCPY3D *asked, struct fgsim_copy *ret)
{
        struct end from, to;

        return resolve(asked, ret, &from, &to);
}

void fgsim_copy_run(const struct fgsim_copy *copy)
{
        if (copy->width == 0)
                return;
        for (size_t z = 0; z < copy->depth; z++)
                for (size_t y = 0; y < copy->height; y++)
                        memmove(copy->to.at + z * copy->to.slice + y * copy->to.pitch,
                                copy->from.at + z * copy->from.slice + y * copy->from.pitch, copy->width);
        if (copy->lane == FGSIM_LANE_IN || copy->lane == FGSIM_LANE_OUT)
                fg_add_relaxed(&fgsim_shared->gpu[copy->gpu].share[fgsim_slot].copied,
                               copy->width * copy->height * copy->depth);
}

/* Takes the source aside, so that the program may change it when the call returns. */
static bool stage(struct fgsim_copy *copy)
{
        size_t bytes = copy->width * copy->height * copy->depth;
        struct fgsim_args *held = malloc(sizeof(*held) + bytes);
        struct fgsim_copy aside = *copy;

        if (!held)
                return false;
        held->refs = 1;
        held->count = 0;
        aside.lane = FGSIM_LANE_NONE;
        aside.to = (struct fgsim_side){(unsigned char *)held->pointer, copy->width, copy->width * copy->height};
        fgsim_copy_run(&aside);
        copy->from = aside.to;
        copy->stage = held;
        return true;
}

static bool all_idle(void)
{
        return fg_load_acquire(&fgsim_pending) == 0 && fg_load_relaxed(&fgsim_captures) == 0;
}

static CUresult submit(CUstream handle, struct fgsim_copy *copy, bool must_wait)
{
        struct fgsim_task task = {.type = CU_GRAPH_NODE_TYPE_MEMCPY, .copy = *copy};
        CUresult r = fgsim_submit(handle, &task);

        fgsim_args_drop(copy->stage);
        return r == CUDA_SUCCESS && must_wait ? fgsim_stream_wait(handle) : r;
}

/* Pageable memory is only the driver's during the call: it is copied aside, or waited for. */
CUresult fgsim_copy_async(const CUDA_MEMCPY3D *asked, CUstream handle)
{
        struct fgsim_copy copy;
        struct fgsim_stream *stream;
        struct end from, to;
        bool must_wait = false;
        CUresult r;

        stream = fgsim_stream_get(handle, &r);
        if (!stream)
                return r;
        r = resolve(asked, &copy, &from, &to);
        if (r != CUDA_SUCCESS)
                return r;
        if (copy.ns == 0 && all_idle()) {
                fgsim_copy_run(&copy);
                return CUDA_SUCCESS;
        }
        if (!stream->capture && (from.is_pageable || to.is_pageable)) {
                must_wait = to.is_pageable || copy.width * copy.height * copy.depth > STAGE_MAX;
                if (!must_wait && !stage(&copy))
                        return CUDA_ERROR_OUT_OF_MEMORY;
        }
        return submit(handle, &copy, must_wait);
}

/* With nothing else under way, the calling thread is the copy engine. */
static CUresult copy_now(const struct fgsim_copy *copy)
{
        uint64_t from = fg_now();

        fgsim_copy_run(copy);
        if (copy->ns)
                fgsim_copy_occupy(copy->gpu, copy->lane, from, copy->ns);
        return CUDA_SUCCESS;
}

CUresult fgsim_copy_sync(const CUDA_MEMCPY3D *asked, CUstream handle)
{
        struct fgsim_copy copy;
        struct end from, to;
        CUresult r;

        if (!fgsim_context_current())
                return CUDA_ERROR_INVALID_CONTEXT;
        r = resolve(asked, &copy, &from, &to);
        if (r == CUDA_SUCCESS)
                r = fgsim_exec_capture_permits();
        if (r != CUDA_SUCCESS)
                return r;
        if (all_idle() && (copy.ns == 0 || copy.lane != FGSIM_LANE_COMPUTE))
                return copy_now(&copy);
        return submit(handle, &copy, !from.is_device || !to.is_device);
}

static void place(struct fgsim_place p, CUmemorytype *type, const void **host, CUdeviceptr *device, CUarray *array,
                  size_t *x)
{
        static const CUmemorytype types[] = {CU_MEMORYTYPE_UNIFIED, CU_MEMORYTYPE_HOST, CU_MEMORYTYPE_DEVICE,
                                             CU_MEMORYTYPE_ARRAY};

        *type = types[p.kind];
        *x = p.offset;
        if (p.kind == FGSIM_END_HOST)
                *host = (const void *)(uintptr_t)p.at;
        else if (p.kind == FGSIM_END_ARRAY)
                *array = (CUarray)(uintptr_t)p.at;
        else
                *device = p.at;
}

CUDA_MEMCPY3D fgsim_copy_line(struct fgsim_place to, struct fgsim_place from, size_t bytes)
{
        CUDA_MEMCPY3D asked = {.WidthInBytes = bytes, .Height = 1, .Depth = 1};
        const void *host = NULL;

        place(from, &asked.srcMemoryType, &asked.srcHost, &asked.srcDevice, &asked.srcArray, &asked.srcXInBytes);
        place(to, &asked.dstMemoryType, &host, &asked.dstDevice, &asked.dstArray, &asked.dstXInBytes);
        asked.dstHost = (void *)(uintptr_t)host;
        return asked;
}
