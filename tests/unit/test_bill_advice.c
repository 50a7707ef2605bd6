/* SPDX-License-Identifier: Apache-2.0
 * What is recommended: the rule's own examples, and that nobody is ever told to go below what he used and the margin. */
#include "unit.h"

#include "bill/advice.h"

#define GIB  (1ull << 30)
#define HOUR 3600000ull
#define EUR  1000000000ll

static const struct fg_bill_seen busy = {.device_memory = 80 * GIB, .memory = 8 * GIB, .memory_peak = 3 * GIB, .share = 50, .share_peak = 40,
                                         .hours = 720, .metered_ms = 720 * HOUR, .busy_ms = 30 * HOUR, .price = 2 * EUR};

static struct fg_bill_advice advise(struct fg_bill_seen seen)
{
        struct fg_bill_advice ret;
        fg_bill_advise(&seen, &ret);
        return ret;
}

static void too_much_memory(void **state)
{
        struct fg_bill_advice a = advise(busy);
        assert_int_equal(a.kind, FG_ADVICE_SHRINK);
        assert_int_equal(a.memory, 3840ull << 20); /* 3 GiB and a quarter: 3.75 GiB */
        assert_int_equal(a.share, 50);             /* would not save anything more: 5 % of the device are more than 3.75 of 80 GiB */
        assert_int_equal(a.rate, 100000);
        assert_int_equal(a.rate_then, 50000);
        assert_int_equal(a.saves, 73 * EUR); /* 0.05 GPU, 730 h, 2 EUR */
}

static void both_are_too_much(void **state)
{
        struct fg_bill_seen seen = busy;
        seen.share = 100;
        seen.share_peak = 20;
        struct fg_bill_advice a = advise(seen);
        assert_int_equal(a.kind, FG_ADVICE_SHRINK);
        assert_int_equal(a.memory, 3840ull << 20);
        assert_int_equal(a.share, 30);
        assert_int_equal(a.rate_then, 46875);
        seen.share = 200; /* the memory is worth a change only as far as it decides */
        seen.share_peak = 100;
        a = advise(seen);
        assert_int_equal(a.memory, 8 * GIB);
        assert_int_equal(a.share, 130);
}

static void little_is_not_worth_it(void **state)
{
        struct fg_bill_seen seen = busy;
        seen.memory = 3968ull << 20;
        seen.share = 45;
        assert_int_equal(advise(seen).kind, FG_ADVICE_NONE);
        seen.hours = FG_ADVICE_HOURS - 1;
        assert_int_equal(advise(seen).kind, FG_ADVICE_TOO_NEW);
        seen.device_memory = 0;
        assert_int_equal(advise(seen).kind, FG_ADVICE_NONE);
}

static void idle_is_deleted(void **state)
{
        struct fg_bill_seen seen = busy;
        seen.busy_ms = 0;
        struct fg_bill_advice a = advise(seen);
        assert_int_equal(a.kind, FG_ADVICE_DELETE);
        assert_int_equal(a.saves, 146 * EUR);
        seen.price = 0;
        assert_int_equal(advise(seen).saves, 0);
}

static void refused_wants_more_memory(void **state)
{
        struct fg_bill_seen seen = busy;
        seen.refusals = 1;
        assert_int_equal(advise(seen).kind, FG_ADVICE_NONE); /* all of its memory is needed */
        seen.memory_peak = 7500ull << 20;
        struct fg_bill_advice a = advise(seen);
        assert_int_equal(a.kind, FG_ADVICE_MORE_MEMORY);
        assert_int_equal(a.memory, 10 * GIB);
        assert_int_equal(a.saves, -(int64_t)(0.025 * 730 * 2 * EUR));
        seen.device_memory = 8 * GIB; /* there is no more */
        assert_int_not_equal(advise(seen).kind, FG_ADVICE_MORE_MEMORY);
        seen.device_memory = 9 * GIB;
        assert_int_equal(advise(seen).memory, 9 * GIB);
}

static void throttled_wants_more_share(void **state)
{
        struct fg_bill_seen seen = busy;
        seen.throttled_ms = seen.metered_ms / 10;
        seen.share = 200;
        seen.share_peak = 160;
        struct fg_bill_advice a = advise(seen);
        assert_int_equal(a.kind, FG_ADVICE_MORE_SHARE);
        assert_int_equal(a.share, 300);
        assert_true(a.saves < 0);
        seen.share_peak = 100; /* it waits for others, not for its share */
        assert_int_equal(advise(seen).kind, FG_ADVICE_NONE);
        seen.share = 1000;
        seen.share_peak = 1000;
        assert_int_equal(advise(seen).kind, FG_ADVICE_NONE);
}

/* Whatever was seen. */
static void nobody_goes_below_what_he_used(void **state)
{
        uint64_t seed = 9, shrunk = 0;
        for (int i = 0; i < 200000; i++) {
                uint64_t device = (1 + unit_random(&seed) % 160) * GIB / (1 + unit_random(&seed) % 3);
                struct fg_bill_seen seen = {.device_memory = device, .memory = 1 + unit_random(&seed) % device, .hours = unit_random(&seed) % 800,
                                            .share = 1 + (uint32_t)(unit_random(&seed) % 1000), .share_peak = (uint32_t)(unit_random(&seed) % 1200),
                                            .metered_ms = 1 + unit_random(&seed) % (720 * HOUR), .price = (int64_t)(unit_random(&seed) % (5 * EUR))};
                seen.memory_peak = unit_random(&seed) % (seen.memory + 1);
                seen.busy_ms = unit_random(&seed) % 3 ? unit_random(&seed) % seen.metered_ms : 0;
                seen.throttled_ms = unit_random(&seed) % 3 ? 0 : unit_random(&seed) % (2 * seen.metered_ms);
                seen.refusals = unit_random(&seed) % 4 ? 0 : unit_random(&seed) % 9;
                struct fg_bill_advice a = advise(seen);
                assert_true(a.memory > 0 && a.memory <= device && a.share > 0 && a.share <= 1000);
                if (a.kind != FG_ADVICE_SHRINK)
                        continue;
                shrunk++;
                assert_true(a.memory <= seen.memory && a.share <= seen.share && a.rate_then < a.rate && a.saves >= 0);
                assert_true(a.memory == seen.memory || (a.memory * 4 >= seen.memory_peak * 5 && !seen.refusals));
                assert_true(a.share == seen.share || a.share * 4ull >= seen.share_peak * 5ull);
        }
        assert_true(shrunk > 1000);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(too_much_memory),
                cmocka_unit_test(both_are_too_much),
                cmocka_unit_test(little_is_not_worth_it),
                cmocka_unit_test(idle_is_deleted),
                cmocka_unit_test(refused_wants_more_memory),
                cmocka_unit_test(throttled_wants_more_share),
                cmocka_unit_test(nobody_goes_below_what_he_used),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
