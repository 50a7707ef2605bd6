/* SPDX-License-Identifier: Apache-2.0
 * One thread for each engine of each GPU that this process uses: compute, copy in, copy out, and the host functions. */
#include "sim/exec.h"

#include <signal.h>
#include <sys/prctl.h>

#define POLL_NS (100 * FG_NSEC_PER_USEC) /* how often memory that a stream waits for is looked at */

struct worker {
        uint32_t gpu;
        enum fgsim_lane lane;
        bool is_started, is_asleep;
        pthread_cond_t wake;
};

static struct worker workers[FGSIM_GPUS_MAX][FGSIM_LANES];
static _Thread_local bool is_worker __attribute__((tls_model("initial-exec")));

bool fgsim_is_worker(void)
{
        return is_worker;
}

static bool is_better(const struct fgsim_stream *a, uint64_t a_at, const struct fgsim_stream *b, uint64_t b_at,
                      uint64_t start)
{
        bool a_now = a_at <= start, b_now = b_at <= start;

        if (a_now != b_now)
                return a_now;
        if (a_now && a->priority != b->priority)
                return a->priority < b->priority;
        return a_at != b_at ? a_at < b_at : a->head->seq < b->head->seq;
}

/* What the engine does next: of what is ready when it becomes free, the highest priority, then the oldest. */
static struct fgsim_stream *pick(const struct worker *worker, uint64_t *ret_at)
{
        uint64_t start = fgsim_engine_free_at(worker->gpu, worker->lane), best_at = 0, at;
        struct fgsim_stream *best = NULL;

        for (struct fgsim_stream *s = fgsim_active; s; s = s->active) {
                if (s->head->lane != worker->lane || s->home->ctx->gpu != worker->gpu || !fgsim_may_start(s, &at))
                        continue;
                if (!best || is_better(s, at, best, best_at, start)) {
                        best = s;
                        best_at = at;
                }
        }
        *ret_at = best_at;
        return best;
}

static bool has_polls(uint32_t gpu)
{
        for (const struct fgsim_stream *s = fgsim_active; s; s = s->active)
                if (s->head->class->polls && s->home->ctx->gpu == gpu)
                        return true;
        return false;
}

static void rest(struct worker *worker)
{
        struct timespec limit;

        if (worker->lane == FGSIM_LANE_HOST && has_polls(worker->gpu)) {
                uint64_t until = fg_now() + POLL_NS;
                limit = (struct timespec){(time_t)(until / FG_NSEC_PER_SEC), (long)(until % FG_NSEC_PER_SEC)};
                pthread_cond_timedwait(&worker->wake, &fgsim_exec_lock, &limit);
                fgsim_settle();
                return;
        }
        if (worker->lane == FGSIM_LANE_COMPUTE)
                fgsim_turn_give(worker->gpu);
        worker->is_asleep = true;
        pthread_cond_wait(&worker->wake, &fgsim_exec_lock);
        worker->is_asleep = false;
}

/* Does the operation and lets its time pass; the program's own functions take the time that they take. Without the
 * lock. */
static uint64_t work(const struct worker *worker, struct fgsim_op *op, uint64_t ready)
{
        uint64_t from, ns;

        if (fg_load_relaxed(&fgsim_shared->gpu[worker->gpu].lost))
                return ready;
        from = fg_now();
        if (op->class->run)
                op->class->run(op);
        if (worker->lane == FGSIM_LANE_HOST)
                return fg_now();
        ns = fg_now() - from;
        if (!op->class->run || ns < op->ns)
                ns = op->ns;
        if (worker->lane == FGSIM_LANE_COMPUTE)
                return fgsim_turn_occupy(worker->gpu, ready, ns);
        return fgsim_copy_occupy(worker->gpu, worker->lane, ready, op->ns);
}

static void step(struct worker *worker)
{
        struct fgsim_stream *stream;
        struct fgsim_op *op;
        uint64_t at;

        stream = pick(worker, &at);
        if (stream && worker->lane == FGSIM_LANE_COMPUTE && !fgsim_turn_is_mine(worker->gpu)) {
                fgsim_unlock();
                fgsim_turn_take(worker->gpu, at);
                fgsim_lock();
                stream = pick(worker, &at); /* something more urgent may have come meanwhile */
        }
        if (!stream) {
                rest(worker);
                return;
        }
        op = stream->head;
        op->taken = true;
        fgsim_unlock();
        at = work(worker, op, at);
        fgsim_lock();
        fgsim_complete(stream, at);
        fgsim_settle();
}

static void *worker_main(void *arg)
{
        struct worker *worker = arg;

        is_worker = true;
        prctl(PR_SET_NAME, "fastgpu-sim");
        prctl(PR_SET_TIMERSLACK, 1ul);
        fgsim_lock();
        for (;;)
                step(worker);
        return NULL;
}

/* The program's signal handlers are none of our threads' business. */
static bool worker_start(struct worker *worker)
{
        pthread_condattr_t monotonic;
        pthread_attr_t attributes;
        sigset_t all, before;
        pthread_t thread;
        int r;

        pthread_condattr_init(&monotonic);
        pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
        pthread_cond_init(&worker->wake, &monotonic);
        pthread_attr_init(&attributes);
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        r = pthread_create(&thread, &attributes, worker_main, worker);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        pthread_attr_destroy(&attributes);
        pthread_condattr_destroy(&monotonic);
        return r == 0;
}

void fgsim_worker_wake(uint32_t gpu, enum fgsim_lane lane)
{
        struct worker *worker = &workers[gpu][lane];

        if (!worker->is_started) {
                worker->gpu = gpu;
                worker->lane = lane;
                worker->is_started = worker_start(worker);
        } else if (worker->is_asleep) {
                pthread_cond_signal(&worker->wake);
        }
}
