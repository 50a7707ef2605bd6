/* SPDX-License-Identifier: Apache-2.0
 *
 * Green contexts: parts of the driver's primary context. Work and memory in one counts for the vGPU that it was made for, also
 * where that shares its device and has another context as its primary. */
#include "shim/cuda/context.h"
#include "shim/cuda/hook.h"
#include "shim/cuda/translate.h"

CUresult fgc_cuGreenCtxCreate(CUgreenCtx *green, CUdevResourceDesc description, CUdevice dev, unsigned int flags)
{
        FGC_PASS(cuGreenCtxCreate, green, description, dev, flags);
        struct fgc_vgpu *vgpu = fgc_vgpu_of_ordinal(dev);
        CUcontext context = NULL; /* the same by its other handle, which streams are asked for */
        CUresult r = FGC_REAL(cuGreenCtxCreate, green, description, fgc_device_in(dev), flags);
        if (r)
                return r;
        fgc_context_add(*green, vgpu, FGC_CONTEXT_GREEN);
        if (!FGC_REAL(cuCtxFromGreenCtx, &context, *green))
                fgc_context_add(context, vgpu, FGC_CONTEXT_GREEN);
        return r;
}

CUresult fgc_cuCtxFromGreenCtx(CUcontext *context, CUgreenCtx green)
{
        FGC_PASS(cuCtxFromGreenCtx, context, green);
        CUresult r = FGC_REAL(cuCtxFromGreenCtx, context, green);
        if (!r)
                fgc_context_add(*context, fgc_context_get(green).vgpu, FGC_CONTEXT_GREEN);
        return r;
}

CUresult fgc_cuGreenCtxDestroy(CUgreenCtx green)
{
        FGC_PASS(cuGreenCtxDestroy, green);
        CUcontext context = NULL;
        if (FGC_REAL(cuCtxFromGreenCtx, &context, green))
                context = NULL;
        if (context)
                fgc_context_ending(context);
        CUresult r = FGC_REAL(cuGreenCtxDestroy, green);
        if (!r) {
                fgc_context_remove(green);
                fgc_context_remove(context);
                fgc_current_invalidate();
        }
        return r;
}

/* The resource may hold a device number of the driver's, of a kind that the program is not to look into; it comes back as it
 * went (cuDevResourceGenerateDesc and kin). */
CUresult fgc_cuDeviceGetDevResource(CUdevice dev, CUdevResource *resource, CUdevResourceType type)
{
        if (!fgc_inside)
                dev = fgc_device_in(dev);
        return FGC_REAL(cuDeviceGetDevResource, dev, resource, type);
}
