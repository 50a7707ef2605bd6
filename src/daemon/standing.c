/* SPDX-License-Identifier: Apache-2.0
 * The first class where the device makes room by itself. The kernel's scheduler takes a processor away from SCHED_IDLE programs,
 * so that a program of a higher class beside nothing but such need not wait for its turn: it has a grant that stands. Its first
 * launch pokes, and the others begin nothing until it is done; they divide the rest of the time. */
#include "base/atomic.h"
#include "daemon/arbiter_internal.h"

#include <sched.h>

bool fgd_arbiter_is_background(const struct fg_limits_page *limits)
{
        for (uint32_t i = 0; i < FG_SLOTS; i++) {
                uint32_t pid = fg_load_acquire(&limits->owner[i].pid);

                if (pid && (sched_getscheduler((pid_t)pid) & ~SCHED_RESET_ON_FORK) != SCHED_IDLE)
                        return false;
        }
        return true;
}

static bool may_stand(const struct fgd_arbiter *a, const struct fgd_arbiter_client *c)
{
        bool others = false;

        if (!a->config.preemptive || !c->slots || c->closed || c->held || c->share.cap)
                return false;
        for (const struct fgd_arbiter_client *o = a->clients; o; o = o->next) {
                if (o == c || !o->slots)
                        continue;
                if (!o->background || o->share.priority >= c->share.priority)
                        return false;
                others = true;
        }
        return others;
}

void fgd_arbiter_let_stand(struct fgd_arbiter *a)
{
        for (struct fgd_arbiter_client *c = a->clients; c; c = c->next) {
                bool stands = may_stand(a, c);

                if (stands == c->stands)
                        continue;
                c->stands = stands;
                if (a->owner == c) {
                        a->owner = NULL;
                        a->phase = PHASE_NONE;
                }
                fg_store_relaxed(&c->limits->until, FG_UNTIL_STANDS);
                fg_store_relaxed(&c->limits->window, a->config.quantum);
                fgd_arbiter_write_grant(c, stands ? FG_GRANT_TIMED : FG_GRANT_DENIED);
        }
}
