/* SPDX-License-Identifier: Apache-2.0
 *
 * Programs in hostile surroundings: each verb of `hostile` is one. The driver is never linked; every verb says how it
 * finds it. A verb returns 0 if all was as it should be, else 1 with a line on standard error. */
#ifndef HOSTILE_H
#define HOSTILE_H

#include "abi/cuda.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define HOSTILE_USES(X) \
        X(cuInit) X(cuDriverGetVersion) X(cuDeviceGet) X(cuDeviceGetCount) X(cuDeviceTotalMem_v2) \
        X(cuDevicePrimaryCtxRetain) X(cuDevicePrimaryCtxRelease_v2) X(cuCtxSetCurrent) X(cuCtxSynchronize) \
        X(cuMemAlloc_v2) X(cuMemFree_v2) X(cuMemGetInfo_v2) X(cuMemAllocAsync) X(cuMemFreeAsync) \
        X(cuStreamCreate) X(cuStreamSynchronize) X(cuStreamDestroy_v2) X(cuGetProcAddress_v2)

struct driver {
#define HOSTILE_FIELD(name) __typeof__(&name) name;
        HOSTILE_USES(HOSTILE_FIELD)
#undef HOSTILE_FIELD
};

/* The quota that the caller gave each of the vGPUs. */
extern uint64_t hostile_quota;

#define EXPECT(condition) \
        do { \
                if (!(condition)) { \
                        fprintf(stderr, "hostile: %s:%d: %s\n", __FILE__, __LINE__, #condition); \
                        return 1; \
                } \
        } while (0)

#define EXPECT_RESULT(wanted, call) \
        do { \
                CUresult result_ = (call); \
                if (result_ != (wanted)) { \
                        fprintf(stderr, "hostile: %s:%d: %s: %d, not %d\n", __FILE__, __LINE__, #call, result_, \
                                (int)(wanted)); \
                        return 1; \
                } \
        } while (0)
#define SUCCEEDS(call) EXPECT_RESULT(CUDA_SUCCESS, call)

/* Fills the table with dlsym(handle). */
int driver_of(void *handle, struct driver *ret_driver);
/* dlopen("libcuda.so.1"), as any program does it. */
int driver_usual(struct driver *ret_driver);
/* cuInit and a current context on device `ordinal`. */
int driver_use(const struct driver *driver, int ordinal);
/* What a program on its vGPU must see: the slice's size, no byte above the quota, all of it back afterwards. */
int slice_holds(const struct driver *driver);
/* Takes `bytes` away, or says that they are not there. */
int slice_take(const struct driver *driver, uint64_t bytes, CUdeviceptr *ret_at);
/* Waits for a child; 0 if it ended with status 0. */
int child_is_well(int pid);

typedef int verb_fn(char **arguments);
/* hostile_loading.c */
verb_fn verb_soname, verb_path, verb_deepbind, verb_dlmopen, verb_global, verb_next, verb_vendor, verb_closed,
        verb_addresses, verb_reopen;
/* hostile_lives.c */
verb_fn verb_fork_before, verb_fork_after, verb_fork_threads, verb_fork_raw, verb_exec, verb_spawn, verb_together,
        verb_one;
/* hostile_threads.c */
verb_fn verb_threads, verb_cancel, verb_exit_inside, verb_signals, verb_small_stack;
/* hostile_ends.c */
verb_fn verb_late, verb_no_descriptors, verb_no_variables;
/* hostile_pages.c */
verb_fn verb_scribble, verb_unmap, verb_raise;

#endif
