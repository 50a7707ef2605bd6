/* SPDX-License-Identifier: Apache-2.0
 * A caller over his rate who asks again as soon as he is refused costs more than what he is refused: each refusal is a turn of the one
 * thread. So it is held back for a moment, in which the connection is silent, and of all that are due only so many go in one turn. */
#include "daemon/http_internal.h"

#include "base/clock.h"
#include "daemon/manager.h"

#define PAUSE        (50 * FG_NSEC_PER_MSEC)
#define STEP         (1 * FG_NSEC_PER_MSEC)
#define STEP_AT_ONCE 2u

static void arm(struct fgd_http *http, uint64_t at)
{
        sd_event_source_set_time(http->pause, at / FG_NSEC_PER_USEC + 1);
        sd_event_source_set_enabled(http->pause, SD_EVENT_ONESHOT);
}

static void resume(struct fgd_exchange *e)
{
        TAILQ_REMOVE(&e->http->paused, e, order);
        e->answered = true;
        MHD_resume_connection(e->connection);
}

static int on_time(sd_event_source *source, uint64_t usec, void *user)
{
        struct fgd_http *http = user;
        struct fgd_exchange *e;
        uint64_t now = fg_now();
        for (unsigned n = 0; n < STEP_AT_ONCE && (e = TAILQ_FIRST(&http->paused)) && e->paused_at + PAUSE <= now; n++)
                resume(e);
        fgd_http_wake(http);
        e = TAILQ_FIRST(&http->paused);
        if (e)
                arm(http, e->paused_at + PAUSE > now + STEP ? e->paused_at + PAUSE : now + STEP);
        return 0;
}

int fgd_pause_watch(struct fgd_http *http)
{
        int r = sd_event_add_time(http->manager->event, &http->pause, CLOCK_MONOTONIC, 0, 1000, on_time, http);
        return r < 0 ? r : sd_event_source_set_enabled(http->pause, SD_EVENT_OFF);
}

void fgd_pause_begin(struct fgd_exchange *e)
{
        struct fgd_http *http = e->http;
        e->paused_at = fg_now();
        if (TAILQ_EMPTY(&http->paused))
                arm(http, e->paused_at + PAUSE);
        TAILQ_INSERT_TAIL(&http->paused, e, order);
}

void fgd_pause_end_all(struct fgd_http *http)
{
        while (!TAILQ_EMPTY(&http->paused))
                resume(TAILQ_FIRST(&http->paused));
}
