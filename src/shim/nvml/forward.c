/* SPDX-License-Identifier: Apache-2.0
 * Names without a hook: their device is translated, or they are refused.
 *
 * No function of NVML has more than six arguments, all of them integers or pointers: each stays in the register that it
 * came in, whatever its type, and the vendor's function looks at as many as it has. */
#include "base/atomic.h"
#include "shim/common/library.h"
#include "shim/nvml/core.h"
#include "shim/nvml/device.h"

typedef nvmlReturn_t forward_fn(void *a, void *b, void *c, void *d, void *e, void *f);

/* The physical device of a handle of ours. */
static bool forward_translate(void **device)
{
        const struct fgn_vgpu *vgpu = fgn_vgpu_of(*device);

        if (vgpu)
                *device = fg_load_acquire(&vgpu->real);
        return vgpu != NULL;
}

__attribute__((noinline)) static nvmlReturn_t forward(unsigned index, enum fgn_kind kind, void *a, void *b, void *c,
                                                      void *d, void *e, void *f)
{
        forward_fn *real = (forward_fn *)fgn_driver_function(index);

        if (fgn_inside)
                return real(a, b, c, d, e, f);
        if (!fgn_in_use())
                return NVML_ERROR_UNINITIALIZED;
        if (kind == FGN_DENIED)
                return NVML_ERROR_NO_PERMISSION;
        if (kind == FGN_HIDDEN)
                return NVML_ERROR_NOT_SUPPORTED;
        if (!forward_translate(&a) || (kind == FGN_DEVICES && !forward_translate(&b)))
                return NVML_ERROR_INVALID_ARGUMENT;
        fgn_inside++;
        return fgn_leave(real(a, b, c, d, e, f));
}

static uint8_t forward_kind[FGN_NAMES]; /* 0: not asked yet, or FGN_PASSES, which has no use for a thunk */

#define FORWARD_THUNK(name)                                                                                            \
        static nvmlReturn_t forward_##name(void *a, void *b, void *c, void *d, void *e, void *f)                       \
        {                                                                                                              \
                return forward(FGN_##name, forward_kind[FGN_##name], a, b, c, d, e, f);                                \
        }
FG_NVML_NAMES(FORWARD_THUNK)

static forward_fn *const forward_thunks[FGN_NAMES] = {
#define FORWARD_ROW(name) forward_##name,
        FG_NVML_NAMES(FORWARD_ROW)
#undef FORWARD_ROW
};

void *fgn_thunk(unsigned index)
{
        forward_kind[index] = (uint8_t)fgn_kind_of(fgx_names[index]);
        return (void *)forward_thunks[index];
}
