/* SPDX-License-Identifier: Apache-2.0
 * How every hook that makes a context for the program does it. */
#ifndef FGC_CONTEXT_MAKE_H
#define FGC_CONTEXT_MAKE_H

#include "shim/cuda/context.h"
#include "shim/cuda/hook.h"

/* Before a context is made on what the program calls `*device`: takes its overhead, leaves the driver's number. *ret NULL: no
 * such device, which the driver will say. */
CUresult fgc_context_begin(CUdevice *device, struct fgc_vgpu **ret);
/* After the driver was asked: `r` is what it said, `context` what it made, which is current now. Returns `r`. */
CUresult fgc_context_commit(CUresult r, struct fgc_vgpu *vgpu, const CUcontext *context);

/* The hook of a function whose parameters include `pctx` and `dev`: pass, take, make, commit. */
#define FGC_CREATE(name, params, ...) \
        CUresult fgc_##name params \
        { \
                struct fgc_vgpu *vgpu; \
                FGC_PASS(name, __VA_ARGS__); \
                CUresult r = fgc_context_begin(&dev, &vgpu); \
                return r ? r : fgc_context_commit(FGC_REAL(name, __VA_ARGS__), vgpu, pctx); \
        }

#endif
