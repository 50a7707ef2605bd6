/* SPDX-License-Identifier: Apache-2.0
 *
 * Which vGPU a context belongs to. Looking up takes no lock; entries are never freed, only used again. A context that no hook
 * saw being made (export tables) is asked about once and belongs to the first vGPU on its device. */
#ifndef FGC_CONTEXT_H
#define FGC_CONTEXT_H

#include "shim/cuda/device.h"

enum fgc_context_kind {
        FGC_CONTEXT_OWN,     /* made by the program; its overhead is charged */
        FGC_CONTEXT_PRIMARY, /* the driver's primary context */
        FGC_CONTEXT_VIRTUAL, /* one of ours that serves as a further vGPU's primary context */
        FGC_CONTEXT_GREEN,   /* part of a primary context: no overhead of its own that is known */
        FGC_CONTEXT_FOUND,   /* made round the hooks: nothing is charged */
};

struct fgc_context {
        struct fgc_vgpu *vgpu; /* NULL: unknown */
        enum fgc_context_kind kind;
};

/* Out of memory is not an error here: the context is then found by asking. `of` is a CUcontext or a CUgreenCtx. */
void fgc_context_add(const void *of, struct fgc_vgpu *vgpu, enum fgc_context_kind kind);
struct fgc_context fgc_context_get(const void *of);
void fgc_context_remove(const void *of);

/* cuCtxAttach and cuCtxDetach count: returns the uses after `change`; a new context has one. */
int fgc_context_uses(const void *of, int change);

/* The calling thread made `context` current; NULL: none, or whatever was below on its stack. */
void fgc_current_set(CUcontext context);
/* A context died: no thread may go on believing that it is current. */
void fgc_current_invalidate(void);

/* Around the end of a context that is not the driver's primary one: the gate lets go of it before, what is charged for it is
 * given back after. */
void fgc_context_ending(CUcontext context);
void fgc_context_ended(CUcontext context);

/* In a forked child: all contexts were the parent's. */
void fgc_contexts_forget(void);
void fgc_primaries_forget(void);

/* The primary context of a vGPU that is not the first on its device, for somebody who will use the handle whether it is retained
 * or not: made now, and never destroyed. (primary.c) */
CUresult fgc_primary_pin(struct fgc_vgpu *vgpu, CUcontext *ret);

#endif
