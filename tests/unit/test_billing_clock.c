/* SPDX-License-Identifier: Apache-2.0
 * Billing time under clocks that do what clocks do: step, sleep, stall, and daemons that come and go. */
#include "unit.h"
#include "daemon/billing_clock.h"
#include "sched/meter.h"

#define SEC    1000000ll
#define MINUTE (60 * SEC)
#define HOUR   (3600 * SEC)
#define YEAR   (365 * 24 * HOUR)
#define NOON   (1782000000ll * SEC) /* a whole minute */

struct world {
        struct fgd_clocks now;
        struct fgd_billing_clock clock;
        int64_t began;         /* by boot */
        int64_t walls;         /* of all that is closed */
        int64_t next;          /* no window may begin before */
        int64_t windows, gaps; /* minutes */
        struct fgd_billing_edge last;
};

static void begin(struct world *w, int64_t real, int64_t last_end)
{
        *w = (struct world){.now = {.real = real, .boot = 5 * SEC, .awake = 3 * SEC}, .began = 5 * SEC};
        fgd_billing_begin(&w->clock, &w->now, last_end);
        w->next = w->clock.window;
}

static void look(struct world *w)
{
        struct fgd_billing_edge edge;
        while (fgd_billing_step(&w->clock, &w->now, &edge)) {
                assert_int_equal(edge.window % MINUTE, 0);
                assert_true(edge.window >= w->next);
                assert_in_range(edge.wall, 0, FG_METER_WALL_MAX);
                if (edge.why == FGD_BILLING_NO_GAP) {
                        assert_int_equal(w->clock.window, edge.window + MINUTE);
                } else {
                        assert_int_equal(edge.gap, edge.window + MINUTE);
                        assert_true(edge.gap_until > edge.gap && edge.gap_until == w->clock.window);
                        w->gaps += (edge.gap_until - edge.gap) / MINUTE;
                }
                w->next = edge.window + MINUTE;
                w->walls += edge.wall;
                w->windows++;
                w->last = edge;
        }
        assert_true(w->walls + w->clock.wall <= w->now.boot - w->began);
        assert_true(w->clock.first + w->clock.wall <= FG_METER_WALL_MAX);
        int64_t time = fgd_billing_time(&w->clock);
        assert_true(time >= w->clock.window && time < w->clock.window + MINUTE);
}

static void pass(struct world *w, int64_t us)
{
        w->now.real += us, w->now.boot += us, w->now.awake += us;
}

static void run(struct world *w, int64_t us, int64_t step)
{
        for (int64_t t = 0; t < us; t += step) {
                pass(w, step);
                look(w);
        }
}

static void nothing_is_lost_when_nothing_happens(void **state)
{
        struct world w;
        begin(&w, NOON + 40 * SEC, 0);
        run(&w, 2 * HOUR, 7 * SEC + 13);
        assert_int_equal(w.walls + w.clock.wall, w.now.boot - w.began);
        assert_int_equal(fgd_billing_time(&w.clock), w.now.real);
        assert_int_equal(w.windows, 120);
        assert_int_equal(w.gaps, 0);
}

static void a_step_neither_makes_nor_loses_time(void **state)
{
        static const int64_t step[] = {1, -1, 30 * SEC, -30 * SEC, 50 * MINUTE, -50 * MINUTE, -YEAR, -HOUR};
        for (size_t i = 0; i < COUNT_OF(step); i++) {
                struct world w;
                begin(&w, NOON, 0);
                run(&w, HOUR, 10 * SEC);
                w.now.real += step[i];
                run(&w, 24 * HOUR, 10 * SEC);
                assert_int_equal(w.walls + w.clock.wall, w.now.boot - w.began);
                assert_int_equal(w.gaps, 0);
        }
}

static void it_comes_near_the_wall_clock_again(void **state)
{
        static const int64_t step[] = {30 * SEC, -30 * SEC, 20 * MINUTE, -20 * MINUTE};
        for (size_t i = 0; i < COUNT_OF(step); i++) {
                struct world w;
                begin(&w, NOON, 0);
                run(&w, MINUTE, SEC);
                w.now.real += step[i];
                look(&w);
                assert_true(fgd_billing_ahead(&w.clock, &w.now) == step[i]);
                run(&w, 48 * HOUR, 20 * SEC);
                assert_in_range(fgd_billing_ahead(&w.clock, &w.now) + 10, 0, 20);
        }
}

static void far_ahead_it_leaps_once_and_not_at_once(void **state)
{
        struct world w;
        begin(&w, NOON, 0);
        run(&w, MINUTE, SEC);
        w.now.real += YEAR;
        run(&w, 9 * MINUTE, SEC);
        assert_int_equal(w.gaps, 0);
        run(&w, 5 * MINUTE, SEC);
        assert_int_equal(w.last.window + MINUTE, w.clock.window);
        assert_in_range(w.gaps, YEAR / MINUTE - 2, YEAR / MINUTE);
        assert_in_range(fgd_billing_ahead(&w.clock, &w.now) + SEC, 0, 2 * SEC);
        assert_int_equal(w.walls + w.clock.wall, w.now.boot - w.began);
}

static void a_clock_that_comes_back_is_not_followed(void **state)
{
        struct world w;
        begin(&w, NOON, 0);
        w.now.real += YEAR;
        run(&w, 8 * MINUTE, SEC);
        w.now.real -= YEAR;
        run(&w, 2 * MINUTE, SEC);
        w.now.real += YEAR;
        run(&w, 9 * MINUTE, SEC); /* the ten minutes begin anew */
        assert_int_equal(w.gaps, 0);
}

static void sleep_is_in_no_window(void **state)
{
        struct world w;
        begin(&w, NOON, 0);
        run(&w, 20 * SEC, SEC);
        w.now.real += 2 * HOUR, w.now.boot += 2 * HOUR;
        look(&w);
        assert_int_equal(w.windows, 1);
        assert_int_equal(w.walls, 20 * SEC);
        assert_int_equal(w.last.why, FGD_BILLING_SUSPENDED);
        assert_int_equal(w.gaps, 119);
        assert_int_equal(fgd_billing_time(&w.clock), w.now.real);
        run(&w, HOUR, 10 * SEC);
        assert_int_equal(w.walls + w.clock.wall, HOUR + 20 * SEC);
        /* A nap within a minute. */
        w.now.real += 5 * SEC, w.now.boot += 5 * SEC;
        look(&w);
        assert_int_equal(w.walls + w.clock.wall, HOUR + 20 * SEC);
        assert_int_equal(w.gaps, 119);
}

static void a_stall_fills_the_windows_it_missed(void **state)
{
        struct world w;
        begin(&w, NOON, 0);
        run(&w, 10 * SEC, SEC);
        pass(&w, 10 * MINUTE + 30 * SEC);
        look(&w);
        assert_int_equal(w.windows, 10);
        assert_int_equal(w.walls + w.clock.wall, 10 * MINUTE + 40 * SEC);
        assert_int_equal(w.gaps, 0);
}

static void a_restart_goes_on_behind_the_record(void **state)
{
        struct world w;
        begin(&w, NOON + 40 * SEC, NOON / SEC + 60);
        assert_int_equal(w.clock.window, NOON + MINUTE);
        begin(&w, NOON, (NOON + YEAR) / SEC);
        assert_int_equal(w.clock.window, NOON + YEAR);
        begin(&w, NOON, NOON / SEC + 7); /* no record ends within a minute; if one says so, its minute is over */
        assert_int_equal(w.clock.window, NOON + MINUTE);
        begin(&w, NOON, INT64_MAX);
        look(&w);
        begin(&w, INT64_MIN, INT64_MIN);
        run(&w, HOUR, SEC);
        assert_true(w.windows >= 59);
}

/* One that does all of it in any order, with daemons that are killed and lose their open window. */
static void whatever_happens(void **state)
{
        uint64_t seed = 11;
        for (int history = 0; history < 300; history++) {
                struct world w;
                int64_t closed = 0, boot, recorded;
                begin(&w, NOON + (int64_t)(unit_random(&seed) % (3 * MINUTE)), 0);
                int64_t origin = w.began;
                for (int i = 0; i < 400; i++) {
                        int64_t some = (int64_t)(unit_random(&seed) % (unit_random(&seed) % 4 ? 70 * SEC : 3 * HOUR));
                        switch (unit_random(&seed) % 12) {
                        case 0:
                                w.now.real += (unit_random(&seed) % 2 ? 1 : -1) * (unit_random(&seed) % 2 ? YEAR : some);
                                break;
                        case 1:
                                w.now.real += some, w.now.boot += some;
                                break;
                        case 2:
                                recorded = w.windows ? w.last.window / SEC + 60 : 0;
                                closed += w.walls;
                                pass(&w, some);
                                fgd_billing_begin(&w.clock, &w.now, recorded);
                                boot = w.now.boot;
                                assert_true(!w.windows || w.clock.window >= w.next);
                                w.walls = 0, w.began = boot;
                                w.next = w.windows ? w.next : 0; /* an open window that died is nobody's */
                                break;
                        default:
                                pass(&w, some % (70 * SEC));
                        }
                        look(&w);
                }
                assert_true(closed + w.walls + w.clock.wall <= w.now.boot - origin);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(nothing_is_lost_when_nothing_happens),
                cmocka_unit_test(a_step_neither_makes_nor_loses_time),
                cmocka_unit_test(it_comes_near_the_wall_clock_again),
                cmocka_unit_test(far_ahead_it_leaps_once_and_not_at_once),
                cmocka_unit_test(a_clock_that_comes_back_is_not_followed),
                cmocka_unit_test(sleep_is_in_no_window),
                cmocka_unit_test(a_stall_fills_the_windows_it_missed),
                cmocka_unit_test(a_restart_goes_on_behind_the_record),
                cmocka_unit_test(whatever_happens),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
