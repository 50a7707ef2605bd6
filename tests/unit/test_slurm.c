/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-or-later
 * The plugin's own reading and writing, without Slurm: what is typed, plugstack.conf, the daemon's answers, AdminComment. */
#include "unit.h"

#include "integrations/slurm/slurm.h"

static void test_wishes(void **state)
{
        static const struct {
                const char *typed;
                unsigned gpus;
                const char *memory, *compute;
        } good[] = {{"1", 1, "", ""}, {"2:8G:25", 2, "8G", "25"}, {"64:1.5GiB", 64, "1.5GiB", ""}, {"3::12.5%", 3, "", "12.5"}, {"1:25%:100", 1, "25%", "100"},
                    {"1:512m:0.5", 1, "512m", "0.5"}, {"1::", 1, "", ""}};
        static const char *const bad[] = {"", "0", "65", "-1", "+1", " 1", "x", "1x", "1:8Q", "1:G", "1:-8G", "1:0G", "1:101%", "1::0", "1::100.1", "1::x", "1::1e1",
                                          "1:8G:25:x", "1:8G:25:", "1:8.G", "1:99999999999999999999999999G", "4294967297", "1:nan", "1::inf"};
        char why[FGI_SLURM_TEXT];
        for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
                struct fgi_slurm_wish wish = {0};
                assert_int_equal(fgi_slurm_wish_parse(good[i].typed, &wish, why, sizeof why), 0);
                assert_int_equal(wish.gpus, good[i].gpus);
                assert_string_equal(wish.memory, good[i].memory);
                assert_string_equal(wish.compute, good[i].compute);
        }
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
                struct fgi_slurm_wish wish = {0};
                why[0] = '\0';
                if (fgi_slurm_wish_parse(bad[i], &wish, why, sizeof why) == 0)
                        fail_msg("taken: %s", bad[i]);
                assert_int_equal(wish.gpus, 0);
                assert_non_null(strstr(why, "2:8G:25"));
        }
}

static void test_modes(void **state)
{
        const char *mode = NULL;
        char why[FGI_SLURM_TEXT];
        assert_int_equal(fgi_slurm_mode_parse("cap", &mode, why, sizeof why), 0);
        assert_string_equal(mode, "cap");
        assert_true(fgi_slurm_mode_parse("Cap", &mode, why, sizeof why) < 0);
        assert_non_null(strstr(why, "\"Cap\""));
}

static void test_config(void **state)
{
        struct fgi_slurm_config config;
        char socket[] = "socket=/s/%n/api.sock", project[] = "project=%a", devices[] = "devices=slurm", untold[] = "untold=/u/%n", typo[] = "sokcet=/s";
        char why[FGI_SLURM_TEXT], *words[] = {socket, project, devices, untold}, *wrong[] = {typo}, longest[300];
        assert_int_equal(fgi_slurm_config_read(4, words, "n7", "physics", &config, why, sizeof why), 0);
        assert_string_equal(config.socket, "/s/n7/api.sock");
        assert_string_equal(config.project, "physics");
        assert_true(config.devices);
        assert_string_equal(config.untold, "/u/n7");
        assert_int_equal(fgi_slurm_config_read(0, NULL, "n7", "", &config, why, sizeof why), 0);
        assert_string_equal(config.socket, FGI_SLURM_SOCKET);
        assert_string_equal(config.project, "");
        assert_string_equal(config.untold, FGI_SLURM_UNTOLD);
        assert_false(config.devices);
        assert_true(fgi_slurm_config_read(1, wrong, "n7", "", &config, why, sizeof why) < 0);
        assert_non_null(strstr(why, "sokcet"));
        memset(longest, 'x', sizeof longest);
        memcpy(longest, "socket=", 7);
        longest[sizeof longest - 1] = '\0';
        wrong[0] = longest;
        assert_true(fgi_slurm_config_read(1, wrong, "n7", "", &config, why, sizeof why) < 0);
}

static void test_answers(void **state)
{
        static const char set[] = "{\"name\": \"a \\\"gpu_ns\\\": 9\", \"vgpus\": [{\"usage\": {\"gpu_ns\": 5}}, {\"usage\": {\"gpu_ns\" : 7}}], \"cuda\": true}";
        char text[32];
        unsigned count;
        assert_int_equal(fgi_slurm_sum(set, "gpu_ns", &count), 12);
        assert_int_equal(count, 2);
        assert_true(fgi_slurm_true(set, "cuda"));
        assert_false(fgi_slurm_true(set, "vgpus"));
        assert_true(fgi_slurm_text(set, "name", text, sizeof text));
        assert_string_equal(text, "a \"gpu_ns\": 9");
        /* A backslash, and behind it a u that belongs to no number. */
        assert_true(fgi_slurm_text("{\"name\": \"C:\\\\users\"}", "name", text, sizeof text));
        assert_string_equal(text, "C:\\users");
        /* Cut short, too long, of another type, not there. */
        assert_false(fgi_slurm_text("{\"name\": \"a", "name", text, sizeof text));
        assert_false(fgi_slurm_text("{\"name\": \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}", "name", text, sizeof text));
        assert_false(fgi_slurm_text("{\"name\": 3}", "name", text, sizeof text));
        assert_false(fgi_slurm_text("{\"name", "name", text, sizeof text));
        assert_false(fgi_slurm_text("\\", "name", text, sizeof text));
        /* Right behind a backslash: what lies behind the end is not read. */
        static const char cut[] = "{\"name\": \"a\\\0b\"}";
        assert_false(fgi_slurm_text(cut, "name", text, sizeof text));
        assert_string_equal(text, "a");
        assert_false(fgi_slurm_text("", "name", text, sizeof text));
}

static void test_replies(void **state)
{
        static const char *const cut[] = {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{\"a\": 1}", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n", "HTTP/1.1 200 OK\r\n", "", "x"};
        struct fgi_slurm_reply reply = {0};
        for (size_t i = 0; i < sizeof cut / sizeof *cut; i++)
                assert_true(fgi_slurm_reply_read(cut[i], &reply) < 0);
        assert_int_equal(fgi_slurm_reply_read("HTTP/1.1 404 Not Found\r\nContent-Length: 8\r\n\r\n{\"a\": 1}", &reply), 0);
        assert_int_equal(reply.status, 404);
        assert_string_equal(reply.body, "{\"a\": 1}");
        free(reply.body);
        assert_int_equal(fgi_slurm_reply_read("HTTP/1.1 204 No Content\r\n\r\n", &reply), 0);
        assert_string_equal(reply.body, "");
        free(reply.body);
}

static void test_quotes(void **state)
{
        char text[24] = "";
        fgi_slurm_quote(text, sizeof text, "a\"b\\c\n");
        assert_string_equal(text, "\"a\\\"b\\\\c\"");
        text[0] = '\0';
        fgi_slurm_quote(text, sizeof text, "\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"");
        assert_true(strlen(text) < sizeof text);
        assert_int_equal(text[strlen(text) - 1], '"');
}

static void test_comments(void **state)
{
        static const struct {
                const char *before, *entry, *after;
        } table[] = {
                {"", "n1:a=1", "fastgpu=n1:a=1"},
                {"keep me", "n1:a=1", "keep me fastgpu=n1:a=1"},
                {"fastgpu=n1:a=1", "n1:a=2", "fastgpu=n1:a=2"},
                {"fastgpu=n1:a=1", "n11:a=2", "fastgpu=n1:a=1;n11:a=2"},
                {"fastgpu=n11:a=1", "n1:a=2", "fastgpu=n11:a=1;n1:a=2"},
                {"fastgpu=n1:a=1;n2:a=3", "n1:a=2", "fastgpu=n1:a=2;n2:a=3"},
                {"fastgpu=n1:a=1;n2:a=3 and this", "n2:a=4", "fastgpu=n1:a=1;n2:a=4 and this"},
                {"fastgpu=n1:a=1 and n2:a=3", "n2:a=4", "fastgpu=n1:a=1;n2:a=4 and n2:a=3"},
                {"fastgpu=n1:vgpus=1,gpu_us=7;n2:vgpus=1,gpu_us=9", "n1:vgpus=1,gpu_us=10", "fastgpu=n1:vgpus=1,gpu_us=10;n2:vgpus=1,gpu_us=9"},
                {"fastgpu=n1:vgpus=1,gpu_us=7;n2:vgpus=1,gpu_us=9", "n1:vgpus=1,gpu_us=6", "fastgpu=n1:vgpus=1,gpu_us=7;n2:vgpus=1,gpu_us=9"},
                {"fastgpu=n1:vgpus=1;n2:vgpus=1,gpu_us=9", "n1:vgpus=1,gpu_us=6", "fastgpu=n1:vgpus=1,gpu_us=6;n2:vgpus=1,gpu_us=9"},
                {"fastgpu=n1:a=1", "n1.1:a=2", "fastgpu=n1:a=1;n1.1:a=2"},
        };
        for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
                char *after = fgi_slurm_comment(table[i].before, table[i].entry);
                assert_non_null(after);
                assert_string_equal(after, table[i].after);
                free(after);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_wishes),  cmocka_unit_test(test_modes),  cmocka_unit_test(test_config),
                cmocka_unit_test(test_answers), cmocka_unit_test(test_replies), cmocka_unit_test(test_quotes), cmocka_unit_test(test_comments),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
