/* SPDX-License-Identifier: Apache-2.0
 * Streams: made, found, asked and waited for. */
#include "sim/stream.h"

#include "sim/capture.h"
#include "sim/graph.h"

#include <stdlib.h>

static uint64_t next_id;

struct fgsim_stream *fgsim_stream_new(struct fgsim_exec_context *home, unsigned flags, int priority)
{
        struct fgsim_stream *stream = fgsim_object_new(FGSIM_STREAM, sizeof(*stream));

        if (!stream)
                return NULL;
        stream->home = home;
        stream->flags = flags;
        stream->priority = priority;
        stream->id = fg_add_relaxed(&next_id, 1) + 1;
        return stream;
}

/* The default stream of the calling thread; one that an ended thread had serves whoever gets its id. */
static struct fgsim_stream *per_thread(struct fgsim_exec_context *home, CUresult *ret)
{
        struct fgsim_stream *stream;

        fgsim_lock();
        for (stream = home->all; stream; stream = stream->sibling)
                if (stream->is_per_thread && pthread_equal(stream->thread, pthread_self()))
                        break;
        if (!stream) {
                stream = fgsim_stream_new(home, CU_STREAM_DEFAULT, 0);
                if (stream) {
                        stream->is_per_thread = true;
                        stream->thread = pthread_self();
                        stream->sibling = home->all;
                        home->all = stream;
                }
        }
        fgsim_unlock();
        *ret = stream ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
        return stream;
}

struct fgsim_stream *fgsim_stream_get(CUstream handle, CUresult *ret)
{
        struct fgsim_context *ctx = fgsim_context_current();
        struct fgsim_stream *stream;

        if (!ctx) {
                *ret = CUDA_ERROR_INVALID_CONTEXT;
                return NULL;
        }
        *ret = CUDA_SUCCESS;
        if (!handle || handle == CU_STREAM_LEGACY)
                return ctx->exec->legacy;
        if (handle == CU_STREAM_PER_THREAD)
                return per_thread(ctx->exec, ret);
        stream = fgsim_object_get(handle, FGSIM_STREAM);
        if (stream && !stream->is_dying)
                return stream;
        *ret = CUDA_ERROR_INVALID_HANDLE;
        return NULL;
}

CUresult fgsim_stream_create(CUstream *ret, unsigned flags, int priority)
{
        struct fgsim_context *ctx = fgsim_context_current();
        struct fgsim_stream *stream;

        if (!ctx)
                return CUDA_ERROR_INVALID_CONTEXT;
        if (!ret || (flags & ~(unsigned)CU_STREAM_NON_BLOCKING))
                return CUDA_ERROR_INVALID_VALUE;
        priority = priority > 0 ? 0 : priority < FGSIM_PRIORITY_HIGHEST ? FGSIM_PRIORITY_HIGHEST : priority;
        stream = fgsim_stream_new(ctx->exec, flags, priority);
        if (!stream)
                return CUDA_ERROR_OUT_OF_MEMORY;
        fgsim_lock();
        stream->sibling = ctx->exec->all;
        ctx->exec->all = stream;
        fgsim_unlock();
        *ret = (CUstream)stream;
        return CUDA_SUCCESS;
}

void fgsim_stream_release(struct fgsim_stream *stream)
{
        free(stream->tips);
        fgsim_object_free(stream);
}

static void unlink_stream(struct fgsim_stream *stream)
{
        struct fgsim_stream **at = &stream->home->all;

        while (*at && *at != stream)
                at = &(*at)->sibling;
        if (*at)
                *at = stream->sibling;
}

/* What is in the stream still runs to its end. */
CUresult fgsim_stream_destroy(CUstream handle)
{
        CUresult r;
        struct fgsim_stream *stream = fgsim_stream_get(handle, &r);
        struct fgsim_graph *garbage;

        if (!stream)
                return r;
        if (stream == stream->home->legacy || stream->is_per_thread)
                return CUDA_ERROR_INVALID_HANDLE;
        fgsim_lock();
        garbage = fgsim_capture_stream_gone(stream);
        unlink_stream(stream);
        stream->is_dying = true;
        if (stream->length == 0)
                fgsim_stream_release(stream);
        fgsim_unlock();
        fgsim_graph_free(garbage);
        return CUDA_SUCCESS;
}

CUresult fgsim_stream_wait(CUstream handle)
{
        CUresult r;
        struct fgsim_stream *stream = fgsim_stream_get(handle, &r);

        if (!stream)
                return r;
        if (fg_load_acquire(&fgsim_pending) != 0 || fg_load_relaxed(&fgsim_captures) != 0) {
                fgsim_lock();
                r = fgsim_capture_forbids(stream);
                if (r == CUDA_SUCCESS)
                        r = fgsim_wait_until(stream->home->ctx, fgsim_stream_is_done, stream);
                fgsim_unlock();
        }
        if (r == CUDA_SUCCESS)
                fgsim_pool_at_sync(stream->home->ctx);
        return r;
}

CUresult fgsim_stream_query(CUstream handle)
{
        CUresult r;
        struct fgsim_stream *stream = fgsim_stream_get(handle, &r);

        if (!stream)
                return r;
        if (fg_load_acquire(&fgsim_pending) == 0 && fg_load_relaxed(&fgsim_captures) == 0)
                return CUDA_SUCCESS;
        fgsim_lock();
        r = fgsim_capture_forbids(stream);
        if (r == CUDA_SUCCESS && !fgsim_stream_is_done(stream))
                r = CUDA_ERROR_NOT_READY;
        fgsim_unlock();
        return r;
}

CUresult cuStreamCreate(CUstream *ret, unsigned int flags)
{
        FGSIM_ENTER(cuStreamCreate);
        return fgsim_stream_create(ret, flags, 0);
}

CUresult cuStreamCreateWithPriority(CUstream *ret, unsigned int flags, int priority)
{
        FGSIM_ENTER(cuStreamCreateWithPriority);
        return fgsim_stream_create(ret, flags, priority);
}

CUresult cuStreamDestroy(CUstream handle)
{
        FGSIM_ENTER(cuStreamDestroy);
        return fgsim_stream_destroy(handle);
}

CUresult cuStreamDestroy_v2(CUstream handle)
{
        FGSIM_ENTER(cuStreamDestroy_v2);
        return fgsim_stream_destroy(handle);
}

CUresult cuStreamSynchronize(CUstream handle)
{
        FGSIM_ENTER(cuStreamSynchronize);
        return fgsim_stream_wait(handle);
}

CUresult cuStreamQuery(CUstream handle)
{
        FGSIM_ENTER(cuStreamQuery);
        return fgsim_stream_query(handle);
}
