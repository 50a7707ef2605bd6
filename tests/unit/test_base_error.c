/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "base/error.h"

#include <errno.h>

static void sets(void **state)
{
        struct fg_error err = {0};
        errno = EXDEV;
        assert_int_equal(fg_error_set(&err, -ENOENT, "cannot open %s: %m", "x"), -ENOENT);
        assert_int_equal(errno, EXDEV);
        assert_int_equal(err.code, -ENOENT);
        assert_string_equal(err.text, "cannot open x: No such file or directory");
        assert_int_equal(fg_error_set(NULL, -EIO, "%s", "nobody listens"), -EIO);
}

static void wraps(void **state)
{
        struct fg_error err = {0};
        fg_error_set(&err, -EINVAL, "\"x\" is not a size");
        assert_int_equal(fg_error_wrap(&err, -EPERM, "line %d", 3), -EINVAL);
        assert_int_equal(fg_error_wrap(&err, err.code, "fastgpu.conf"), -EINVAL);
        assert_string_equal(err.text, "fastgpu.conf: line 3: \"x\" is not a size");
        assert_int_equal(fg_error_wrap(NULL, -EPERM, "nobody listens"), -EPERM);
}

static void wraps_silence(void **state)
{
        struct fg_error err = {0};
        assert_int_equal(fg_error_wrap(&err, -EACCES, "store"), -EACCES);
        assert_int_equal(err.code, -EACCES);
        assert_string_equal(err.text, "store: Permission denied");
}

/* The context goes in front and the end is cut; a wrapped text may be printed into itself. */
static void cuts(void **state)
{
        struct fg_error err;
        char guard[2048], expected[2048];
        memset(guard, 'x', sizeof(guard) - 1);
        guard[sizeof(guard) - 1] = '\0';
        memset(&err, 0, sizeof(err));
        fg_error_set(&err, -EIO, "%s", guard);
        assert_int_equal(strlen(err.text), FG_ERROR_MAX - 1);
        fg_error_wrap(&err, -EIO, "outer");
        memcpy(expected, "outer: ", 7);
        memcpy(expected + 7, guard, sizeof(guard) - 7);
        expected[FG_ERROR_MAX - 1] = 0;
        assert_string_equal(err.text, expected);
        for (int i = 0; i < 1000; i++)
                fg_error_wrap(&err, -EIO, "again %d", i);
        assert_int_equal(strlen(err.text), FG_ERROR_MAX - 1);
        assert_int_equal(strncmp(err.text, "again 999: again 998: ", 22), 0);
        fg_error_wrap(&err, -EIO, "%s", guard);
        assert_int_equal(strlen(err.text), FG_ERROR_MAX - 1);
        assert_int_equal(err.text[FG_ERROR_MAX - 2], 'x');
        assert_int_equal(err.code, -EIO);
}

/* Every length around the limit, with two-, three- and four-byte characters: never half a character at the end. */
static void cuts_between_characters(void **state)
{
        static const char *const character[] = {"ä", "€", "😀"};
        for (size_t c = 0; c < COUNT_OF(character); c++)
                for (size_t head = FG_ERROR_MAX - 10; head < FG_ERROR_MAX + 2; head++) {
                        struct fg_error err = {0};
                        size_t width = strlen(character[c]);
                        fg_error_set(&err, -EIO, "%0*d%s%s", (int)head, 0, character[c], character[c]);
                        size_t room = head < FG_ERROR_MAX - 1 ? (FG_ERROR_MAX - 1 - head) / width : 0;
                        size_t kept = room < 2 ? room : 2;
                        size_t expected = (head < FG_ERROR_MAX ? head : FG_ERROR_MAX - 1) + kept * width;
                        assert_int_equal(strlen(err.text), expected);
                        assert_null(strchr(err.text, '?'));
                }
}

static void keeps_terminals_safe(void **state)
{
        static const struct {
                const char *in, *out;
        } row[] = {
                {"a\nb\rc\td", "a?b?c?d"},
                {"\x1b[31mred", "?[31mred"},
                {"grün €uro 😀", "grün €uro 😀"},
                {"\xff\xfe", "??"},
                {"\xc3(", "?("},
                {"\xe2\x82", "??"},
                {"\xc0\xaf", "??"},           /* overlong */
                {"\xe0\x80\xaf", "???"},      /* overlong */
                {"\xed\xa0\x80", "???"},      /* surrogate */
                {"\xf4\x90\x80\x80", "????"}, /* beyond Unicode */
                {"\xf8\x88\x80\x80\x80", "?????"},
                {"\xc2\x9bX", "??X"}, /* C1 control */
                {"\x7f", "?"},
                {"\x80", "?"},
        };
        for (size_t i = 0; i < COUNT_OF(row); i++) {
                struct fg_error err = {0};
                fg_error_set(&err, -EINVAL, "%s", row[i].in);
                assert_string_equal(err.text, row[i].out);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(sets),
                cmocka_unit_test(wraps),
                cmocka_unit_test(wraps_silence),
                cmocka_unit_test(cuts),
                cmocka_unit_test(cuts_between_characters),
                cmocka_unit_test(keeps_terminals_safe),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
