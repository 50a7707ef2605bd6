/* SPDX-License-Identifier: Apache-2.0
 *
 * Device memory that nobody asked for by a size: contexts, modules, libraries, the driver's rounding. A context is
 * charged what the daemon expects of it before it is made; afterwards the driver's own figure for this process, which
 * the daemon leaves in the limits page, says what it really took, and the charge follows. So host and tenant agree, and
 * `used` still never exceeds the quota. docs/design/cuda-memory.md has the rules by which a figure is believed. */
#ifndef FGC_OVERHEAD_H
#define FGC_OVERHEAD_H

#include "base/atomic.h"
#include "shim/cuda/device.h"

/* Before a context is made. 0: charged; -ENOMEM: it does not fit (CUDA_ERROR_OUT_OF_MEMORY); -EACCES: the vGPU is
 * closed. */
int fgc_overhead_take(struct fgc_vgpu *vgpu);
/* After a context was destroyed, or could not be made. */
void fgc_overhead_drop(struct fgc_vgpu *vgpu);

/* After a context is gone: gives back what was allocated in it and went with it. NULL: one that nobody had seen. */
void fgc_memory_context_gone(CUcontext context);

struct fgc_overhead {
        uint64_t seen;    /* (a) the newest figure that was looked at: its driver_seen */
        uint64_t changed; /* (a) the newest figure there was when the latest call that changes something began */
};
#define FGC_OVERHEAD_VGPUS                                                                                             \
        64u /* of the program's first so many vGPUs; the others keep their contexts' expected sizes */
extern struct fgc_overhead fgc_overhead[FGC_OVERHEAD_VGPUS];

void fgc_overhead_settle_now(struct fgc_vgpu *vgpu, uint64_t seen, bool changes);

static inline uint64_t fgc_overhead_figure(const struct fgc_vgpu *vgpu)
{
        return fg_load_acquire(&vgpu->ledger->limits->owner[vgpu->ledger->slot % FG_SLOTS].driver_seen);
}

/* First in everything that changes how much memory is used. */
static inline void fgc_overhead_settle(struct fgc_vgpu *vgpu)
{
        const struct fgc_overhead *overhead = &fgc_overhead[vgpu->ordinal % FGC_OVERHEAD_VGPUS];
        uint64_t seen = fgc_overhead_figure(vgpu);

        if (__builtin_expect(seen != fg_load_relaxed(&overhead->seen) || seen != fg_load_relaxed(&overhead->changed),
                             0))
                fgc_overhead_settle_now(vgpu, seen, true);
}

/* Pools that something was freed to since they were last settled (pool_set.c); with `all`, all pools. */
extern uint32_t fgc_pools_dirty; /* (a) */
void fgc_pools_settle(bool all);

/* Round every call of the driver that waits for a stream, an event or a context: it makes pools smaller, so what is
 * charged for one means little until it was settled after the wait. High half: waits ever begun; low half: under way.
 */
extern uint64_t fgc_pool_waits; /* (a) */

static inline void fgc_pool_syncing(void)
{
        __atomic_fetch_add(&fgc_pool_waits, (UINT64_C(1) << 32) + 1, __ATOMIC_ACQ_REL);
}

static inline void fgc_pool_settle_dirty(void)
{
        if (__builtin_expect(fg_load_relaxed(&fgc_pools_dirty) != 0, 0))
                fgc_pools_settle(false);
}

static inline void fgc_pool_synced(void)
{
        __atomic_fetch_sub(&fgc_pool_waits, 1, __ATOMIC_ACQ_REL);
        fgc_pool_settle_dirty();
}

/* First in what only tells. */
static inline void fgc_overhead_look(struct fgc_vgpu *vgpu)
{
        uint64_t seen = fgc_overhead_figure(vgpu);

        if (__builtin_expect(seen != fg_load_relaxed(&fgc_overhead[vgpu->ordinal % FGC_OVERHEAD_VGPUS].seen), 0))
                fgc_overhead_settle_now(vgpu, seen, false);
        fgc_pool_settle_dirty();
}

#endif
