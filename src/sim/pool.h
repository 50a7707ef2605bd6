/* SPDX-License-Identifier: Apache-2.0
 * Pools: between pool.c (their figures), pool_alloc.c (stream-ordered calls) and pool_share.c (other processes). */
#ifndef FGSIM_POOL_H
#define FGSIM_POOL_H

#include "sim/internal.h"

#define FGSIM_POOL_GRAIN (32ull << 20) /* what a pool takes from the GPU at once, as real drivers do */
#define FGSIM_POOL_PAGE  (2ull << 20)  /* what it gives back */

/* A free whose stream has not come there yet; an allocation in that stream may have its memory before. */
struct fgsim_pending {
        struct fgsim_range *range;
        struct fgsim_pool *pool; /* NULL: not of a pool, never reused */
        struct fgsim_context *ctx;
        CUstream stream;
        bool reused;
        struct fgsim_pending *next;
};

/* used <= reserved; reserved is what the GPU counts (device pools only). */
struct fgsim_pool {
        struct fgsim_object object;
        struct fgsim_pool *next;
        CUmemPoolProps props;
        uint32_t gpu;
        bool is_device, is_default, is_imported, is_destroyed;
        pthread_mutex_t lock;
        uint64_t threshold, max, used, used_high, reserved, reserved_high;
        int reuse[3];
        CUmemAccess_flags peer[FGSIM_GPUS_MAX];
        struct fgsim_pending *pending;
};

CUresult fgsim_pool_new(const CUmemPoolProps *props, struct fgsim_pool **ret);
struct fgsim_pool *fgsim_pool_get(CUmemoryPool handle);
struct fgsim_pool *fgsim_pool_of_gpu(uint32_t gpu, bool current); /* its default one, or the one chosen */

/* `bytes` more are used: takes from the GPU what is missing. */
CUresult fgsim_pool_take(struct fgsim_pool *pool, uint64_t bytes);
void fgsim_pool_give(struct fgsim_pool *pool, uint64_t bytes);

#endif
