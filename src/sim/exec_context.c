/* SPDX-License-Identifier: Apache-2.0
 * What the memory side asks of this one: contexts come and go, memory must not be in use, frees come in their turn. */
#include "sim/capture.h"
#include "sim/event.h"
#include "sim/graph.h"
#include "sim/module.h"

#include <stdlib.h>

CUresult fgsim_exec_context_new(struct fgsim_context *ctx)
{
        struct fgsim_exec_context *exec = calloc(1, sizeof(*exec));

        if (!exec)
                return CUDA_ERROR_OUT_OF_MEMORY;
        exec->ctx = ctx;
        exec->legacy = fgsim_stream_new(exec, CU_STREAM_DEFAULT, 0);
        if (!exec->legacy) {
                free(exec);
                return CUDA_ERROR_OUT_OF_MEMORY;
        }
        fgsim_turn_reset(ctx->gpu);
        ctx->exec = exec;
        return CUDA_SUCCESS;
}

static bool context_is_idle(const void *arg)
{
        const struct fgsim_exec_context *exec = arg;

        for (const struct fgsim_stream *s = fgsim_active; s; s = s->active)
                if (s->home == exec)
                        return false;
        return true;
}

static CUresult wait_idle(struct fgsim_context *ctx)
{
        CUresult r;

        if (fg_load_acquire(&fgsim_pending) == 0 || fgsim_is_worker())
                return CUDA_SUCCESS;
        fgsim_lock();
        r = fgsim_wait_until(ctx, context_is_idle, ctx->exec);
        fgsim_unlock();
        return r;
}

CUresult fgsim_exec_context_sync(struct fgsim_context *ctx)
{
        CUresult r = fgsim_exec_capture_permits();

        return r == CUDA_SUCCESS ? wait_idle(ctx) : r;
}

void fgsim_exec_drain(struct fgsim_context *ctx)
{
        if (ctx && ctx->exec)
                wait_idle(ctx);
}

/* Of a broken context the work is dropped, except for what an engine has in its hands. */
static void drop_work(struct fgsim_stream *stream)
{
        while (stream->head && !stream->head->taken)
                fgsim_complete(stream, fg_now());
        if (stream->head && stream->head->taken)
                stream->is_dying = true;
}

static void stream_gone(struct fgsim_stream *stream)
{
        drop_work(stream);
        if (stream->length == 0)
                fgsim_stream_release(stream);
}

static void end_captures(struct fgsim_exec_context *exec)
{
        struct fgsim_stream *s;

        do {
                struct fgsim_graph *garbage = NULL;
                fgsim_lock();
                for (s = exec->all; s && !s->capture;)
                        s = s->sibling;
                if (s)
                        garbage = fgsim_capture_stream_gone(s);
                fgsim_unlock();
                fgsim_graph_free(garbage);
        } while (s);
}

void fgsim_exec_context_gone(struct fgsim_context *ctx)
{
        struct fgsim_exec_context *exec = ctx->exec;
        struct fgsim_stream *next;
        bool is_idle;

        if (!exec)
                return;
        fgsim_exec_drain(ctx);
        while (exec->modules)
                fgsim_module_free(exec->modules);
        end_captures(exec);
        fgsim_lock();
        while (exec->events)
                fgsim_event_free(exec->events);
        for (struct fgsim_stream *s = exec->all; s; s = next) {
                next = s->sibling;
                stream_gone(s);
        }
        stream_gone(exec->legacy);
        is_idle = context_is_idle(exec);
        fgsim_unlock();
        ctx->exec = NULL;
        if (is_idle)
                free(exec); /* else an engine still looks at it */
}

CUresult fgsim_exec_stream_check(CUstream handle, struct fgsim_context **ret_ctx)
{
        CUresult r;
        struct fgsim_stream *stream = fgsim_stream_get(handle, &r);

        if (stream && ret_ctx)
                *ret_ctx = stream->home->ctx;
        return r;
}

bool fgsim_exec_stream_is_capturing(CUstream handle)
{
        struct fgsim_stream *stream;
        CUresult r;

        if (fg_load_relaxed(&fgsim_captures) == 0)
                return false;
        stream = fgsim_stream_get(handle, &r);
        return stream && stream->capture;
}

struct call_op {
        struct fgsim_op op;
        void (*fn)(void *arg);
        void *arg;
};

static void call_end(struct fgsim_op *op, uint64_t at)
{
        ((struct call_op *)op)->fn(((struct call_op *)op)->arg);
}

CUresult fgsim_exec_stream_call(CUstream handle, void (*fn)(void *arg), void *arg)
{
        static const struct fgsim_op_class class = {.end = call_end};
        struct fgsim_stream *stream;
        struct call_op *op;
        CUresult r;

        stream = fgsim_stream_get(handle, &r);
        if (!stream)
                return r;
        if (fg_load_acquire(&fgsim_pending) == 0) {
                fn(arg);
                return CUDA_SUCCESS;
        }
        op = calloc(1, sizeof(*op));
        if (!op)
                return CUDA_ERROR_OUT_OF_MEMORY;
        *op = (struct call_op){{.class = &class, .lane = FGSIM_LANE_NONE}, fn, arg};
        fgsim_lock();
        fgsim_push(stream, &op->op);
        fgsim_settle();
        fgsim_unlock();
        return CUDA_SUCCESS;
}

static CUresult capture_node(CUstream handle, const CUgraphNodeParams *params, struct fgsim_task *task)
{
        struct fgsim_stream *stream;
        CUresult r;

        stream = fgsim_stream_get(handle, &r);
        if (r == CUDA_SUCCESS)
                r = fgsim_task_from(params, task);
        if (r != CUDA_SUCCESS)
                return r;
        fgsim_lock();
        if (!fgsim_capture_task(stream, task, &r))
                r = CUDA_ERROR_ILLEGAL_STATE; /* the capture ended meanwhile */
        fgsim_unlock();
        return r;
}

CUresult fgsim_exec_capture_alloc(CUstream handle, size_t bytes, CUdeviceptr *ret_ptr)
{
        struct fgsim_context *ctx = fgsim_context_current();
        CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_MEM_ALLOC};
        struct fgsim_task task = {0};
        CUresult r;

        params.alloc.bytesize = bytes;
        params.alloc.poolProps.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
        params.alloc.poolProps.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
        params.alloc.poolProps.location.id = ctx ? fgsim_ordinal_of(ctx->gpu) : 0;
        r = capture_node(handle, &params, &task);
        if (r == CUDA_SUCCESS)
                *ret_ptr = task.memory->ptr;
        if (task.memory)
                fgsim_task_clear(&task);
        return r;
}

CUresult fgsim_exec_capture_free(CUstream handle, CUdeviceptr ptr)
{
        CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_MEM_FREE, .free = {.dptr = ptr}};
        struct fgsim_task task;

        return capture_node(handle, &params, &task);
}
