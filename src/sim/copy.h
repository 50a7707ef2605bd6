/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FGSIM_COPY_H
#define FGSIM_COPY_H

#include "sim/exec_task.h"

/* What is asked for, checked and with its time; touches no memory. */
CUresult fgsim_copy_resolve(const CUDA_MEMCPY3D *asked, struct fgsim_copy *ret);
CUresult fgsim_copy_async(const CUDA_MEMCPY3D *asked, CUstream stream);
/* Returns when the host may rely on it: at once where only device memory is concerned. */
CUresult fgsim_copy_sync(const CUDA_MEMCPY3D *asked, CUstream stream);

/* The description of a plain copy of `bytes`. */
enum fgsim_end { FGSIM_END_ANY, FGSIM_END_HOST, FGSIM_END_DEVICE, FGSIM_END_ARRAY };
struct fgsim_place {
        enum fgsim_end kind;
        uint64_t at;   /* address or CUarray */
        size_t offset; /* in an array */
};
CUDA_MEMCPY3D fgsim_copy_line(struct fgsim_place to, struct fgsim_place from, size_t bytes);

CUDA_MEMCPY3D fgsim_copy_from_2d(const CUDA_MEMCPY2D *asked);

CUresult fgsim_fill_resolve(const CUDA_MEMSET_NODE_PARAMS *asked, struct fgsim_fill *ret);

#endif
