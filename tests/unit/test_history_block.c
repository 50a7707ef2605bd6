/* SPDX-License-Identifier: Apache-2.0
 * Packed rows of history: what comes out is what went in, and scribbled bytes end the reading and nothing else. */
#include "unit.h"

#include "daemon/history_block.h"

#include <errno.h>

#define START 1782000000ll
#define ROWS  500

static struct fgd_history_row given[ROWS];
static int64_t given_at[ROWS];

/* Of a busy minute some columns differ, of an idle one none. */
static void change(struct fgd_history_row *row, uint64_t *seed)
{
        uint64_t how = unit_random(seed) % 8;
        if (how < 3)
                return;
        for (unsigned i = 0; i < FGD_H_COLUMNS; i++)
                if (unit_random(seed) % 4 == 0)
                        row->value[i] = how == 7 ? unit_random(seed) : row->value[i] + unit_random(seed) % 1000 - 500;
}

static void expect(const void *data, size_t size, int64_t start, int64_t until, size_t count)
{
        struct fgd_history_reader reader;
        int64_t at;
        size_t n = 0;
        fgd_history_read(&reader, data, size, start, FGD_HISTORY_MINUTE, until);
        while (fgd_history_next(&reader, &at)) {
                assert_true(n < count);
                assert_int_equal(at, given_at[n]);
                assert_memory_equal(&reader.row, &given[n], sizeof reader.row);
                n++;
        }
        assert_int_equal(n, count);
}

static void what_went_in_comes_out(void **state)
{
        uint64_t seed = 7;
        for (int round = 0; round < 20; round++) {
                struct fgd_history_block block = {0};
                struct fgd_history_row row = {0};
                int64_t at = START;
                for (size_t i = 0; i < ROWS; i++) {
                        change(&row, &seed);
                        given[i] = row;
                        given_at[i] = at;
                        assert_int_equal(fgd_history_block_add(&block, at, FGD_HISTORY_MINUTE, &row), 0);
                        at += FGD_HISTORY_MINUTE * (unit_random(&seed) % 20 ? 1 : 1 + (int64_t)(unit_random(&seed) % 50));
                }
                assert_int_equal(fgd_history_block_add(&block, START, FGD_HISTORY_MINUTE, &row), -EINVAL);
                assert_int_equal(fgd_history_block_close(&block), 0);
                assert_int_equal(block.next, given_at[ROWS - 1] + FGD_HISTORY_MINUTE);
                expect(block.data, block.size, START, INT64_MAX, ROWS);
                expect(block.data, block.size, START, given_at[100], 100);
                fgd_history_block_reset(&block);
                assert_int_equal(fgd_history_block_add(&block, START, FGD_HISTORY_MINUTE, &given[0]), 0);
                fgd_history_block_free(&block);
        }
}

static void an_idle_day_is_a_few_bytes(void **state)
{
        struct fgd_history_block block = {0};
        struct fgd_history_row row = {.value = {[FGD_H_WALL] = 60000, [FGD_H_QUOTA] = 1ull << 33, [FGD_H_SHARE] = 500}};
        for (int i = 0; i < 1440; i++)
                assert_int_equal(fgd_history_block_add(&block, START + i * 60, FGD_HISTORY_MINUTE, &row), 0);
        fgd_history_block_close(&block);
        assert_in_range(block.size, 1, 24);
        fgd_history_block_free(&block);
}

/* Whatever the bytes: it ends, at the end of the span at the latest, and goes forward. */
static void scribbled_bytes_end_it(void **state)
{
        uint64_t seed = 11;
        for (int round = 0; round < 20000; round++) {
                unsigned char data[64];
                struct fgd_history_reader reader;
                int64_t at, last = START - 60;
                size_t size = unit_random(&seed) % sizeof data;
                for (size_t i = 0; i < size; i++)
                        data[i] = (unsigned char)(unit_random(&seed) % 3 ? unit_random(&seed) % 16 : unit_random(&seed));
                fgd_history_read(&reader, data, size, START, FGD_HISTORY_MINUTE, START + 3600);
                while (fgd_history_next(&reader, &at)) {
                        assert_true(at > last && at < START + 3600);
                        last = at;
                }
        }
}

static void time_folds_as_it_should(void **state)
{
        struct fgd_history_row a = {.value = {[FGD_H_BUSY] = 5, [FGD_H_MEMORY] = 9, [FGD_H_QUOTA] = 10, [FGD_H_STATE] = 1}};
        struct fgd_history_row b = {.value = {[FGD_H_BUSY] = 7, [FGD_H_MEMORY] = 4, [FGD_H_QUOTA] = 20, [FGD_H_STATE] = 2}}, sum = a;
        fgd_history_fold(&sum, &b);
        assert_int_equal(sum.value[FGD_H_BUSY], 12);
        assert_int_equal(sum.value[FGD_H_MEMORY], 9);
        assert_int_equal(sum.value[FGD_H_QUOTA], 20);
        assert_int_equal(sum.value[FGD_H_STATE], 2);
        sum = a;
        fgd_history_add(&sum, &b);
        assert_int_equal(sum.value[FGD_H_MEMORY], 13);
        assert_int_equal(sum.value[FGD_H_QUOTA], 30);
        assert_int_equal(sum.value[FGD_H_STATE], 1);
        sum.value[FGD_H_BUSY] = UINT64_MAX;
        fgd_history_fold(&sum, &b);
        assert_true(sum.value[FGD_H_BUSY] == UINT64_MAX);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_went_in_comes_out),
                cmocka_unit_test(an_idle_day_is_a_few_bytes),
                cmocka_unit_test(scribbled_bytes_end_it),
                cmocka_unit_test(time_folds_as_it_should),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
