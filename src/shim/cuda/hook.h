/* SPDX-License-Identifier: Apache-2.0
 *
 * The drop-in CUDA driver. Every name of FG_CUDA_NAMES is exported as a jump through a slot (entry.S). A name in one
 * of the hooks_*.h lists is hooked: its slot leads to fgc_NAME here; every other one leads straight into the real
 * driver. The types come from the prototypes in abi/cuda.h, so that a hook with a wrong signature does not compile.
 *
 *      CUresult fgc_cuMemAlloc_v2(CUdeviceptr *dptr, size_t bytes)
 *      {
 *              CUresult r;
 *
 *              FGC_PASS(cuMemAlloc_v2, dptr, bytes);           // the driver called its own export
 *              ... reserve ...
 *              r = FGC_REAL(cuMemAlloc_v2, dptr, bytes);       // counts as "inside the driver" while it lasts
 *              ... refund on failure ...
 *              return r;
 *      }
 *
 * When a hook runs, the real driver is loaded and the session was attached at some time; a hook whose name the
 * driver lacks never runs. docs/design/cuda-driver.md. */
#ifndef FGC_HOOK_H
#define FGC_HOOK_H

#include "abi/cuda.h"
#include "shim/cuda/hooks_core.h"
#include "shim/cuda/hooks_device.h"
#include "shim/cuda/hooks_memory.h"
#include "shim/cuda/hooks_time.h"
#include "shim/cuda/uses.h"

#include <stddef.h>

#define FGC_HOOKS(X) FGC_HOOKS_CORE(X) FGC_HOOKS_DEVICE(X) FGC_HOOKS_MEMORY(X) FGC_HOOKS_TIME(X)

/* The real driver's functions: the hooked ones and those of uses.h. NULL: it has none of that name. Filled before
 * the first hook runs, then only read. */
struct fgc_driver {
#define FGC_FIELD(name) __typeof__(&name) name;
        FGC_HOOKS(FGC_FIELD) FGC_USES(FGC_FIELD)
#undef FGC_FIELD
};
extern struct fgc_driver fgc_real;

#define FGC_DECLARE(name) extern __typeof__(name) fgc_##name;
FGC_HOOKS(FGC_DECLARE)
#undef FGC_DECLARE

/* How many of our calls into the real driver the calling thread is inside of. */
extern __thread unsigned fgc_inside __attribute__((tls_model("initial-exec")));

static inline CUresult fgc_leave(CUresult r)
{
        fgc_inside--;
        return r;
}

/* A call of the real driver; what it calls of our exports meanwhile passes through. */
#define FGC_INSIDE(call)    (fgc_inside++, fgc_leave(call))
#define FGC_REAL(name, ...) FGC_INSIDE(fgc_real.name(__VA_ARGS__))

/* First in a hook that charges or translates. */
#define FGC_PASS(name, ...) \
        do { \
                if (__builtin_expect(fgc_inside != 0, 0)) \
                        return fgc_real.name(__VA_ARGS__); \
        } while (0)

/* Our hook for what the real driver gave out as the address of a function; any other address is returned as it is.
 * O(1). */
void *fgc_replace(void *real);

#endif
