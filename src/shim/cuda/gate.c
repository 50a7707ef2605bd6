/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/cuda/gate.h"

#include "shim/cuda/capture.h"
#include "shim/cuda/complete.h"

struct fgc_time fgc_times[FGC_TIME_VGPUS];

uint32_t fgc_key(const void *what, uint64_t size)
{
        uint64_t hash = ((uint64_t)(uintptr_t)what ^ size * 0x9e3779b97f4a7c15ull) * 0xff51afd7ed558ccdull;

        return (uint32_t)(hash >> 32) | 1;
}

static void note(struct fgc_time *time, uintptr_t key)
{
        uintptr_t seen = fg_load_relaxed(&time->stream);

        if (key == (uintptr_t)CU_STREAM_LEGACY && !fg_load_relaxed(&time->legacy))
                fg_store_relaxed(&time->legacy, 1);
        if (seen != key && seen != FGC_KEY_MANY)
                fg_store_relaxed(&time->stream, seen ? FGC_KEY_MANY : key);
}

/* Where tracked work is, which is as good as a sample of where work is. */
static CUcontext context_of(struct fgc_time *time, CUstream stream)
{
        CUcontext context = fgc_complete_stream_context(stream), first = fg_load_relaxed(&time->context);

        if (first == context || !context)
                return context;
        if (!first) {
                fg_store_relaxed(&time->context, context);
                fg_store_relaxed(&time->contexts, 1);
        } else {
                fg_store_relaxed(&time->contexts, 2);
        }
        return context;
}

static CUresult enter(struct fgc_work *work, CUstream stream, uint32_t key, bool may_wait)
{
        struct fgc_vgpu *vgpu;

        work->vgpu = NULL;
        if (fgc_inside)
                return CUDA_SUCCESS;
        vgpu = fgc_vgpu_of_stream(stream);
        if (!vgpu)
                return CUDA_SUCCESS;
        note(fgc_time_of(vgpu), fgc_stream_key(stream));
        if (fg_gate_pass(vgpu->gate))
                return CUDA_SUCCESS;
        if (fgc_capture_has(stream))
                return CUDA_SUCCESS;
        if (fg_gate_enter(vgpu->gate, key, may_wait, &work->ticket) < 0)
                return CUDA_ERROR_DEVICE_UNAVAILABLE;
        work->vgpu = vgpu;
        work->stream = stream;
        return CUDA_SUCCESS;
}

CUresult fgc_work_enter(struct fgc_work *work, CUstream stream, uint32_t key)
{
        return enter(work, stream, key, true);
}

CUresult fgc_work_enter_now(struct fgc_work *work, CUstream stream, uint32_t key)
{
        return enter(work, stream, key, false);
}

CUresult fgc_work_leave(struct fgc_work *work, CUresult r)
{
        if (r != CUDA_SUCCESS)
                fgc_complete_error(r);
        if (!work->vgpu)
                return r;
        if (r != CUDA_SUCCESS)
                fg_gate_abort(work->vgpu->gate, &work->ticket);
        else if (work->ticket.tracked)
                fgc_complete_watch(work->vgpu->gate, &work->ticket, work->stream,
                                   context_of(fgc_time_of(work->vgpu), work->stream));
        return r;
}

/* --- what the gate asks for --- */

static void mark(struct fg_gate *gate, CUstream stream)
{
        struct fg_gate_ticket ticket;

        if (FGC_REAL(cuStreamQuery, stream) != CUDA_ERROR_NOT_READY)
                return;
        fg_gate_mark(gate, &ticket);
        fgc_complete_watch(gate, &ticket, stream, fgc_complete_stream_context(stream));
}

static void mark_known(CUstream stream, void *gate)
{
        if (!fgc_capture_has(stream))
                mark(gate, stream);
}

/* The streams that the program made, the legacy one where it was used, and the calling thread's own. Other threads' own
 * default streams can only be reached by them: their next launch comes behind what is there, and is tracked. An event in
 * the legacy stream waits for all blocking streams, so it is not put there without need. */
static void mark_all(struct fg_gate *gate, void *user)
{
        struct fgc_vgpu *vgpu = user;
        CUstreamCaptureMode mode;

        if (!fgc_capture_hold())
                return;
        mode = fgc_capture_relax();
        fgc_complete_streams(vgpu, mark_known, gate);
        if (fg_load_relaxed(&fgc_time_of(vgpu)->legacy) && fgc_vgpu_current() == vgpu)
                mark_known(CU_STREAM_LEGACY, gate);
        if (fgc_vgpu_current() == vgpu)
                mark_known(CU_STREAM_PER_THREAD, gate);
        fgc_capture_unrelax(mode);
        fgc_capture_release();
}

static void poll(struct fg_gate *gate, void *user)
{
        fgc_complete_sweep();
}

struct fg_gate *fgc_gate_new(struct fgc_vgpu *vgpu)
{
        static const struct fg_gate_ops ops = {.mark_all = mark_all, .poll = poll};

        return fg_gate_new(vgpu->session, &ops, vgpu);
}

void fgc_gate_context_gone(CUcontext context)
{
        fgc_complete_context_gone(context);
}
