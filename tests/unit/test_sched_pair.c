/* SPDX-License-Identifier: Apache-2.0
 * Who slows whom: counted by hand; nothing is said of what was not seen; bounded; what is kept comes back; damage is named. */
#include "unit.h"
#include "base/cleanup.h"
#include "sched/pair.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define WALL 60000000u

static struct fg_pair *new_pair(void)
{
        struct fg_pair *p;
        assert_int_equal(fg_pair_new(&p), 0);
        return p;
}

/* A class that uses so much of the device, in launches of `us`. */
static struct fg_pair_work work(uint64_t class, unsigned permille, unsigned us)
{
        uint64_t busy = (uint64_t)permille * (WALL / 1000);
        return (struct fg_pair_work){class, busy, busy / us};
}

static void alone(struct fg_pair *p, uint64_t class, unsigned permille, unsigned us, int windows)
{
        const struct fg_pair_work w = work(class, permille, us);
        while (windows--)
                fg_pair_window(p, &w, 1, WALL);
}

static void beside(struct fg_pair *p, struct fg_pair_work a, struct fg_pair_work b, int windows)
{
        const struct fg_pair_work w[] = {a, b, {9, WALL / 1000, 50}}; /* the third is as good as idle */
        while (windows--)
                fg_pair_window(p, w, 3, WALL);
}

static struct fg_pair_prediction predict(const struct fg_pair *p, uint64_t a, uint64_t b)
{
        const uint64_t class[] = {a, b};
        struct fg_pair_prediction ret;
        fg_pair_predict(p, class, 2, &ret);
        return ret;
}

static void learned_from_both(void **state)
{
        FG_CLEANUP(fg_pair_freep) struct fg_pair *p = new_pair();
        assert_false(predict(p, 1, 2).known);
        alone(p, 1, 300, 100, 3);
        alone(p, 2, 400, 200, 2);
        assert_false(predict(p, 1, 2).known); /* two windows say nothing */
        alone(p, 2, 400, 200, 1);
        struct fg_pair_prediction v = predict(p, 1, 2);
        assert_true(v.known && v.windows == 0);
        assert_int_equal(v.joint, 700);
        assert_int_equal(v.slow, 1100); /* as others of that joint use */
        beside(p, work(1, 300, 150), work(2, 400, 220), 3);
        v = predict(p, 1, 2);
        assert_int_equal(v.slow, 1500);
        assert_int_equal(v.slowest, 1);
        assert_int_equal(v.windows, 3);
        assert_int_equal(predict(p, 2, 1).slow, 1500); /* the same two */
        assert_int_equal(predict(p, 1, 1).slow, 1100); /* that pair was not seen */
        assert_false(predict(p, 1, 0).known);
        assert_false(predict(p, 1, 3).known);
}

/* More than the device has is shared: each takes longer by that, besides what launches do. */
static void time_is_shared(void **state)
{
        FG_CLEANUP(fg_pair_freep) struct fg_pair *p = new_pair();
        alone(p, 1, 900, 100, 3);
        alone(p, 2, 600, 100, 3);
        assert_int_equal(predict(p, 1, 2).joint, 1500);
        assert_int_equal(predict(p, 1, 2).slow, 1500 * 1250 / 1000);
        beside(p, work(1, 500, 100), work(2, 500, 100), 3);
        assert_int_equal(predict(p, 1, 2).slow, 1500);
        const uint64_t three[] = {1, 2, 2}, one[] = {1};
        struct fg_pair_prediction v;
        fg_pair_predict(p, three, 3, &v);
        assert_int_equal(v.joint, 2100);
        assert_int_equal(v.slow, 2100 * 1250 / 1000); /* 2 next to 2 was not seen */
        fg_pair_predict(p, one, 1, &v);
        assert_true(v.known && v.slow == 1000);
        fg_pair_predict(p, NULL, 0, &v);
        assert_true(v.known && v.slow == 1000 && v.joint == 0);
}

static void what_says_nothing(void **state)
{
        FG_CLEANUP(fg_pair_freep) struct fg_pair *p = new_pair();
        const struct fg_pair_work crowd[] = {work(1, 300, 100), work(2, 300, 100), work(3, 300, 100)}, few = {1, WALL / 2, 9},
                                  unknown[] = {work(1, 300, 100), work(0, 300, 100)}, huge = {1, UINT64_MAX, UINT64_MAX};
        for (int i = 0; i < 10; i++) {
                assert_false(fg_pair_window(p, crowd, 3, WALL));
                assert_false(fg_pair_window(p, &few, 1, WALL));
                assert_false(fg_pair_window(p, unknown, 2, WALL));
                assert_false(fg_pair_window(p, &huge, 1, WALL));
                assert_false(fg_pair_window(p, crowd, 0, WALL));
                assert_false(fg_pair_window(p, crowd, 1, 0));
        }
        assert_false(fg_pair_window(p, crowd, 2, WALL)); /* neither was seen alone */
        assert_false(predict(p, 1, 1).known);
        /* A window that cannot be does not stay for long. */
        alone(p, 1, 200, 100, 16);
        beside(p, work(1, 300, 100000), work(2, 300, 100), 1);
        beside(p, work(1, 300, 120), work(2, 300, 100), 200);
        alone(p, 2, 200, 100, 3);
        assert_in_range(predict(p, 1, 2).slow, 1180, 1240);
}

static void memory_is_bounded(void **state)
{
        FG_CLEANUP(fg_pair_freep) struct fg_pair *p = new_pair();
        fg_autofree char *text = NULL;
        size_t size, lines = 0;
        for (uint64_t c = 1; c <= 2 * FG_PAIR_CLASSES; c++)
                alone(p, c, 100, 100, 3);
        assert_false(predict(p, 1, 1).known); /* gone */
        assert_true(predict(p, FG_PAIR_CLASSES + 1, 2 * FG_PAIR_CLASSES).known);
        for (uint64_t a = 0; a < 64; a++)
                for (uint64_t b = 0; b < 64; b++)
                        beside(p, work(FG_PAIR_CLASSES + 1 + a, 100, 200), work(FG_PAIR_CLASSES + 1 + b, 100, 200), 3);
        assert_int_equal(predict(p, FG_PAIR_CLASSES + 64, FG_PAIR_CLASSES + 64).slow, 2000);
        assert_int_equal(fg_pair_save(p, &text, &size), 0);
        for (size_t i = 0; i < size; i++)
                lines += text[i] == '\n';
        assert_int_equal(lines, 1 + FG_PAIR_CLASSES + FG_PAIR_PAIRS);
}

static void what_is_kept_comes_back(void **state)
{
        FG_CLEANUP(fg_pair_freep) struct fg_pair *p = new_pair(), *q = NULL;
        fg_autofree char *text = NULL, *again = NULL;
        struct fg_error err = {0};
        size_t size, size_again;
        alone(p, 1, 300, 100, 5);
        alone(p, UINT64_MAX, 400, 200, 5);
        beside(p, work(1, 300, 150), work(UINT64_MAX, 400, 220), 4);
        assert_int_equal(fg_pair_save(p, &text, &size), 0);
        assert_int_equal(fg_pair_restore(text, size, &q, &err), 0);
        assert_int_equal(fg_pair_save(q, &again, &size_again), 0);
        assert_string_equal(text, again);
        assert_int_equal(predict(q, 1, UINT64_MAX).slow, predict(p, 1, UINT64_MAX).slow);
        /* Cut anywhere, or with any byte changed, it is refused or whole: never half. */
        for (size_t i = 0; i < size; i++) {
                struct fg_pair *bad = NULL;
                assert_int_equal(fg_pair_restore(text, i, &bad, &err), -EINVAL);
                for (int c = 0; c < 256; c += 5) {
                        char was = text[i];
                        text[i] = (char)c;
                        int r = fg_pair_restore(text, size, &bad, &err);
                        text[i] = was;
                        assert_true(r == 0 || r == -EINVAL);
                        if (r == 0)
                                fg_pair_free(bad);
                        bad = NULL;
                }
        }
        assert_int_equal(fg_pair_restore("fastgpu-pairs 1 1 0 9\n0 1 1 1 1\n", 33, &q, &err), -EINVAL);
        assert_non_null(strstr(err.text, "line 2"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(learned_from_both),
                cmocka_unit_test(time_is_shared),
                cmocka_unit_test(what_says_nothing),
                cmocka_unit_test(memory_is_bounded),
                cmocka_unit_test(what_is_kept_comes_back),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
