/* SPDX-License-Identifier: Apache-2.0
 * Tables and guesses. */
#include "cli/cli.h"
#include "cli/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct cli_column columns[] = {{"NAME", false}, {"SIZE", true}, {"STATE", false}};

static char *print(const struct cli_table *table, size_t width)
{
        char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);
        assert_int_equal(cli_table_print(table, out, width), 0);
        fclose(out);
        return text;
}

static void test_table(void **state)
{
        struct cli_table *table = cli_table_new(columns, 3);
        cli_table_add(table, "%s", "größer");
        cli_table_add_size(table, 256 << 20);
        cli_table_add(table, "ok\033[31m");
        cli_table_add(table, "b");
        cli_table_add_size(table, 17);
        cli_table_add_share(table, 125);
        char *text = print(table, 0);
        assert_string_equal(text, "NAME       SIZE  STATE\ngrößer  256 MiB  ok?[31m\nb          17 B  12.5%\n");
        free(text);
        text = print(table, 3);
        assert_string_equal(text, "NAM\ngrö\nb  \n");
        free(text);
        cli_table_free(table);
}

static void test_empty_table(void **state)
{
        struct cli_table *table = cli_table_new(columns, 3);
        char *text = print(table, 0);
        assert_string_equal(text, "NAME  SIZE  STATE\n");
        free(text);
        cli_table_free(table);
}

static void test_clean(void **state)
{
        char text[] = "a\033[1m \xe2\x80\xae" "b\xc2\x9b" "c\xff" "d \xc3\xa9\xe5\xae\xbd\xf0\x9f\x98\x80\xe2\x80";
        assert_string_equal(cli_clean(text), "a?[1m ?b?c?d \xc3\xa9\xe5\xae\xbd\xf0\x9f\x98\x80??");
}

static void test_distance(void **state)
{
        char longer[100];
        memset(longer, 'a', sizeof longer - 1);
        longer[sizeof longer - 1] = '\0';
        assert_int_equal(cli_edit_distance("", ""), 0);
        assert_int_equal(cli_edit_distance("", "abc"), 3);
        assert_int_equal(cli_edit_distance("abc", ""), 3);
        assert_int_equal(cli_edit_distance("create", "craete"), 1);
        assert_int_equal(cli_edit_distance("kitten", "sitting"), 3);
        assert_int_equal(cli_edit_distance("run", "run"), 0);
        assert_true(cli_edit_distance(longer, "a") > 64);
}

static const char *word_at(const void *user, size_t i)
{
        return ((const char *const *)user)[i];
}

static void test_suggest(void **state)
{
        static const char *const words[] = {"create", "delete", "devices", "run", "my-vgpu", NULL};
        assert_string_equal(cli_suggest("craete", word_at, words), "create");
        assert_string_equal(cli_suggest("delte", word_at, words), "delete");
        assert_string_equal(cli_suggest("dev", word_at, words), "devices");
        assert_string_equal(cli_suggest("my-vgup", word_at, words), "my-vgpu");
        assert_null(cli_suggest("frobnicate", word_at, words));
        assert_null(cli_suggest("", word_at, words));
        assert_null(cli_suggest("x", word_at, words));
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_table), cmocka_unit_test(test_empty_table),
                                           cmocka_unit_test(test_clean), cmocka_unit_test(test_distance), cmocka_unit_test(test_suggest)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
