/* SPDX-License-Identifier: Apache-2.0
 * What is under way is looked for: by a thread that waits at the gate, after an error, at the end of a context. */
#include "base/clock.h"
#include "shim/cuda/complete_internal.h"

#include <stdlib.h>
#include <time.h>

#define SWEEP_MAX  16u
#define GONE_LIMIT (2 * FG_NSEC_PER_SEC)
#define GONE_LOOK  (200 * FG_NSEC_PER_USEC)

/* The oldest of what is under way in the tracker, `max` at most: number and event. */
static unsigned oldest(struct fgc_tracker *t, struct fgc_pending **ret, uint64_t *ret_number, unsigned max)
{
        struct fgc_pending *p, *last = NULL;
        unsigned n = 0;

        pthread_mutex_lock(&fgc_complete_lock);
        if (t->context)
                for (p = t->open; p; p = p->next)
                        last = p;
        for (p = last; p && n < max; n++) {
                ret[n] = p;
                ret_number[n] = p->number;
                p = p->at == &t->open ? NULL : (struct fgc_pending *)((char *)p->at - offsetof(struct fgc_pending, next));
        }
        pthread_mutex_unlock(&fgc_complete_lock);
        return n;
}

static void write_off(struct fgc_tracker *t)
{
        struct fgc_pending *p;

        do {
                pthread_mutex_lock(&fgc_complete_lock);
                p = t->open;
                pthread_mutex_unlock(&fgc_complete_lock);
                if (p)
                        fgc_pending_settle(p, 0, false);
        } while (p);
}

static void sweep_entered(struct fgc_tracker *t)
{
        struct fgc_pending *found[SWEEP_MAX];
        uint64_t number[SWEEP_MAX];
        unsigned n = oldest(t, found, number, SWEEP_MAX);

        for (unsigned i = 0; i < n; i++) {
                CUresult r = FGC_REAL(cuEventQuery, found[i]->event);
                if (r == CUDA_SUCCESS) {
                        fgc_pending_settle(found[i], number[i], false);
                } else if (r != CUDA_ERROR_NOT_READY) {
                        write_off(t);
                        return;
                }
        }
}

static void sweep_context(CUcontext context)
{
        struct fgc_tracker *t = fgc_tracker_enter(context, false);
        bool entered;

        if (!t)
                return;
        entered = fgc_context_enter(context);
        sweep_entered(t);
        fgc_context_leave(entered);
        fgc_tracker_leave(t);
}

/* The context of tracker number `n` if something is under way there. */
static bool tracker_at(unsigned n, CUcontext *ret)
{
        struct fgc_tracker *t;

        pthread_mutex_lock(&fgc_complete_lock);
        for (t = fgc_trackers; t && n; n--)
                t = t->next;
        *ret = t && t->open ? t->context : NULL;
        pthread_mutex_unlock(&fgc_complete_lock);
        return t != NULL;
}

void fgc_complete_sweep(void)
{
        CUstreamCaptureMode mode;
        CUcontext context;

        if (!fgc_complete_pending())
                return;
        mode = fgc_capture_relax();
        for (unsigned n = 0; tracker_at(n, &context); n++)
                if (context)
                        sweep_context(context);
        fgc_capture_unrelax(mode);
}

void fgc_complete_error(CUresult r)
{
        if (!fgc_vgpu_count) /* a forked child: the parent's */
                return;
        switch (r) {
        case CUDA_ERROR_INVALID_VALUE:
        case CUDA_ERROR_INVALID_HANDLE:
        case CUDA_ERROR_INVALID_CONTEXT:
        case CUDA_ERROR_OUT_OF_MEMORY:
        case CUDA_ERROR_NOT_READY:
                return;
        default:
                fgc_complete_sweep();
        }
}

/* --- the end of a context --- */

static bool is_quiet(struct fgc_tracker *t, bool of_users)
{
        bool quiet;

        pthread_mutex_lock(&fgc_complete_lock);
        quiet = of_users ? t->users <= 1 : !t->open;
        pthread_mutex_unlock(&fgc_complete_lock);
        return quiet;
}

static void wait_until_quiet(struct fgc_tracker *t, bool of_users, uint64_t limit)
{
        static const struct timespec pause = {.tv_nsec = GONE_LOOK};
        uint64_t since = fg_now();

        while (!is_quiet(t, of_users) && fg_now() - since < limit) {
                fgc_complete_sweep();
                nanosleep(&pause, NULL);
        }
}

/* The driver would wait for what is in flight, too. Entries whose host function never came are not used again: it might come
 * yet. */
void fgc_complete_context_gone(CUcontext context)
{
        struct fgc_tracker *t;
        struct fgc_pending *spare;

        if (!context || !fgc_vgpu_count)
                return;
        fgc_complete_streams_forget(context);
        t = fgc_tracker_enter(context, false);
        if (!t)
                return;
        wait_until_quiet(t, false, GONE_LIMIT);
        write_off(t);
        pthread_mutex_lock(&fgc_complete_lock);
        t->context = NULL;
        t->generation++;
        spare = t->spare;
        t->spare = NULL;
        pthread_mutex_unlock(&fgc_complete_lock);
        wait_until_quiet(t, true, GONE_LIMIT / 10);
        for (struct fgc_pending *next; spare; spare = next) {
                next = spare->next;
                free(spare);
        }
        fgc_tracker_leave(t);
}
