/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "base/utf8.h"

/* By the table of RFC 3629, not by the code under test. */
static size_t encode(uint32_t code, uint8_t ret[FG_UTF8_MAX])
{
        if (code < 0x80)
                return ret[0] = (uint8_t)code, 1;
        size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
        for (size_t i = len; i-- > 1; code >>= 6)
                ret[i] = (uint8_t)(0x80 | (code & 0x3f));
        ret[0] = (uint8_t)((0xf00 >> len) | code);
        return len;
}

static void every_code_point(void **state)
{
        for (uint32_t code = 0; code <= 0x110000; code++) {
                uint8_t text[FG_UTF8_MAX] = {0};
                uint32_t back = 0x5555;
                size_t len = encode(code, text);
                bool exists = code < 0xd800 || (code > 0xdfff && code <= 0x10ffff);
                if (fg_utf8_decode(text, FG_UTF8_MAX, &back) != (exists ? len : 0) || back != (exists ? code : 0x5555))
                        fail_msg("U+%04X", (unsigned)code);
                if (fg_utf8_decode(text, len - 1, &back) != 0)
                        fail_msg("U+%04X cut", (unsigned)code);
        }
}

static void malformed(void **state)
{
        static const char *const text[] = {
                "\x80",
                "\xbf",
                "\xc0\x80",
                "\xc1\xbf",
                "\xc2",
                "\xc2\x41",
                "\xe0\x9f\xbf",
                "\xe2\x82",
                "\xe2\x41\xac",
                "\xe2\x82\xc2",
                "\xed\xa0",
                "\xed\xa0\x80",
                "\xf0\x8f\xbf\xbf",
                "\xf0\x9f\x98",
                "\xf4\x90\x80\x80",
                "\xf5\x80\x80\x80",
                "\xff",
                "\xfe\x80\x80\x80",
        };
        for (size_t i = 0; i < COUNT_OF(text); i++)
                if (fg_utf8_decode(text[i], FG_UTF8_MAX, NULL) != 0)
                        fail_msg("row %zu", i);
        assert_int_equal(fg_utf8_decode("", 0, NULL), 0);
        assert_int_equal(fg_utf8_decode("", 1, NULL), 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_code_point),
                cmocka_unit_test(malformed),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
