/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "base/size.h"

#include <errno.h>

#define SIXTY_THREE "a23456789012345678901234567890123456789012345678901234567890123"

static void names(void **state)
{
        static const char *const good[] = {"a", "0", "Z", "my-vgpu", "a.b_c-d", "7of9", "a..", SIXTY_THREE};
        static const char *const bad[] = {
                "",     ".",  "..",  "-a", "_a",    ".hidden", "a b",           "a/b",
                "a\n",  "\t", "a%",  "ä",  "a\xff", "a:b",     "../etc",        "a;rm",
                "a\"b", "*",  "a\\", " a", "a ",    "\x7f",    SIXTY_THREE "4", SIXTY_THREE SIXTY_THREE};
        for (size_t i = 0; i < COUNT_OF(good); i++)
                if (fg_name_check(good[i], NULL) != 0)
                        fail_msg("\"%s\" is refused", good[i]);
        for (size_t i = 0; i < COUNT_OF(bad); i++) {
                struct fg_error err = {0};
                if (fg_name_check(bad[i], &err) != -EINVAL || err.code != -EINVAL)
                        fail_msg("\"%s\" is accepted", bad[i]);
                for (const char *c = err.text; *c; c++)
                        assert_true((unsigned char)*c >= 0x20 && *c != 0x7f);
        }
}

static void too_long_is_said(void **state)
{
        struct fg_error err = {0};
        fg_name_check(SIXTY_THREE "4", &err);
        assert_non_null(strstr(err.text, "at most 63"));
}

/* Every single byte in first and in second place, against the rule written down once more. */
static void name_bytes(void **state)
{
        static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
        for (int c = 1; c < 256; c++) {
                char first[3] = {(char)c, 'x', 0}, second[3] = {'x', (char)c, 0};
                bool letter = strchr(letters, c) != NULL, inner = letter || strchr("._-", c);
                assert_int_equal(fg_name_check(first, NULL), letter ? 0 : -EINVAL);
                assert_int_equal(fg_name_check(second, NULL), inner ? 0 : -EINVAL);
        }
}

static void targets(void **state)
{
        static const struct {
                const char *text;
                int result;
                const char *name;
                int64_t index;
        } row[] = {
                {"a", 0, "a", -1},
                {"my-vgpu/0", 0, "my-vgpu", 0},
                {"my-vgpu/17", 0, "my-vgpu", 17},
                {"a/2147483647", 0, "a", 2147483647},
                {SIXTY_THREE "/3", 0, SIXTY_THREE, 3},
                {SIXTY_THREE, 0, SIXTY_THREE, -1},
                {"a/2147483648", -ERANGE, NULL, 0},
                {"a/18446744073709551616", -ERANGE, NULL, 0},
                {"a/-1", -ERANGE, NULL, 0},
                {"a/", -EINVAL, NULL, 0},
                {"/0", -EINVAL, NULL, 0},
                {"/", -EINVAL, NULL, 0},
                {"", -EINVAL, NULL, 0},
                {"a/b", -EINVAL, NULL, 0},
                {"a/0/1", -EINVAL, NULL, 0},
                {"a//0", -EINVAL, NULL, 0},
                {"a/0x1", -EINVAL, NULL, 0},
                {"a/ 1", -EINVAL, NULL, 0},
                {"../0", -EINVAL, NULL, 0},
                {SIXTY_THREE "4/0", -EINVAL, NULL, 0},
                {SIXTY_THREE "4", -EINVAL, NULL, 0},
                {SIXTY_THREE SIXTY_THREE SIXTY_THREE "/1", -EINVAL, NULL, 0},
        };
        for (size_t i = 0; i < COUNT_OF(row); i++) {
                struct fg_error err = {0};
                char name[64] = "untouched";
                int64_t index = 77;
                int r = fg_target_parse(row[i].text, name, &index, &err);
                if (r != row[i].result || index != (r ? 77 : row[i].index))
                        fail_msg("target \"%s\": %d, index %lld", row[i].text, r, (long long)index);
                assert_string_equal(name, r ? "untouched" : row[i].name);
                assert_int_equal(err.code, r);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(names),
                cmocka_unit_test(too_long_is_said),
                cmocka_unit_test(name_bytes),
                cmocka_unit_test(targets),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
