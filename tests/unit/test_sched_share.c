/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "sched/share.h"

#include <stdlib.h>

static struct fg_share tenant(uint32_t percent)
{
        return (struct fg_share){.weight = percent * 10, .priority = 1, .wants = true};
}

/* Runs `rounds` grants of 1..max ns of random length among three tenants and returns what each got. */
static void run(struct fg_share *t, size_t n, unsigned rounds, uint64_t max, uint64_t *ret_got)
{
        const struct fg_share *view[4];

        srand(7);
        for (size_t i = 0; i < n; i++)
                view[i] = &t[i];
        for (unsigned k = 0; k < rounds; k++) {
                ptrdiff_t next = fg_share_pick(view, n);
                uint64_t length = 1 + (uint64_t)rand() % max;

                assert_true(next >= 0);
                fg_share_charge(&t[next], length);
                ret_got[next] += length;
        }
}

static void test_shares_follow_the_weights_whatever_the_lengths(void **state)
{
        struct fg_share t[3] = {tenant(50), tenant(30), tenant(20)};
        uint64_t got[3] = {0}, all;

        run(t, 3, 30000, 5000000, got);
        all = got[0] + got[1] + got[2];
        for (int i = 0; i < 3; i++) {
                int64_t off = (int64_t)(got[i] * 1000 / all) - (int64_t)t[i].weight;

                assert_true(off >= -1 && off <= 1);
        }
}

static void test_a_higher_class_goes_first_until_it_is_served(void **state)
{
        struct fg_share low = tenant(90), high = tenant(10);
        const struct fg_share *view[] = {&low, &high};

        high.priority = 2;
        high.vtime = 1000000;
        assert_int_equal(fg_share_pick(view, 2), 1);
        high.wants = false;
        assert_int_equal(fg_share_pick(view, 2), 0);
        low.wants = false;
        assert_int_equal(fg_share_pick(view, 2), -1);
}

static void test_a_cap_is_a_ceiling_and_debt_is_paid(void **state)
{
        struct fg_share c = tenant(30);
        const struct fg_share *view[] = {&c};
        uint64_t got = 0, wall = 0;

        c.cap = true;
        while (wall < 10000000000ull) {
                uint64_t delay = fg_share_delay(&c);

                if (delay) {
                        assert_int_equal(fg_share_pick(view, 1), -1);
                        fg_share_earn(&c, delay);
                        wall += delay;
                        continue;
                }
                fg_share_charge(&c, 7000000); /* more than it was let in with */
                fg_share_earn(&c, 7000000);
                got += 7000000;
                wall += 7000000;
        }
        assert_in_range(got * 1000 / wall, 298, 302);
}

static void test_a_sleeper_saves_no_more_than_the_credit(void **state)
{
        struct fg_share a = tenant(50), b = tenant(50);

        fg_share_charge(&a, 5000000000ull);
        fg_share_wake(&b, a.vtime);
        assert_int_equal(a.vtime - b.vtime, FG_SHARE_CREDIT * 1000 / 500);
        /* Debt is never forgiven. */
        fg_share_wake(&a, b.vtime);
        assert_int_equal(a.vtime, 10000000000ull);
}

static void test_a_pause_saves_no_more_than_what_is_owed_at_most(void **state)
{
        struct fg_share a = tenant(70), b = tenant(30);
        int64_t ahead;

        fg_share_charge(&b, 3000000000ull); /* of these, 2.1 s were the other's */
        ahead = (int64_t)(b.vtime - a.vtime) * b.weight;
        fg_share_return(&a, ahead, ahead, b.weight); /* all of which it waited for */
        assert_int_equal(a.vtime, 0);
        fg_share_return(&a, ahead, ahead / 2, b.weight); /* half of it */
        assert_int_equal(a.vtime, b.vtime / 2);
        fg_share_return(&a, ahead / 2, 0, b.weight); /* nothing of it */
        ahead = (int64_t)(b.vtime - a.vtime) * b.weight;
        assert_in_range(ahead * 700 / 1000 / 1000, FG_SHARE_OWED - 1000, FG_SHARE_OWED + 1000);
        fg_share_return(&b, -ahead, 0, a.weight); /* it owes, and goes on to */
        assert_int_equal(b.vtime, 10000000000ull);
        fg_share_return(&a, 0, 0, 0);
}

static void test_savings_of_a_cap_are_limited(void **state)
{
        struct fg_share c = tenant(100);

        c.cap = true;
        fg_share_earn(&c, 3600000000000ull);
        assert_int_equal(c.tokens, 2 * FG_SHARE_CAP_CHUNK);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_shares_follow_the_weights_whatever_the_lengths),
                cmocka_unit_test(test_a_higher_class_goes_first_until_it_is_served),
                cmocka_unit_test(test_a_cap_is_a_ceiling_and_debt_is_paid),
                cmocka_unit_test(test_a_sleeper_saves_no_more_than_the_credit),
                cmocka_unit_test(test_a_pause_saves_no_more_than_what_is_owed_at_most),
                cmocka_unit_test(test_savings_of_a_cap_are_limited),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
