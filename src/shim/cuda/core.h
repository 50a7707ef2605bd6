/* SPDX-License-Identifier: Apache-2.0
 * Between the files of the drop-in's core. */
#ifndef FGC_CORE_H
#define FGC_CORE_H

#include "abi/cuda_names.h"
#include "shim/cuda/hook.h"

#include <stdbool.h>

/* Numbers of the exported names, in the order of the entries. */
enum fgc_name {
#define FGC_NUMBER(name) FGC_##name,
        FG_CUDA_NAMES(FGC_NUMBER)
#undef FGC_NUMBER
                FGC_NAMES
};

enum fgc_state {
        FGC_NEW,    /* nobody has used CUDA yet, or this thread is just loading the driver */
        FGC_OPEN,   /* attached, and the driver is loaded */
        FGC_CLOSED, /* no session, no driver or no device: everything is refused */
};

/* Attaches and loads the driver, once; what came of it. */
enum fgc_state fgc_start(void);
/* Refuses everything from now on. */
void fgc_close(void);
/* As that, and for the hooks that the program holds the addresses of: what they call refuses. In a process with one
 * thread. */
void fgc_close_child(void);

/* The driver's function of this name, NULL: it has none (or there is no driver). */
void *fgc_driver_sym(const char *name);
/* The hook of exported name number `index`, -1 allowed; NULL: it is not hooked. */
void *fgc_hook_of(int index);
/* What a closed entry does: the few functions that answer without a vGPU, else CUDA_ERROR_NOT_INITIALIZED; the latter
 * also for -1. */
void *fgc_closed_target(int index);

/* What to give the program for `found`, the driver's answer to (symbol, version, flags). */
void *fgc_form_replace(const char *symbol, void *found, cuuint64_t flags);

/* In the child of fork(), before anything else runs there. */
void fgc_init_forked(void);

#endif
