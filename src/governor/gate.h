/* SPDX-License-Identifier: Apache-2.0
 *
 * The compute gate: one per process and vGPU, one API for every shim.
 *
 * The thread that launches passes the gate itself; a launch is never copied or deferred. The daemon's arbiter writes one
 * futex word in the limits page: free (nobody else wants the device: one relaxed load), timed (granted until …), or denied.
 * While it is not free, launches are tracked to their completion: what is in flight is bounded by a window of predicted
 * device time, and measured device time is what the vGPU is charged. docs/design/governor.md.
 *
 *      struct fg_gate_ticket t;
 *      int r = fg_gate_enter(gate, key, &t);              // may block; -EACCES: the vGPU is closed
 *      cl_int e = original(..., t.tracked ? &event : user_event);
 *      if (e) fg_gate_abort(gate, &t);
 *      else if (t.tracked) arrange that fg_gate_done(gate, t) runs when the launch completes   // from any thread
 *
 * Where every nanosecond counts, fg_gate_pass() comes first: true means that the launch is counted and nothing follows.
 */
#ifndef FG_GOVERNOR_GATE_H
#define FG_GOVERNOR_GATE_H

#include "base/atomic.h"
#include "ledger/attach.h"

#include <stdbool.h>
#include <stdint.h>

struct fg_gate;

/* What every gate begins with, for fg_gate_pass(). The pointers never change. */
struct fg_gate_front {
        const struct fg_limits_page *limits;
        struct fg_slot *slot;
        uint64_t look_at; /* (a) count of launches from which on the free grant's clock is to be looked at */
};

/* What the shim supplies. */
struct fg_gate_ops {
        /* The gate stops being free: arrange that fg_gate_done() runs once everything launched so far on this vGPU by this
         * process has completed, for each queue separately. Calls fg_gate_mark() once for each. Must not block. */
        void (*mark_all)(struct fg_gate *gate, void *user);
        /* The waiting thread looks for completions itself (drivers without callbacks); NULL where callbacks do it. */
        void (*poll)(struct fg_gate *gate, void *user);
};

struct fg_gate_ticket {
        uint64_t started; /* when the launch was admitted */
        uint64_t predicted; /* device time it was expected to take, ns */
        uint32_t key;     /* what kind of work: same key, similar duration */
        bool tracked;     /* fg_gate_done() must follow */
        bool probe;       /* tracked although the gate is free, to measure device time now and then */
        bool blocked;     /* launched without waiting: it could not run yet */
        bool fresh;       /* nothing is known of its kind: the driver may have to prepare it first */
};

/* `session` and `ops` outlive the gate. NULL: out of memory. */
struct fg_gate *fg_gate_new(struct fg_session_vgpu *vgpu, const struct fg_gate_ops *ops, void *user);
void fg_gate_free(struct fg_gate *gate);

/* A launch under a free grant that is neither a probe nor due to look at the clock: counted. False: fg_gate_enter(). */
static inline bool fg_gate_pass(struct fg_gate *gate)
{
        struct fg_gate_front *front = (struct fg_gate_front *)gate;
        uint64_t launches = fg_load_relaxed(&front->slot->launches);

        if (__builtin_expect((fg_load_relaxed(&front->limits->grant) & FG_GRANT_MASK) != FG_GRANT_FREE, 0) ||
            __builtin_expect(launches >= fg_load_relaxed(&front->look_at), 0))
                return false;
        /* Not a locked addition: the odd lost count of two racing threads costs less than 5 ns a launch. */
        fg_store_relaxed(&front->slot->launches, launches + 1);
        return true;
}

/* Before a launch. `key` names the kind of work (kernel and size), for the estimate of its duration; 0: unknown.
 * 0, or -EACCES when the vGPU was closed. `may_wait` false (a launch that depends on something this thread has still to do,
 * such as a user event): passes without waiting, but is tracked and charged. While the vGPU is suspended everything waits. */
int fg_gate_enter(struct fg_gate *gate, uint32_t key, bool may_wait, struct fg_gate_ticket *ret);
/* The driver refused the launch. */
void fg_gate_abort(struct fg_gate *gate, const struct fg_gate_ticket *ticket);
/* A tracked launch completed now. Any thread, also a driver's callback thread; does not block, calls nothing back. */
void fg_gate_done(struct fg_gate *gate, const struct fg_gate_ticket *ticket);
/* Drivers that compile a kernel when it is launched for the first time (PoCL) keep it off the device for seconds, and what was launched
 * behind it as well. Where they tell when it begins: true after a launch whose beginning is to be waited for. It is not on the device until
 * fg_gate_begun(), which must follow before fg_gate_done(). */
bool fg_gate_prepare(struct fg_gate *gate, const struct fg_gate_ticket *ticket);
/* It runs since `now`. Like fg_gate_done(), from any thread. */
void fg_gate_begun(struct fg_gate *gate, struct fg_gate_ticket *ticket, uint64_t now);
/* A ticket for one marker of mark_all(). */
void fg_gate_mark(struct fg_gate *gate, struct fg_gate_ticket *ret);
/* The program has just waited for everything on this vGPU (clFinish on its only busy queue, a context synchronisation):
 * the device is idle for it from now on. Cheap; a hint for exact device time while the gate is free. */
void fg_gate_idle(struct fg_gate *gate);

#endif
