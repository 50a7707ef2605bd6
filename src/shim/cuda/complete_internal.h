/* SPDX-License-Identifier: Apache-2.0
 * What complete.c (work is tracked) and complete_sweep.c (it is looked for) share. */
#ifndef FGC_COMPLETE_INTERNAL_H
#define FGC_COMPLETE_INTERNAL_H

#include "base/atomic.h"
#include "shim/cuda/capture.h"
#include "shim/cuda/complete.h"

#include <pthread.h>

#define FGC_LANES 4u /* streams of ours in each context: work of different streams completes in any order */

struct fgc_tracker;

/* Tracked work. An entry is used again when its ticket is settled and its host function, if one was asked for, has run. */
struct fgc_pending {
        struct fgc_pending *next, **at; /* in its tracker's `open` or `spare` */
        struct fgc_tracker *tracker;
        struct fg_gate *gate;
        struct fg_gate_ticket ticket;
        CUevent event;
        uint64_t number;     /* of its use */
        uint32_t generation; /* of the tracker */
        bool open;           /* the ticket is to be settled */
        bool called;         /* the host function will come */
};

/* One context's. */
struct fgc_tracker {
        struct fgc_tracker *next;
        CUcontext context;   /* NULL: gone; kept for host functions that may still come */
        uint32_t generation; /* of its use for a context */
        uint32_t users;      /* threads that make driver calls for it */
        uint64_t number;     /* of the last entry opened */
        _Atomic(CUstream) lane[FGC_LANES];
        struct fgc_pending *open, *spare; /* open: latest first */
};

/* Of all of it; no driver call is made under it. */
extern pthread_mutex_t fgc_complete_lock;
extern struct fgc_tracker *fgc_trackers; /* never freed, used again */

/* Settles the ticket unless somebody else did; `number` 0: whichever use of the entry it is. `called`: by the host function. */
void fgc_pending_settle(struct fgc_pending *p, uint64_t number, bool called);

/* The context's, in use until fgc_tracker_leave(). NULL: there is none (`make`: no memory). */
struct fgc_tracker *fgc_tracker_enter(CUcontext context, bool make);
void fgc_tracker_leave(struct fgc_tracker *t);

/* Makes the context current; true: fgc_context_leave() is to undo it. */
bool fgc_context_enter(CUcontext context);
void fgc_context_leave(bool entered);

#endif
