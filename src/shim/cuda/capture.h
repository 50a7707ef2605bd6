/* SPDX-License-Identifier: Apache-2.0
 *
 * Stream captures under way. A launch in a stream that captures is no work, and an event recorded there would become part of
 * the program's graph, so nothing of ours may happen in such a stream. While no capture is under way anywhere, which is one
 * load, no stream needs to be asked. */
#ifndef FGC_CAPTURE_H
#define FGC_CAPTURE_H

#include "base/atomic.h"
#include "shim/cuda/hook.h"

#include <stdbool.h>

extern uint32_t fgc_captures; /* (a) too high where a program destroyed a stream instead of ending its capture: harmless */

bool fgc_capture_ask(CUstream stream);

/* Is the stream capturing? Also true for the legacy stream while a capture makes it unusable, and for what is no stream. */
static inline bool fgc_capture_has(CUstream stream)
{
        return __builtin_expect(fg_load_seq_cst(&fgc_captures) != 0, 0) && fgc_capture_ask(stream);
}

/* Captures begin only before or after what is done between the two: for records in streams of other threads. False: not now. */
bool fgc_capture_hold(void);
void fgc_capture_release(void);

/* Calls that a capture of GLOBAL or THREAD_LOCAL mode elsewhere forbids are allowed to this thread in between. */
CUstreamCaptureMode fgc_capture_relax(void);
void fgc_capture_unrelax(CUstreamCaptureMode mode);

#endif
