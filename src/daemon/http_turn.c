/* SPDX-License-Identifier: Apache-2.0
 * A request that is complete is served at once if that keeps nobody waiting, else its connection is suspended until it is its caller's
 * turn (fair.h). The library reads whatever came, from all, before we see any other event: a request that waits costs it nothing. */
#include "daemon/http_internal.h"

#include "base/clock.h"
#include "daemon/allowance.h"
#include "daemon/identity.h"
#include "daemon/manager.h"

#define READ_NS 35000 /* what it takes the library and the kernel to read what they read at once, 8 KiB */

void fgd_turn_leave(struct fgd_exchange *e)
{
        fgd_fair_remove(&e->task);
        TAILQ_REMOVE(&e->http->queued, e, order);
}

void fgd_turn_end(struct fgd_exchange *e)
{
        if (!e->task.caller)
                return;
        fgd_turn_leave(e);
        MHD_resume_connection(e->connection);
        fgd_http_wake(e->http);
}

static void wait_for_answer(struct fgd_exchange *e)
{
        e->waiting = true;
        TAILQ_INSERT_TAIL(&e->http->waiting, e, order);
}

/* The connection is suspended. */
static void on_turn(struct fgd_task *task)
{
        struct fgd_exchange *e = (struct fgd_exchange *)((char *)task - offsetof(struct fgd_exchange, task));
        TAILQ_REMOVE(&e->http->queued, e, order);
        if (fgd_exchange_ask(e) > 0) {
                wait_for_answer(e);
        } else if (e->status == 429) {
                fgd_pause_begin(e);
        } else {
                e->answered = true;
                MHD_resume_connection(e->connection);
                fgd_http_wake(e->http);
        }
}

enum MHD_Result fgd_turn_now(struct fgd_exchange *e)
{
        if (e->peer)
                fgd_peer_enter(e->peer, FGD_PEER_BUSY);
        int r = fgd_exchange_ask(e);
        if (r == 0 && e->status != 429)
                return fgd_exchange_reply(e);
        if (r > 0)
                wait_for_answer(e);
        else
                fgd_pause_begin(e);
        MHD_suspend_connection(e->connection);
        return MHD_YES;
}

/* The next piece of its body or answer waits, for us. */
static void hold(struct fgd_exchange *e)
{
        TAILQ_INSERT_TAIL(&e->http->queued, e, order);
        if (e->peer)
                fgd_peer_hold(e->peer);
        MHD_suspend_connection(e->connection);
}

static void on_read(struct fgd_task *task)
{
        struct fgd_exchange *e = (struct fgd_exchange *)((char *)task - offsetof(struct fgd_exchange, task));
        TAILQ_REMOVE(&e->http->queued, e, order);
        if (e->peer)
                fgd_peer_go_on(e->peer);
        MHD_resume_connection(e->connection);
        fgd_http_wake(e->http);
}

enum MHD_Result fgd_turn_read(struct fgd_exchange *e, bool is_kept)
{
        struct fgd_manager *m = e->http->manager;
        struct fgd_fair *fair = m->fair;
        uint64_t now = fg_now();
        /* Of a body in chunks the library hands on each, also once it is suspended; they are one read. */
        bool is_read = e->read_turn != e->http->turn;
        e->read_turn = e->http->turn;
        struct fgd_caller *caller = is_read ? fgd_fair_caller(fair, e->caller, now) : NULL;
        if (!caller)
                return MHD_YES;
        fgd_fair_charge(fair, caller, READ_NS);
        bool is_discard = !is_kept && !fgd_allowance_admits(m->discard, now);
        if (!is_discard && fgd_fair_admits(fair, caller, now))
                return MHD_YES;
        e->task.run = on_read;
        e->task.ahead = READ_NS;
        if (!(is_discard ? fgd_allowance_later(m->discard, e->caller, &e->task) : fgd_fair_later(m, e->caller, &e->task)))
                return MHD_YES;
        hold(e);
        return MHD_YES;
}

static void on_piece(struct fgd_task *task)
{
        struct fgd_exchange *e = (struct fgd_exchange *)((char *)task - offsetof(struct fgd_exchange, task));
        e->has_turn = true;
        on_read(task);
}

bool fgd_turn_piece(struct fgd_exchange *e)
{
        struct fgd_manager *m = e->http->manager;
        uint64_t now = fg_now();
        struct fgd_caller *caller = e->has_turn || e->http->is_ending ? NULL : fgd_fair_caller(m->fair, e->caller, now);
        e->has_turn = false;
        if (!caller || fgd_fair_admits(m->fair, caller, now))
                return true;
        e->task.run = on_piece;
        e->task.ahead = FGD_SEND_NS;
        if (!fgd_fair_rest(m, e->caller, &e->task))
                return true;
        hold(e);
        return false;
}

void fgd_turn_spent(struct fgd_exchange *e, uint64_t ns)
{
        struct fgd_fair *fair = e->http->manager->fair;
        struct fgd_caller *caller = fgd_fair_caller(fair, e->caller, fg_now());
        if (caller)
                fgd_fair_charge(fair, caller, ns);
}

/* It is charged where it is done. */
static void on_change(struct fgd_task *task)
{
        struct fgd_exchange *e = (struct fgd_exchange *)((char *)task - offsetof(struct fgd_exchange, task));
        struct fgd_manager *m = e->http->manager;
        uint64_t begin = fg_now(), key = e->caller;
        on_turn(task);
        struct fgd_caller *caller = fgd_fair_caller(m->fair, key, begin);
        if (caller)
                fgd_fair_charge(m->fair, caller, fg_now() - begin);
}

/* Whether it has to wait; it is in its queue then. */
static bool must_wait(struct fgd_exchange *e, struct fgd_caller *caller, uint64_t now)
{
        struct fgd_manager *m = e->http->manager;
        bool is_admitted = fgd_fair_admits(m->fair, caller, now);
        bool is_change = !e->reading && fgd_identity_is_user(e->caller) && e->most < FGD_BODY_MAX && !fgd_fair_is_alone(m->fair, now);
        e->task.ahead = 0;
        if (is_change && !fgd_fair_has_own(caller, now)) {
                e->task.run = on_change;
                return !(is_admitted && fgd_allowance_admits(m->changes, now)) && fgd_allowance_later(m->changes, e->caller, &e->task);
        }
        e->task.run = on_turn;
        return !is_admitted && fgd_fair_later(m, e->caller, &e->task);
}

enum MHD_Result fgd_turn_take(struct fgd_exchange *e)
{
        struct fgd_fair *fair = e->http->manager->fair;
        uint64_t begin = fg_now();
        struct fgd_caller *caller = fgd_fair_caller(fair, e->caller, begin);
        if (caller && must_wait(e, caller, begin)) {
                TAILQ_INSERT_TAIL(&e->http->queued, e, order);
                if (e->peer)
                        fgd_peer_enter(e->peer, FGD_PEER_BUSY);
                MHD_suspend_connection(e->connection);
                return MHD_YES;
        }
        enum MHD_Result r = fgd_turn_now(e);
        if (caller)
                fgd_fair_charge(fair, caller, fg_now() - begin);
        return r;
}
