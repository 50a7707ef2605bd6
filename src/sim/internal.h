/* SPDX-License-Identifier: Apache-2.0
 * Between the files of the memory side. */
#ifndef FGSIM_INTERNAL_H
#define FGSIM_INTERNAL_H

#include "sim/sim.h"

/* Provided by the time side: whether a call that stream captures forbid may go on. */
CUresult fgsim_exec_capture_permits(void);

/* Entries that work without a context, and with a broken one: faults only, and cuInit must have been called. */
CUresult fgsim_enter_slow_free(const char *name);
#define FGSIM_ENTER_FREE(name)                                                  \
        do {                                                                    \
                if (__builtin_expect(fg_load_relaxed(&fgsim_gate) != 0, 0)) {   \
                        CUresult enter_result_ = fgsim_enter_slow_free(#name);  \
                        if (enter_result_ != CUDA_SUCCESS)                      \
                                return enter_result_;                           \
                }                                                               \
        } while (0)

/* Allocating and freeing calls may not be made in a thread that captures in the global mode. */
#define FGSIM_PERMITTED()                                               \
        do {                                                            \
                CUresult permitted_ = fgsim_exec_capture_permits();     \
                if (permitted_ != CUDA_SUCCESS)                         \
                        return permitted_;                              \
        } while (0)

/* Calls fn for every living object of the type. */
void fgsim_object_each(enum fgsim_type type, void (*fn)(void *object, void *arg), void *arg);

static inline uint64_t fgsim_round(uint64_t bytes, uint64_t unit)
{
        return (bytes + unit - 1) / unit * unit;
}

/* ---- contexts ---- */
CUresult fgsim_context_make(struct fgsim_context *ctx, uint32_t gpu, unsigned flags); /* charges it */
void fgsim_context_unmake(struct fgsim_context *ctx);
CUresult fgsim_context_set(struct fgsim_context *ctx); /* cuCtxSetCurrent */
extern struct fgsim_context *fgsim_contexts;           /* all that were ever made, none is freed */

/* ---- memory: arena (memory_arena.c, memory_chunk.c) and other places (memory_place.c) ----
 * Device memory lies in large mappings of one file each, so that any part of it can be mapped again, by others too. */
struct fgsim_range *fgsim_arena_new(uint64_t bytes, uint64_t align); /* sets base, size. NULL: no space */
void fgsim_arena_free(struct fgsim_range *range);
struct fgsim_range *fgsim_arena_find(uint64_t address);
int fgsim_arena_file(uint64_t address, uint64_t *ret_offset); /* descriptor of the file it lies in */
void fgsim_arena_each(void (*fn)(struct fgsim_range *range, void *arg), void *arg);

/* Ranges elsewhere. -EEXIST: overlaps one that is there. */
int fgsim_place_add(const struct fgsim_range *range, struct fgsim_range **ret);
bool fgsim_place_overlaps(uint64_t base, uint64_t size);
struct fgsim_range *fgsim_place_find(uint64_t address);
void fgsim_place_remove(struct fgsim_range *range);
void fgsim_place_each(void (*fn)(struct fgsim_range *range, void *arg), void *arg);

/* Takes memory from the context's GPU and addresses for it. */
CUresult fgsim_memory_new(struct fgsim_context *ctx, size_t bytes, enum fgsim_kind kind, struct fgsim_range **ret);
/* Gives back what the range has, whatever its kind; the caller has checked that nobody uses it. */
void fgsim_memory_free(struct fgsim_range *range);
void fgsim_memory_context_gone(struct fgsim_context *ctx);
uint64_t fgsim_memory_id(void);

/* ---- pools ---- */
struct fgsim_pool;
/* The stream has come to the free, or cuMemFree was called. */
void fgsim_pool_free(struct fgsim_range *range);
/* All pools of the GPU give back what they reserve and do not use: before a refusal. True: there was some. */
bool fgsim_pool_squeeze(uint32_t gpu);
void fgsim_pool_device_reset(uint32_t gpu);
bool fgsim_graphmem_in_use(const struct fgsim_range *range);

void fgsim_array_context_gone(struct fgsim_context *ctx);
void fgsim_ipc_release(struct fgsim_range *range); /* a context goes, its mappings of others' memory too */
#define FGSIM_FREED_AS_MEMORY 1u /* in flags of such a mapping: cuMemFree closes it */
bool fgsim_ipc_close(CUdeviceptr address);
void fgsim_external_unmap(struct fgsim_range *range);

/* VMM: what a mapped address belongs to. */
struct fgsim_vmm;
struct fgsim_vmm *fgsim_vmm_mapped(uint64_t address, uint64_t *ret_base, uint64_t *ret_size);
uint32_t fgsim_vmm_gpu(const struct fgsim_vmm *vmm, bool *ret_is_device);
uint64_t fgsim_vmm_handle_types(const struct fgsim_vmm *vmm);

#endif
