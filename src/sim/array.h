/* SPDX-License-Identifier: Apache-2.0
 * Arrays: between array.c, array_mipmap.c, array_texture.c and external.c. */
#ifndef FGSIM_ARRAY_H
#define FGSIM_ARRAY_H

#include "sim/internal.h"

#define FGSIM_LEVELS_MAX 32

struct fgsim_mipmap {
        struct fgsim_object object;
        struct fgsim_context *ctx;
        CUDA_ARRAY3D_DESCRIPTOR desc;
        uint32_t levels;
        uint64_t bytes;
        struct fgsim_range *range; /* NULL: in external memory */
        struct fgsim_array *level[FGSIM_LEVELS_MAX];
};

/* Fills in everything that follows from the descriptor. */
CUresult fgsim_array_layout(const CUDA_ARRAY3D_DESCRIPTOR *desc, struct fgsim_array *array);
void fgsim_array_destroy(struct fgsim_array *array);

/* A mipmap over memory that is there; `bytes`: what it may take of it. data NULL: takes memory from the GPU. */
CUresult fgsim_mipmap_new(struct fgsim_context *ctx, const CUDA_ARRAY3D_DESCRIPTOR *desc, unsigned levels,
                          unsigned char *data, uint64_t bytes, CUmipmappedArray *ret);
void fgsim_mipmap_context_gone(struct fgsim_context *ctx);
void fgsim_texture_context_gone(struct fgsim_context *ctx);

#endif
