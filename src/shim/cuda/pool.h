/* SPDX-License-Identifier: Apache-2.0
 *
 * Stream-ordered pools. What is charged for a pool is what the driver has reserved for it, not what the program has out
 * of it: memory that is freed stays the pool's, and charged, until the driver gives it back to the device.
 *
 * Invariants, per pool, whenever its lock is free:  charged >= live, and charged >= the driver's reservation
 * (a driver that grows a pool although it has room for the request is found out at the next settling). An allocation
 * that fits below `charged` costs no operation of the ledger; one that does not reserves the growth first, in the
 * driver's chunks, and afterwards settles to the driver's own figure. Lowering needs a moment without an allocation
 * under way. */
#ifndef FGC_POOL_H
#define FGC_POOL_H

#include "base/atomic.h"
#include "shim/cuda/overhead.h"

enum fgc_pool_kind {
        FGC_POOL_DEVICE = 1,
        FGC_POOL_FREE,   /* host memory, or a pool of another process: not charged */
        FGC_POOL_GRAPH,  /* what graphs' allocation nodes take from, one for each device */
        FGC_POOL_MAKING, /* not for anybody yet */
};

/* (a): read or written without the lock, too, and so by atomics. */
struct fgc_pool {
        _Alignas(64) uint32_t lock; /* never held across a driver call */
        uint32_t kind;              /* (a) enum fgc_pool_kind; 0: vacant */
        struct fgc_vgpu *vgpu;      /* (a) who pays */
        CUmemoryPool handle;        /* (a) NULL: destroyed, or graphs' */
        uint64_t charged; /* (a) */
        uint64_t live;  /* at least what is out of it, by the driver's count: frees are taken off when that is asked for
                         */
        uint64_t chunk; /* (a) it is believed to grow by multiples of this */
        uint64_t waits; /* (a) fgc_pool_waits when it was settled */
        uint64_t begun; /* (a) bytes of all allocations ever begun; */
        uint64_t ended; /* (a) … and ended: the difference is under way */
        uint32_t dirty; /* (a) something was freed since it was last settled; cleared before the driver is asked, and set again if that was for nothing */
        struct fgc_pool *next;
};

/* The pool behind a handle; `by` pays for one that no hook saw being made. NULL: out of memory. (pool.c) */
struct fgc_pool *fgc_pool_of(CUmemoryPool handle, struct fgc_vgpu *by);
/* The graphs' pool of the device that `vgpu` is on. NULL: out of memory. */
struct fgc_pool *fgc_pool_of_graphs(struct fgc_vgpu *vgpu);
/* `made` is a pool of `vgpu`'s. */
void fgc_pool_adopt(CUmemoryPool made, struct fgc_vgpu *vgpu);
/* … or one that nobody pays for here. */
void fgc_pool_adopt_free(CUmemoryPool made);

/* Before the driver is asked for `bytes`; *ret_grows: the pool has to grow for it. CUDA_ERROR_OUT_OF_MEMORY: over the
 * quota. */
CUresult fgc_pool_begin(struct fgc_pool *pool, uint64_t bytes, bool *ret_grows);
/* After; `r` is what the driver said. What is returned is to be what the program hears: CUDA_ERROR_OUT_OF_MEMORY after
 * the driver's success says that the pool grew beyond the quota and the allocation must go back. */
CUresult fgc_pool_end(struct fgc_pool *pool, uint64_t bytes, bool grows, CUresult r);
/* The same for what the pool may or may not have room for: `bytes` are charged on top until the driver has decided. */
CUresult fgc_pool_begin_on_top(struct fgc_pool *pool, uint64_t bytes);
void fgc_pool_end_on_top(struct fgc_pool *pool, uint64_t bytes);
/* `bytes` were given back to the pool. */
void fgc_pool_freed(struct fgc_pool *pool, uint64_t bytes);

/* To the driver's figure. False: it was not possible, an allocation is under way. What the driver does not say is for the next time. */
bool fgc_pool_settle(struct fgc_pool *pool);
/* The driver's figures of a pool; false: it does not say. */
bool fgc_pool_reserved(const struct fgc_pool *pool, uint64_t *ret);
bool fgc_pool_used(const struct fgc_pool *pool, uint64_t *ret);
/* After the driver destroyed it, while `used` bytes were out of it. */
void fgc_pool_destroyed(struct fgc_pool *pool, uint64_t used);
/* Has the driver give back what the vGPU's pools do not use. True: something was given back. */
bool fgc_pools_trim(struct fgc_vgpu *vgpu);
/* --- pool_device.c --- */

/* True: a vGPU's default pool, which may not be destroyed. */
bool fgc_pool_is_default(CUmemoryPool pool);
/* A pool was destroyed: it is nobody's current one any more. */
void fgc_pool_gone(CUmemoryPool pool);

#endif
