/* SPDX-License-Identifier: Apache-2.0
 *
 * Physical memory (cuMemCreate) and what keeps it alive: handles, each released as often as it was given out; mappings;
 * sparse arrays that have pieces of it. It is charged from its creation until the last of them is gone.
 *
 * Memory that another process made is there before it is imported, and charged to its maker; but an import keeps it
 * alive after the maker has died, so the importer is charged as well, for as much of it as it maps. Two processes of
 * one vGPU that share memory in this way are therefore charged twice: too much rather than too little. */
#ifndef FGC_VMM_H
#define FGC_VMM_H

#include "shim/cuda/alloc.h"

struct fgc_physical {
        struct fgc_vgpu *vgpu;
        uint64_t charged;
        uint32_t holds; /* handles out, mappings, arrays; under the lock of vmm_physical.c */
        bool imported;
};

struct fgc_mapping {
        struct fgc_physical *physical;
        CUdeviceptr at;
        uint64_t size;
        struct fgc_mapping *next;
};

/* After cuMemCreate or an import gave out `handle`; the bytes are reserved already. -ENOMEM: they are still the
 * caller's. */
int fgc_physical_add(CUmemGenericAllocationHandle handle, struct fgc_vgpu *vgpu, uint64_t bytes, bool imported);
/* `handle` was given out once more, for `physical`; it may be the first time. */
int fgc_physical_again(CUmemGenericAllocationHandle handle, struct fgc_physical *physical);
/* Held: the caller lets go of it with fgc_physical_drop(). NULL: nothing that is charged. */
struct fgc_physical *fgc_physical_hold(CUmemGenericAllocationHandle handle);
/* The same by an address it is mapped at. */
struct fgc_physical *fgc_physical_hold_at(CUdeviceptr address);
void fgc_physical_drop(struct fgc_physical *physical);
/* Before a release: the handle's hold is the caller's now. After it: fgc_physical_drop() or _again() and _drop(). */
struct fgc_physical *fgc_physical_release(CUmemGenericAllocationHandle handle);

/* The caller's hold becomes the mapping's. -ENOMEM: it is still the caller's. */
int fgc_mapping_add(CUdeviceptr at, uint64_t size, struct fgc_physical *physical);
/* Takes out all mappings that begin in the range, as a list: before it is unmapped. */
struct fgc_mapping *fgc_mapping_take(CUdeviceptr at, uint64_t size);
/* The driver refused: they stay. */
void fgc_mapping_put_back(struct fgc_mapping *list);
void fgc_mapping_drop(struct fgc_mapping *list);

/* A sparse array has a piece of it: alive until the array is gone. */
int fgc_physical_into_array(struct fgc_physical *physical, const void *array);
void fgc_physical_array_gone(const void *array);

/* What the program was given to share `physical` by, so that its own import is known as such. `key` has 64 bytes. */
void fgc_physical_exported(struct fgc_physical *physical, uint32_t type, const void *key);
/* Held; NULL: not ours. */
struct fgc_physical *fgc_physical_hold_exported(uint32_t type, const void *key);

#define FGC_SHARE_KEY 64

#endif
