/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "sched/placement.h"

#include <errno.h>

#define MOST 16

/* Inputs and outputs of one call. */
struct scene {
        struct fg_sched_device device[MOST];
        size_t devices;
        struct fg_sched_want want[MOST];
        size_t count;
        uint32_t chosen[MOST];
        uint64_t memory[MOST];
        uint32_t share[MOST];
        struct fg_sched_misfit misfit;
};

static int place(struct scene *s)
{
        memset(s->chosen, 0x55, sizeof(s->chosen));
        memset(s->memory, 0x55, sizeof(s->memory));
        memset(s->share, 0x55, sizeof(s->share));
        s->misfit = (struct fg_sched_misfit){99, 99, 99};
        return fg_sched_place(s->device, s->devices, s->want, s->count, s->chosen, s->memory, s->share, &s->misfit);
}

static void assert_untouched(const struct scene *s)
{
        for (size_t i = 0; i < MOST; i++) {
                assert_int_equal(s->chosen[i], 0x55555555u);
                assert_int_equal(s->memory[i], 0x5555555555555555u);
                assert_int_equal(s->share[i], 0x55555555u);
        }
}

static void assert_placed(const struct scene *s, size_t i, uint32_t device, uint64_t memory, uint32_t share)
{
        assert_int_equal(s->chosen[i], device);
        assert_int_equal(s->memory[i], memory);
        assert_int_equal(s->share[i], share);
}

static void equal_parts_on_one_device(void **state)
{
        struct scene s = {.devices = 1, .device = {{10 * 4096 + 4095, 1000, true}}, .count = 3};
        assert_int_equal(place(&s), 0);
        for (size_t i = 0; i < 3; i++)
                assert_placed(&s, i, 0, 3 * 4096, 333);
        s.count = 1;
        assert_int_equal(place(&s), 0);
        assert_placed(&s, 0, 0, 10 * 4096, 1000);
}

/* Stated amounts are served first, wherever they stand in the list. */
static void stated_and_unstated(void **state)
{
        struct scene s = {.devices = 1,
                          .device = {{100 << 20, 1000, true}},
                          .count = 3,
                          .want = {{0, 0}, {60 << 20, 700}, {0, 100}}};
        assert_int_equal(place(&s), 0);
        assert_placed(&s, 0, 0, 20 << 20, 200);
        assert_placed(&s, 1, 0, 60 << 20, 700);
        assert_placed(&s, 2, 0, 20 << 20, 100);
}

static void most_free_device_lowest_index(void **state)
{
        struct scene s = {.devices = 3,
                          .device = {{50, 1000, true}, {90, 1000, true}, {90, 1000, true}},
                          .count = 1,
                          .want = {{10, 100}}};
        assert_int_equal(place(&s), 0);
        assert_placed(&s, 0, 1, 10, 100);
        s.device[1].share_free = 99; /* free memory alone is no room */
        assert_int_equal(place(&s), 0);
        assert_placed(&s, 0, 2, 10, 100);
        s.device[2].usable = false;
        assert_int_equal(place(&s), 0);
        assert_placed(&s, 0, 0, 10, 100);
        s.device[0].memory_free = 9;
        assert_int_equal(place(&s), -ENOSPC);
        assert_int_equal(s.misfit.failed, 0);
}

static void spreads_a_set(void **state)
{
        struct scene s = {.devices = 3,
                          .device = {{1000, 1000, true}, {100, 1000, true}, {500, 1000, true}},
                          .count = 5,
                          .want = {{10, 10}, {10, 10}, {10, 10}, {10, 10}, {10, 10}}};
        static const uint32_t expected[] = {0, 2, 1, 0, 2};
        assert_int_equal(place(&s), 0);
        for (size_t i = 0; i < 5; i++)
                assert_placed(&s, i, expected[i], 10, 10);
        s.device[1].memory_free = 9; /* spreading gives way to fitting */
        assert_int_equal(place(&s), 0);
        assert_int_equal(s.chosen[2], 0);
}

/* In the order given a small one would sit on the only device that holds the large one. */
static void large_one_behind_a_small_one(void **state)
{
        struct scene s = {.devices = 2,
                          .device = {{100, 1000, true}, {20, 1000, true}},
                          .count = 2,
                          .want = {{20, 100}, {100, 100}}};
        assert_int_equal(place(&s), 0);
        assert_placed(&s, 0, 1, 20, 100);
        assert_placed(&s, 1, 0, 100, 100);
}

static void first_that_does_not_fit(void **state)
{
        struct scene s = {
                .devices = 1, .device = {{100, 1000, true}}, .count = 3, .want = {{40, 100}, {60, 100}, {1, 100}}};
        assert_int_equal(place(&s), -ENOSPC);
        assert_int_equal(s.misfit.failed, 2);
        assert_untouched(&s);
        s.want[1].share = 901;
        assert_int_equal(place(&s), -ENOSPC);
        assert_int_equal(s.misfit.failed, 1);
        assert_untouched(&s);
}

static void assert_misfit(const struct scene *s, size_t failed, uint64_t memory, uint32_t share)
{
        assert_int_equal(s->misfit.failed, failed);
        assert_int_equal(s->misfit.memory, memory);
        assert_int_equal(s->misfit.share, share);
}

/* What would fit is said of one device, and beside the rest of the set. */
static void what_would_fit(void **state)
{
        struct scene s = {.devices = 1, .device = {{100 << 20, 1000, true}}, .count = 2, .want = {{16 << 20, 700}, {16 << 20, 400}}};
        assert_int_equal(place(&s), -ENOSPC);
        assert_misfit(&s, 1, 84 << 20, 300);
        s.want[0] = (struct fg_sched_want){0}; /* at least the smallest part is set aside for it */
        s.want[1].share = 1000;
        assert_int_equal(place(&s), -ENOSPC);
        assert_misfit(&s, 1, (100 << 20) - 4096, 999);
        s = (struct scene){.devices = 3, .device = {{90, 20, true}, {50, 800, true}, {60, 900, false}}, .count = 1, .want = {{70, 100}}};
        assert_int_equal(place(&s), -ENOSPC);
        assert_misfit(&s, 0, 50, 800); /* not 90 of the one and 800 of the other */
        s.want[0].share = 801;
        assert_int_equal(place(&s), -ENOSPC);
        assert_misfit(&s, 0, 50, 800);
        s.devices = 0;
        assert_int_equal(place(&s), -ENOSPC);
        assert_misfit(&s, 0, 0, 0);
}

static void edges(void **state)
{
        struct scene s = {.devices = 0, .count = 1};
        assert_int_equal(place(&s), -ENOSPC);
        s.count = 0;
        assert_int_equal(place(&s), 0);
        assert_untouched(&s);
        s = (struct scene){.devices = 1, .device = {{2 * 4096, 2, true}}, .count = 2};
        assert_int_equal(place(&s), 0); /* the least there is */
        assert_placed(&s, 1, 0, 4096, 1);
        s.count = 3;
        assert_int_equal(place(&s), -ENOSPC);
        s = (struct scene){.devices = 1, .device = {{4095, 1000, true}}, .count = 1};
        assert_int_equal(place(&s), -ENOSPC);
        s = (struct scene){.devices = 1, .device = {{1 << 20, 0, true}}, .count = 1};
        assert_int_equal(place(&s), -ENOSPC);
        /* Sums that would wrap. */
        s = (struct scene){.devices = 1,
                           .device = {{UINT64_MAX, UINT32_MAX, true}},
                           .count = 2,
                           .want = {{UINT64_MAX, UINT32_MAX}, {UINT64_MAX, UINT32_MAX}}};
        assert_int_equal(place(&s), -ENOSPC);
        assert_int_equal(s.misfit.failed, 1);
}

static void random_scene(struct scene *s, uint64_t *seed)
{
        memset(s, 0, sizeof(*s));
        s->devices = unit_random(seed) % 5;
        s->count = 1 + unit_random(seed) % 10;
        for (size_t d = 0; d < s->devices; d++)
                s->device[d] = (struct fg_sched_device){
                        unit_random(seed) % 200000, (uint32_t)(unit_random(seed) % 1001), unit_random(seed) % 8 != 0};
        for (size_t i = 0; i < s->count; i++) {
                s->want[i].memory = unit_random(seed) % 3 ? 1 + unit_random(seed) % 60000 : 0;
                s->want[i].share = unit_random(seed) % 3 ? 1 + (uint32_t)(unit_random(seed) % 400) : 0;
        }
}

static void check_no_overcommit(const struct scene *s)
{
        uint64_t memory[MOST] = {0}, share[MOST] = {0};
        for (size_t i = 0; i < s->count; i++) {
                uint32_t d = s->chosen[i];
                assert_true(d < s->devices && s->device[d].usable);
                assert_true(s->memory[i] > 0 && s->share[i] > 0);
                assert_true(s->want[i].memory ? s->memory[i] == s->want[i].memory : s->memory[i] % 4096 == 0);
                assert_true(s->want[i].share == 0 || s->share[i] == s->want[i].share);
                memory[d] += s->memory[i];
                share[d] += s->share[i];
        }
        for (size_t d = 0; d < s->devices; d++)
                assert_true(memory[d] <= s->device[d].memory_free && share[d] <= s->device[d].share_free);
        for (size_t i = s->count; i < MOST; i++)
                assert_int_equal(s->chosen[i], 0x55555555u);
}

/* Equal parts are equal, and leave less than one step for each. */
static void check_equal_parts(const struct scene *s)
{
        for (size_t d = 0; d < s->devices; d++) {
                uint64_t left = s->device[d].memory_free, part = 0, parts = 0;
                for (size_t i = 0; i < s->count; i++) {
                        if (s->chosen[i] != d)
                                continue;
                        left -= s->memory[i];
                        if (s->want[i].memory)
                                continue;
                        assert_true(part == 0 || s->memory[i] == part);
                        part = s->memory[i];
                        parts++;
                }
                assert_true(parts == 0 || left < parts * 4096);
        }
}

static bool fits_one_device(const struct scene *s)
{
        uint64_t memory = 0, share = 0;
        for (size_t i = 0; i < s->count; i++) {
                memory += s->want[i].memory ? s->want[i].memory : 4096;
                share += s->want[i].share ? s->want[i].share : 1;
        }
        for (size_t d = 0; d < s->devices; d++)
                if (s->device[d].usable && memory <= s->device[d].memory_free && share <= s->device[d].share_free)
                        return true;
        return false;
}

static void never_overcommits(void **state)
{
        uint64_t seed = 7;
        size_t placed = 0, refused = 0;
        for (int round = 0; round < 200000; round++) {
                struct scene s;
                random_scene(&s, &seed);
                int r = place(&s);
                if (r == 0) {
                        check_no_overcommit(&s);
                        check_equal_parts(&s);
                        placed++;
                        continue;
                }
                assert_int_equal(r, -ENOSPC);
                assert_true(s.misfit.failed < s.count);
                assert_untouched(&s);
                /* With one device there is nothing to choose: a refusal must be true. */
                assert_false(s.devices == 1 && fits_one_device(&s));
                refused++;
        }
        assert_true(placed > 20000 && refused > 20000); /* both ways were really tried */
}

/* What is left after one placement is what the next one sees: filling up never exceeds the device. */
static void filling_up(void **state)
{
        uint64_t seed = 11;
        for (int round = 0; round < 2000; round++) {
                struct scene s = {.devices = 2, .count = 1, .device = {{1 << 20, 1000, true}, {1 << 19, 1000, true}}};
                uint64_t total = 0;
                for (;;) {
                        s.want[0] = (struct fg_sched_want){1 + unit_random(&seed) % (1 << 18),
                                                           1 + (uint32_t)(unit_random(&seed) % 300)};
                        if (place(&s) != 0)
                                break;
                        s.device[s.chosen[0]].memory_free -= s.memory[0];
                        s.device[s.chosen[0]].share_free -= s.share[0];
                        total += s.memory[0];
                }
                assert_true(total > 0);
                assert_true(total <= (1 << 20) + (1 << 19));
                assert_true(s.device[0].memory_free <= 1 << 20 && s.device[1].memory_free <= 1 << 19);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(equal_parts_on_one_device),
                cmocka_unit_test(stated_and_unstated),
                cmocka_unit_test(most_free_device_lowest_index),
                cmocka_unit_test(spreads_a_set),
                cmocka_unit_test(large_one_behind_a_small_one),
                cmocka_unit_test(first_that_does_not_fit),
                cmocka_unit_test(what_would_fit),
                cmocka_unit_test(edges),
                cmocka_unit_test(never_overcommits),
                cmocka_unit_test(filling_up),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
