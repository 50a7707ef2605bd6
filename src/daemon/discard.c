/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/discard.h"

#include "base/clock.h"
#include "daemon/manager.h"

#include <errno.h>
#include <stdlib.h>

struct fgd_discard {
        struct fgd_fair *fair; /* who waits */
        uint64_t next;         /* when one more read may be made; what lies behind us is saved */
        sd_event_source *timer;
};

struct fgd_discard *fgd_discard_new(void)
{
        struct fgd_discard *d = calloc(1, sizeof *d);
        if (!d)
                return NULL;
        d->fair = fgd_fair_new();
        if (d->fair)
                return d;
        free(d);
        return NULL;
}

void fgd_discard_free(struct fgd_discard *d)
{
        if (!d)
                return;
        sd_event_source_disable_unref(d->timer);
        fgd_fair_free(d->fair);
        free(d);
}

static bool take(struct fgd_discard *d, uint64_t now)
{
        const uint64_t saved = (FGD_DISCARD_SAVED - 1) * (uint64_t)FGD_DISCARD_NS;
        if (d->next > now)
                return false;
        if (d->next + saved < now)
                d->next = now - saved;
        d->next += FGD_DISCARD_NS;
        return true;
}

bool fgd_discard_admits(struct fgd_discard *d, uint64_t now)
{
        return fgd_fair_is_empty(d->fair) && take(d, now);
}

/* A read costs each caller a quantum, and waiting brings nothing (the time is always 0): they go in turn; who has one connection, and is out of
 * the line while it is read, gets half as often as who has many. */
bool fgd_discard_push(struct fgd_discard *d, uint64_t key, struct fgd_task *task)
{
        struct fgd_caller *caller = fgd_fair_caller(d->fair, key, 0);
        if (!caller)
                return false;
        fgd_fair_push(d->fair, caller, task);
        return true;
}

struct fgd_task *fgd_discard_pop(struct fgd_discard *d, uint64_t now)
{
        struct fgd_caller *caller;
        if (fgd_fair_is_empty(d->fair) || !take(d, now))
                return NULL;
        struct fgd_task *task = fgd_fair_pop(d->fair, &caller);
        fgd_fair_charge(d->fair, caller, FGD_FAIR_QUANTUM);
        return task;
}

static void arm(struct fgd_discard *d)
{
        sd_event_source_set_time(d->timer, d->next / FG_NSEC_PER_USEC + 1);
        sd_event_source_set_enabled(d->timer, SD_EVENT_ONESHOT);
}

/* One in a turn of the loop, also when it comes late: what has come meanwhile is looked at in between. */
static int on_time(sd_event_source *timer, uint64_t usec, void *user)
{
        struct fgd_discard *d = user;
        struct fgd_task *task = fgd_discard_pop(d, fg_now());
        if (task)
                task->run(task);
        if (!fgd_fair_is_empty(d->fair))
                arm(d);
        return 0;
}

int fgd_discard_start(struct fgd_manager *m)
{
        m->discard = fgd_discard_new();
        if (!m->discard)
                return -ENOMEM;
        int r = sd_event_add_time(m->event, &m->discard->timer, CLOCK_MONOTONIC, 0, 1, on_time, m->discard);
        return r < 0 ? r : sd_event_source_set_enabled(m->discard->timer, SD_EVENT_OFF);
}

void fgd_discard_stop(struct fgd_manager *m)
{
        fgd_discard_free(m->discard);
        m->discard = NULL;
}

bool fgd_discard_later(struct fgd_manager *m, uint64_t key, struct fgd_task *task)
{
        bool was_empty = fgd_fair_is_empty(m->discard->fair);
        if (!fgd_discard_push(m->discard, key, task))
                return false;
        if (was_empty)
                arm(m->discard);
        return true;
}
