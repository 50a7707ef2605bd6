/* SPDX-License-Identifier: Apache-2.0
 * JSON as it is written by the daemon, and its times against the C library's. */
#include "unit.h"

#include "daemon/text.h"

#include <time.h>

static void times(void **state)
{
        uint64_t random = 1;
        char ours[32], theirs[32];
        for (int i = 0; i < 200000; i++) {
                int64_t at = (int64_t)(unit_random(&random) % 253402300800u);
                if (i < 40000)
                        at = 86400ll * i * 73 + (i & 1 ? 86399 : 0); /* the ends of days of all years */
                time_t seconds = (time_t)at;
                struct tm tm;
                assert_non_null(gmtime_r(&seconds, &tm));
                strftime(theirs, sizeof theirs, "%Y-%m-%dT%H:%M:%SZ", &tm);
                assert_string_equal(fgd_date_format(at, ours), theirs);
        }
        assert_string_equal(fgd_time_format(1700000000007, ours), "2023-11-14T22:13:20.007Z");
        assert_string_equal(fgd_date_format(253402300799, ours), "9999-12-31T23:59:59Z");
        assert_string_equal(fgd_date_format(253402300800, ours), "");
        assert_string_equal(fgd_date_format(-1, ours), "");
        assert_string_equal(fgd_time_format(-1000, ours), "");
        assert_string_equal(fgd_date_format(INT64_MAX, ours), "");
}

static void values(void **state)
{
        struct fgd_text text = {0};
        fgd_text_add(&text, "{");
        fgd_text_field(&text, "a", "x\"y\\z\n\x7f\xc3\xa4\xff!");
        fgd_text_number(&text, "b", 0);
        fgd_text_number(&text, "c", UINT64_MAX);
        fgd_text_bool(&text, "d", true);
        fgd_text_field(&text, "e", "");
        fgd_text_add(&text, "}");
        assert_string_equal(text.data, "{\"a\": \"x\\\"y\\\\z\\u000a\\u007f\xc3\xa4?!\", \"b\": 0, \"c\": 18446744073709551615, \"d\": true, \"e\": \"\"}");
        assert_int_equal(text.size, strlen(text.data));
        fgd_text_clear(&text);
}

/* Piece by piece over every boundary at which it grows. */
static void growth(void **state)
{
        struct fgd_text text = {0};
        for (unsigned i = 0; i < 3000; i++) {
                fgd_text_add(&text, i % 7 ? "ab" : "c");
                assert_true(text.size < text.room && strlen(text.data) == text.size);
        }
        fgd_text_clear(&text);
}

/* A long answer's block is the next one's: once, and with nothing of the other in it. */
static void spare(void **state)
{
        char *block = NULL;
        for (unsigned round = 0; round < 4; round++) {
                struct fgd_text a = {0}, b = {0};
                for (unsigned i = 0; i < 60000; i++) {
                        fgd_text_add(&a, "a");
                        fgd_text_add(&b, "b");
                }
                assert_int_equal(strspn(a.data, "a"), 60000);
                assert_int_equal(strspn(b.data, "b"), 60000);
                assert_ptr_not_equal(a.data, b.data);
                if (block)
                        assert_ptr_equal(a.data, block); /* it was the first to need it */
                block = a.data;
                fgd_text_free(a.data);
                fgd_text_clear(&b);
        }
        fgd_text_free(NULL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(times), cmocka_unit_test(values), cmocka_unit_test(growth), cmocka_unit_test(spare)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
