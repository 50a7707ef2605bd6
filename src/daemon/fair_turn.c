/* SPDX-License-Identifier: Apache-2.0
 * Tasks are done in turns of the loop of their own, a few small ones or one large in each: between two of them, whoever has asked meanwhile
 * and is not known for asking much is served. Of what is ready the loop takes first what has been so for longest, which a deferred source is
 * as long as it is on: it would go on until there are no more tasks. So each turn ends with a look at what has come, and then it stands at
 * the end of the line. */
#include "daemon/fair.h"

#include "base/clock.h"
#include "daemon/http.h"
#include "daemon/manager.h"
#include "daemon/remote.h"

#include <errno.h>

#define TURN_NS 30000u

static int on_turn(sd_event_source *source, void *user)
{
        struct fgd_manager *m = user;
        struct fgd_caller *caller;
        struct fgd_task *task;
        uint64_t begin = fg_now(), at = begin, ahead = 0, end;
        while (at - begin + ahead < TURN_NS && (task = fgd_fair_pop(m->fair, &caller))) {
                ahead += task->ahead; /* it may be gone when it has run */
                task->run(task);
                end = fg_now();
                fgd_fair_charge(m->fair, caller, end - at);
                at = end;
        }
        if (m->http)
                fgd_http_drive(m->http);
        fgd_remote_drive(m->remote);
        sd_event_source_set_enabled(source, SD_EVENT_OFF);
        return sd_event_source_set_enabled(source, fgd_fair_is_empty(m->fair) ? SD_EVENT_OFF : SD_EVENT_ON);
}

int fgd_fair_start(struct fgd_manager *m)
{
        m->fair = fgd_fair_new();
        if (!m->fair)
                return -ENOMEM;
        int r = sd_event_add_defer(m->event, &m->fair_turn, on_turn, m);
        return r < 0 ? r : sd_event_source_set_enabled(m->fair_turn, SD_EVENT_OFF);
}

void fgd_fair_stop(struct fgd_manager *m)
{
        m->fair_turn = sd_event_source_disable_unref(m->fair_turn);
        fgd_fair_free(m->fair);
        m->fair = NULL;
}

static bool later(struct fgd_manager *m, uint64_t key, struct fgd_task *task, void (*push)(struct fgd_fair *, struct fgd_caller *, struct fgd_task *))
{
        struct fgd_caller *caller = fgd_fair_caller(m->fair, key, fg_now());
        if (!caller)
                return false;
        push(m->fair, caller, task);
        sd_event_source_set_enabled(m->fair_turn, SD_EVENT_ON);
        return true;
}

bool fgd_fair_later(struct fgd_manager *m, uint64_t key, struct fgd_task *task)
{
        return later(m, key, task, fgd_fair_push);
}

bool fgd_fair_rest(struct fgd_manager *m, uint64_t key, struct fgd_task *task)
{
        return later(m, key, task, fgd_fair_push_rest);
}
