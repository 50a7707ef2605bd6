/* SPDX-License-Identifier: Apache-2.0
 * Events: which commands wait for the program itself, and when the program has waited for everything. */
#include "shim/opencl/wait.h"

#include <stdlib.h>

uint32_t fgo_wait_open;
uint32_t fgo_wait_era = 1;
__thread unsigned fgo_wait_in_callback;

static struct fgo_queue *wait_event_queue(cl_event event)
{
        cl_command_queue handle = NULL;

        if (fgo_driver.clGetEventInfo(event, CL_EVENT_COMMAND_QUEUE, sizeof(handle), &handle, NULL) != CL_SUCCESS)
                return NULL;
        return fgo_queue_get(handle);
}

/* An open user event, or a command of a queue in which something waits for one. */
static bool wait_event_blocked(cl_event event)
{
        struct fgo_queue *queue;
        cl_command_type type = 0;
        cl_int status = CL_COMPLETE;

        fgo_driver.clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(status), &status, NULL);
        if (status <= CL_COMPLETE)
                return false;
        fgo_driver.clGetEventInfo(event, CL_EVENT_COMMAND_TYPE, sizeof(type), &type, NULL);
        if (type == CL_COMMAND_USER)
                return true;
        queue = wait_event_queue(event);
        return queue && fgo_wait_blocked(queue);
}

bool fgo_wait_note_slow(struct fgo_queue *queue, cl_uint waits, const cl_event *wait)
{
        bool blocked = fgo_wait_blocked(queue), now = false;

        for (cl_uint i = 0; wait && i < waits && !now; i++)
                now = wait[i] && wait_event_blocked(wait[i]);
        if (now) {
                fg_store_relaxed(&queue->blocked_at, fg_load_relaxed(&queue->launched) + 1);
                fg_store_relaxed(&queue->blocked, fg_load_relaxed(&fgo_wait_era));
        }
        return blocked || now;
}

CL_API_ENTRY cl_event CL_API_CALL fgo_clCreateUserEvent(cl_context context, cl_int *ret)
{
        cl_event event = fgo_driver.clCreateUserEvent(context, ret);

        if (event)
                fg_add_relaxed(&fgo_wait_open, 1);
        return event;
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clSetUserEventStatus(cl_event event, cl_int status)
{
        cl_int r = fgo_driver.clSetUserEventStatus(event, status);

        if (r == CL_SUCCESS && fg_sub_seq_cst(&fgo_wait_open, 1) == 1)
                fg_add_relaxed(&fgo_wait_era, 1);
        return r;
}

typedef void(CL_CALLBACK *wait_notify)(cl_event, cl_int, void *);

struct wait_callback {
        wait_notify notify;
        void *user;
};

static void CL_CALLBACK wait_on_event(cl_event event, cl_int status, void *user)
{
        struct wait_callback callback = *(struct wait_callback *)user;

        free(user);
        fgo_wait_in_callback++;
        callback.notify(event, status, callback.user);
        fgo_wait_in_callback--;
}

/* A callback may launch, but must not wait at the gate: it holds up the driver's thread that completes what is in
 * flight. */
CL_API_ENTRY cl_int CL_API_CALL fgo_clSetEventCallback(cl_event event, cl_int type, wait_notify notify, void *user)
{
        struct wait_callback *callback;
        cl_int r;

        if (!notify)
                return fgo_driver.clSetEventCallback(event, type, notify, user);
        callback = malloc(sizeof(*callback));
        if (!callback)
                return CL_OUT_OF_HOST_MEMORY;
        *callback = (struct wait_callback){notify, user};
        r = fgo_driver.clSetEventCallback(event, type, wait_on_event, callback);
        if (r != CL_SUCCESS)
                free(callback);
        return r;
}

/* The program has waited for the last launch of an in-order queue: nothing of it is left. */
static void wait_note_complete(cl_event event)
{
        struct fgo_queue *queue = wait_event_queue(event);
        uint64_t launched;

        if (!queue)
                return;
        launched = fg_load_acquire(&queue->launched);
        if (fg_load_relaxed(&queue->in_order) && fg_load_acquire(&queue->last) == event) {
                fgo_wait_passed(queue, launched);
                fgo_queue_drained(queue, launched);
        }
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clWaitForEvents(cl_uint count, const cl_event *events)
{
        cl_int r = fgo_driver.clWaitForEvents(count, events);

        for (cl_uint i = 0; r == CL_SUCCESS && i < count; i++)
                wait_note_complete(events[i]);
        return r;
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clFinish(cl_command_queue handle)
{
        struct fgo_queue *queue = fgo_queue_get(handle);
        uint64_t launched = queue ? fg_load_acquire(&queue->launched) : 0;
        cl_int r = fgo_driver.clFinish(handle);

        if (queue && r == CL_SUCCESS) {
                fgo_wait_passed(queue, launched);
                fgo_queue_drained(queue, launched);
        }
        return r;
}
