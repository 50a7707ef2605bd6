/* SPDX-License-Identifier: Apache-2.0
 *
 * Contexts that the program makes, and the calling thread's stack of current ones. A context is paid for before it is made;
 * handles are the driver's. What is current is only remembered here, as a hint for fgc_vgpu_current(). */
#include "shim/cuda/context_make.h"
#include "shim/cuda/gate.h"
#include "shim/cuda/memory.h"
#include "shim/cuda/translate.h"

CUresult fgc_context_begin(CUdevice *device, struct fgc_vgpu **ret)
{
        *ret = fgc_vgpu_of_ordinal(*device);
        *device = fgc_device_in(*device);
        int error = *ret ? fgc_overhead_take(*ret) : 0;
        return error ? fgc_refusal(error) : CUDA_SUCCESS;
}

CUresult fgc_context_commit(CUresult r, struct fgc_vgpu *vgpu, const CUcontext *context)
{
        if (r && vgpu)
                fgc_overhead_drop(vgpu);
        if (!r) {
                fgc_context_add(*context, vgpu, FGC_CONTEXT_OWN);
                fgc_current_set(*context);
        }
        return r;
}

FGC_CREATE(cuCtxCreate, (CUcontext *pctx, unsigned int flags, CUdevice dev), pctx, flags, dev)
FGC_CREATE(cuCtxCreate_v2, (CUcontext *pctx, unsigned int flags, CUdevice dev), pctx, flags, dev)
FGC_CREATE(cuCtxCreate_v3, (CUcontext *pctx, CUexecAffinityParam *list, int count, unsigned int flags, CUdevice dev), pctx, list,
           count, flags, dev)
FGC_CREATE(cuCtxCreate_v4, (CUcontext *pctx, CUctxCreateParams *how, unsigned int flags, CUdevice dev), pctx, how, flags, dev)

void fgc_context_ending(CUcontext context)
{
        fgc_gate_context_gone(context);
}

void fgc_context_ended(CUcontext context)
{
        struct fgc_context was = fgc_context_get(context);
        fgc_context_remove(context);
        fgc_current_invalidate();
        fgc_memory_context_gone(context);
        if (was.vgpu && (was.kind == FGC_CONTEXT_OWN || was.kind == FGC_CONTEXT_VIRTUAL))
                fgc_overhead_drop(was.vgpu);
}

/* True for what the driver would call a primary context, were it one of its own. */
static bool is_virtual(CUcontext context)
{
        return fgc_context_get(context).kind == FGC_CONTEXT_VIRTUAL;
}

#define DESTROY(name) \
        CUresult fgc_##name(CUcontext context) \
        { \
                FGC_PASS(name, context); \
                if (is_virtual(context)) \
                        return CUDA_ERROR_INVALID_CONTEXT; \
                if (fgc_context_get(context).kind != FGC_CONTEXT_PRIMARY) /* which the driver refuses to destroy */ \
                        fgc_context_ending(context); \
                CUresult r = FGC_REAL(name, context); \
                if (!r) \
                        fgc_context_ended(context); \
                return r; \
        }

DESTROY(cuCtxDestroy)
DESTROY(cuCtxDestroy_v2)

CUresult fgc_cuCtxAttach(CUcontext *pctx, unsigned int flags)
{
        FGC_PASS(cuCtxAttach, pctx, flags);
        CUresult r = FGC_REAL(cuCtxAttach, pctx, flags);
        if (!r)
                fgc_context_uses(*pctx, 1);
        return r;
}

/* The last use ends the context. */
CUresult fgc_cuCtxDetach(CUcontext context)
{
        FGC_PASS(cuCtxDetach, context);
        if (is_virtual(context))
                return CUDA_ERROR_INVALID_CONTEXT;
        bool own = fgc_context_get(context).kind == FGC_CONTEXT_OWN;
        bool last = own && fgc_context_uses(context, -1) <= 0;
        if (last)
                fgc_context_ending(context);
        CUresult r = FGC_REAL(cuCtxDetach, context);
        if (r && own)
                fgc_context_uses(context, 1);
        else if (!r && last)
                fgc_context_ended(context);
        return r;
}

CUresult fgc_cuCtxSetCurrent(CUcontext context)
{
        FGC_PASS(cuCtxSetCurrent, context);
        CUresult r = FGC_REAL(cuCtxSetCurrent, context);
        if (!r)
                fgc_current_set(context);
        return r;
}

#define PUSH(name) \
        CUresult fgc_##name(CUcontext context) \
        { \
                FGC_PASS(name, context); \
                CUresult r = FGC_REAL(name, context); \
                if (!r) \
                        fgc_current_set(context); \
                return r; \
        }

/* What is below on the stack is asked for when it matters. */
#define POP(name) \
        CUresult fgc_##name(CUcontext *ret) \
        { \
                FGC_PASS(name, ret); \
                CUresult r = FGC_REAL(name, ret); \
                if (!r) \
                        fgc_current_set(NULL); \
                return r; \
        }

PUSH(cuCtxPushCurrent)
PUSH(cuCtxPushCurrent_v2)
POP(cuCtxPopCurrent)
POP(cuCtxPopCurrent_v2)
