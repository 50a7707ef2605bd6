/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/cuda/capture.h"

#include "base/clock.h"
#include "base/futex.h"
#include "shim/cuda/gate.h"

#define HOLD_LIMIT (50 * FG_NSEC_PER_MSEC)

uint32_t fgc_captures;

/* Threads that record in streams which may not be theirs. A capture first announces itself, then looks at this count; they
 * first count themselves, then look for captures: one sees the other. */
static uint32_t holders;

bool fgc_capture_ask(CUstream stream)
{
        CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_ACTIVE;

        return FGC_REAL(cuStreamIsCapturing, stream, &status) != CUDA_SUCCESS || status != CU_STREAM_CAPTURE_STATUS_NONE;
}

bool fgc_capture_hold(void)
{
        if (!fgc_real.cuStreamIsCapturing)
                return false;
        fg_add_seq_cst(&holders, 1);
        return true;
}

void fgc_capture_release(void)
{
        if (fg_sub_seq_cst(&holders, 1) == 1 && fg_load_seq_cst(&fgc_captures))
                fg_futex_wake_all(&holders);
}

/* A handful of driver calls, none of which waits. */
static void wait_for_holders(void)
{
        uint64_t since = fg_now();
        uint32_t seen;

        while ((seen = fg_load_seq_cst(&holders)) != 0 && fg_now() - since < HOLD_LIMIT)
                fg_futex_wait(&holders, seen, FG_NSEC_PER_MSEC);
}

CUstreamCaptureMode fgc_capture_relax(void)
{
        CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;

        if (!fg_load_seq_cst(&fgc_captures) || !fgc_real.cuThreadExchangeStreamCaptureMode ||
            FGC_REAL(cuThreadExchangeStreamCaptureMode, &mode) != CUDA_SUCCESS)
                return CU_STREAM_CAPTURE_MODE_RELAXED;
        return mode;
}

void fgc_capture_unrelax(CUstreamCaptureMode mode)
{
        if (mode != CU_STREAM_CAPTURE_MODE_RELAXED)
                FGC_REAL(cuThreadExchangeStreamCaptureMode, &mode);
}

static void begin(void)
{
        fg_add_seq_cst(&fgc_captures, 1);
        if (fg_load_seq_cst(&holders))
                wait_for_holders();
}

static CUresult begun(CUresult r)
{
        if (r != CUDA_SUCCESS)
                fg_sub_seq_cst(&fgc_captures, 1);
        return r;
}

static bool is_capturing(CUstream stream)
{
        CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;

        return fg_load_seq_cst(&fgc_captures) && FGC_REAL(cuStreamIsCapturing, stream, &status) == CUDA_SUCCESS &&
               status != CU_STREAM_CAPTURE_STATUS_NONE;
}

/* What the driver answers does not say whether the capture has ended: some refusals end it, others do not. */
static CUresult ended(CUstream stream, bool was, CUresult r)
{
        if (was && !is_capturing(stream))
                fg_sub_seq_cst(&fgc_captures, 1);
        return r;
}

#define BEGIN(name, params, ...) \
        CUresult fgc_##name params \
        { \
                FGC_PASS(name, __VA_ARGS__); \
                begin(); \
                return begun(FGC_REAL(name, __VA_ARGS__)); \
        }

#define END(name, plain, params, ...) \
        CUresult fgc_##name params \
        { \
                FGC_PASS(name, __VA_ARGS__); \
                bool was = is_capturing(plain(stream)); \
                return ended(plain(stream), was, FGC_REAL(name, __VA_ARGS__)); \
        }

#define TO_GRAPH \
        (CUstream stream, CUgraph graph, const CUgraphNode *nodes, const CUgraphEdgeData *edges, size_t count, \
         CUstreamCaptureMode mode)
#define RECAPTURE (CUstream stream, CUstreamCaptureMode mode, CUgraph graph, CUgraphRecaptureCallback function, void *user)

BEGIN(cuStreamBeginCapture, (CUstream stream), stream)
BEGIN(cuStreamBeginCapture_ptsz, (CUstream stream), stream)
BEGIN(cuStreamBeginCapture_v2, (CUstream stream, CUstreamCaptureMode mode), stream, mode)
BEGIN(cuStreamBeginCapture_v2_ptsz, (CUstream stream, CUstreamCaptureMode mode), stream, mode)
BEGIN(cuStreamBeginCaptureToGraph, TO_GRAPH, stream, graph, nodes, edges, count, mode)
BEGIN(cuStreamBeginCaptureToGraph_ptsz, TO_GRAPH, stream, graph, nodes, edges, count, mode)
BEGIN(cuStreamBeginCaptureToCig, (CUstream stream, CUstreamCigCaptureParams *params), stream, params)
BEGIN(cuStreamBeginCaptureToCig_ptsz, (CUstream stream, CUstreamCigCaptureParams *params), stream, params)
BEGIN(cuStreamBeginRecaptureToGraph, RECAPTURE, stream, mode, graph, function, user)
BEGIN(cuStreamBeginRecaptureToGraph_ptsz, RECAPTURE, stream, mode, graph, function, user)
END(cuStreamEndCapture, fgc_stream_plain, (CUstream stream, CUgraph *graph), stream, graph)
END(cuStreamEndCapture_ptsz, fgc_stream_ptsz, (CUstream stream, CUgraph *graph), stream, graph)
END(cuStreamEndCaptureToCig, fgc_stream_plain, (CUstream stream), stream)
END(cuStreamEndCaptureToCig_ptsz, fgc_stream_ptsz, (CUstream stream), stream)
