/* SPDX-License-Identifier: Apache-2.0
 *
 * Making the device work: guard, call, settle.
 *
 *      struct fgo_work work;
 *      cl_int r = fgo_work_enter(&work, queue, key, waits, wait, event);
 *      if (r != CL_SUCCESS)
 *              return r;
 *      return fgo_work_leave(&work, fgo_driver.…(…, work.event));
 *
 * While the gate is free this is a look-up, a load, an add and a few stores in the calling thread; the driver gets the
 * program's own arguments. */
#ifndef FGO_WORK_H
#define FGO_WORK_H

#include "shim/opencl/wait.h"

#define FGO_TRANSFER_SMALL (64u << 10) /* bytes; smaller transfers pass ungated */

struct fgo_work {
        struct fgo_queue *queue;
        struct fg_gate *gate; /* NULL: a small transfer */
        struct fg_gate_ticket ticket;
        uint64_t launched; /* the queue's number of this launch */
        cl_event own;
        cl_event *event; /* for the driver */
};

/* A stop: CL_INVALID_COMMAND_QUEUE, or CL_OUT_OF_RESOURCES when the vGPU is gone. `key`: see fg_gate_enter(). */
cl_int fgo_work_enter(struct fgo_work *work, cl_command_queue handle, uint32_t key, cl_uint waits, const cl_event *wait,
                      cl_event *event);
/* The same for a transfer of `bytes`. */
cl_int fgo_work_enter_transfer(struct fgo_work *work, cl_command_queue handle, uint64_t bytes, cl_uint waits,
                               const cl_event *wait, cl_event *event);
/* Pass on what the driver said. */
cl_int fgo_work_leave(struct fgo_work *work, cl_int r);
cl_int fgo_work_leave_blocking(struct fgo_work *work, cl_bool blocking, cl_int r);

/* struct fg_gate_ops; user is the vGPU. */
void fgo_work_mark_all(struct fg_gate *gate, void *user);

#endif
