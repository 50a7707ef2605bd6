/* SPDX-License-Identifier: Apache-2.0
 * A task is what a program asks for, once: it becomes an operation in a stream, or a node of a graph while a capture is
 * under way, and each launch of the graph makes operations of it again. */
#ifndef FGSIM_EXEC_TASK_H
#define FGSIM_EXEC_TASK_H

#include "sim/exec.h"

struct fgsim_function;
struct fgsim_graph;

/* A launch's arguments, as they were at the launch. Shared, never changed. */
struct fgsim_args {
        uint32_t refs; /* atomic */
        uint32_t count;
        void *pointer[]; /* [count], then the bytes that they point to */
};

struct fgsim_launch {
        struct fgsim_function *function;
        unsigned grid[3], block[3], shared;
        uint64_t ns;
        struct fgsim_args *args; /* NULL: the function's parameters are not known */
};

/* One side of a copy: byte rows of `pitch`, planes of `slice` bytes. */
struct fgsim_side {
        unsigned char *at;
        size_t pitch, slice;
};

struct fgsim_copy {
        struct fgsim_side from, to;
        size_t width, height, depth; /* bytes, rows, planes */
        enum fgsim_lane lane;
        uint32_t gpu; /* whose engine */
        uint64_t ns;
        struct fgsim_args *stage; /* the source, copied at the call; NULL: read it when the time comes */
        CUDA_MEMCPY3D asked;      /* what a graph's node answers */
};

struct fgsim_fill {
        CUDA_MEMSET_NODE_PARAMS asked;
        uint64_t ns;
};

struct fgsim_memop {
        unsigned count;
        CUstreamBatchMemOpParams *param; /* owned */
};

/* The memory of an allocation node: its copies share the address. */
struct fgsim_graph_memory {
        uint32_t refs;     /* atomic */
        uint32_t launches; /* of graphs that will free it themselves */
        CUdeviceptr ptr;
        CUDA_MEM_ALLOC_NODE_PARAMS asked;
        struct fgsim_graph_memory *next;
};

struct fgsim_task {
        CUgraphNodeType type;
        union {
                struct fgsim_launch launch;
                struct fgsim_copy copy;
                struct fgsim_fill fill;
                struct {
                        CUhostFn fn;
                        void *user;
                } host;
                struct fgsim_graph *graph; /* owned */
                CUevent event;
                struct fgsim_graph_memory *memory; /* allocation */
                CUdeviceptr ptr;                   /* free */
                struct fgsim_memop memop;
        };
};

/* Into the stream, or into the graph that it captures. The task stays the caller's. */
CUresult fgsim_submit(CUstream handle, const struct fgsim_task *task);
CUresult fgsim_submit_in(struct fgsim_stream *stream, const struct fgsim_task *task);

/* An operation for the task; NULL: no memory. With the lock. Not for child graphs and events. */
struct fgsim_op *fgsim_task_op(const struct fgsim_task *task);
/* Pushes what the task takes; false: no memory. With the lock. */
bool fgsim_task_push(struct fgsim_stream *stream, const struct fgsim_task *task);

bool fgsim_task_dup(struct fgsim_task *ret, const struct fgsim_task *task); /* false: no memory */
void fgsim_task_clear(struct fgsim_task *task);

/* exec_graphmem.c; any thread */
struct fgsim_graph_memory *fgsim_graph_memory_new(struct fgsim_context *ctx, size_t bytes, CUresult *ret);
void fgsim_graph_memory_drop(struct fgsim_graph_memory *memory);
CUresult fgsim_graph_memory_take(struct fgsim_graph_memory *memory, bool graph_frees_it);
void fgsim_graph_memory_give(CUdeviceptr ptr);

/* func.c */
struct fgsim_args *fgsim_args_new(const struct fgsim_function *function, void **params, void **extra, CUresult *ret);
void fgsim_args_drop(struct fgsim_args *args);
void fgsim_launch_run(const struct fgsim_launch *launch);
/* copy.c, copy_fill.c, stream_memop.c, event.c */
void fgsim_copy_run(const struct fgsim_copy *copy);
void fgsim_fill_run(const struct fgsim_fill *fill);
struct fgsim_op *fgsim_memop_op(const CUstreamBatchMemOpParams *param);
bool fgsim_event_push_record(struct fgsim_stream *stream, CUevent event);
bool fgsim_event_push_wait(struct fgsim_stream *stream, CUevent event);
/* graph_run.c: the operations of the graph's nodes, in an order that its edges allow. */
bool fgsim_graph_push(struct fgsim_stream *stream, const struct fgsim_graph *graph);

#endif
