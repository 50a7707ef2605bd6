/* SPDX-License-Identifier: Apache-2.0
 * How long a peer may take over its request and its answer. The clock is the kernel's less what a test says, so nobody waits for a minute to pass. */
#include "unit.h"

#include "base/clock.h"
#include "daemon/http_lobby.h"
#include "daemon/manager.h"

#include <sys/socket.h>
#include <unistd.h>

int __real_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);

static time_t behind; /* s */
static struct fgd_manager manager;
static struct fgd_http http;

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
        int r = __real_clock_gettime(clock, ret);
        ret->tv_sec -= behind;
        return r;
}

static int start(void **state)
{
        behind = 0;
        manager = (struct fgd_manager){0};
        manager.options.value[FG_OPT_REQUEST_TIMEOUT] = 10;
        http = (struct fgd_http){.manager = &manager};
        TAILQ_INIT(&http.silent);
        assert_return_code(sd_event_new(&manager.event), 0);
        return 0;
}

static int end(void **state)
{
        sd_event_unref(manager.event);
        return 0;
}

struct pair {
        struct fgd_peer *peer;
        int ours, theirs;
};

/* Whose answer is on its way since so many seconds. */
static struct pair sender(time_t ago)
{
        int fd[2];
        assert_return_code(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
        behind = ago;
        struct pair pair = {fgd_peer_new(&http, fd[0], NULL), fd[0], fd[1]};
        assert_non_null(pair.peer);
        fgd_peer_enter(pair.peer, FGD_PEER_BUSY);
        fgd_peer_enter(pair.peer, FGD_PEER_SENDING);
        behind = 0;
        return pair;
}

static void drop(struct pair *pair)
{
        fgd_peer_free(pair->peer);
        close(pair->ours);
        close(pair->theirs);
}

/* All that is due now is done. */
static void pass(void)
{
        while (sd_event_run(manager.event, 0) > 0)
                continue;
}

static bool is_cut(const struct pair *pair)
{
        char byte;
        bool is_gone = recv(pair->theirs, &byte, 1, MSG_DONTWAIT) == 0;
        assert_int_equal(is_gone, pair->peer->state == FGD_PEER_GOING);
        return is_gone;
}

static void takes_too_long(void **state)
{
        struct pair slow = sender(61), quick = sender(30);
        pass();
        assert_true(is_cut(&slow));
        assert_false(is_cut(&quick));
        drop(&quick);
        drop(&slow);
}

/* Whether it is when so many seconds more have gone by. */
static bool is_cut_in(const struct pair *pair, time_t seconds)
{
        sd_event_source_set_time(pair->peer->timer, 0);
        sd_event_source_set_enabled(pair->peer->timer, SD_EVENT_ONESHOT);
        behind = -seconds;
        pass();
        behind = 0;
        return is_cut(pair);
}

static void a_turn_costs_no_time(void **state)
{
        struct pair one = sender(1000);
        behind = 970;
        fgd_peer_hold(one.peer);
        behind = 0;
        pass();
        assert_false(is_cut(&one));
        fgd_peer_go_on(one.peer);
        pass();
        assert_false(is_cut(&one));
        assert_false(is_cut_in(&one, 29));
        assert_true(is_cut_in(&one, 30));
        drop(&one);
}

/* Many short turns are no way to stay for ever. */
static void time_adds_up(void **state)
{
        struct pair one = sender(1000);
        for (behind = 995; behind > 0; behind -= 10) {
                fgd_peer_hold(one.peer);
                behind -= 5;
                fgd_peer_go_on(one.peer);
        }
        behind = 0;
        pass();
        assert_true(is_cut(&one));
        drop(&one);
}

/* Each goes when its own minute is over, in whatever order they were held. */
static void order_of_time(void **state)
{
        struct pair held = sender(100), later = sender(50), last = sender(10);
        behind = 45;
        fgd_peer_hold(held.peer); /* it had 55 s */
        behind = 0;
        fgd_peer_go_on(held.peer);
        fgd_peer_hold(later.peer);
        fgd_peer_go_on(later.peer);
        pass();
        assert_false(is_cut(&held) || is_cut(&later) || is_cut(&last));
        assert_true(is_cut_in(&held, 6));
        assert_false(is_cut_in(&later, 6));
        assert_true(is_cut_in(&later, 11));
        assert_false(is_cut_in(&last, 11));
        drop(&held);
        drop(&later);
        drop(&last);
}

/* Whose request began so many seconds ago. */
static struct pair asker(time_t ago)
{
        int fd[2];
        assert_return_code(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
        behind = ago;
        struct pair pair = {fgd_peer_new(&http, fd[0], NULL), fd[0], fd[1]};
        assert_non_null(pair.peer);
        behind = 0;
        return pair;
}

static void a_bodys_turn_costs_no_time(void **state)
{
        struct pair slow = asker(11), held = asker(50);
        behind = 44;
        fgd_peer_hold(held.peer); /* it had 6 of its 10 s */
        behind = 0;
        pass();
        assert_true(is_cut(&slow));
        assert_false(is_cut(&held));
        fgd_peer_go_on(held.peer);
        pass();
        assert_false(is_cut(&held));
        fgd_peer_hold(held.peer);
        fgd_peer_go_on(held.peer);
        struct pair other = asker(0);
        assert_false(is_cut_in(&held, 3));
        assert_true(is_cut_in(&held, 4));
        assert_false(is_cut(&other));
        drop(&slow);
        drop(&held);
        drop(&other);
}

/* A minute of it, and no more: so too who is held at its end, and who was held again and again. */
static void nobody_waits_for_ever(void **state)
{
        struct pair held = asker(69), often = asker(69);
        behind = 69;
        fgd_peer_hold(held.peer);
        for (behind = 69; behind > 0; behind--) {
                fgd_peer_hold(often.peer);
                behind--;
                fgd_peer_go_on(often.peer);
                fgd_peer_hold(often.peer);
        }
        behind = 0;
        pass();
        assert_false(is_cut(&held) || is_cut(&often));
        assert_true(is_cut_in(&held, 1));
        assert_true(is_cut_in(&often, 1));
        drop(&held);
        drop(&often);
}

/* Whoever is first in the list makes room: that is settled by when a request began, however long and how often it was held since. */
static void the_held_keep_their_age(void **state)
{
        struct pair held = asker(5), later = asker(1);
        behind = 5;
        fgd_peer_hold(held.peer);
        assert_ptr_equal(TAILQ_FIRST(&http.silent), held.peer);
        behind = 0;
        fgd_peer_go_on(held.peer);
        assert_ptr_equal(TAILQ_FIRST(&http.silent), held.peer);
        assert_ptr_equal(TAILQ_NEXT(held.peer, order), later.peer);
        drop(&held);
        drop(&later);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(takes_too_long, start, end),
                cmocka_unit_test_setup_teardown(a_turn_costs_no_time, start, end),
                cmocka_unit_test_setup_teardown(time_adds_up, start, end),
                cmocka_unit_test_setup_teardown(order_of_time, start, end),
                cmocka_unit_test_setup_teardown(a_bodys_turn_costs_no_time, start, end),
                cmocka_unit_test_setup_teardown(nobody_waits_for_ever, start, end),
                cmocka_unit_test_setup_teardown(the_held_keep_their_age, start, end),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
