/* SPDX-License-Identifier: Apache-2.0
 * What a capture takes, and what spoils it. */
#include "sim/capture.h"

#include "sim/event.h"
#include "sim/graph.h"

#include <stdlib.h>
#include <string.h>

static struct fgsim_capture *captures;
static _Thread_local CUstreamCaptureMode thread_mode __attribute__((tls_model("initial-exec"))) =
        CU_STREAM_CAPTURE_MODE_GLOBAL;

static struct fgsim_capture *capture_numbered(uint64_t number)
{
        struct fgsim_capture *capture = captures;

        while (capture && capture->number != number)
                capture = capture->next;
        return capture;
}

/* The thread's mode says which captures its unsafe calls spoil: its own, others' global ones too, or none. */
static bool spoils(const struct fgsim_capture *capture)
{
        if (capture->mode == CU_STREAM_CAPTURE_MODE_RELAXED || thread_mode == CU_STREAM_CAPTURE_MODE_RELAXED)
                return false;
        return pthread_equal(capture->thread, pthread_self()) ||
               (capture->mode == CU_STREAM_CAPTURE_MODE_GLOBAL && thread_mode == CU_STREAM_CAPTURE_MODE_GLOBAL);
}

CUresult fgsim_exec_capture_permits(void)
{
        CUresult r = CUDA_SUCCESS;

        if (FGSIM_LIKELY(fg_load_relaxed(&fgsim_captures) == 0))
                return CUDA_SUCCESS;
        fgsim_lock();
        for (struct fgsim_capture *c = captures; c; c = c->next) {
                if (!spoils(c))
                        continue;
                c->is_invalid = true;
                r = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
        }
        fgsim_unlock();
        return r;
}

/* Using the legacy stream would tie a capture of a blocking stream to work outside it. */
static bool legacy_spoils(const struct fgsim_stream *stream)
{
        return stream == stream->home->legacy && stream->home->blocking_captures > 0;
}

static CUresult spoil_blocking(const struct fgsim_stream *legacy)
{
        for (struct fgsim_stream *s = legacy->home->all; s; s = s->sibling)
                if (s->capture && fgsim_stream_blocks(s))
                        s->capture->is_invalid = true;
        return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
}

CUresult fgsim_capture_forbids(struct fgsim_stream *stream)
{
        if (stream->capture) {
                stream->capture->is_invalid = true;
                return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
        }
        return legacy_spoils(stream) ? spoil_blocking(stream) : CUDA_SUCCESS;
}

bool fgsim_tips_add(struct fgsim_stream *stream, struct fgsim_node *const *nodes, size_t count)
{
        struct fgsim_node **tips = realloc(stream->tips, (stream->tip_count + count + 1) * sizeof(*tips));

        if (!tips)
                return false;
        stream->tips = tips;
        for (size_t i = 0; i < count; i++) {
                bool known = false;
                for (size_t k = 0; k < stream->tip_count && !known; k++)
                        known = tips[k] == nodes[i];
                if (!known)
                        tips[stream->tip_count++] = nodes[i];
        }
        return true;
}

bool fgsim_tips_set(struct fgsim_stream *stream, struct fgsim_node *const *nodes, size_t count)
{
        stream->tip_count = 0;
        return fgsim_tips_add(stream, nodes, count);
}

bool fgsim_capture_task(struct fgsim_stream *stream, const struct fgsim_task *task, CUresult *ret)
{
        struct fgsim_node *node;

        if (!stream->capture) {
                if (!legacy_spoils(stream))
                        return false;
                *ret = spoil_blocking(stream);
                return true;
        }
        if (stream->capture->is_invalid) {
                *ret = CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
                return true;
        }
        *ret = fgsim_graph_add(stream->capture->graph, task, stream->tips, stream->tip_count, &node);
        if (*ret == CUDA_SUCCESS && !fgsim_tips_set(stream, &node, 1))
                *ret = CUDA_ERROR_OUT_OF_MEMORY;
        return true;
}

static void join(struct fgsim_stream *stream, struct fgsim_capture *capture)
{
        stream->capture = capture;
        stream->fellow = capture->streams;
        capture->streams = stream;
        stream->tip_count = 0;
        if (fgsim_stream_blocks(stream))
                stream->home->blocking_captures++;
}

static void leave(struct fgsim_stream *stream)
{
        struct fgsim_stream **at = &stream->capture->streams;

        while (*at != stream)
                at = &(*at)->fellow;
        *at = stream->fellow;
        stream->fellow = NULL;
        stream->capture = NULL;
        stream->tip_count = 0;
        if (fgsim_stream_blocks(stream))
                stream->home->blocking_captures--;
}

static void capture_free(struct fgsim_capture *capture)
{
        struct fgsim_capture **at = &captures;

        while (*at != capture)
                at = &(*at)->next;
        *at = capture->next;
        while (capture->streams)
                leave(capture->streams);
        fg_sub_seq_cst(&fgsim_captures, 1);
        free(capture);
}

/* The graph of a capture whose origin is destroyed goes with it. */
struct fgsim_graph *fgsim_capture_stream_gone(struct fgsim_stream *stream)
{
        struct fgsim_capture *capture = stream->capture;
        struct fgsim_graph *garbage;

        if (!capture)
                return NULL;
        capture->is_invalid = true;
        if (capture->origin != stream) {
                leave(stream);
                return NULL;
        }
        garbage = capture->into_given_graph ? NULL : capture->graph;
        capture_free(capture);
        return garbage;
}

CUresult fgsim_capture_begin(struct fgsim_stream *stream, CUstreamCaptureMode mode, struct fgsim_graph *graph)
{
        static uint64_t count;
        struct fgsim_capture *capture;

        if (stream == stream->home->legacy)
                return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
        if (stream->capture)
                return CUDA_ERROR_ILLEGAL_STATE;
        capture = calloc(1, sizeof(*capture));
        if (capture)
                capture->graph = graph ? graph : fgsim_graph_new();
        if (!capture || !capture->graph) {
                free(capture);
                return CUDA_ERROR_OUT_OF_MEMORY;
        }
        capture->number = ++count;
        capture->mode = mode;
        capture->thread = pthread_self();
        capture->origin = stream;
        capture->into_given_graph = graph;
        capture->next = captures;
        captures = capture;
        fg_add_seq_cst(&fgsim_captures, 1);
        join(stream, capture);
        return CUDA_SUCCESS;
}

/* Whether all that other streams did leads back into the origin. */
static bool is_joined(const struct fgsim_capture *capture)
{
        const struct fgsim_stream *origin = capture->origin;

        fgsim_graph_reach(capture->graph, origin->tips, origin->tip_count);
        for (const struct fgsim_stream *s = capture->streams; s; s = s->fellow)
                for (size_t i = 0; s != origin && i < s->tip_count; i++)
                        if (!s->tips[i]->is_reached)
                                return false;
        return true;
}

CUresult fgsim_capture_end(struct fgsim_stream *stream, struct fgsim_graph **ret, struct fgsim_graph **ret_garbage)
{
        struct fgsim_capture *capture = stream->capture;
        CUresult r = CUDA_SUCCESS;

        if (!capture)
                return CUDA_ERROR_ILLEGAL_STATE;
        if (capture->origin != stream)
                return CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
        if (capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED && !pthread_equal(capture->thread, pthread_self()))
                return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
        if (capture->is_invalid)
                r = CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
        else if (!is_joined(capture))
                r = CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
        *ret = r == CUDA_SUCCESS ? capture->graph : NULL;
        *ret_garbage = r == CUDA_SUCCESS || capture->into_given_graph ? NULL : capture->graph;
        capture_free(capture);
        return r;
}

static bool keep_tips(struct fgsim_event *event, const struct fgsim_stream *stream)
{
        event->tips = malloc((stream->tip_count + 1) * sizeof(*event->tips));
        if (!event->tips)
                return false;
        if (stream->tip_count)
                memcpy(event->tips, stream->tips, stream->tip_count * sizeof(*event->tips));
        event->tip_count = stream->tip_count;
        event->capture = stream->capture->number;
        return true;
}

bool fgsim_capture_event_record(CUstream handle, CUevent event_handle, CUresult *ret)
{
        struct fgsim_event *event = fgsim_event_get(event_handle);
        struct fgsim_stream *stream = fgsim_stream_get(handle, ret);
        bool mine = false;

        if (!event || !stream)
                return false;
        fgsim_lock();
        if (stream->capture) {
                mine = true;
                fgsim_event_uncapture(event);
                if (stream->capture->is_invalid)
                        *ret = CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
                else if (!keep_tips(event, stream))
                        *ret = CUDA_ERROR_OUT_OF_MEMORY;
        }
        fgsim_unlock();
        return mine;
}

/* A stream that waits for a captured event joins its capture. */
static CUresult wait_captured(struct fgsim_stream *stream, struct fgsim_event *event)
{
        struct fgsim_capture *capture = capture_numbered(event->capture);

        if (!capture)
                return CUDA_ERROR_CAPTURED_EVENT;
        if (stream == stream->home->legacy)
                return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
        if (stream->capture && stream->capture != capture) {
                stream->capture->is_invalid = capture->is_invalid = true;
                return CUDA_ERROR_STREAM_CAPTURE_MERGE;
        }
        if (capture->is_invalid)
                return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
        if (!stream->capture)
                join(stream, capture);
        return fgsim_tips_add(stream, event->tips, event->tip_count) ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

bool fgsim_capture_event_wait(CUstream handle, CUevent event_handle, CUresult *ret)
{
        struct fgsim_event *event = fgsim_event_get(event_handle);
        struct fgsim_stream *stream = fgsim_stream_get(handle, ret);
        bool mine = false;

        if (!event || !stream)
                return false;
        fgsim_lock();
        if (event->capture) {
                mine = true;
                *ret = wait_captured(stream, event);
        } else if (stream->capture) {
                mine = true;
                stream->capture->is_invalid = true;
                *ret = CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
        }
        fgsim_unlock();
        return mine;
}

CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *mode)
{
        CUstreamCaptureMode before = thread_mode;

        FGSIM_ENTER(cuThreadExchangeStreamCaptureMode);
        if (!mode || (unsigned)*mode > CU_STREAM_CAPTURE_MODE_RELAXED)
                return CUDA_ERROR_INVALID_VALUE;
        thread_mode = *mode;
        *mode = before;
        return CUDA_SUCCESS;
}
