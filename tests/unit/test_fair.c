/* SPDX-License-Identifier: Apache-2.0
 * Who is served next, by count and by time that is made up here. */
#include "unit.h"

#include "daemon/fair.h"

#include "base/clock.h"
#include "daemon/manager.h"

#include <unistd.h>

#define START (100 * FG_NSEC_PER_SEC)

struct work {
        struct fgd_task task;
        uint64_t key, cost;
        unsigned number; /* which one of its caller */
};

static struct fgd_fair *fair;
static uint64_t now;

static int make(void **state)
{
        assert_int_equal(fgd_hash_start(), 0);
        now = START;
        fair = fgd_fair_new();
        assert_non_null(fair);
        return 0;
}

static int drop(void **state)
{
        fgd_fair_free(fair);
        return 0;
}

static void push(struct work *work, uint64_t key, uint64_t cost)
{
        *work = (struct work){.key = key, .cost = cost};
        fgd_fair_push(fair, fgd_fair_caller(fair, key, now), &work->task);
}

static struct work *serve(void)
{
        struct fgd_caller *caller;
        struct fgd_task *task = fgd_fair_pop(fair, &caller);
        struct work *work = (struct work *)task;
        if (!work)
                return NULL;
        assert_null(task->caller);
        now += work->cost;
        fgd_fair_charge(fair, caller, work->cost);
        return work;
}

/* Alone: as much as fits into a turn. Beside others: one a turn, and none while something of his waits. */
static void at_once(void **state)
{
        unsigned served = 0;
        struct work waiting;
        while (fgd_fair_admits(fair, fgd_fair_caller(fair, 1, now), now) && served < 10000) {
                fgd_fair_charge(fair, fgd_fair_caller(fair, 1, now), 10000);
                now += 10000;
                served++;
        }
        assert_int_equal(served, FGD_FAIR_TURN / 10000);
        fgd_fair_turn(fair);
        assert_true(fgd_fair_admits(fair, fgd_fair_caller(fair, 1, now), now));
        assert_true(fgd_fair_admits(fair, fgd_fair_caller(fair, 2, now), now)); /* from now on there are two */
        assert_false(fgd_fair_admits(fair, fgd_fair_caller(fair, 1, now), now));
        assert_false(fgd_fair_admits(fair, fgd_fair_caller(fair, 2, now), now));
        fgd_fair_turn(fair);
        assert_true(fgd_fair_admits(fair, fgd_fair_caller(fair, 2, now), now));
        assert_false(fgd_fair_admits(fair, fgd_fair_caller(fair, 1, now), now)); /* he owes what he took alone */
        fgd_fair_turn(fair);
        push(&waiting, 2, 10);
        assert_false(fgd_fair_admits(fair, fgd_fair_caller(fair, 2, now), now));
        assert_ptr_equal(serve(), &waiting);
        assert_true(fgd_fair_admits(fair, fgd_fair_caller(fair, 2, now), now));
        now += 2 * FG_NSEC_PER_SEC; /* the other one is gone, and the debt is saved for */
        for (unsigned i = 0; i < 10; i++)
                assert_true(fgd_fair_admits(fair, fgd_fair_caller(fair, 2, now), now));
}

/* A thousand tasks ahead of him, or a thousand callers who always have one more: the next is his. */
static void a_flood_waits(void **state)
{
        static struct work flood[1000];
        struct work mine, *done;
        unsigned before = 0;
        for (unsigned i = 0; i < COUNT_OF(flood); i++)
                push(&flood[i], 7, 20000);
        for (unsigned i = 0; i < 100; i++)
                assert_int_equal(serve()->key, 7);
        push(&mine, 8, 20000);
        while ((done = serve()) != &mine)
                before += done->key == 7;
        assert_int_equal(before, 0);
        while (serve())
                ;
        assert_true(fgd_fair_is_empty(fair));
}

/* What is cut goes on before what waits behind it of the same caller, and its caller's turn is no longer for it. */
static void the_rest_goes_first(void **state)
{
        struct work mine[3], other;
        for (unsigned i = 0; i < 3; i++) {
                push(&mine[i], 7, 100000);
                mine[i].number = i;
        }
        assert_ptr_equal(serve(), &mine[0]);
        push(&other, 8, 1000);
        fgd_fair_push_rest(fair, fgd_fair_caller(fair, 7, now), &mine[0].task);
        assert_ptr_equal(serve(), &other);
        assert_ptr_equal(serve(), &mine[0]);
        assert_ptr_equal(serve(), &mine[1]);
        fgd_fair_push_rest(fair, fgd_fair_caller(fair, 7, now), &mine[0].task);
        fgd_fair_remove(&mine[0].task);
        assert_ptr_equal(serve(), &mine[2]);
        assert_true(fgd_fair_is_empty(fair));
}

/* Two who always have something to do get the same time, whatever one task costs; in the order in which they asked. */
static void equal_time(void **state)
{
        static const uint64_t cost[][2] = {{1000, 1000}, {1000, 90000}, {5000, 3000000}, {300000, 17000}};
        for (unsigned row = 0; row < COUNT_OF(cost); row++) {
                struct work work[2][8];
                uint64_t spent[2] = {0}, most = cost[row][0] > cost[row][1] ? cost[row][0] : cost[row][1];
                unsigned next[2] = {0}, pushed[2] = {0};
                fgd_fair_free(fair);
                make(state);
                for (unsigned who = 0; who < 2; who++)
                        for (unsigned i = 0; i < 8; i++) {
                                push(&work[who][i], who + 1, cost[row][who]);
                                work[who][i].number = pushed[who]++;
                        }
                for (unsigned i = 0; i < 20000; i++) {
                        struct work *done = serve();
                        unsigned who = (unsigned)done->key - 1;
                        assert_int_equal(done->number, next[who]++);
                        spent[who] += done->cost;
                        push(done, done->key, done->cost);
                        done->number = pushed[who]++;
                        uint64_t apart = spent[0] > spent[1] ? spent[0] - spent[1] : spent[1] - spent[0];
                        assert_true(apart <= 2 * most + 2 * FGD_FAIR_CREDIT + 2 * FGD_FAIR_QUANTUM);
                }
                for (unsigned who = 0; who < 2; who++)
                        for (unsigned i = 0; i < 8; i++)
                                fgd_fair_remove(&work[who][i].task);
                assert_true(fgd_fair_is_empty(fair));
        }
}

/* Many more callers than are remembered, in any order: everything pushed is popped once or taken out, and nobody's place is lost. */
static void nothing_is_lost(void **state)
{
        static struct work work[3000];
        static bool there[COUNT_OF(work)];
        uint64_t seed = 5;
        unsigned inside = 0;
        for (unsigned step = 0; step < 200000; step++) {
                struct work *w = &work[unit_random(&seed) % COUNT_OF(work)];
                struct work *done;
                switch (unit_random(&seed) % 4) {
                case 0:
                        now += unit_random(&seed) % 100000;
                        fgd_fair_caller(fair, 1 + unit_random(&seed) % 20000, now);
                        break;
                case 1:
                        if (!there[w - work]) {
                                push(w, 1 + unit_random(&seed) % 20000, unit_random(&seed) % 200000);
                                there[w - work] = true;
                                inside++;
                        }
                        break;
                case 2:
                        fgd_fair_remove(&w->task);
                        inside -= there[w - work];
                        there[w - work] = false;
                        break;
                default:
                        done = serve();
                        assert_int_equal(!done, inside == 0);
                        if (done) {
                                assert_true(there[done - work]);
                                there[done - work] = false;
                                inside--;
                        }
                }
        }
        while (serve())
                inside--;
        assert_int_equal(inside, 0);
}

static int word[2];
static unsigned done, heard_after, looks;

static void speak(struct fgd_task *task)
{
        if (++done == 10)
                assert_int_equal(write(word[1], "x", 1), 1);
}

static int hear(sd_event_source *source, int fd, uint32_t events, void *user)
{
        char byte;
        assert_int_equal(read(fd, &byte, 1), 1);
        heard_after = done;
        return 0;
}

static void look(struct fgd_manager *m)
{
        looks++;
        assert_true(looks >= done); /* each task is followed by one */
}

/* Whoever says something in the tenth turn is heard before the twelfth, and not when all is done. */
static void the_loop_goes_on(void **state)
{
        struct fgd_manager manager = {.look = look};
        struct fgd_task task[100];
        sd_event_source *io;
        assert_int_equal(fgd_hash_start(), 0);
        assert_return_code(sd_event_new(&manager.event), 0);
        assert_int_equal(fgd_fair_start(&manager), 0);
        assert_return_code(pipe(word), 0);
        assert_return_code(sd_event_add_io(manager.event, &io, word[0], EPOLLIN, hear, NULL), 0);
        for (unsigned i = 0; i < 100; i++) {
                task[i] = (struct fgd_task){.run = speak, .ahead = FG_NSEC_PER_MSEC}; /* one a turn */
                assert_true(fgd_fair_later(&manager, 1, &task[i]));
        }
        while (!fgd_fair_is_empty(manager.fair))
                assert_return_code(sd_event_run(manager.event, 0), 0);
        assert_int_equal(done, 100);
        assert_int_equal(looks, 100);
        assert_in_range(heard_after, 10, 12);
        sd_event_source_disable_unref(io);
        fgd_fair_stop(&manager);
        sd_event_unref(manager.event);
        close(word[0]);
        close(word[1]);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(at_once, make, drop), cmocka_unit_test_setup_teardown(a_flood_waits, make, drop),
                cmocka_unit_test_setup_teardown(equal_time, make, drop), cmocka_unit_test(the_loop_goes_on),
                cmocka_unit_test_setup_teardown(the_rest_goes_first, make, drop), cmocka_unit_test_setup_teardown(nothing_is_lost, make, drop)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
