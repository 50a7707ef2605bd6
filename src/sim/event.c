/* SPDX-License-Identifier: Apache-2.0
 * Events: a record is a mark in its stream; who waits, waits for the mark that is the newest at that moment. */
#include "sim/event.h"

#include "sim/capture.h"
#include "sim/exec_task.h"

#include <stdlib.h>

#define KNOWN_FLAGS (CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING | CU_EVENT_INTERPROCESS)

struct fgsim_event *fgsim_event_get(CUevent handle)
{
        return fgsim_object_get(handle, FGSIM_EVENT);
}

struct fgsim_event *fgsim_event_make(unsigned flags, CUresult *ret)
{
        struct fgsim_context *ctx = fgsim_context_current();
        struct fgsim_event *event = ctx ? fgsim_object_new(FGSIM_EVENT, sizeof(*event)) : NULL;

        *ret = !ctx ? CUDA_ERROR_INVALID_CONTEXT : event ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
        if (!event)
                return NULL;
        event->flags = flags;
        event->ctx = ctx;
        fgsim_lock();
        event->next = ctx->exec->events;
        event->link = &ctx->exec->events;
        if (event->next)
                event->next->link = &event->next;
        ctx->exec->events = event;
        fgsim_unlock();
        return event;
}

static CUresult event_new(CUevent *ret, unsigned flags)
{
        struct fgsim_event *event;
        CUresult r;

        if (!ret || (flags & ~(unsigned)KNOWN_FLAGS) ||
            ((flags & CU_EVENT_INTERPROCESS) && !(flags & CU_EVENT_DISABLE_TIMING)))
                return CUDA_ERROR_INVALID_VALUE;
        event = fgsim_event_make(flags, &r);
        if (event)
                *ret = (CUevent)event;
        return r;
}

void fgsim_event_uncapture(struct fgsim_event *event)
{
        free(event->tips);
        event->tips = NULL;
        event->tip_count = 0;
        event->capture = 0;
}

void fgsim_event_free(struct fgsim_event *event)
{
        *event->link = event->next;
        if (event->next)
                event->next->link = event->link;
        fgsim_event_uncapture(event);
        fgsim_mark_drop(event->mark);
        fgsim_event_page_drop(event->page);
        fgsim_object_free(event);
}

static CUresult event_destroy(CUevent handle)
{
        struct fgsim_event *event = fgsim_event_get(handle);

        if (!event)
                return CUDA_ERROR_INVALID_HANDLE;
        fgsim_lock();
        fgsim_event_free(event);
        fgsim_unlock();
        return CUDA_SUCCESS;
}

/* Wanting nothing of the stream before it, the mark is there at once: no operation is made. */
bool fgsim_event_push_record(struct fgsim_stream *stream, CUevent handle)
{
        struct fgsim_event *event = fgsim_event_get(handle);
        struct fgsim_mark *mark;
        struct fgsim_op *op;

        if (!event)
                return true; /* destroyed since the graph was made */
        fgsim_event_uncapture(event);
        if (event->page)
                return fgsim_event_page_push(stream, event->page);
        if (fgsim_stream_is_done(stream) && (stream == stream->home->legacy || !stream->home->legacy->head)) {
                fgsim_mark_drop(event->mark);
                event->mark = NULL;
                event->at = fgsim_stream_now(stream);
                event->is_recorded = true;
                return true;
        }
        mark = fgsim_mark_new();
        op = mark ? fgsim_op_mark(mark) : NULL;
        if (!op) {
                fgsim_mark_drop(mark);
                return false;
        }
        fgsim_push(stream, op);
        fgsim_mark_drop(event->mark);
        event->mark = mark;
        event->is_recorded = true;
        return true;
}

bool fgsim_event_push_wait(struct fgsim_stream *stream, CUevent handle)
{
        struct fgsim_event *event = fgsim_event_get(handle);
        struct fgsim_op *op;

        if (event && event->page)
                return fgsim_event_page_push_wait(stream, event->page);
        if (!event || !event->mark || event->mark->done)
                return true;
        op = fgsim_op_wait(event->mark);
        if (op)
                fgsim_push(stream, op);
        return op;
}

bool fgsim_event_is_done(const void *arg)
{
        const struct fgsim_event *event = arg;

        if (event->page)
                return fgsim_event_page_is_done(event->page);
        return !event->mark || event->mark->done;
}

static bool mark_is_done(const void *mark)
{
        return ((const struct fgsim_mark *)mark)->done;
}

/* The event may be recorded anew, or destroyed, meanwhile. */
CUresult fgsim_event_wait(struct fgsim_event *event)
{
        struct fgsim_mark *mark = event->mark;
        CUresult r;

        if (event->page || !mark)
                return fgsim_wait_until(event->ctx, fgsim_event_is_done, event);
        mark->refs++;
        r = fgsim_wait_until(event->ctx, mark_is_done, mark);
        fgsim_mark_drop(mark);
        return r;
}

static CUresult submit_event(CUstream handle, CUevent event_handle, CUgraphNodeType type)
{
        struct fgsim_task task = {.type = type, .event = event_handle};
        struct fgsim_event *event = fgsim_event_get(event_handle);
        struct fgsim_stream *stream;
        CUresult r;

        stream = fgsim_stream_get(handle, &r);
        if (!stream)
                return r;
        if (event && event->capture && type == CU_GRAPH_NODE_TYPE_WAIT_EVENT)
                return CUDA_ERROR_CAPTURED_EVENT;
        if (!event || (type == CU_GRAPH_NODE_TYPE_EVENT_RECORD && event->ctx != stream->home->ctx))
                return CUDA_ERROR_INVALID_HANDLE;
        return fgsim_submit_in(stream, &task);
}

/* Neither is a node of the graph, unless the flag asks for it: a capture keeps them as dependencies. */
static CUresult record(CUstream handle, CUevent event, unsigned flags)
{
        CUresult r;

        if (flags & ~(unsigned)CU_EVENT_RECORD_EXTERNAL)
                return CUDA_ERROR_INVALID_VALUE;
        if (!(flags & CU_EVENT_RECORD_EXTERNAL) && fg_load_relaxed(&fgsim_captures) &&
            fgsim_capture_event_record(handle, event, &r))
                return r;
        return submit_event(handle, event, CU_GRAPH_NODE_TYPE_EVENT_RECORD);
}

static CUresult wait(CUstream handle, CUevent event, unsigned flags)
{
        CUresult r;

        if (flags & ~(unsigned)CU_EVENT_WAIT_EXTERNAL)
                return CUDA_ERROR_INVALID_VALUE;
        if (!(flags & CU_EVENT_WAIT_EXTERNAL) && fg_load_relaxed(&fgsim_captures) &&
            fgsim_capture_event_wait(handle, event, &r))
                return r;
        return submit_event(handle, event, CU_GRAPH_NODE_TYPE_WAIT_EVENT);
}

static CUresult event_check(const struct fgsim_event *event)
{
        if (!event)
                return CUDA_ERROR_INVALID_HANDLE;
        return event->capture ? CUDA_ERROR_CAPTURED_EVENT : fgsim_exec_capture_permits();
}

static uint64_t moment(const struct fgsim_event *event)
{
        return event->mark ? event->mark->at : event->at;
}

static CUresult elapsed(float *ret, CUevent from_handle, CUevent to_handle)
{
        const struct fgsim_event *from = fgsim_event_get(from_handle), *to = fgsim_event_get(to_handle);
        CUresult r = CUDA_SUCCESS;

        if (!from || !to)
                return CUDA_ERROR_INVALID_HANDLE;
        if (!ret)
                return CUDA_ERROR_INVALID_VALUE;
        fgsim_lock();
        if (from->ctx->gpu != to->ctx->gpu || ((from->flags | to->flags) & CU_EVENT_DISABLE_TIMING) ||
            !from->is_recorded || !to->is_recorded)
                r = CUDA_ERROR_INVALID_HANDLE;
        else if (!fgsim_event_is_done(from) || !fgsim_event_is_done(to))
                r = CUDA_ERROR_NOT_READY;
        else
                *ret = (float)((double)(int64_t)(moment(to) - moment(from)) / 1e6);
        fgsim_unlock();
        return r;
}

CUresult cuEventCreate(CUevent *ret, unsigned int flags)
{
        FGSIM_ENTER(cuEventCreate);
        return event_new(ret, flags);
}

CUresult cuEventDestroy(CUevent handle)
{
        FGSIM_ENTER(cuEventDestroy);
        return event_destroy(handle);
}

CUresult cuEventDestroy_v2(CUevent handle)
{
        FGSIM_ENTER(cuEventDestroy_v2);
        return event_destroy(handle);
}

CUresult cuEventRecord(CUevent event, CUstream stream)
{
        FGSIM_ENTER(cuEventRecord);
        return record(stream, event, 0);
}

CUresult cuEventRecordWithFlags(CUevent event, CUstream stream, unsigned int flags)
{
        FGSIM_ENTER(cuEventRecordWithFlags);
        return record(stream, event, flags);
}

CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned int flags)
{
        FGSIM_ENTER(cuStreamWaitEvent);
        return wait(stream, event, flags);
}

CUresult cuEventQuery(CUevent handle)
{
        struct fgsim_event *event = fgsim_event_get(handle);
        CUresult r;

        FGSIM_ENTER(cuEventQuery);
        r = event_check(event);
        if (r != CUDA_SUCCESS)
                return r;
        fgsim_lock();
        r = fgsim_event_is_done(event) ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
        fgsim_unlock();
        return r;
}

CUresult cuEventSynchronize(CUevent handle)
{
        struct fgsim_event *event = fgsim_event_get(handle);
        CUresult r;

        FGSIM_ENTER(cuEventSynchronize);
        r = event_check(event);
        if (r != CUDA_SUCCESS)
                return r;
        fgsim_lock();
        r = fgsim_event_wait(event);
        fgsim_unlock();
        if (r == CUDA_SUCCESS)
                fgsim_pool_at_sync(event->ctx);
        return r;
}

CUresult cuEventElapsedTime(float *ret, CUevent from, CUevent to)
{
        FGSIM_ENTER(cuEventElapsedTime);
        return elapsed(ret, from, to);
}

CUresult cuEventElapsedTime_v2(float *ret, CUevent from, CUevent to)
{
        FGSIM_ENTER(cuEventElapsedTime_v2);
        return elapsed(ret, from, to);
}
