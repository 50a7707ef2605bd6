/* SPDX-License-Identifier: Apache-2.0
 *
 * Invariant 1 on CUDA's memory calls: reserve, call, then commit or refund. What the hooks of memory*.c, array.c, vmm.c
 * and the like have in common. */
#ifndef FGC_MEMORY_H
#define FGC_MEMORY_H

#include "shim/cuda/alloc.h"
#include "shim/cuda/overhead.h"

#define FGC_UNIT 512u /* no driver hands out device memory in smaller pieces */

static inline uint64_t fgc_round_up(uint64_t bytes, uint64_t unit)
{
        uint64_t up = bytes + (unit - 1);

        return up < bytes ? UINT64_MAX & ~(unit - 1) : up & ~(unit - 1);
}

/* CUDA_ERROR_OUT_OF_MEMORY: it does not fit, not even after the pools gave back what they do not use;
 * CUDA_ERROR_DEVICE_UNAVAILABLE: the vGPU is being taken away. */
CUresult fgc_reserve(struct fgc_vgpu *vgpu, uint64_t bytes);
CUresult fgc_refusal(int error); /* of the ledger's −errno */
/* As fg_ledger_reserve(), but what obviously does not fit is not counted as a refusal: there is more to try. */
int fgc_reserve_quietly(struct fg_ledger *ledger, uint64_t bytes);

/* After the driver's success: enters what was reserved. CUDA_ERROR_OUT_OF_MEMORY: it cannot be remembered; the caller
 * frees what it got, then releases the entry. */
CUresult fgc_commit(struct fgc_alloc_table *table, struct fgc_alloc entry);
/* What an entry that was taken out had charged goes back. */
void fgc_release(const struct fgc_alloc *entry);
/* After the driver freed `key`, or refused to (`r`): `entry` was taken out before. Returns `r`. */
CUresult fgc_settle_free(struct fgc_alloc_table *table, const struct fgc_alloc *entry, bool known, CUresult r);

/* Where arrays live, whose handles the driver cannot be asked about: they die with their context. Never freed. */
struct fgc_home {
        CUcontext context;
        struct fgc_vgpu *vgpu;
        struct fgc_home *next;
};
struct fgc_home *fgc_home_current(struct fgc_vgpu *vgpu); /* NULL: out of memory */

#endif
