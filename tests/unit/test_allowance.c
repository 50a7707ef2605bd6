/* SPDX-License-Identifier: Apache-2.0
 * How fast is read what is thrown away, and whose: by a clock that is made up here. */
#include "unit.h"

#include "base/clock.h"
#include "daemon/allowance.h"
#include "daemon/http_internal.h"
#include "daemon/manager.h"

#define START (100 * FG_NSEC_PER_SEC)

static struct fgd_allowance *discard;
static uint64_t now;

static int make(void **state)
{
        assert_int_equal(fgd_hash_start(), 0);
        now = START;
        discard = fgd_allowance_new(FGD_DISCARD_NS, FGD_DISCARD_SAVED);
        assert_non_null(discard);
        return 0;
}

static int drop(void **state)
{
        fgd_allowance_free(discard);
        return 0;
}

static unsigned admitted(void)
{
        unsigned n = 0;
        while (n < 1000 && fgd_allowance_admits(discard, now))
                n++;
        return n;
}

static void at_once_after_a_pause(void **state)
{
        assert_int_equal(admitted(), FGD_DISCARD_SAVED);
        now += FGD_DISCARD_NS - 1;
        assert_int_equal(admitted(), 0);
        now += 1 + 4 * FGD_DISCARD_NS;
        assert_int_equal(admitted(), 5);
        now += 3600 * FG_NSEC_PER_SEC;
        assert_int_equal(admitted(), FGD_DISCARD_SAVED);
}

/* Whatever the number of those who have something to send, and however late the loop is. */
static void never_more_than_the_allowance(void **state)
{
        struct fgd_task task[100] = {0}, *next;
        unsigned reads = admitted();
        for (uint64_t i = 0; i < 100; i++)
                assert_true(fgd_allowance_push(discard, i % 7, &task[i]));
        assert_false(fgd_allowance_admits(discard, now));
        for (unsigned step = 0; step < 10000; step++) {
                now += step % 1000 ? 100000 : 30 * FGD_DISCARD_NS;
                while ((next = fgd_allowance_pop(discard, now))) {
                        assert_true(fgd_allowance_push(discard, (uint64_t)(next - task) % 7, next));
                        reads++;
                }
                assert_true(reads <= FGD_DISCARD_SAVED + (now - START) / FGD_DISCARD_NS);
        }
        assert_in_range(reads, 1300, 1364); /* and it is used */
}

/* One connection of hers gets no less than a third beside a hundred of his, and each of his as much as the others. */
static void each_caller_in_turn(void **state)
{
        struct fgd_task hers = {0}, his[100] = {0}, *next;
        unsigned reads_hers = 0, reads_his[100] = {0};
        for (unsigned i = 0; i < 100; i++)
                assert_true(fgd_allowance_push(discard, 1, &his[i]));
        assert_true(fgd_allowance_push(discard, 2, &hers));
        for (unsigned n = 0; n < 1000; n++) {
                now += FGD_DISCARD_NS;
                next = fgd_allowance_pop(discard, now);
                assert_non_null(next);
                if (next == &hers)
                        reads_hers++;
                else
                        reads_his[next - his]++;
                assert_true(fgd_allowance_push(discard, next == &hers ? 2 : 1, next));
        }
        assert_in_range(reads_hers, 330, 510);
        for (unsigned i = 0; i < 100; i++)
                assert_in_range(reads_his[i], (1000 - reads_hers) / 100, (1000 - reads_hers) / 100 + 1);
}

static void who_leaves_is_not_served(void **state)
{
        struct fgd_task one = {0}, other = {0};
        assert_true(fgd_allowance_push(discard, 1, &one));
        assert_true(fgd_allowance_push(discard, 1, &other));
        fgd_fair_remove(&one);
        assert_ptr_equal(fgd_allowance_pop(discard, now), &other);
        assert_null(fgd_allowance_pop(discard, now));
        assert_true(fgd_allowance_admits(discard, now));
}

/* A body in small chunks is handed on chunk by chunk, a thousand of them in one read: it costs one of the allowance. */
static void a_read_is_one_however_many_its_chunks(void **state)
{
        struct fgd_manager manager = {.fair = fgd_fair_new(), .discard = discard};
        struct fgd_http http = {.manager = &manager, .turn = 1};
        struct fgd_exchange e = {.http = &http, .caller = 1};
        assert_non_null(manager.fair);
        for (unsigned chunk = 0; chunk < 20; chunk++)
                assert_int_equal(fgd_turn_read(&e, false), MHD_YES);
        now = fg_now();
        assert_in_range(admitted(), FGD_DISCARD_SAVED - 1, FGD_DISCARD_SAVED);
        fgd_fair_free(manager.fair);
}

/* What somebody changes now and then is his own, by his own clock. */
static void a_few_changes_are_his_own(void **state)
{
        struct fgd_fair *fair = fgd_fair_new();
        struct fgd_caller *his = fgd_fair_caller(fair, 1, now), *hers = fgd_fair_caller(fair, 2, now);
        unsigned n = 0;
        while (n < 100 && fgd_fair_has_own(his, now))
                n++;
        assert_int_equal(n, FGD_FAIR_OWN_SAVED);
        assert_true(fgd_fair_has_own(hers, now));
        for (n = 0, now += FGD_FAIR_OWN - 1; fgd_fair_has_own(his, now);)
                n++;
        assert_int_equal(n, 0);
        for (now += 1; fgd_fair_has_own(his, now); now += FGD_FAIR_OWN)
                if (++n == 20)
                        break;
        assert_int_equal(n, 20);
        for (n = 0, now += 3600 * FG_NSEC_PER_SEC; n < 100 && fgd_fair_has_own(his, now);)
                n++;
        assert_int_equal(n, FGD_FAIR_OWN_SAVED);
        fgd_fair_free(fair);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(at_once_after_a_pause, make, drop),
                cmocka_unit_test_setup_teardown(never_more_than_the_allowance, make, drop),
                cmocka_unit_test_setup_teardown(each_caller_in_turn, make, drop),
                cmocka_unit_test_setup_teardown(who_leaves_is_not_served, make, drop),
                cmocka_unit_test_setup_teardown(a_few_changes_are_his_own, make, drop),
                cmocka_unit_test_setup_teardown(a_read_is_one_however_many_its_chunks, make, drop),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
