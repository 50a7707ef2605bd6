/* SPDX-License-Identifier: Apache-2.0
 *
 * Command queues stay the driver's; this is what the layer knows of each. Looked up without a lock on every launch. An
 * entry is never freed: the driver's next queue at the same address takes it over. */
#ifndef FGO_QUEUE_H
#define FGO_QUEUE_H

#include "shim/opencl/device.h"

struct fgo_queue {
        cl_command_queue handle;
        cl_device_id device;
        bool in_order; /* (a) what is launched last completes last */
        bool on_host;  /* markers can be put into it */

        /* Is everything launched on this queue known to be complete? launched == drained. A hint: launched counts every
         * launch, but before the driver has it, and of two threads that find the queue drained the last one says how far. */
        uint64_t launched; /* (a) */
        uint64_t drained;  /* (a) */
        cl_event last;     /* (a) the event of the last launch if the program has it; only ever compared */
        /* (a) Something here waited for a user event in this era (see wait.h), the last one being this launch. */
        uint32_t blocked;
        uint64_t blocked_at;

        /* Under fgo_queue_lock. */
        uint32_t refs; /* the program's */
        uint32_t pins; /* of threads that put markers into it; the last one releases an orphan */
        bool orphan;   /* the program released it while it was pinned */
        struct fgo_queue *next, **at;
};

extern struct fgo_map fgo_queues; /* cl_command_queue -> struct fgo_queue */
extern pthread_mutex_t fgo_queue_lock;

/* NULL: not a queue of this process. */
static inline struct fgo_queue *fgo_queue_get(cl_command_queue handle)
{
        return fgo_map_get(&fgo_queues, handle);
}

/* In a forked child, with all locks held: no markers for the parent's queues. */
void fgo_queues_forget(struct fgo_vgpu *vgpu);

/* Calls `visit` for every live queue of the vGPU, without the lock and with the queue kept alive. */
void fgo_queue_each(struct fgo_vgpu *vgpu, void (*visit)(struct fgo_queue *queue, void *user), void *user);

/* The first `launched` launches of the queue are complete; when that leaves nothing on the vGPU, the gate is told. */
void fgo_queue_drained(struct fgo_queue *queue, uint64_t launched);

#endif
