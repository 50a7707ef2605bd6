/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/opencl/work.h"

#include "base/clock.h"

#include <sched.h>
#include <stdlib.h>

enum { NOT_BEGUN, BEGINS, HAS_BEGUN };

/* A tracked launch until it completes. */
struct pending {
        struct fg_gate *gate;
        struct fg_gate_ticket ticket;
        struct fgo_queue *queue;
        uint64_t launched;
        uint32_t generation; /* a parent's launches are nothing to a forked child */
        uint32_t begun;      /* (a) whether the gate knows that it runs: NOT_BEGUN only while the driver prepares it */
        uint32_t refs;       /* (a) callbacks to come */
};

static void pending_drop(struct pending *pending)
{
        if (fg_sub_seq_cst(&pending->refs, 1) == 1)
                free(pending);
}

/* Returns when the gate knows, whoever told it: a driver may call back from several threads, and the end must not be told before the beginning. */
static void work_begin(struct pending *pending, uint64_t now)
{
        uint32_t begun = NOT_BEGUN;
        if (pending->generation != fgo_generation)
                return;
        if (fg_cas_acq_rel(&pending->begun, &begun, BEGINS)) {
                fg_gate_begun(pending->gate, &pending->ticket, now);
                fg_store_release(&pending->begun, HAS_BEGUN);
        }
        while (fg_load_acquire(&pending->begun) == BEGINS)
                sched_yield();
}

static void CL_CALLBACK work_on_running(cl_event event, cl_int status, void *user)
{
        work_begin(user, fg_now());
        pending_drop(user);
}

static void CL_CALLBACK work_on_complete(cl_event event, cl_int status, void *user)
{
        struct pending *pending = user;

        work_begin(pending, pending->ticket.started); /* a driver that does not tell: all of it counts */
        if (pending->generation == fgo_generation) {
                fg_gate_done(pending->gate, &pending->ticket);
                if (fg_load_relaxed(&pending->queue->in_order))
                        fgo_wait_passed(pending->queue, pending->launched);
        }
        pending_drop(pending);
}

/* PoCL compiles a kernel when it is launched for the first time, in the thread that then runs it. */
static void work_await_begin(struct pending *pending, cl_event event)
{
        if (!pending->queue->device->vgpu->is_processor || !fg_gate_prepare(pending->gate, &pending->ticket))
                return;
        pending->begun = NOT_BEGUN;
        pending->refs = 2;
        if (fgo_driver.clSetEventCallback(event, CL_RUNNING, work_on_running, pending) != CL_SUCCESS) {
                work_begin(pending, pending->ticket.started);
                pending->refs = 1;
        }
}

/* fg_gate_done() when the event completes; at once if the driver cannot tell. */
static void work_watch(const struct fgo_work *work, cl_event event)
{
        struct pending *pending = malloc(sizeof(*pending));

        if (!pending) {
                fg_gate_done(work->gate, &work->ticket);
                return;
        }
        *pending = (struct pending){work->gate, work->ticket, work->queue, work->launched, fgo_generation, .begun = HAS_BEGUN, .refs = 1};
        work_await_begin(pending, event);
        if (fgo_driver.clSetEventCallback(event, CL_COMPLETE, work_on_complete, pending) != CL_SUCCESS)
                work_on_complete(event, CL_COMPLETE, pending);
}

static uint64_t work_count(struct fgo_queue *queue)
{
        fg_store_release(&queue->last, NULL);
        return fg_add_release(&queue->launched, 1) + 1;
}

cl_int fgo_work_enter(struct fgo_work *work, cl_command_queue handle, uint32_t key, cl_uint waits, const cl_event *wait,
                      cl_event *event)
{
        struct fgo_queue *queue = fgo_queue_get(handle);
        bool may_wait;

        if (!queue)
                return CL_INVALID_COMMAND_QUEUE;
        work->gate = fgo_vgpu_gate(queue->device->vgpu);
        if (!work->gate)
                return CL_OUT_OF_RESOURCES;
        may_wait = !fgo_wait_note(queue, waits, wait) && !fgo_wait_in_callback;
        if (fg_gate_enter(work->gate, key, may_wait, &work->ticket) < 0)
                return CL_OUT_OF_RESOURCES;
        work->queue = queue;
        work->launched = work_count(queue);
        work->own = NULL;
        work->event = event || !work->ticket.tracked ? event : &work->own;
        return CL_SUCCESS;
}

static uint32_t transfer_key(uint64_t bytes)
{
        return 0x40000000u | (uint32_t)(64 - __builtin_clzll(bytes | 1));
}

cl_int fgo_work_enter_transfer(struct fgo_work *work, cl_command_queue handle, uint64_t bytes, cl_uint waits,
                               const cl_event *wait, cl_event *event)
{
        struct fgo_queue *queue;

        if (bytes >= FGO_TRANSFER_SMALL)
                return fgo_work_enter(work, handle, transfer_key(bytes), waits, wait, event);
        queue = fgo_queue_get(handle);
        if (!queue)
                return CL_INVALID_COMMAND_QUEUE;
        fgo_wait_note(queue, waits, wait);
        *work = (struct fgo_work){.queue = queue, .launched = work_count(queue), .event = event};
        return CL_SUCCESS;
}

cl_int fgo_work_leave(struct fgo_work *work, cl_int r)
{
        bool tracked = work->gate && work->ticket.tracked;

        if (r != CL_SUCCESS) {
                if (work->gate)
                        fg_gate_abort(work->gate, &work->ticket);
                return r;
        }
        if (tracked) {
                work_watch(work, *work->event);
                /* The next launch may wait at the gate for this one, so the driver must not sit on it. */
                if (!work->ticket.probe)
                        fgo_driver.clFlush(work->queue->handle);
        }
        if (work->own)
                fgo_driver.clReleaseEvent(work->own);
        else if (work->event)
                fg_store_release(&work->queue->last, *work->event);
        return CL_SUCCESS;
}

cl_int fgo_work_leave_blocking(struct fgo_work *work, cl_bool blocking, cl_int r)
{
        r = fgo_work_leave(work, r);
        if (r == CL_SUCCESS && blocking && fg_load_relaxed(&work->queue->in_order)) {
                fgo_wait_passed(work->queue, work->launched);
                fgo_queue_drained(work->queue, work->launched);
        }
        return r;
}

/* What waits for a user event is left out: the gate would wait for what may be waiting for its own thread. */
static void mark_queue(struct fgo_queue *queue, void *user)
{
        struct fgo_work mark = {.queue = queue, .gate = user, .launched = fg_load_relaxed(&queue->launched)};
        cl_event event = NULL;

        if (!queue->on_host || fgo_wait_blocked(queue))
                return;
        fg_gate_mark(mark.gate, &mark.ticket);
        if (fgo_driver.clEnqueueMarkerWithWaitList(queue->handle, 0, NULL, &event) != CL_SUCCESS) {
                fg_gate_abort(mark.gate, &mark.ticket);
                return;
        }
        work_watch(&mark, event);
        fgo_driver.clFlush(queue->handle);
        fgo_driver.clReleaseEvent(event);
}

void fgo_work_mark_all(struct fg_gate *gate, void *user)
{
        fgo_queue_each(user, mark_queue, gate);
}
