/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands that wait for an event which only the program can complete must not make their thread wait at the gate: it
 * may be the thread that completes it. While no such user event is open this costs one load.
 *
 * An era ends whenever no user event is open any more; what was noted in an earlier one is void. */
#ifndef FGO_WAIT_H
#define FGO_WAIT_H

#include "shim/opencl/queue.h"

extern uint32_t fgo_wait_open; /* (a) user events created and not yet set */
extern uint32_t fgo_wait_era;  /* (a) starts at 1 */

/* Nonzero while this thread runs a callback of the program, on a thread of the driver's. */
extern __thread unsigned fgo_wait_in_callback;

bool fgo_wait_note_slow(struct fgo_queue *queue, cl_uint waits, const cl_event *wait);

/* A command with this wait list goes into `queue` (may be NULL). True: it may depend on a user event. */
static inline bool fgo_wait_note(struct fgo_queue *queue, cl_uint waits, const cl_event *wait)
{
        return fg_load_relaxed(&fgo_wait_open) && queue && fgo_wait_note_slow(queue, waits, wait);
}

/* Something here waits for a user event, as far as is known. */
static inline bool fgo_wait_blocked(const struct fgo_queue *queue)
{
        return fg_load_relaxed(&fgo_wait_open) && fg_load_relaxed(&queue->blocked) == fg_load_relaxed(&fgo_wait_era);
}

/* The queue's launch number `launched` completed, and on an in-order queue all before it. */
static inline void fgo_wait_passed(struct fgo_queue *queue, uint64_t launched)
{
        if (fg_load_relaxed(&queue->blocked) && launched >= fg_load_relaxed(&queue->blocked_at))
                fg_store_relaxed(&queue->blocked, 0);
}

#endif
