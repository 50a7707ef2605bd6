/* SPDX-License-Identifier: Apache-2.0
 * A driver for tests of the time side: streams whose work completes when the test says so, and a count of every call. The hooks
 * are linked into the test; it has one vGPU, and plays the arbiter by writing the limits page. */
#ifndef TEST_LAUNCH_FAKE_H
#define TEST_LAUNCH_FAKE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shim/cuda/complete.h"
#include "shim/cuda/gate.h"

#include <stdlib.h>
#include <string.h>

struct fake {
        /* Calls so far. */
        unsigned launches, records, queries, stream_waits, host_functions, events, streams, destroyed, exchanges;
        unsigned touched_capture; /* times that a capturing stream was recorded in, waited in or queried */
        CUstream last_stream;     /* of the last launch */
        int arguments_arrived;    /* the last cuLaunchKernel was given 100; 1 to 7, the stream; 8, 9 */
        CUstream last_record;
        CUstreamCaptureMode mode;
        /* What the next ones answer; CUDA_SUCCESS: as usual. */
        CUresult launch_result, record_result, host_result, query_result;
};
extern struct fake fake;

struct fg_limits_page *fake_limits(void);
struct fg_slot *fake_slot(void);

/* An empty driver and a new vGPU. */
int fake_set_up(void **state);
int fake_tear_down(void **state);
void fake_grant(enum fg_grant mode);

#define FAKE_CONTEXT ((CUcontext)0x1000)
#define FAKE_OTHER   ((CUcontext)0x2000)
extern CUcontext fake_current;

/* `n` pieces of work of the stream complete, oldest first, and what can go on behind them does. All of them: UINT_MAX. */
void fake_complete(CUstream stream, unsigned n);
void fake_complete_all(void);
/* As in a broken context: nothing completes, every query says so. */
void fake_break(CUresult sticky);
/* Host functions that can run do not. */
void fake_hold_host_functions(int hold);

#endif
