/* SPDX-License-Identifier: Apache-2.0
 * Streams come and go; and the program waits: where that was for everything it had on the device, the gate is told. */
#include "shim/cuda/complete.h"
#include "shim/cuda/copy.h"
#include "shim/cuda/gate.h"
#include "shim/cuda/overhead.h"

static void keep(CUstream stream)
{
        CUcontext context = NULL;
        struct fgc_vgpu *vgpu = fgc_vgpu_current();

        if (vgpu && FGC_REAL(cuCtxGetCurrent, &context) == CUDA_SUCCESS)
                fgc_complete_stream_add(stream, context, vgpu);
}

CUresult fgc_cuStreamCreate(CUstream *stream, unsigned int flags)
{
        FGC_PASS(cuStreamCreate, stream, flags);
        CUresult r = FGC_REAL(cuStreamCreate, stream, flags);
        if (r == CUDA_SUCCESS)
                keep(*stream);
        return r;
}

CUresult fgc_cuStreamCreateWithPriority(CUstream *stream, unsigned int flags, int priority)
{
        FGC_PASS(cuStreamCreateWithPriority, stream, flags, priority);
        CUresult r = FGC_REAL(cuStreamCreateWithPriority, stream, flags, priority);
        if (r == CUDA_SUCCESS)
                keep(*stream);
        return r;
}

CUresult fgc_cuGreenCtxStreamCreate(CUstream *stream, CUgreenCtx green, unsigned int flags, int priority)
{
        CUcontext context = NULL;

        FGC_PASS(cuGreenCtxStreamCreate, stream, green, flags, priority);
        CUresult r = FGC_REAL(cuGreenCtxStreamCreate, stream, green, flags, priority);
        if (r == CUDA_SUCCESS && fgc_real.cuStreamGetCtx && FGC_REAL(cuStreamGetCtx, *stream, &context) == CUDA_SUCCESS)
                fgc_complete_stream_add(*stream, context, fgc_vgpu_of_context(context));
        return r;
}

/* The driver may give the next stream the same address. */
static bool destroy(CUstream stream)
{
        if (!fgc_vgpu_count || (uintptr_t)stream <= 2)
                return true;
        for (unsigned i = 0; i < FGC_TIME_VGPUS && i < fgc_vgpu_count; i++)
                if (fg_load_relaxed(&fgc_times[i].stream) == (uintptr_t)stream)
                        fg_store_relaxed(&fgc_times[i].stream, FGC_KEY_MANY);
        return fgc_complete_stream_remove(stream);
}

CUresult fgc_cuStreamDestroy(CUstream stream)
{
        FGC_PASS(cuStreamDestroy, stream);
        return destroy(stream) ? FGC_REAL(cuStreamDestroy, stream) : CUDA_SUCCESS;
}

CUresult fgc_cuStreamDestroy_v2(CUstream stream)
{
        FGC_PASS(cuStreamDestroy_v2, stream);
        return destroy(stream) ? FGC_REAL(cuStreamDestroy_v2, stream) : CUDA_SUCCESS;
}

/* --- waiting --- */

static CUresult pooled(CUresult r)
{
        fgc_pool_synced();
        return r;
}

/* A wait, after which pools are smaller. */
#define POOLED(call) (fgc_pool_syncing(), pooled(call))

struct wait {
        struct fgc_vgpu *vgpu; /* NULL: there is nothing to tell */
        uint64_t launches;
};

static uint64_t launches_of(const struct fgc_vgpu *vgpu)
{
        return fg_load_relaxed(&vgpu->ledger->usage->slot[vgpu->ledger->slot].launches);
}

/* Is the context the only one with work? */
static bool is_only(const struct fgc_time *time, CUcontext context)
{
        if (!context && FGC_REAL(cuCtxGetCurrent, &context) != CUDA_SUCCESS)
                return false;
        return fg_load_relaxed(&time->contexts) <= 1 && fg_load_relaxed(&time->context) == context;
}

/* Before the program waits. `key`: for that stream alone; 0: for the whole context, NULL: the current one. */
static struct wait wait_begin(struct fgc_vgpu *vgpu, uintptr_t key, CUcontext context)
{
        struct fgc_time *time;
        bool all;

        if (fgc_inside || !vgpu || !vgpu->gate || vgpu->ordinal >= FGC_TIME_VGPUS)
                return (struct wait){.vgpu = NULL};
        time = fgc_time_of(vgpu);
        all = key ? fg_load_relaxed(&time->stream) == key : is_only(time, context);
        return (struct wait){.vgpu = all ? vgpu : NULL, .launches = launches_of(vgpu)};
}

/* What another thread launched meanwhile is not waited for. */
static CUresult wait_end(const struct wait *wait, CUresult r)
{
        if (r != CUDA_SUCCESS) {
                fgc_complete_error(r);
        } else if (wait->vgpu && launches_of(wait->vgpu) == wait->launches) {
                fg_store_relaxed(&fgc_time_of(wait->vgpu)->stream, 0);
                fg_store_relaxed(&fgc_time_of(wait->vgpu)->legacy, 0);
                fg_gate_idle(wait->vgpu->gate);
        }
        return r;
}

CUresult fgc_sync_copied(CUstream stream, CUresult r)
{
        struct wait wait;

        if (!fgc_vgpu_count || fgc_inside)
                return r;
        wait = wait_begin(fgc_vgpu_current(), fgc_stream_key(stream), NULL);
        fgc_pool_settle_dirty(); /* the copy waited for what was before it */
        return wait_end(&wait, r);
}

CUresult fgc_cuStreamSynchronize(CUstream stream)
{
        CUstream plain = fgc_stream_plain(stream);
        struct wait wait = wait_begin(fgc_vgpu_of_stream(plain), fgc_stream_key(plain), NULL);

        return wait_end(&wait, POOLED(FGC_REAL(cuStreamSynchronize, stream)));
}

CUresult fgc_cuStreamSynchronize_ptsz(CUstream stream)
{
        CUstream plain = fgc_stream_ptsz(stream);
        struct wait wait = wait_begin(fgc_vgpu_of_stream(plain), fgc_stream_key(plain), NULL);

        return wait_end(&wait, POOLED(FGC_REAL(cuStreamSynchronize_ptsz, stream)));
}

CUresult fgc_cuCtxSynchronize(void)
{
        struct wait wait = wait_begin(fgc_vgpu_current(), 0, NULL);

        return wait_end(&wait, POOLED(FGC_REAL(cuCtxSynchronize)));
}

CUresult fgc_cuCtxSynchronize_v2(CUcontext context)
{
        struct wait wait = wait_begin(context ? fgc_vgpu_of_context(context) : fgc_vgpu_current(), 0, context);

        return wait_end(&wait, POOLED(FGC_REAL(cuCtxSynchronize_v2, context)));
}

/* What an event stands behind is not known here; but its wait is where a broken context is often heard of first. */
CUresult fgc_cuEventSynchronize(CUevent event)
{
        CUresult r = POOLED(FGC_REAL(cuEventSynchronize, event));

        if (r != CUDA_SUCCESS && !fgc_inside)
                fgc_complete_error(r);
        return r;
}
