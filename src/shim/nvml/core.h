/* SPDX-License-Identifier: Apache-2.0
 * Between the files of the drop-in's core. */
#ifndef FGN_CORE_H
#define FGN_CORE_H

#include "abi/nvml_names.h"
#include "shim/nvml/hook.h"

/* Numbers of the exported names, in the order of the entries. */
enum fgn_name {
#define FGN_NUMBER(name) FGN_##name,
        FG_NVML_NAMES(FGN_NUMBER)
#undef FGN_NUMBER
                FGN_NAMES
};

enum fgn_state {
        FGN_NEW,    /* nobody has used NVML yet, or this thread is just loading the library */
        FGN_OPEN,   /* attached, and the vendor's library is loaded */
        FGN_CLOSED, /* no session or no library: everything is refused */
};

/* Attaches and loads the vendor's library, once; what came of it. */
enum fgn_state fgn_start(void);
/* Whether there is a vendor's library. */
int fgn_has_driver(void);

/* What becomes of a name that has no hook. */
enum fgn_kind {
        FGN_PASSES,  /* takes no device: the vendor's function as it is */
        FGN_DEVICE,  /* its first argument is a device */
        FGN_DEVICES, /* its first two are */
        FGN_DENIED,  /* would change the physical device: NO_PERMISSION */
        FGN_HIDDEN,  /* would show more than the vGPU, or hand out devices that we do not know: NOT_SUPPORTED */
};
enum fgn_kind fgn_kind_of(const char *name);

/* What the entry of number `index` leads to where its kind is not FGN_PASSES. */
void *fgn_thunk(unsigned index);
/* The vendor's function of that number, NULL: it has none. */
void *fgn_driver_function(unsigned index);

#endif
