/* SPDX-License-Identifier: Apache-2.0
 *
 * What is charged for: from a pointer or a handle to who paid, and how much. Entering and taking out are O(1), a dozen
 * nanoseconds together, flat in the number of live entries: open addressing in stripes, each behind a spin lock of the
 * process's own that is held for a few instructions, never across a call of the driver or of malloc.
 *
 * Invariant: an entry's bytes are in its owner's ledger from before the driver allocates until after it has freed. */
#ifndef FGC_ALLOC_H
#define FGC_ALLOC_H

#include "shim/cuda/device.h"

enum fgc_alloc_kind {
        FGC_ALLOC_DEVICE = 1, /* cuMemAlloc, pitched */
        FGC_ALLOC_MANAGED,    /* charged in full, wherever it is at the moment */
        FGC_ALLOC_POOL,       /* owner: struct fgc_pool; charged through the pool */
        FGC_ALLOC_ARRAY,      /* an array, by its handle; owner: struct fgc_home */
        FGC_ALLOC_EXTERNAL,   /* an external memory object, by its handle */
        FGC_ALLOC_VMM, /* owner: struct fgc_physical; a handle of physical memory; bytes: how often it is to be released
                        */
        FGC_ALLOC_MAPPING,     /* owner: struct fgc_mapping; the addresses physical memory is mapped at */
        FGC_ALLOC_POOL_HANDLE, /* owner: struct fgc_pool */
        FGC_ALLOC_EXEC,        /* an executable graph; bytes: what its allocation nodes ask for */
};

struct fgc_alloc {
        uint64_t key;
        void *owner; /* struct fgc_vgpu, unless the kind says otherwise */
        uint64_t bytes;
        uint32_t kind; /* enum fgc_alloc_kind */
};

struct fgc_alloc_cells;
struct fgc_alloc_stripe {
        _Alignas(64) uint32_t lock;
        uint32_t shift;              /* 64 - log2(cells), the stripe's bits included */
        uint64_t used, cells, limit; /* cells: a power of two; grown when used reaches the limit */
        struct fgc_alloc *cell;      /* NULL: none yet */
};

#define FGC_ALLOC_STRIPE_BITS 6
struct fgc_alloc_table {
        struct fgc_alloc_stripe stripe[1 << FGC_ALLOC_STRIPE_BITS];
};

/* By CUdeviceptr; by CUarray, CUmipmappedArray, CUexternalMemory, CUmemoryPool, CUgraphExec; by physical memory handle.
 */
extern struct fgc_alloc_table fgc_pointers, fgc_handles, fgc_physicals;

/* 0; 1 and *ret_old: there was an entry of that key, now replaced: the driver had freed it without our hearing of it;
 * -ENOMEM: nothing was entered. */
int fgc_alloc_enter(struct fgc_alloc_table *table, struct fgc_alloc entry, struct fgc_alloc *ret_old);
/* Takes the entry out. False: unknown. */
bool fgc_alloc_take(struct fgc_alloc_table *table, uint64_t key, struct fgc_alloc *ret);
/* Puts back what fgc_alloc_take() took out: the room is still there. */
void fgc_alloc_put_back(struct fgc_alloc_table *table, struct fgc_alloc entry);
/* A copy. False: unknown. */
bool fgc_alloc_find(struct fgc_alloc_table *table, uint64_t key, struct fgc_alloc *ret);

/* Copies of all entries that `want` accepts, one stripe at a time: at most `room` of them; returns how many there were.
 * Not an instant's picture. `want` is called under a stripe's lock. */
size_t fgc_alloc_list(struct fgc_alloc_table *table, bool (*want)(const struct fgc_alloc *, const void *),
                      const void *arg, struct fgc_alloc *ret, size_t room);
/* Takes it out if it is still exactly that entry. */
bool fgc_alloc_take_same(struct fgc_alloc_table *table, struct fgc_alloc entry);

/* Which vGPU was charged; NULL: unknown. */
struct fgc_vgpu *fgc_alloc_vgpu(CUdeviceptr pointer);
struct fgc_vgpu *fgc_alloc_vgpu_of_handle(CUmemGenericAllocationHandle handle);

#endif
