/* SPDX-License-Identifier: Apache-2.0
 *
 * The time side: whatever makes the device work passes the vGPU's gate first. While the gate is free that is a few loads and
 * one store (fgc_gate_pass), and the driver is called with the program's own arguments, by a jump:
 *
 *      if (fgc_gate_pass(stream))
 *              return fgc_real.cuLaunchKernel(...);
 *      ... else, out of line:
 *      struct fgc_work work;
 *      CUresult r = fgc_work_enter(&work, stream, key);        // may wait
 *      return r ? r : fgc_work_leave(&work, FGC_REAL(cuLaunchKernel, ...));
 *
 * Inside a stream capture nothing is counted, recorded or waited for. docs/design/cuda-driver.md. */
#ifndef FGC_GATE_H
#define FGC_GATE_H

#include "base/atomic.h"
#include "governor/gate.h"
#include "shim/cuda/device.h"
#include "shim/cuda/hook.h"

#define FGC_TIME_VGPUS 64u /* of the program's first so many vGPUs it is known where the last work went */
#define FGC_KEY_MANY   (~(uintptr_t)0)

/* Where the work of one vGPU went since the device was last known to be idle: only then is a wait for one stream a wait for
 * all. A stream's key: fgc_stream_key(). */
struct fgc_time {
        uintptr_t stream;  /* (a) the only one with work; 0: none; FGC_KEY_MANY: several */
        uint32_t legacy;   /* (a) the legacy stream is one of them */
        uint32_t contexts; /* (a) contexts in which work was seen: 0, 1, 2 = more than one */
        CUcontext context; /* (a) the first of them */
};
extern struct fgc_time fgc_times[FGC_TIME_VGPUS];

/* Streams go by the names that mean the same to every thread's caller: the plain entry points' default stream is
 * CU_STREAM_LEGACY, the _ptsz and _ptds ones' is CU_STREAM_PER_THREAD. */
static inline CUstream fgc_stream_plain(CUstream stream)
{
        return stream ? stream : CU_STREAM_LEGACY;
}

static inline CUstream fgc_stream_ptsz(CUstream stream)
{
        return stream ? stream : CU_STREAM_PER_THREAD;
}

/* Each thread's own default stream has a key of its own. */
static inline uintptr_t fgc_stream_key(CUstream stream)
{
        return stream == CU_STREAM_PER_THREAD ? (uintptr_t)&fgc_inside | 1 : (uintptr_t)stream;
}

static inline struct fgc_time *fgc_time_of(const struct fgc_vgpu *vgpu)
{
        return &fgc_times[vgpu->ordinal % FGC_TIME_VGPUS];
}

/* True: counted, and nothing else is to be done. `stream` by the names above. It calls nothing, so that the hook keeps the
 * program's arguments where they are: several vGPUs, and the first launch in another stream, take the long way. */
static inline __attribute__((always_inline)) bool fgc_gate_pass(CUstream stream)
{
        uintptr_t key = fgc_stream_key(stream), seen = fg_load_relaxed(&fgc_times[0].stream);

        if (__builtin_expect(fgc_vgpu_count != 1, 0) || __builtin_expect(seen != key && seen != FGC_KEY_MANY, 0))
                return false;
        if (key == (uintptr_t)CU_STREAM_LEGACY && seen == FGC_KEY_MANY)
                fg_store_relaxed(&fgc_times[0].legacy, 1);
        return fg_gate_pass(fgc_vgpus->gate);
}

struct fgc_work {
        struct fgc_vgpu *vgpu; /* NULL: not gated */
        CUstream stream;
        struct fg_gate_ticket ticket;
};

/* CUDA_ERROR_DEVICE_UNAVAILABLE: the vGPU was taken away. Anything but CUDA_SUCCESS is the hook's answer. */
CUresult fgc_work_enter(struct fgc_work *work, CUstream stream, uint32_t key);
/* Without waiting: work that has begun elsewhere already. */
CUresult fgc_work_enter_now(struct fgc_work *work, CUstream stream, uint32_t key);
/* Pass on what the driver said. */
CUresult fgc_work_leave(struct fgc_work *work, CUresult r);

/* Kinds of work. */
uint32_t fgc_key(const void *what, uint64_t size);

/* --- for DEVICE --- */
struct fg_gate *fgc_gate_new(struct fgc_vgpu *vgpu);
/* Before a context is destroyed: what is in flight there is waited for a little, then written off. */
void fgc_gate_context_gone(CUcontext context);

#endif
