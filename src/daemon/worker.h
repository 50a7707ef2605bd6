/* SPDX-License-Identifier: Apache-2.0
 * A thread for what waits for the disk and is nobody's answer: one thing after the other, in the order in which it was pushed. */
#ifndef FGD_WORKER_H
#define FGD_WORKER_H

#include "daemon/store_sync.h"

#include <stdbool.h>
#include <sys/queue.h>
#include <systemd/sd-event.h>

struct fgd_store;
struct fgd_worker;

/* Lies inside what is to be done, and belongs to the worker from the push until done(). */
struct fgd_work {
        void (*run)(struct fgd_work *work); /* in the thread: touches nothing but what it lies in */
        /* In the loop, once each. `is_ending`: the worker goes away, and perhaps what `work` points to with it. */
        void (*done)(struct fgd_work *work, bool is_ending);
        bool is_patient; /* comes after all that is not; at the worker's end it is left undone */
        STAILQ_ENTRY(fgd_work) order;
        struct fgd_worker *worker;
        struct fgd_store_wait settled;
};

int fgd_worker_new(sd_event *event, struct fgd_worker **ret);
/* Nothing that was not begun is begun. */
void fgd_worker_pause(struct fgd_worker *worker);
/* Ends what was pushed and is not patient, and waits for that. NULL is fine. */
void fgd_worker_free(struct fgd_worker *worker);
void fgd_worker_push(struct fgd_worker *worker, struct fgd_work *work);
/* When all that is written now is on the disk. If it will not be, done() alone follows, as at the end. */
void fgd_worker_push_settled(struct fgd_worker *worker, struct fgd_store *store, struct fgd_work *work);

#endif
