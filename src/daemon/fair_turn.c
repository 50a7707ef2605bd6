/* SPDX-License-Identifier: Apache-2.0
 * Tasks are done in turns of the loop of their own, a few small ones or one large in each: between two of them, whoever has asked meanwhile
 * and is not known for asking much is served. So each ends with a look at what has come, and then stands at the end of the line: of what is
 * ready the loop takes first what has been so for longest. A deferred source has been ready since it was made, and would keep all others
 * waiting until there are no more tasks; a descriptor that can always be read is ready anew each time. */
#include "daemon/fair.h"

#include "base/clock.h"
#include "daemon/manager.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define TURN_NS 30000u

static int on_turn(sd_event_source *source, int fd, uint32_t events, void *user)
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
        if (m->look)
                m->look(m);
        return sd_event_source_set_enabled(source, fgd_fair_is_empty(m->fair) ? SD_EVENT_OFF : SD_EVENT_ON);
}

int fgd_fair_start(struct fgd_manager *m)
{
        m->fair = fgd_fair_new();
        if (!m->fair)
                return -ENOMEM;
        int ready = eventfd(1, EFD_CLOEXEC);
        if (ready < 0)
                return -errno;
        int r = sd_event_add_io(m->event, &m->fair_turn, ready, EPOLLIN, on_turn, m);
        if (r < 0) {
                close(ready);
                return r;
        }
        sd_event_source_set_io_fd_own(m->fair_turn, true);
        return sd_event_source_set_enabled(m->fair_turn, SD_EVENT_OFF);
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
