/* SPDX-License-Identifier: Apache-2.0
 * The time side's inside: streams, operations, and the threads that stand for the engines of a GPU.
 *
 * One lock for all streams of the process, for bookkeeping only: it is never held while a copy, a kernel or a function
 * of the program runs, or while somebody sleeps. Device time is exact: an operation starts at the later of the moment
 * it became ready and the moment its engine became free, both in simulated time, so a thread that wakes up late
 * stretches nothing. */
#ifndef FGSIM_EXEC_H
#define FGSIM_EXEC_H

#include "base/clock.h"
#include "sim/sim.h"

#define FGSIM_STREAM_DEPTH 1024 /* operations in a stream before the program has to wait, as on real drivers */

/* Whether a call that a capture forbids may go on: CUDA_SUCCESS, or STREAM_CAPTURE_UNSUPPORTED after invalidating the
 * captures that it spoils. For cuMemAlloc, cuMemFree, cuEventQuery and the like; one relaxed load while nothing
 * captures. */
CUresult fgsim_exec_capture_permits(void);

/* Which engine works on an operation. NONE: nobody, it is done as soon as it may be. */
enum fgsim_lane { FGSIM_LANE_COMPUTE, FGSIM_LANE_IN, FGSIM_LANE_OUT, FGSIM_LANE_HOST, FGSIM_LANES, FGSIM_LANE_NONE };

struct fgsim_op;

struct fgsim_op_class {
        bool (*may)(struct fgsim_op *op, uint64_t *at); /* NULL: always; raises *at to the moment from which it may */
        bool polls;                                     /* `may` turns true without a word: look again and again */
        void (*run)(struct fgsim_op *op);               /* in the engine's thread, without the lock */
        void (*end)(struct fgsim_op *op,
                    uint64_t at); /* with the lock, when it has completed; must not enqueue or wait */
};

/* One piece of work in a stream, made with malloc, freed when it has completed. */
struct fgsim_op {
        const struct fgsim_op_class *class;
        enum fgsim_lane lane;
        bool taken; /* an engine works on it */
        struct fgsim_op *next;
        struct fgsim_stream *stream;
        uint64_t seq, queued;
        uint64_t ns; /* of the engine's time */
};

/* What an event's record or a graph's launch leaves behind: done, and when. */
struct fgsim_mark {
        uint32_t refs;
        bool done;
        uint64_t at;
};

struct fgsim_capture;
struct fgsim_node;

struct fgsim_stream {
        struct fgsim_object object;
        unsigned flags;
        int priority;
        uint64_t id;
        struct fgsim_exec_context *home;
        struct fgsim_op *head, *tail;
        uint32_t length;
        bool is_per_thread, is_dying;
        uint64_t clock;               /* when its last completed operation ended */
        struct fgsim_stream *active;  /* next in fgsim_active while length > 0 */
        struct fgsim_stream *sibling; /* next in home->all */
        struct fgsim_capture *capture;
        struct fgsim_node **tips; /* what the next captured operation will depend on */
        size_t tip_count;
        struct fgsim_stream *fellow; /* next stream of the same capture */
        pthread_t thread;            /* whose default stream it is */
        CUstreamAttrValue attribute[16];
};

struct fgsim_module;

struct fgsim_exec_context {
        struct fgsim_context *ctx;
        struct fgsim_stream *legacy;
        struct fgsim_stream *all; /* without legacy */
        struct fgsim_event *events;
        struct fgsim_module *modules;
        uint64_t blocking_clock;    /* the latest clock of its blocking streams */
        uint32_t blocking_captures; /* blocking streams that capture */
};

extern pthread_mutex_t fgsim_exec_lock;
extern struct fgsim_stream *fgsim_active; /* streams that have operations */
extern uint32_t fgsim_pending;  /* operations of this process; 0, read with acquire and no lock: all is idle */
extern uint32_t fgsim_captures; /* under way in this process */

static inline void fgsim_lock(void)
{
        pthread_mutex_lock(&fgsim_exec_lock);
}

static inline void fgsim_unlock(void)
{
        pthread_mutex_unlock(&fgsim_exec_lock);
}

static inline bool fgsim_stream_blocks(const struct fgsim_stream *stream)
{
        return !(stream->flags & CU_STREAM_NON_BLOCKING);
}

/* The stream behind a handle, 0, 1 and 2 included (these need a current context). NULL: *ret says why. */
struct fgsim_stream *fgsim_stream_get(CUstream handle, CUresult *ret);
struct fgsim_stream *fgsim_stream_new(struct fgsim_exec_context *home, unsigned flags, int priority);
void fgsim_stream_release(struct fgsim_stream *stream); /* with the lock */

/* ---- exec.c; all with the lock ---- */
/* Puts op at the end of the stream. After one or more pushes: fgsim_settle(). */
void fgsim_push(struct fgsim_stream *stream, struct fgsim_op *op);
/* Completes what needs no engine and wakes the engines that have work. */
void fgsim_settle(void);
/* While the stream is as deep as it may be. */
void fgsim_wait_room(struct fgsim_stream *stream);
/* Whether the stream's head may start, and from when on. */
bool fgsim_may_start(struct fgsim_stream *stream, uint64_t *ret_at);
void fgsim_complete(struct fgsim_stream *stream, uint64_t at);
/* Sleeps until is_done(arg). CUDA_SUCCESS, or the error that broke the context meanwhile. */
CUresult fgsim_wait_until(struct fgsim_context *ctx, bool (*is_done)(const void *arg), const void *arg);
bool fgsim_stream_is_done(const void *stream);
/* The stream's work so far done and its moment; a legacy stream's includes the blocking ones'. */
uint64_t fgsim_stream_now(const struct fgsim_stream *stream);

struct fgsim_mark *fgsim_mark_new(void);
void fgsim_mark_drop(struct fgsim_mark *mark);
/* Operations without device time; NULL: no memory. They hold a reference of their own. */
struct fgsim_op *fgsim_op_mark(struct fgsim_mark *mark);
struct fgsim_op *fgsim_op_wait(struct fgsim_mark *mark);

/* ---- exec_worker.c ---- */
void fgsim_worker_wake(uint32_t gpu, enum fgsim_lane lane); /* with the lock; starts the thread the first time */
bool fgsim_is_worker(void);                                 /* the calling thread is one of ours: it must not wait */

/* ---- time_turn.c: engines between processes; no lock ---- */
void fgsim_turn_reset(uint32_t gpu);
void fgsim_turn_take(uint32_t gpu, uint64_t ready);
void fgsim_turn_give(uint32_t gpu);
bool fgsim_turn_is_mine(uint32_t gpu);
/* The compute engine works `ns` from `ready` on, sharing the GPU by slices. Returns when, in simulated time, it was
 * done. */
uint64_t fgsim_turn_occupy(uint32_t gpu, uint64_t ready, uint64_t ns);
/* A copy engine, which processes share in pieces. */
uint64_t fgsim_copy_occupy(uint32_t gpu, enum fgsim_lane lane, uint64_t ready, uint64_t ns);
uint64_t fgsim_engine_free_at(uint32_t gpu, enum fgsim_lane lane);

#endif
