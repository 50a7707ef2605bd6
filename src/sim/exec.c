/* SPDX-License-Identifier: Apache-2.0
 * Streams as queues: what may start, what has completed, who waits. */
#include "sim/exec.h"

#include <errno.h>
#include <stdlib.h>

pthread_mutex_t fgsim_exec_lock = PTHREAD_MUTEX_INITIALIZER;
struct fgsim_stream *fgsim_active;
uint32_t fgsim_pending;
uint32_t fgsim_captures;

static pthread_cond_t progress = PTHREAD_COND_INITIALIZER;
static uint32_t waiters;
static uint64_t next_seq;

static uint64_t later(uint64_t a, uint64_t b)
{
        return a > b ? a : b;
}

/* An operation in the legacy stream comes after what was put into blocking streams before it, and they after it. */
static bool legacy_permits(const struct fgsim_stream *stream, uint64_t seq, uint64_t *at)
{
        const struct fgsim_exec_context *home = stream->home;
        const struct fgsim_stream *legacy = home->legacy;

        if (!fgsim_stream_blocks(stream))
                return true;
        if (stream != legacy) {
                *at = later(*at, legacy->clock);
                return !legacy->head || legacy->head->seq > seq;
        }
        *at = later(*at, home->blocking_clock);
        for (const struct fgsim_stream *s = fgsim_active; s; s = s->active)
                if (s != stream && s->home == home && fgsim_stream_blocks(s) && s->head->seq < seq)
                        return false;
        return true;
}

bool fgsim_may_start(struct fgsim_stream *stream, uint64_t *ret_at)
{
        struct fgsim_op *op = stream->head;

        if (!op || op->taken)
                return false;
        *ret_at = later(op->queued, stream->clock);
        return legacy_permits(stream, op->seq, ret_at) && (!op->class->may || op->class->may(op, ret_at));
}

void fgsim_push(struct fgsim_stream *stream, struct fgsim_op *op)
{
        op->next = NULL;
        op->stream = stream;
        op->seq = ++next_seq;
        op->queued = fg_now();
        if (stream->tail) {
                stream->tail->next = op;
        } else {
                stream->head = op;
                stream->active = fgsim_active;
                fgsim_active = stream;
        }
        stream->tail = op;
        stream->length++;
        __atomic_fetch_add(&fgsim_pending, 1, __ATOMIC_RELEASE);
}

static void deactivate(struct fgsim_stream *stream)
{
        struct fgsim_stream **at = &fgsim_active;

        while (*at != stream)
                at = &(*at)->active;
        *at = stream->active;
        stream->active = NULL;
        stream->tail = NULL;
}

void fgsim_complete(struct fgsim_stream *stream, uint64_t at)
{
        struct fgsim_op *op = stream->head;

        stream->clock = later(stream->clock, at);
        if (fgsim_stream_blocks(stream))
                stream->home->blocking_clock = later(stream->home->blocking_clock, at);
        stream->head = op->next;
        if (--stream->length == 0)
                deactivate(stream);
        if (op->class->end)
                op->class->end(op, at);
        free(op);
        __atomic_fetch_sub(&fgsim_pending, 1, __ATOMIC_RELEASE);
        if (stream->is_dying && stream->length == 0)
                fgsim_stream_release(stream);
        if (waiters)
                pthread_cond_broadcast(&progress);
}

/* Completes the stream's operations that need no engine, as far as they may. `next` of the list was taken before. */
static bool settle_stream(struct fgsim_stream *stream)
{
        bool any = false;
        uint64_t at;

        while (stream->head && stream->head->lane == FGSIM_LANE_NONE && fgsim_may_start(stream, &at)) {
                bool is_last = stream->length == 1;
                fgsim_complete(stream, at);
                any = true;
                if (is_last)
                        break;
        }
        return any;
}

static void wake_engines(void)
{
        uint64_t at;

        for (struct fgsim_stream *s = fgsim_active; s; s = s->active) {
                if (s->head->lane != FGSIM_LANE_NONE && fgsim_may_start(s, &at))
                        fgsim_worker_wake(s->home->ctx->gpu, s->head->lane);
                else if (s->head->class->polls)
                        fgsim_worker_wake(s->home->ctx->gpu, FGSIM_LANE_HOST);
        }
}

void fgsim_settle(void)
{
        bool any;

        do {
                struct fgsim_stream *next;
                any = false;
                for (struct fgsim_stream *s = fgsim_active; s; s = next) {
                        next = s->active;
                        any |= settle_stream(s);
                }
        } while (any);
        wake_engines();
}

static bool stream_has_room(const void *arg)
{
        return ((const struct fgsim_stream *)arg)->length < FGSIM_STREAM_DEPTH;
}

void fgsim_wait_room(struct fgsim_stream *stream)
{
        if (stream->length >= FGSIM_STREAM_DEPTH && !fgsim_is_worker())
                fgsim_wait_until(stream->home->ctx, stream_has_room, stream);
}

/* With a time limit: a GPU may be lost, or a context broken, without any operation completing. */
static void wait_progress(void)
{
        struct timespec limit;
        uint64_t until;

        clock_gettime(CLOCK_REALTIME, &limit);
        until = (uint64_t)limit.tv_nsec + 20 * FG_NSEC_PER_MSEC;
        limit.tv_sec += (time_t)(until / FG_NSEC_PER_SEC);
        limit.tv_nsec = (long)(until % FG_NSEC_PER_SEC);
        waiters++;
        pthread_cond_timedwait(&progress, &fgsim_exec_lock, &limit);
        waiters--;
}

CUresult fgsim_wait_until(struct fgsim_context *ctx, bool (*is_done)(const void *arg), const void *arg)
{
        while (!is_done(arg)) {
                if (fgsim_is_worker())
                        return CUDA_ERROR_NOT_PERMITTED; /* a host function that waits would wait for itself */
                if (fg_load_relaxed(&ctx->broken))
                        return (CUresult)ctx->broken;
                if (fg_load_relaxed(&fgsim_shared->gpu[ctx->gpu].lost))
                        return CUDA_ERROR_UNKNOWN;
                wait_progress();
        }
        return fg_load_relaxed(&ctx->broken) ? (CUresult)ctx->broken : CUDA_SUCCESS;
}

bool fgsim_stream_is_done(const void *arg)
{
        const struct fgsim_stream *stream = arg;

        if (stream->length > 0)
                return false;
        if (stream != stream->home->legacy)
                return true;
        for (const struct fgsim_stream *s = fgsim_active; s; s = s->active)
                if (s->home == stream->home && fgsim_stream_blocks(s))
                        return false;
        return true;
}

uint64_t fgsim_stream_now(const struct fgsim_stream *stream)
{
        uint64_t at = later(stream->clock, fg_now());

        return stream == stream->home->legacy ? later(at, stream->home->blocking_clock) : at;
}
