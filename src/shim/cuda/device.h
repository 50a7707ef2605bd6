/* SPDX-License-Identifier: Apache-2.0
 *
 * The vGPUs as CUDA devices. The program's CUdevice is a position in fgc_vgpus; the driver's is another number, and no hook
 * may hand the one to the side that speaks the other (translate.h). The table is filled once, in cuInit, and then only read.
 *
 * Several vGPUs of one physical device: the first visible one (`first`) has the driver's primary context and default pool,
 * each of the others a context and a pool of its own that play these parts. */
#ifndef FGC_DEVICE_H
#define FGC_DEVICE_H

#include "abi/cuda.h"
#include "ledger/attach.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fg_gate;

struct fgc_vgpu {
        unsigned ordinal; /* CUdevice the program sees */
        CUdevice real;    /* the physical one, the driver's number */
        bool first;       /* of the visible vGPUs on that device */
        struct fg_session_vgpu *session;
        struct fg_ledger *ledger;
        struct fg_gate *gate;

        /* The primary context. `first`: `primary` is the driver's, as last heard of; else it is ours, NULL while inactive. */
        _Atomic(CUcontext) primary;
        _Atomic uint32_t primary_refs;  /* retains by the program; under primary.c's lock unless `first` */
        uint32_t primary_flags;         /* not `first`: what the next one is made with */
        bool primary_pinned;            /* not `first`: somebody keeps its handle without a retain; it stays */
        _Atomic uint32_t primary_taken; /* 1: its overhead is charged */

        /* The stream-ordered pools. Both NULL on the first vGPU until the program sets one: the driver's own do. */
        _Atomic(CUmemoryPool) pool_default;
        _Atomic(CUmemoryPool) pool;
};

extern unsigned fgc_vgpu_count;     /* visible ones; 0 before cuInit */
extern struct fgc_vgpu *fgc_vgpus;

/* What the calling thread's current context belongs to, so far as the hooks know. Valid while `epoch` is the global one. */
struct fgc_current {
        struct fgc_vgpu *vgpu; /* NULL: ask the driver */
        uint32_t epoch;
};
extern __thread struct fgc_current fgc_current __attribute__((tls_model("initial-exec")));
extern _Atomic uint32_t fgc_context_epoch; /* bumped when a context dies, for the threads it was current to */

/* Slow paths of the functions below. */
struct fgc_vgpu *fgc_vgpu_current_ask(void);
struct fgc_vgpu *fgc_vgpu_of_stream_ask(CUstream stream);

/* True when the calling thread is known to have a current context, without asking the driver. */
static inline bool fgc_current_known(void)
{
        return fgc_current.vgpu && fgc_current.epoch == atomic_load_explicit(&fgc_context_epoch, memory_order_acquire);
}

/* Of the calling thread's current context. NULL: it has none. With one vGPU always that one, without a driver call. */
static inline struct fgc_vgpu *fgc_vgpu_current(void)
{
        if (__builtin_expect(fgc_vgpu_count == 1, 1))
                return fgc_vgpus;
        return fgc_current_known() ? fgc_current.vgpu : fgc_vgpu_current_ask();
}

/* Of the context that `stream` belongs to. 0, 1 and 2 (default, legacy, per-thread) are the current context's. */
static inline struct fgc_vgpu *fgc_vgpu_of_stream(CUstream stream)
{
        if (__builtin_expect(fgc_vgpu_count == 1, 1))
                return fgc_vgpus;
        return (uintptr_t)stream <= 2 ? fgc_vgpu_current() : fgc_vgpu_of_stream_ask(stream);
}

/* What the program calls device `ordinal`. NULL: there is none. */
static inline struct fgc_vgpu *fgc_vgpu_of_ordinal(CUdevice ordinal)
{
        return ordinal >= 0 && (unsigned)ordinal < fgc_vgpu_count ? &fgc_vgpus[ordinal] : NULL;
}

/* NULL: unknown, or destroyed. One vGPU: always that one. May ask the driver about a context that no hook saw being made. */
struct fgc_vgpu *fgc_vgpu_of_context(CUcontext context);
/* The first visible vGPU on the driver's device `real`; NULL: none. */
struct fgc_vgpu *fgc_vgpu_of_real(CUdevice real);

/* The pool that cuMemAllocAsync of this vGPU is to take from; NULL: call the driver's cuMemAllocAsync, its own pool is right.
 * CUDA_ERROR_*: a pool of its own could not be made. (pool_device.c) */
CUresult fgc_vgpu_pool(struct fgc_vgpu *vgpu, CUmemoryPool *ret);
/* A vGPU's default pool that is not the driver's: cuMemPoolDestroy must refuse it (CUDA_ERROR_INVALID_VALUE). */
bool fgc_pool_is_default(CUmemoryPool pool);
/* `pool` was destroyed: it is no vGPU's current pool any more. */
void fgc_pool_gone(CUmemoryPool pool);

/* --- cuInit (CORE): fgc_visible_begin(session); r = real cuInit; fgc_visible_end(); then fgc_devices_init(session), or, where the
 * driver said CUDA_ERROR_NO_DEVICE, fgc_devices_gone(): it may have found none of those that it was shown --- */

/* Reads the program's CUDA_VISIBLE_DEVICES and, for the duration of the driver's cuInit, shows the driver the physical devices
 * of the visible vGPUs instead (visible.c says why and how). Never fails; _end() undoes it. One caller at a time. */
void fgc_visible_begin(const struct fg_session *session);
void fgc_visible_end(void);

/* After the driver's cuInit: finds the physical device of each visible vGPU by UUID, makes the gates. CUDA_SUCCESS, also when
 * called again; CUDA_ERROR_NO_DEVICE: no vGPU is visible, or one's device is gone (one line on standard error names it). */
CUresult fgc_devices_init(struct fg_session *session);
/* One line on standard error for the first visible vGPU. Nothing if none is visible: the program wanted that. */
void fgc_devices_gone(const struct fg_session *session);
/* In a forked child (by itself): there are no vGPUs until it starts CUDA; nothing of the parent's table is freed. */
void fgc_devices_forget(void);

#endif
