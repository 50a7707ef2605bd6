/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/cuda/complete_internal.h"

#include <stdlib.h>

pthread_mutex_t fgc_complete_lock = PTHREAD_MUTEX_INITIALIZER;
struct fgc_tracker *fgc_trackers;
static uint32_t open_count; /* (a) */

bool fgc_complete_pending(void)
{
        return fg_load_relaxed(&open_count) != 0;
}

static void link_to(struct fgc_pending **head, struct fgc_pending *p)
{
        p->next = *head;
        p->at = head;
        if (*head)
                (*head)->at = &p->next;
        *head = p;
}

static void unlink_from(struct fgc_pending *p)
{
        *p->at = p->next;
        if (p->next)
                p->next->at = p->at;
}

/* --- settling: each step under the lock, the gate is told outside it --- */

/* True: the caller settles it. `number` 0: whichever use it is. */
static bool claim(struct fgc_pending *p, uint64_t number, bool called, struct fgc_pending *ret)
{
        bool won;

        pthread_mutex_lock(&fgc_complete_lock);
        won = p->open && (!number || p->number == number);
        if (won) {
                *ret = *p;
                p->open = false;
                unlink_from(p);
                fg_sub_seq_cst(&open_count, 1);
        }
        if (called)
                p->called = false;
        if ((won || called) && !p->called && !p->open) {
                if (p->generation == p->tracker->generation)
                        link_to(&p->tracker->spare, p);
                else if (!p->tracker->users) /* its context is gone, and nobody looks at it any more */
                        free(p);
        }
        pthread_mutex_unlock(&fgc_complete_lock);
        return won;
}

void fgc_pending_settle(struct fgc_pending *p, uint64_t number, bool called)
{
        struct fgc_pending was;

        if (claim(p, number, called, &was))
                fg_gate_done(was.gate, &was.ticket);
}

/* On a thread of the driver's: nothing of CUDA may be called here. */
static void CUDA_CB on_complete(void *user)
{
        fgc_pending_settle(user, 0, true);
}

/* --- a context's streams and entries --- */

/* One that is not in use; NULL: out of memory. Under the lock. */
static struct fgc_tracker *tracker_vacant(void)
{
        struct fgc_tracker *t;

        for (t = fgc_trackers; t && (t->context || t->users || t->open);)
                t = t->next;
        if (!t && (t = calloc(1, sizeof(*t)))) {
                t->next = fgc_trackers;
                fgc_trackers = t;
        }
        return t;
}

/* In use until fgc_tracker_leave(). `make` false: NULL where there is none. */
struct fgc_tracker *fgc_tracker_enter(CUcontext context, bool make)
{
        struct fgc_tracker *t;

        pthread_mutex_lock(&fgc_complete_lock);
        for (t = fgc_trackers; t && t->context != context;)
                t = t->next;
        if (!t && make && (t = tracker_vacant())) {
                t->context = context;
                for (unsigned i = 0; i < FGC_LANES; i++)
                        t->lane[i] = NULL;
        }
        if (t)
                t->users++;
        pthread_mutex_unlock(&fgc_complete_lock);
        return t;
}

void fgc_tracker_leave(struct fgc_tracker *t)
{
        if (!t)
                return;
        pthread_mutex_lock(&fgc_complete_lock);
        t->users--;
        pthread_mutex_unlock(&fgc_complete_lock);
}

/* Events and streams are made in the current context. */
bool fgc_context_enter(CUcontext context)
{
        CUcontext current = NULL;

        return FGC_REAL(cuCtxGetCurrent, &current) == CUDA_SUCCESS && current != context &&
               FGC_REAL(cuCtxPushCurrent_v2, context) == CUDA_SUCCESS;
}

void fgc_context_leave(bool entered)
{
        CUcontext ignored;

        if (entered)
                FGC_REAL(cuCtxPopCurrent_v2, &ignored);
}

/* NULL: the driver makes none. Two threads at once: one of them is destroyed. */
static CUstream lane_of(struct fgc_tracker *t, CUstream of)
{
        _Atomic(CUstream) *slot = &t->lane[((uintptr_t)of * 0x9e3779b97f4a7c15ull >> 56) % FGC_LANES];
        CUstream lane = atomic_load_explicit(slot, memory_order_acquire), none = NULL;

        if (lane)
                return lane;
        bool entered = fgc_context_enter(t->context);
        if (FGC_REAL(cuStreamCreate, &lane, CU_STREAM_NON_BLOCKING) != CUDA_SUCCESS)
                lane = NULL;
        fgc_context_leave(entered);
        if (lane && !atomic_compare_exchange_strong(slot, &none, lane)) {
                FGC_REAL(cuStreamDestroy_v2, lane);
                lane = none;
        }
        return lane;
}

static struct fgc_pending *pending_new(struct fgc_tracker *t)
{
        struct fgc_pending *p = calloc(1, sizeof(*p));
        bool entered;

        if (!p)
                return NULL;
        p->tracker = t;
        p->generation = t->generation;
        entered = fgc_context_enter(t->context);
        if (FGC_REAL(cuEventCreate, &p->event, CU_EVENT_DISABLE_TIMING) != CUDA_SUCCESS) {
                free(p);
                p = NULL;
        }
        fgc_context_leave(entered);
        return p;
}

static struct fgc_pending *pending_take(struct fgc_tracker *t)
{
        struct fgc_pending *p;

        pthread_mutex_lock(&fgc_complete_lock);
        p = t->spare;
        if (p)
                unlink_from(p);
        pthread_mutex_unlock(&fgc_complete_lock);
        return p ? p : pending_new(t);
}

static void pending_return(struct fgc_pending *p)
{
        pthread_mutex_lock(&fgc_complete_lock);
        if (p->generation == p->tracker->generation)
                link_to(&p->tracker->spare, p);
        pthread_mutex_unlock(&fgc_complete_lock);
}

/* Before the host function is asked for, which may run at once. */
static void pending_open(struct fgc_pending *p, struct fg_gate *gate, const struct fg_gate_ticket *ticket)
{
        pthread_mutex_lock(&fgc_complete_lock);
        p->gate = gate;
        p->ticket = *ticket;
        p->number = ++p->tracker->number;
        p->open = p->called = true;
        link_to(&p->tracker->open, p);
        fg_add_seq_cst(&open_count, 1);
        pthread_mutex_unlock(&fgc_complete_lock);
}

/* True: `p` holds the ticket now. */
static bool record(struct fgc_pending *p, struct fg_gate *gate, const struct fg_gate_ticket *ticket, CUstream stream)
{
        CUstream lane;

        if (FGC_REAL(cuEventRecord, p->event, stream) != CUDA_SUCCESS) {
                pending_return(p);
                return false;
        }
        lane = lane_of(p->tracker, stream);
        pending_open(p, gate, ticket);
        if (lane && FGC_REAL(cuStreamWaitEvent, lane, p->event, 0) == CUDA_SUCCESS && fgc_real.cuLaunchHostFunc &&
            FGC_REAL(cuLaunchHostFunc, lane, on_complete, p) == CUDA_SUCCESS)
                return true;
        pthread_mutex_lock(&fgc_complete_lock);
        p->called = false; /* the event will be asked; see fgc_complete_sweep() */
        if (!p->open && p->generation == p->tracker->generation)
                link_to(&p->tracker->spare, p); /* it was, already */
        pthread_mutex_unlock(&fgc_complete_lock);
        return true;
}

void fgc_complete_watch(struct fg_gate *gate, const struct fg_gate_ticket *ticket, CUstream stream, CUcontext context)
{
        CUstreamCaptureMode mode = fgc_capture_relax();
        struct fgc_tracker *t = context ? fgc_tracker_enter(context, true) : NULL;
        struct fgc_pending *p = t ? pending_take(t) : NULL;

        if (!p || !record(p, gate, ticket, stream))
                fg_gate_done(gate, ticket);
        fgc_tracker_leave(t);
        fgc_capture_unrelax(mode);
}
