/* SPDX-License-Identifier: Apache-2.0
 * Readers who wait for what comes. */
#include "daemon/events.h"

#include "daemon/api.h"
#include "daemon/identity.h"
#include "daemon/job_log.h"
#include "daemon/manager.h"
#include "daemon/store_sync.h"
#include "daemon/text.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define WAKE_USEC   20000    /* what happens within it is told together */
#define SETTLE_USEC 10000000 /* for the disk */

struct waiter {
        TAILQ_ENTRY(waiter) order;
        struct fgd_manager *manager;
        struct fgd_principal who;
        struct fgd_events_wish wish;
        struct fgd_later later;
        sd_event_source *timer;
        struct fgd_store_wait settled;
        bool is_settling; /* what is written is to be read, and is not certain yet */
        bool stays;       /* if there is nothing for it then */
};

struct fgd_events {
        TAILQ_HEAD(, waiter) waiters;
        uint32_t count;
        sd_event_source *wake;
};

int fgd_events_new(struct fgd_manager *m)
{
        m->events = calloc(1, sizeof *m->events);
        if (!m->events)
                return -ENOMEM;
        TAILQ_INIT(&m->events->waiters);
        return fgd_streams_new(m);
}

static bool has_expired(const struct waiter *waiter)
{
        return waiter->who.token && waiter->who.token->expires <= time(NULL);
}

/* Answers with what there is, also if that is nothing. */
static void answer(struct waiter *waiter)
{
        struct fgd_manager *m = waiter->manager;
        struct fgd_text text = {0};
        bool any;
        int64_t next;
        TAILQ_REMOVE(&m->events->waiters, waiter, order);
        m->events->count--;
        if (waiter->is_settling)
                fgd_store_leave(m->store, &waiter->settled);
        sd_event_source_disable_unref(waiter->timer);
        /* Whose token has expired is told so when he asks again, from where he was. */
        if (has_expired(waiter))
                fgd_text_addf(&text, "{\"events\": [], \"next\": %lld}\n", (long long)waiter->wish.after);
        else if (fgd_events_write(m, &waiter->who, &waiter->wish, &text, &any, &next) < 0)
                fgd_text_clear(&text);
        if (text.failed)
                fgd_text_clear(&text);
        waiter->later.done(waiter->later.user, text.data ? 200 : 500, text.data);
        free(waiter);
}

void fgd_events_release(struct fgd_manager *m)
{
        while (m->events && !TAILQ_EMPTY(&m->events->waiters))
                answer(TAILQ_FIRST(&m->events->waiters));
        fgd_streams_end(m);
        fgd_log_release(m);
}

void fgd_events_free(struct fgd_manager *m)
{
        if (!m->events)
                return;
        fgd_events_release(m);
        fgd_streams_free(m);
        sd_event_source_disable_unref(m->events->wake);
        free(m->events);
        m->events = NULL;
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *user)
{
        answer(user);
        return 0;
}

static uint32_t waiting_of(const struct fgd_events *events, const struct fgd_user *user)
{
        const struct waiter *waiter;
        uint32_t count = 0;
        TAILQ_FOREACH(waiter, &events->waiters, order)
                count += waiter->who.user == user;
        return count;
}

static bool look(struct waiter *waiter);

static void on_settled(struct fgd_store_wait *wait, bool is_kept)
{
        struct waiter *waiter = (struct waiter *)((char *)wait - offsetof(struct waiter, settled));
        waiter->is_settling = false;
        if (!waiter->stays || has_expired(waiter) || look(waiter))
                answer(waiter);
}

int fgd_events_wait(struct fgd_manager *m, const struct fgd_principal *who, const struct fgd_events_wish *wish, unsigned seconds,
                    const struct fgd_later *later)
{
        struct fgd_events *events = m->events;
        if (events->count >= FGD_WAITERS_MAX || (who->user && waiting_of(events, who->user) >= FGD_WAITERS_USER))
                return -EBUSY;
        struct waiter *waiter = malloc(sizeof *waiter);
        if (!waiter)
                return -ENOMEM;
        *waiter = (struct waiter){.manager = m, .who = *who, .wish = *wish, .later = *later, .settled.done = on_settled, .stays = seconds > 0};
        uint64_t usec = seconds ? seconds * 1000000ull : SETTLE_USEC;
        int r = sd_event_add_time_relative(m->event, &waiter->timer, CLOCK_MONOTONIC, usec, 100000, on_timeout, waiter);
        if (r < 0) {
                free(waiter);
                return r;
        }
        TAILQ_INSERT_TAIL(&events->waiters, waiter, order);
        events->count++;
        waiter->is_settling = !fgd_store_is_settled(m->store);
        if (waiter->is_settling)
                fgd_store_wait(m->store, &waiter->settled);
        return 0;
}

/* Whether there is something for it; what it may not see is not looked at again. */
static bool look(struct waiter *waiter)
{
        struct fgd_text text = {0};
        bool any = false;
        int64_t next;
        fgd_events_write(waiter->manager, &waiter->who, &waiter->wish, &text, &any, &next);
        fgd_text_clear(&text);
        if (!any)
                waiter->wish.after = next;
        return any;
}

static int on_wake(sd_event_source *source, uint64_t usec, void *user)
{
        struct fgd_manager *m = user;
        struct waiter *waiter, *next;
        FGD_TAILQ_EACH_SAFE(waiter, &m->events->waiters, order, next)
                if (!waiter->is_settling && (has_expired(waiter) || look(waiter)))
                        answer(waiter);
        fgd_streams_look(m);
        return 0;
}

void fgd_events_wake(struct fgd_manager *m)
{
        struct fgd_events *events = m->events;
        int enabled = SD_EVENT_OFF;
        if (!events || (TAILQ_EMPTY(&events->waiters) && !fgd_streams_any(m)))
                return;
        if (!events->wake && sd_event_add_time_relative(m->event, &events->wake, CLOCK_MONOTONIC, WAKE_USEC, 1000, on_wake, m) >= 0)
                return;
        sd_event_source_get_enabled(events->wake, &enabled);
        if (enabled != SD_EVENT_OFF)
                return;
        sd_event_source_set_time_relative(events->wake, WAKE_USEC);
        sd_event_source_set_enabled(events->wake, SD_EVENT_ONESHOT);
}
