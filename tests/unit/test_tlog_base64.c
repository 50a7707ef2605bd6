/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "tlog/tlog.h"

#include <errno.h>

/* RFC 4648, section 10. */
static void known(void **state)
{
        static const char *const row[][2] = {
                {"", ""},
                {"f", "Zg=="},
                {"fo", "Zm8="},
                {"foo", "Zm9v"},
                {"foob", "Zm9vYg=="},
                {"fooba", "Zm9vYmE="},
                {"foobar", "Zm9vYmFy"},
        };
        for (size_t i = 0; i < COUNT_OF(row); i++) {
                char text[16], data[16] = "";
                fg_tlog_base64(row[i][0], strlen(row[i][0]), text, sizeof(text));
                assert_string_equal(text, row[i][1]);
                assert_int_equal(fg_tlog_unbase64(text, strlen(text), data, strlen(row[i][0])), 0);
                assert_string_equal(data, row[i][0]);
        }
}

static void round_trip(void **state)
{
        uint64_t seed = 5;
        for (size_t size = 0; size <= 100; size++) {
                uint8_t data[100], back[101];
                char text[FG_TLOG_BASE64(100)];
                for (size_t i = 0; i < size; i++)
                        data[i] = (uint8_t)unit_random(&seed);
                memset(back, 0x5a, sizeof(back));
                fg_tlog_base64(data, size, text, sizeof(text));
                assert_int_equal(strlen(text) + 1, FG_TLOG_BASE64(size));
                assert_int_equal(fg_tlog_unbase64(text, strlen(text), back, size), 0);
                assert_memory_equal(back, data, size);
                assert_int_equal(back[size], 0x5a);
        }
}

static void too_small(void **state)
{
        char buf[9] = "12345678";
        fg_tlog_base64("foobar", 6, buf, 8);
        assert_string_equal(buf, "");
        buf[0] = '1';
        fg_tlog_base64("foobar", 6, buf, 0);
        assert_string_equal(buf, "12345678");
        fg_tlog_base64("foobar", SIZE_MAX, buf, 9);
        assert_string_equal(buf, "");
        fg_tlog_base64("foobar", 6, buf, 9);
        assert_string_equal(buf, "Zm9vYmFy");
}

/* One value, one text: of all texts of four bytes that are near "Zg==" only itself is taken. */
static void one_form(void **state)
{
        static const char *const bad[] = {
                "Zg=", "Zg", "Zg===", "Zg==\n", " Zg=", "Zg=A", "Z===", "====", "Zg-=", "Z_==", "Zh==", "Zm==", "Zn=="};
        uint8_t data[3] = {0x5a, 0x5a, 0x5a};
        for (size_t i = 0; i < COUNT_OF(bad); i++)
                for (size_t want = 0; want <= 3; want++)
                        if (fg_tlog_unbase64(bad[i], strlen(bad[i]), data, want) != -EBADMSG)
                                fail_msg("\"%s\" as %zu bytes", bad[i], want);
        assert_int_equal(fg_tlog_unbase64("Zg==", 4, data, 0), -EBADMSG);
        assert_int_equal(fg_tlog_unbase64("Zg==", 4, data, 2), -EBADMSG);
        assert_int_equal(fg_tlog_unbase64("Zg==", 4, data, SIZE_MAX), -EBADMSG);
        assert_int_equal(fg_tlog_unbase64("Zm9v", 4, data, 1), -EBADMSG);
        assert_int_equal(data[0] | data[1] | data[2], 0x5a);
        unsigned taken = 0;
        for (int at = 0; at < 4; at++)
                for (int c = 0; c < 256; c++) {
                        char text[4] = {'Z', 'g', '=', '='};
                        text[at] = (char)c;
                        bool ours = fg_tlog_unbase64(text, 4, data, 1) == 0;
                        taken += ours;
                        assert_true(!ours || (text[2] == '=' && text[3] == '='));
                }
        /* Position 0: any of 64. Position 1: the two bits that count. 2 and 3: '='. */
        assert_int_equal(taken, 64 + 4 + 1 + 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(known),
                cmocka_unit_test(round_trip),
                cmocka_unit_test(too_small),
                cmocka_unit_test(one_form),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
