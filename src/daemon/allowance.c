/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/allowance.h"

#include "base/clock.h"
#include "daemon/manager.h"

#include <errno.h>
#include <stdlib.h>

struct fgd_allowance {
        struct fgd_fair *fair; /* who waits */
        uint64_t period, saved; /* ns */
        uint64_t next;         /* when one more is admitted; what lies behind us is saved */
        sd_event_source *timer;
};

struct fgd_allowance *fgd_allowance_new(uint64_t period, unsigned saved)
{
        struct fgd_allowance *a = calloc(1, sizeof *a);
        if (!a)
                return NULL;
        a->period = period;
        a->saved = (saved - 1) * period;
        a->fair = fgd_fair_new();
        if (a->fair)
                return a;
        free(a);
        return NULL;
}

void fgd_allowance_free(struct fgd_allowance *a)
{
        if (!a)
                return;
        sd_event_source_disable_unref(a->timer);
        fgd_fair_free(a->fair);
        free(a);
}

static bool take(struct fgd_allowance *a, uint64_t now)
{
        if (a->next > now)
                return false;
        if (a->next + a->saved < now)
                a->next = now - a->saved;
        a->next += a->period;
        return true;
}

bool fgd_allowance_admits(struct fgd_allowance *a, uint64_t now)
{
        return fgd_fair_is_empty(a->fair) && take(a, now);
}

/* A task costs each caller a quantum, and waiting brings nothing (the time is always 0): they go in turn; who has one connection, and is out of
 * the line while it is done, gets half as often as who has many. */
bool fgd_allowance_push(struct fgd_allowance *a, uint64_t key, struct fgd_task *task)
{
        struct fgd_caller *caller = fgd_fair_caller(a->fair, key, 0);
        if (!caller)
                return false;
        fgd_fair_push(a->fair, caller, task);
        return true;
}

struct fgd_task *fgd_allowance_pop(struct fgd_allowance *a, uint64_t now)
{
        struct fgd_caller *caller;
        if (fgd_fair_is_empty(a->fair) || !take(a, now))
                return NULL;
        struct fgd_task *task = fgd_fair_pop(a->fair, &caller);
        fgd_fair_charge(a->fair, caller, FGD_FAIR_QUANTUM);
        return task;
}

static void arm(struct fgd_allowance *a)
{
        sd_event_source_set_time(a->timer, a->next / FG_NSEC_PER_USEC + 1);
        sd_event_source_set_enabled(a->timer, SD_EVENT_ONESHOT);
}

/* One in a turn of the loop, also when it comes late: what has come meanwhile is looked at in between. */
static int on_time(sd_event_source *timer, uint64_t usec, void *user)
{
        struct fgd_allowance *a = user;
        struct fgd_task *task = fgd_allowance_pop(a, fg_now());
        if (task)
                task->run(task);
        if (!fgd_fair_is_empty(a->fair))
                arm(a);
        return 0;
}

int fgd_allowance_start(struct fgd_manager *m, uint64_t period, unsigned saved, struct fgd_allowance **ret)
{
        struct fgd_allowance *a = fgd_allowance_new(period, saved);
        if (!a)
                return -ENOMEM;
        int r = sd_event_add_time(m->event, &a->timer, CLOCK_MONOTONIC, 0, 1, on_time, a);
        if (r >= 0)
                r = sd_event_source_set_enabled(a->timer, SD_EVENT_OFF);
        if (r < 0) {
                fgd_allowance_free(a);
                return r;
        }
        *ret = a;
        return 0;
}

bool fgd_allowance_later(struct fgd_allowance *a, uint64_t key, struct fgd_task *task)
{
        bool was_empty = fgd_fair_is_empty(a->fair);
        if (!fgd_allowance_push(a, key, task))
                return false;
        if (was_empty)
                arm(a);
        return true;
}
