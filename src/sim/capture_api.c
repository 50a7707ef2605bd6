/* SPDX-License-Identifier: Apache-2.0
 * The calls that begin, end and watch captures. */
#include "sim/capture.h"

#include "sim/graph.h"

static CUresult begin(CUstream handle, CUstreamCaptureMode mode)
{
        CUresult r;
        struct fgsim_stream *stream = fgsim_stream_get(handle, &r);

        if (!stream)
                return r;
        if ((unsigned)mode > CU_STREAM_CAPTURE_MODE_RELAXED)
                return CUDA_ERROR_INVALID_VALUE;
        fgsim_lock();
        r = fgsim_capture_begin(stream, mode, NULL);
        fgsim_unlock();
        return r;
}

CUresult cuStreamBeginCapture(CUstream handle)
{
        FGSIM_ENTER(cuStreamBeginCapture);
        return begin(handle, CU_STREAM_CAPTURE_MODE_GLOBAL);
}

CUresult cuStreamBeginCapture_v2(CUstream handle, CUstreamCaptureMode mode)
{
        FGSIM_ENTER(cuStreamBeginCapture_v2);
        return begin(handle, mode);
}

CUresult cuStreamBeginCaptureToGraph(CUstream handle, CUgraph graph_handle, const CUgraphNode *nodes,
                                     const CUgraphEdgeData *edges, size_t count, CUstreamCaptureMode mode)
{
        struct fgsim_graph *graph = fgsim_object_get(graph_handle, FGSIM_GRAPH);
        struct fgsim_stream *stream;
        CUresult r;

        FGSIM_ENTER(cuStreamBeginCaptureToGraph);
        stream = fgsim_stream_get(handle, &r);
        if (!stream)
                return r;
        if (!graph || (unsigned)mode > CU_STREAM_CAPTURE_MODE_RELAXED || !fgsim_graph_has(graph, nodes, count))
                return CUDA_ERROR_INVALID_VALUE;
        fgsim_lock();
        r = fgsim_capture_begin(stream, mode, graph);
        if (r == CUDA_SUCCESS && !fgsim_tips_set(stream, (struct fgsim_node *const *)nodes, count))
                r = CUDA_ERROR_OUT_OF_MEMORY;
        fgsim_unlock();
        return r;
}

CUresult cuStreamEndCapture(CUstream handle, CUgraph *ret)
{
        struct fgsim_graph *graph = NULL, *garbage = NULL;
        struct fgsim_stream *stream;
        CUresult r;

        FGSIM_ENTER(cuStreamEndCapture);
        stream = fgsim_stream_get(handle, &r);
        if (!stream)
                return r;
        fgsim_lock();
        r = fgsim_capture_end(stream, &graph, &garbage);
        fgsim_unlock();
        fgsim_graph_free(garbage);
        if (ret && (r == CUDA_SUCCESS || r == CUDA_ERROR_STREAM_CAPTURE_INVALIDATED ||
                    r == CUDA_ERROR_STREAM_CAPTURE_UNJOINED))
                *ret = (CUgraph)graph;
        return r;
}

static CUstreamCaptureStatus status_of(const struct fgsim_stream *stream)
{
        if (!stream->capture)
                return CU_STREAM_CAPTURE_STATUS_NONE;
        return stream->capture->is_invalid ? CU_STREAM_CAPTURE_STATUS_INVALIDATED : CU_STREAM_CAPTURE_STATUS_ACTIVE;
}

/* Asking is legal in every state, but the legacy stream has no answer while a blocking stream captures. */
static CUresult info(CUstream handle, CUstreamCaptureStatus *status, cuuint64_t *number, CUgraph *graph,
                     const CUgraphNode **nodes, size_t *count)
{
        CUresult r;
        struct fgsim_stream *stream = fgsim_stream_get(handle, &r);

        if (!stream)
                return r;
        if (!status)
                return CUDA_ERROR_INVALID_VALUE;
        fgsim_lock();
        *status = status_of(stream);
        if (stream == stream->home->legacy && stream->home->blocking_captures > 0)
                r = CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
        if (stream->capture && number)
                *number = stream->capture->number;
        if (*status == CU_STREAM_CAPTURE_STATUS_ACTIVE) {
                if (graph)
                        *graph = (CUgraph)stream->capture->graph;
                if (nodes)
                        *nodes = (const CUgraphNode *)stream->tips;
                if (count)
                        *count = stream->tip_count;
        }
        fgsim_unlock();
        return r;
}

CUresult cuStreamIsCapturing(CUstream handle, CUstreamCaptureStatus *status)
{
        FGSIM_ENTER(cuStreamIsCapturing);
        return info(handle, status, NULL, NULL, NULL, NULL);
}

CUresult cuStreamGetCaptureInfo(CUstream handle, CUstreamCaptureStatus *status, cuuint64_t *number)
{
        FGSIM_ENTER(cuStreamGetCaptureInfo);
        return info(handle, status, number, NULL, NULL, NULL);
}

CUresult cuStreamGetCaptureInfo_v2(CUstream handle, CUstreamCaptureStatus *status, cuuint64_t *number, CUgraph *graph,
                                   const CUgraphNode **nodes, size_t *count)
{
        FGSIM_ENTER(cuStreamGetCaptureInfo_v2);
        return info(handle, status, number, graph, nodes, count);
}

CUresult cuStreamGetCaptureInfo_v3(CUstream handle, CUstreamCaptureStatus *status, cuuint64_t *number, CUgraph *graph,
                                   const CUgraphNode **nodes, const CUgraphEdgeData **edges, size_t *count)
{
        FGSIM_ENTER(cuStreamGetCaptureInfo_v3);
        if (edges)
                *edges = NULL; /* all edges are plain ones */
        return info(handle, status, number, graph, nodes, count);
}

static CUresult update(CUstream handle, const CUgraphNode *nodes, size_t count, unsigned flags)
{
        CUresult r;
        struct fgsim_stream *stream = fgsim_stream_get(handle, &r);
        bool done;

        if (!stream)
                return r;
        if (flags > CU_STREAM_SET_CAPTURE_DEPENDENCIES)
                return CUDA_ERROR_INVALID_VALUE;
        fgsim_lock();
        if (status_of(stream) != CU_STREAM_CAPTURE_STATUS_ACTIVE) {
                r = CUDA_ERROR_ILLEGAL_STATE;
        } else if (!fgsim_graph_has(stream->capture->graph, nodes, count)) {
                r = CUDA_ERROR_INVALID_VALUE;
        } else {
                done = flags == CU_STREAM_SET_CAPTURE_DEPENDENCIES
                               ? fgsim_tips_set(stream, (struct fgsim_node *const *)nodes, count)
                               : fgsim_tips_add(stream, (struct fgsim_node *const *)nodes, count);
                r = done ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
        }
        fgsim_unlock();
        return r;
}

CUresult cuStreamUpdateCaptureDependencies(CUstream handle, CUgraphNode *nodes, size_t count, unsigned int flags)
{
        FGSIM_ENTER(cuStreamUpdateCaptureDependencies);
        return update(handle, nodes, count, flags);
}

CUresult cuStreamUpdateCaptureDependencies_v2(CUstream handle, CUgraphNode *nodes, const CUgraphEdgeData *edges,
                                              size_t count, unsigned int flags)
{
        FGSIM_ENTER(cuStreamUpdateCaptureDependencies_v2);
        return update(handle, nodes, count, flags);
}
