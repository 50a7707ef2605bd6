/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "sched/perf.h"

#include <errno.h>
#include <math.h>

#define NEAR 1e-12

static void the_articles_example(void **state)
{
        double p = 0;
        assert_int_equal(fg_perf_product(1.1, 0.8, 0.2, 0.9, &p), 0);
        assert_true(fabs(p - 0.1584) < NEAR);
}

static void factors_that_are_none(void **state)
{
        static const double bad[] = {-1, -0.0001, NAN, INFINITY, -INFINITY};
        for (size_t i = 0; i < COUNT_OF(bad); i++)
                for (int at = 0; at < 4; at++) {
                        double f[4] = {1, 1, 1, 1}, p = 7;
                        f[at] = bad[i];
                        assert_int_equal(fg_perf_product(f[0], f[1], f[2], f[3], &p), -EINVAL);
                        assert_true(p == 7);
                }
        double p = 7;
        assert_int_equal(fg_perf_product(1e300, 1e300, 1, 1, &p), -ERANGE);
        assert_true(p == 7);
        assert_int_equal(fg_perf_product(0, 1, 1, 1, &p), 0);
        assert_true(p == 0);
}

static void factors_telescope(void **state)
{
        const struct fg_perf_counters c = {.servable = 1000, .occupied = 800, .busy = 600, .native = 660, .kept = 330};
        struct fg_perf f;
        fg_perf_evaluate(&c, &f);
        assert_true(f.has_s && f.has_u && f.has_v && f.has_alpha && f.has_p);
        assert_true(f.s == 0.8 && f.u == 0.75 && f.v == 1.1 && f.alpha == 0.5 && f.p == 0.33);
        uint64_t seed = 5;
        for (int i = 0; i < 10000; i++) {
                const struct fg_perf_counters r = {1 + unit_random(&seed) % 1000000, 1 + unit_random(&seed) % 1000000,
                                                   1 + unit_random(&seed) % 1000000, 1 + unit_random(&seed) % 1000000,
                                                   unit_random(&seed) % 1000000};
                fg_perf_evaluate(&r, &f);
                double product = 0;
                assert_int_equal(fg_perf_product(f.alpha, f.u, f.s, f.v, &product), 0);
                assert_true(f.p == (double)r.kept / (double)r.servable);
                assert_true(fabs(product - f.p) <= 1e-14 * f.p);
        }
}

static void what_is_not_known_is_not_0(void **state)
{
        struct fg_perf f;
        for (unsigned zero = 0; zero < 32; zero++) {
                uint64_t n[5];
                for (int i = 0; i < 5; i++)
                        n[i] = zero >> i & 1 ? 0 : 10;
                const struct fg_perf_counters c = {n[0], n[1], n[2], n[3], n[4]};
                fg_perf_evaluate(&c, &f);
                assert_int_equal(f.has_s, n[0] != 0);
                assert_int_equal(f.has_u, n[1] != 0);
                assert_int_equal(f.has_v, n[2] != 0);
                assert_int_equal(f.has_alpha, n[3] != 0);
                assert_int_equal(f.has_p, n[0] && n[1] && n[2] && n[3]);
                assert_true(isfinite(f.p) && isfinite(f.s) && isfinite(f.u) && isfinite(f.v) && isfinite(f.alpha));
        }
        /* Nothing kept of what was done is known, and is 0. */
        fg_perf_evaluate(&(struct fg_perf_counters){10, 10, 10, 10, 0}, &f);
        assert_true(f.has_alpha && f.has_p && f.alpha == 0 && f.p == 0);
}

/* Two halves of different size: the average of their ratios would be 0.6. */
static void counters_are_added_before_they_are_divided(void **state)
{
        struct fg_perf_counters sum = {0};
        const struct fg_perf_counters large = {900, 900, 900, 900, 900}, small = {100, 20, 20, 20, 20};
        struct fg_perf f;
        fg_perf_add(&sum, &large);
        fg_perf_add(&sum, &small);
        fg_perf_evaluate(&sum, &f);
        assert_true(f.p == 0.92 && f.s == 0.92);
}

static void sums_saturate(void **state)
{
        struct fg_perf_counters sum = {UINT64_MAX - 1, UINT64_MAX, 1, 0, UINT64_MAX};
        const struct fg_perf_counters more = {1, 1, 1, UINT64_MAX, UINT64_MAX};
        fg_perf_add(&sum, &more);
        assert_true(sum.servable == UINT64_MAX && sum.occupied == UINT64_MAX && sum.busy == 2);
        assert_true(sum.native == UINT64_MAX && sum.kept == UINT64_MAX);
        fg_perf_add(&sum, &more);
        assert_true(sum.servable == UINT64_MAX && sum.busy == 3);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_articles_example),
                cmocka_unit_test(factors_that_are_none),
                cmocka_unit_test(factors_telescope),
                cmocka_unit_test(what_is_not_known_is_not_0),
                cmocka_unit_test(counters_are_added_before_they_are_divided),
                cmocka_unit_test(sums_saturate),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
