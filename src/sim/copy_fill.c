/* SPDX-License-Identifier: Apache-2.0
 * Memsets. None of them waits for the GPU. */
#include "sim/copy.h"

#include "sim/stream.h"

#include <string.h>

void fgsim_fill_run(const struct fgsim_fill *fill)
{
        const CUDA_MEMSET_NODE_PARAMS *a = &fill->asked;

        for (size_t y = 0; y < a->height; y++) {
                unsigned char *row = (unsigned char *)(uintptr_t)a->dst + y * a->pitch;
                if (a->elementSize == 1)
                        memset(row, (int)a->value, a->width);
                for (size_t x = 0; a->elementSize == 2 && x < a->width; x++)
                        ((uint16_t *)(void *)row)[x] = (uint16_t)a->value;
                for (size_t x = 0; a->elementSize == 4 && x < a->width; x++)
                        ((uint32_t *)(void *)row)[x] = a->value;
        }
}

CUresult fgsim_fill_resolve(const CUDA_MEMSET_NODE_PARAMS *asked, struct fgsim_fill *ret)
{
        const struct fgsim_range *range = fgsim_range_find(asked->dst);
        size_t row = asked->width * asked->elementSize;
        uint64_t bytes = (uint64_t)row * asked->height, speed;

        *ret = (struct fgsim_fill){.asked = *asked};
        if (asked->elementSize != 1 && asked->elementSize != 2 && asked->elementSize != 4)
                return CUDA_ERROR_INVALID_VALUE;
        if (bytes == 0)
                return CUDA_SUCCESS;
        if (!range || asked->dst % asked->elementSize || (asked->height > 1 && asked->pitch < row) ||
            (asked->height - 1) * asked->pitch + row > range->base + range->size - asked->dst)
                return CUDA_ERROR_INVALID_VALUE;
        speed = fgsim_spec.gpu[range->gpu].d2d;
        ret->ns = speed && range->is_device ? (uint64_t)((unsigned __int128)bytes * FG_NSEC_PER_SEC / speed) : 0;
        return CUDA_SUCCESS;
}

static CUresult fill(CUdeviceptr to, size_t pitch, unsigned value, unsigned element, size_t width, size_t height,
                     CUstream stream)
{
        CUDA_MEMSET_NODE_PARAMS asked = {to, pitch, value, element, width, height};
        struct fgsim_task task = {.type = CU_GRAPH_NODE_TYPE_MEMSET};
        CUresult r;

        if (!fgsim_stream_get(stream, &r))
                return r;
        r = fgsim_fill_resolve(&asked, &task.fill);
        if (r != CUDA_SUCCESS)
                return r;
        if (task.fill.ns == 0 && fg_load_acquire(&fgsim_pending) == 0 && fg_load_relaxed(&fgsim_captures) == 0) {
                fgsim_fill_run(&task.fill);
                return CUDA_SUCCESS;
        }
        return fgsim_submit(stream, &task);
}

#define FILL(bits, type)                                                                                               \
        CUresult cuMemsetD##bits##_v2(CUdeviceptr to, type value, size_t n)                                            \
        {                                                                                                              \
                FGSIM_ENTER(cuMemsetD##bits##_v2);                                                                     \
                return fill(to, 0, value, bits / 8, n, 1, NULL);                                                       \
        }                                                                                                              \
        CUresult cuMemsetD##bits##_v2_ptds(CUdeviceptr to, type value, size_t n)                                       \
        {                                                                                                              \
                FGSIM_ENTER(cuMemsetD##bits##_v2_ptds);                                                                \
                return fill(to, 0, value, bits / 8, n, 1, CU_STREAM_PER_THREAD);                                       \
        }                                                                                                              \
        CUresult cuMemsetD##bits##Async(CUdeviceptr to, type value, size_t n, CUstream stream)                         \
        {                                                                                                              \
                FGSIM_ENTER(cuMemsetD##bits##Async);                                                                   \
                return fill(to, 0, value, bits / 8, n, 1, stream);                                                     \
        }                                                                                                              \
        CUresult cuMemsetD##bits##Async_ptsz(CUdeviceptr to, type value, size_t n, CUstream stream)                    \
        {                                                                                                              \
                FGSIM_ENTER(cuMemsetD##bits##Async_ptsz);                                                              \
                return fill(to, 0, value, bits / 8, n, 1, fgsim_own_stream(stream));                                   \
        }                                                                                                              \
        CUresult cuMemsetD2D##bits##_v2(CUdeviceptr to, size_t pitch, type value, size_t width, size_t height)         \
        {                                                                                                              \
                FGSIM_ENTER(cuMemsetD2D##bits##_v2);                                                                   \
                return fill(to, pitch, value, bits / 8, width, height, NULL);                                          \
        }                                                                                                              \
        CUresult cuMemsetD2D##bits##_v2_ptds(CUdeviceptr to, size_t pitch, type value, size_t width, size_t height)    \
        {                                                                                                              \
                FGSIM_ENTER(cuMemsetD2D##bits##_v2_ptds);                                                              \
                return fill(to, pitch, value, bits / 8, width, height, CU_STREAM_PER_THREAD);                          \
        }                                                                                                              \
        CUresult cuMemsetD2D##bits##Async(CUdeviceptr to, size_t pitch, type value, size_t width, size_t height,       \
                                          CUstream stream)                                                             \
        {                                                                                                              \
                FGSIM_ENTER(cuMemsetD2D##bits##Async);                                                                 \
                return fill(to, pitch, value, bits / 8, width, height, stream);                                        \
        }                                                                                                              \
        CUresult cuMemsetD2D##bits##Async_ptsz(CUdeviceptr to, size_t pitch, type value, size_t width, size_t height,  \
                                               CUstream stream)                                                        \
        {                                                                                                              \
                FGSIM_ENTER(cuMemsetD2D##bits##Async_ptsz);                                                            \
                return fill(to, pitch, value, bits / 8, width, height, fgsim_own_stream(stream));                      \
        }

FILL(8, unsigned char)
FILL(16, unsigned short)
FILL(32, unsigned int)
