/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FGSIM_EVENT_H
#define FGSIM_EVENT_H

#include "sim/exec.h"

struct fgsim_event_page; /* of an interprocess event */

struct fgsim_event {
        struct fgsim_object object;
        unsigned flags;
        struct fgsim_context *ctx;
        struct fgsim_mark *mark; /* NULL: never recorded, or recorded in an idle stream at `at` */
        uint64_t at;
        bool is_recorded;
        uint64_t capture; /* number of the one that it was last recorded in; 0: in none */
        struct fgsim_node **tips;
        size_t tip_count;
        struct fgsim_event_page *page;
        struct fgsim_event *next, **link; /* in ctx->exec->events */
};

struct fgsim_event *fgsim_event_get(CUevent handle);
void fgsim_event_free(struct fgsim_event *event); /* with the lock */
bool fgsim_event_is_done(const void *event);
CUresult fgsim_event_wait(struct fgsim_event *event); /* with the lock */
/* It is no longer what a capture recorded. */
void fgsim_event_uncapture(struct fgsim_event *event);

/* event_ipc.c: interprocess events. A record of one has a turn; it is done when that many records are. */
void fgsim_event_page_drop(struct fgsim_event_page *page);
bool fgsim_event_page_push(struct fgsim_stream *stream, struct fgsim_event_page *page);
bool fgsim_event_page_push_wait(struct fgsim_stream *stream, struct fgsim_event_page *page);
bool fgsim_event_page_is_done(const struct fgsim_event_page *page);
/* event.c: an event of the current context. */
struct fgsim_event *fgsim_event_make(unsigned flags, CUresult *ret);

#endif
