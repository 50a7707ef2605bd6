/* SPDX-License-Identifier: Apache-2.0
 * From tasks to operations. */
#include "sim/exec_task.h"

#include "sim/capture.h"
#include "sim/graph.h"
#include "sim/module.h"

#include <stdlib.h>
#include <string.h>

struct task_op {
        struct fgsim_op op;
        struct fgsim_task task;
};

static const struct fgsim_task *task_of(struct fgsim_op *op)
{
        return &((struct task_op *)op)->task;
}

static void launch_run(struct fgsim_op *op)
{
        fgsim_launch_run(&task_of(op)->launch);
}

static void copy_run(struct fgsim_op *op)
{
        fgsim_copy_run(&task_of(op)->copy);
}

static void fill_run(struct fgsim_op *op)
{
        fgsim_fill_run(&task_of(op)->fill);
}

static void host_run(struct fgsim_op *op)
{
        task_of(op)->host.fn(task_of(op)->host.user);
}

static void free_end(struct fgsim_op *op, uint64_t at)
{
        fgsim_graph_memory_give(task_of(op)->ptr);
}

static void task_end(struct fgsim_op *op, uint64_t at)
{
        fgsim_task_clear(&((struct task_op *)op)->task);
}

static const struct fgsim_op_class launch_class = {.run = launch_run, .end = task_end};
static const struct fgsim_op_class pause_class = {.end = task_end}; /* time passes, nothing happens */
static const struct fgsim_op_class copy_class = {.run = copy_run, .end = task_end};
static const struct fgsim_op_class fill_class = {.run = fill_run, .end = task_end};
static const struct fgsim_op_class host_class = {.run = host_run, .end = task_end};
static const struct fgsim_op_class free_class = {.end = free_end};

static void plan(struct task_op *op, const struct fgsim_op_class *class, enum fgsim_lane lane, uint64_t ns)
{
        op->op.class = class;
        op->op.lane = lane;
        op->op.ns = ns;
}

/* What neither computes nor takes time keeps its place in the stream and needs no engine. */
static void plan_launch(struct task_op *op, const struct fgsim_launch *launch)
{
        if (fgsim_function_is_host(launch->function))
                plan(op, &launch_class, FGSIM_LANE_COMPUTE, launch->ns);
        else
                plan(op, &pause_class, launch->ns ? FGSIM_LANE_COMPUTE : FGSIM_LANE_NONE, launch->ns);
}

struct fgsim_op *fgsim_task_op(const struct fgsim_task *task)
{
        struct task_op *op = calloc(1, sizeof(*op));

        if (!op || !fgsim_task_dup(&op->task, task)) {
                free(op);
                return NULL;
        }
        switch (task->type) {
        case CU_GRAPH_NODE_TYPE_KERNEL:
                plan_launch(op, &task->launch);
                break;
        case CU_GRAPH_NODE_TYPE_MEMCPY:
                plan(op, &copy_class, task->copy.lane, task->copy.ns);
                break;
        case CU_GRAPH_NODE_TYPE_MEMSET:
                plan(op, &fill_class, FGSIM_LANE_COMPUTE, task->fill.ns);
                break;
        case CU_GRAPH_NODE_TYPE_HOST:
                plan(op, &host_class, FGSIM_LANE_HOST, 0);
                break;
        case CU_GRAPH_NODE_TYPE_MEM_FREE:
                plan(op, &free_class, FGSIM_LANE_NONE, 0);
                break;
        default:
                plan(op, &pause_class, FGSIM_LANE_NONE, 0);
        }
        return &op->op;
}

static bool push_memops(struct fgsim_stream *stream, const struct fgsim_memop *memop)
{
        for (unsigned i = 0; i < memop->count; i++) {
                struct fgsim_op *op = fgsim_memop_op(&memop->param[i]);
                if (!op)
                        return false;
                fgsim_push(stream, op);
        }
        return true;
}

bool fgsim_task_push(struct fgsim_stream *stream, const struct fgsim_task *task)
{
        struct fgsim_op *op;

        switch (task->type) {
        case CU_GRAPH_NODE_TYPE_GRAPH:
                return fgsim_graph_push(stream, task->graph);
        case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
                return fgsim_event_push_record(stream, task->event);
        case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
                return fgsim_event_push_wait(stream, task->event);
        case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
                return push_memops(stream, &task->memop);
        case CU_GRAPH_NODE_TYPE_EMPTY:
        case CU_GRAPH_NODE_TYPE_MEM_ALLOC: /* its memory was taken at the launch */
                return true;
        default:
                op = fgsim_task_op(task);
                if (op)
                        fgsim_push(stream, op);
                return op;
        }
}

bool fgsim_task_dup(struct fgsim_task *ret, const struct fgsim_task *task)
{
        *ret = *task;
        switch (task->type) {
        case CU_GRAPH_NODE_TYPE_KERNEL:
                if (ret->launch.args)
                        fg_add_relaxed(&ret->launch.args->refs, 1);
                return true;
        case CU_GRAPH_NODE_TYPE_MEMCPY:
                if (ret->copy.stage)
                        fg_add_relaxed(&ret->copy.stage->refs, 1);
                return true;
        case CU_GRAPH_NODE_TYPE_GRAPH:
                ret->graph = fgsim_graph_dup(task->graph);
                return ret->graph;
        case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
                fg_add_relaxed(&ret->memory->refs, 1);
                return true;
        case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
                ret->memop.param = malloc(task->memop.count * sizeof(*task->memop.param) + 1);
                if (ret->memop.param && task->memop.count)
                        memcpy(ret->memop.param, task->memop.param, task->memop.count * sizeof(*task->memop.param));
                return ret->memop.param;
        default:
                return true;
        }
}

void fgsim_task_clear(struct fgsim_task *task)
{
        if (task->type == CU_GRAPH_NODE_TYPE_KERNEL)
                fgsim_args_drop(task->launch.args);
        else if (task->type == CU_GRAPH_NODE_TYPE_MEMCPY)
                fgsim_args_drop(task->copy.stage);
        else if (task->type == CU_GRAPH_NODE_TYPE_GRAPH)
                fgsim_graph_free(task->graph);
        else if (task->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC)
                fgsim_graph_memory_drop(task->memory);
        else if (task->type == CU_GRAPH_NODE_TYPE_BATCH_MEM_OP)
                free(task->memop.param);
}

CUresult fgsim_submit_in(struct fgsim_stream *stream, const struct fgsim_task *task)
{
        CUresult r = CUDA_SUCCESS;

        fgsim_lock();
        if (fgsim_captures && fgsim_capture_task(stream, task, &r)) {
                fgsim_unlock();
                return r;
        }
        fgsim_wait_room(stream);
        if (!fgsim_task_push(stream, task))
                r = CUDA_ERROR_OUT_OF_MEMORY;
        fgsim_settle();
        fgsim_unlock();
        return r;
}

CUresult fgsim_submit(CUstream handle, const struct fgsim_task *task)
{
        CUresult r;
        struct fgsim_stream *stream = fgsim_stream_get(handle, &r);

        return stream ? fgsim_submit_in(stream, task) : r;
}
