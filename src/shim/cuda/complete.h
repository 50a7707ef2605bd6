/* SPDX-License-Identifier: Apache-2.0
 *
 * When tracked work completes: an event behind it in its own stream, which a stream of ours (non-blocking, so that no default
 * stream waits for it) waits for, and there a host function that tells the gate. The program's streams never stall for it,
 * and no thread of ours is needed: three driver calls, events and entries are used again.
 *
 * Where the driver refuses a part of this, events are asked instead whenever somebody comes by; where even that fails (a
 * broken context, a lost device: host functions never run there), the work counts as completed. A ticket is settled once,
 * whoever comes first. */
#ifndef FGC_COMPLETE_H
#define FGC_COMPLETE_H

#include "governor/gate.h"
#include "shim/cuda/device.h"

/* fg_gate_done(gate, ticket) once everything that is in `stream` of `context` now has completed; at once where `context` is
 * NULL. */
void fgc_complete_watch(struct fg_gate *gate, const struct fg_gate_ticket *ticket, CUstream stream, CUcontext context);

/* Looks at everything that is under way, without waiting. */
void fgc_complete_sweep(void);
/* The driver answered `r` to the program: what if the context is broken? */
void fgc_complete_error(CUresult r);

void fgc_complete_context_gone(CUcontext context);

/* Is anything at all under way? */
bool fgc_complete_pending(void);

/* --- streams that the program made (complete_stream.c) --- */
void fgc_complete_stream_add(CUstream stream, CUcontext context, struct fgc_vgpu *vgpu);
/* False: somebody is just using it and will destroy it in the caller's place. */
bool fgc_complete_stream_remove(CUstream stream);
void fgc_complete_streams_forget(CUcontext context);
/* Calls `visit` for each stream of the vGPU; none of them dies meanwhile. */
void fgc_complete_streams(struct fgc_vgpu *vgpu, void (*visit)(CUstream stream, void *user), void *user);
/* Of any stream by the names of gate.h; NULL: the driver does not know either. */
CUcontext fgc_complete_stream_context(CUstream stream);

#endif
