/* SPDX-License-Identifier: Apache-2.0
 * What the gate's files share. */
#ifndef FG_GOVERNOR_INTERNAL_H
#define FG_GOVERNOR_INTERNAL_H

#include "governor/gate.h"

#include <stddef.h>

#define FG_ESTIMATES 256u /* kinds of work remembered; a power of two */

struct fg_estimate {
        uint32_t key; /* (a) 0: vacant */
        uint32_t ns;  /* (a) moving average, saturates at 4 s */
};

/* All (a) but the first five (of `front` the pointers), which never change. */
struct fg_gate {
        union { /* `front` is what the header's inline functions know */
                struct fg_gate_front front;
                struct {
                        const struct fg_limits_page *limits;
                        struct fg_slot *slot;
                        uint64_t look_at;
                };
        };
        struct fg_own_fd poke;
        const struct fg_gate_ops *ops;
        void *user;

        /* Contended. `inflight` is this process's own count; the slot's is what the arbiter sees. */
        _Alignas(64) uint32_t inflight;
        uint32_t sleepers;        /* threads waiting for room in the window */
        uint32_t completions;     /* futex word */
        uint32_t was_free;        /* launches of a free grant have not been marked yet */
        uint32_t preparing;       /* of `inflight`, launches that the driver has not begun: the slot's does not count them */
        uint64_t predicted;       /* device time in flight, ns */
        uint64_t last_end;        /* device time is charged up to here */
        uint64_t last_completion;
        uint64_t last_poke;
        uint64_t fallback_beat;   /* the arbiter's beat when it was found dead; 0: it lives */
        uint64_t mean;            /* ns per launch over all kinds */

        /* Free: free.c. */
        _Alignas(64) uint32_t probing; /* a probe is under way */
        uint64_t probe_last;           /* start of the last probe */
        uint64_t probe_mark;           /* launches when it started */
        uint64_t settled_mark;         /* launches at the last settled probe */
        uint64_t since;                /* device time is accounted up to here */
        uint64_t free_mean;            /* ns per launch while free */
        uint64_t probe_spacing;        /* longer while probes keep finding the same mean; 0: the least */
        uint64_t look_last, look_mark; /* time and launches of the last look at the clock */

        struct fg_estimate estimate[FG_ESTIMATES];
};

_Static_assert(offsetof(struct fg_gate, look_at) == offsetof(struct fg_gate_front, look_at), "front layout");

/* The free grant. */
void fg_gate_free_enter(struct fg_gate *gate, struct fg_gate_ticket *ret);
void fg_gate_free_probe_done(struct fg_gate *gate, const struct fg_gate_ticket *ticket, uint64_t now);
bool fg_gate_free_probe_first(const struct fg_gate *gate); /* nothing was under way when the probe was launched */
void fg_gate_free_probe_begun(struct fg_gate *gate, uint64_t now);
void fg_gate_free_probe_abort(struct fg_gate *gate);
void fg_gate_free_close(struct fg_gate *gate, uint64_t now); /* known to be idle now */

/* Durations by kind of work. Unknown: the mean, or the whole window when nothing is known. */
bool fg_estimate_known(const struct fg_gate *gate, uint32_t key);
uint64_t fg_estimate_get(const struct fg_gate *gate, uint32_t key);
void fg_estimate_put(struct fg_gate *gate, uint32_t key, uint64_t spent);

/* Without an arbiter. `waiting_since`: when the caller began to wait. */
bool fg_fallback_due(struct fg_gate *gate, uint64_t waiting_since);
void fg_fallback_wait(struct fg_gate *gate, uint64_t predicted); /* until this vGPU's part of the frame */

#endif
