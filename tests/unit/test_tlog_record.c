/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "tlog/record.h"

#include <errno.h>

#define BIGGEST  "170141183460469231731687303715884105727"
#define SMALLEST "-170141183460469231731687303715884105728"

static const char example[] =
        "{\"type\":\"charge\",\"seq\":17,\"account\":\"lab-7\",\"amount\":\"-12500000000000000000000\"}";

static void make_example(struct fg_tlog_record *r)
{
        fg_tlog_record_begin(r, "charge");
        fg_tlog_record_add_int(r, "seq", 17);
        fg_tlog_record_add_string(r, "account", "lab-7");
        fg_tlog_record_add_big(r, "amount", "-12500000000000000000000");
}

static int parse(const char *text, size_t size)
{
        struct fg_tlog_record r = {.size = 4711};
        struct fg_error err = {0};
        char *exact = malloc(size + 1); /* the sanitizer sees the first byte behind it */
        assert_non_null(exact);
        memcpy(exact, text, size);
        exact = realloc(exact, size ? size : 1);
        assert_non_null(exact);
        int result = fg_tlog_record_parse(exact, size, &r, &err);
        assert_int_equal(err.code, result);
        assert_int_equal(result == 0, err.text[0] == '\0');
        assert_int_equal(r.size, result == 0 ? size : 4711);
        if (result == 0) {
                assert_memory_equal(r.text, exact, size);
                assert_int_equal(strlen(r.text), size);
        }
        free(exact);
        return result;
}

static void writes_and_reads(void **state)
{
        struct fg_tlog_record r, back;
        struct fg_error err = {.code = 77};
        char text[64], big[FG_TLOG_BIG_MAX];
        int64_t value = 0;
        make_example(&r);
        assert_int_equal(fg_tlog_record_end(&r, &err), 0);
        assert_int_equal(err.code, 77);
        assert_string_equal(r.text, example);
        assert_int_equal(r.size, strlen(example));
        assert_int_equal(fg_tlog_record_parse(r.text, r.size, &back, &err), 0);
        for (int i = 0; i < 2; i++) {
                const struct fg_tlog_record *from = i ? &back : &r;
                assert_int_equal(fg_tlog_record_get_string(from, "type", text, sizeof(text)), 0);
                assert_string_equal(text, "charge");
                assert_int_equal(fg_tlog_record_get_int(from, "seq", &value), 0);
                assert_int_equal(value, 17);
                assert_int_equal(fg_tlog_record_get_string(from, "account", text, sizeof(text)), 0);
                assert_string_equal(text, "lab-7");
                assert_int_equal(fg_tlog_record_get_big(from, "amount", big), 0);
                assert_string_equal(big, "-12500000000000000000000");
        }
}

static void wrong_questions(void **state)
{
        struct fg_tlog_record r;
        char text[6] = "old", big[FG_TLOG_BIG_MAX] = "old";
        int64_t value = 4711;
        assert_int_equal(fg_tlog_record_parse(example, strlen(example), &r, NULL), 0);
        assert_int_equal(fg_tlog_record_get_int(&r, "se", &value), -ENOENT);
        assert_int_equal(fg_tlog_record_get_int(&r, "", &value), -ENOENT);
        assert_int_equal(fg_tlog_record_get_int(&r, "account", &value), -EBADMSG);
        assert_int_equal(fg_tlog_record_get_int(&r, "amount", &value), -EBADMSG);
        assert_int_equal(fg_tlog_record_get_string(&r, "seq", text, sizeof(text)), -EBADMSG);
        assert_int_equal(fg_tlog_record_get_string(&r, "account", text, 5), -ENOBUFS);
        assert_int_equal(fg_tlog_record_get_string(&r, "account", text, 0), -ENOBUFS);
        assert_int_equal(fg_tlog_record_get_big(&r, "account", big), -EBADMSG);
        assert_int_equal(fg_tlog_record_get_big(&r, "seq", big), -EBADMSG);
        assert_int_equal(fg_tlog_record_get_big(&r, "none", big), -ENOENT);
        assert_string_equal(text, "old");
        assert_string_equal(big, "old");
        assert_int_equal(value, 4711);
        assert_int_equal(fg_tlog_record_get_string(&r, "account", text, 6), 0);
}

static void schemas(void **state)
{
        static const char *const keys[] = {"seq", "account", "amount", "more"}, *const swapped[] = {"account", "seq",
                                                                                                    "amount"};
        struct fg_tlog_record r;
        struct fg_error err = {0};
        assert_int_equal(fg_tlog_record_parse(example, strlen(example), &r, NULL), 0);
        assert_int_equal(fg_tlog_record_expect(&r, "charge", keys, 3, &err), 0);
        assert_int_equal(fg_tlog_record_expect(&r, "refund", keys, 3, &err), -EBADMSG);
        assert_string_equal(err.text, "record is a \"charge\", not a \"refund\"");
        assert_int_equal(fg_tlog_record_expect(&r, "charge", keys, 4, &err), -EBADMSG);
        assert_string_equal(err.text, "record \"charge\" lacks \"more\"");
        assert_int_equal(fg_tlog_record_expect(&r, "charge", keys, 2, &err), -EBADMSG);
        assert_string_equal(err.text, "record \"charge\" has an unknown \"amount\"");
        assert_int_equal(fg_tlog_record_expect(&r, "charge", swapped, 3, &err), -EBADMSG);
        assert_string_equal(err.text, "record \"charge\" has in another place \"account\"");
        assert_int_equal(fg_tlog_record_expect(&r, "charge", NULL, 0, NULL), -EBADMSG);
        assert_int_equal(fg_tlog_record_parse("{\"type\":\"tick\"}", 15, &r, NULL), 0);
        assert_int_equal(fg_tlog_record_expect(&r, "tick", NULL, 0, NULL), 0);
}

static void integers(void **state)
{
        static const int64_t row[] = {
                0, 1, -1, 9, -9, 10, 4711, INT32_MIN, INT32_MAX, INT64_MIN, INT64_MIN + 1, INT64_MAX - 1, INT64_MAX};
        for (size_t i = 0; i < COUNT_OF(row); i++) {
                struct fg_tlog_record r;
                char text[64];
                int64_t back = row[i] ? 0 : 1;
                fg_tlog_record_begin(&r, "t");
                fg_tlog_record_add_int(&r, "n", row[i]);
                assert_int_equal(fg_tlog_record_end(&r, NULL), 0);
                snprintf(text, sizeof(text), "{\"type\":\"t\",\"n\":%lld}", (long long)row[i]);
                assert_string_equal(r.text, text);
                assert_int_equal(parse(text, strlen(text)), 0);
                assert_int_equal(fg_tlog_record_get_int(&r, "n", &back), 0);
                assert_true(back == row[i]);
        }
}

static void big_integers(void **state)
{
        static const char *const good[] = {"0",
                                           "1",
                                           "-1",
                                           "10",
                                           "9999999999999999999999",
                                           BIGGEST,
                                           SMALLEST,
                                           "-" BIGGEST,
                                           "99999999999999999999999999999999999999",
                                           "100000000000000000000000000000000000000"};
        static const char *const bad[] = {"",
                                          "-",
                                          "-0",
                                          "00",
                                          "01",
                                          "-01",
                                          "+1",
                                          " 1",
                                          "1 ",
                                          "1.0",
                                          "1e3",
                                          "0x1",
                                          "--1",
                                          "1-",
                                          "a",
                                          "1\n",
                                          "170141183460469231731687303715884105728",
                                          "-170141183460469231731687303715884105729",
                                          "200000000000000000000000000000000000000",
                                          "999999999999999999999999999999999999999",
                                          "1000000000000000000000000000000000000000",
                                          "-1000000000000000000000000000000000000000",
                                          "10000000000000000000000000000000000000000000000000000000000000000000000"};
        struct fg_tlog_record r;
        char big[FG_TLOG_BIG_MAX], text[256];
        for (size_t i = 0; i < COUNT_OF(good); i++) {
                fg_tlog_record_begin(&r, "t");
                fg_tlog_record_add_big(&r, "n", good[i]);
                assert_int_equal(fg_tlog_record_end(&r, NULL), 0);
                assert_int_equal(parse(r.text, r.size), 0);
                assert_int_equal(fg_tlog_record_get_big(&r, "n", big), 0);
                assert_string_equal(big, good[i]);
        }
        for (size_t i = 0; i < COUNT_OF(bad); i++) {
                fg_tlog_record_begin(&r, "t");
                fg_tlog_record_add_big(&r, "n", bad[i]);
                assert_int_equal(fg_tlog_record_end(&r, NULL), -EINVAL);
                snprintf(text, sizeof(text), "{\"type\":\"t\",\"n\":\"%s\"}", bad[i]);
                if (fg_tlog_record_parse(text, strlen(text), &r, NULL) == 0)
                        assert_int_equal(fg_tlog_record_get_big(&r, "n", big), -EBADMSG);
        }
}

static void strings(void **state)
{
        static const struct {
                const char *value, *json;
        } row[] = {
                {"", "\"\""},
                {"a", "\"a\""},
                {"\"", "\"\\\"\""},
                {"\\", "\"\\\\\""},
                {"\\n", "\"\\\\n\""},
                {"a\"b\\c", "\"a\\\"b\\\\c\""},
                {"/<>&'", "\"/<>&'\""},
                {"{\"type\":\"t\"}", "\"{\\\"type\\\":\\\"t\\\"}\""},
                {"Gr\xc3\xbc\xc3\x9f"
                 "e \xe2\x82\xac \xf0\x9f\x98\x80",
                 "\"Gr\xc3\xbc\xc3\x9f"
                 "e \xe2\x82\xac \xf0\x9f\x98\x80\""},
                {"\xc2\xa0\xe2\x80\xa7\xe2\x80\xaf\xe2\x81\xa5\xe2\x81\xaa\xef\xbf\xbd\xf4\x8f\xbf\xbf",
                 "\"\xc2\xa0\xe2\x80\xa7\xe2\x80\xaf\xe2\x81\xa5\xe2\x81\xaa\xef\xbf\xbd\xf4\x8f\xbf\xbf\""},
        };
        for (size_t i = 0; i < COUNT_OF(row); i++) {
                struct fg_tlog_record r;
                char text[256], back[256];
                fg_tlog_record_begin(&r, "t");
                fg_tlog_record_add_string(&r, "s", row[i].value);
                assert_int_equal(fg_tlog_record_end(&r, NULL), 0);
                snprintf(text, sizeof(text), "{\"type\":\"t\",\"s\":%s}", row[i].json);
                assert_string_equal(r.text, text);
                assert_int_equal(parse(text, strlen(text)), 0);
                assert_int_equal(fg_tlog_record_get_string(&r, "s", back, sizeof(back)), 0);
                assert_string_equal(back, row[i].value);
        }
}

/* Neither written nor read. */
static void refused_strings(void **state)
{
        static const char *const row[] = {
                "\n",           "a\nb",         "\r",           "\t",           "\x01",         "\x1f",
                "\x7f",         "\xc2\x80",     "\xc2\x85",     "\xc2\x9f", /* controls */
                "\xe2\x80\xa8", "\xe2\x80\xa9",                             /* line, paragraph */
                "\xe2\x80\xaa", "\xe2\x80\xae", "\xe2\x81\xa6", "\xe2\x81\xa9", "\xd8\x9c",     "\xe2\x80\x8e",
                "\xe2\x80\x8f", /* changes of direction */
                "\x80",         "\xc0\x80",     "\xc1\xbf",     "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                "\xff",         "a\xc3",        "\xe2\x82",     "\xc3(",
        };
        for (size_t i = 0; i < COUNT_OF(row); i++) {
                struct fg_tlog_record r;
                struct fg_error err = {0};
                char text[64];
                fg_tlog_record_begin(&r, "t");
                fg_tlog_record_add_string(&r, "s", row[i]);
                fg_tlog_record_add_int(&r, "n", 1);
                assert_int_equal(fg_tlog_record_end(&r, &err), -EILSEQ);
                assert_non_null(strstr(err.text, "\"s\""));
                assert_int_equal(r.size, 0);
                assert_string_equal(r.text, "");
                snprintf(text, sizeof(text), "{\"type\":\"t\",\"s\":\"%s\"}", row[i]);
                if (parse(text, strlen(text)) != -EBADMSG)
                        fail_msg("row %zu", i);
        }
}

static void refused_keys(void **state)
{
        static const char *const row[] = {"",    "A",   "seQ",      "1",    "_",
                                          "_a",  "a b", "a-b",      "a.b",  "a\"",
                                          "a\\", "a\n", "\xc3\xa9", "type", "abcdefghijklmnopqrstuvwxyz0123456"};
        struct fg_tlog_record r;
        char text[128];
        for (size_t i = 0; i < COUNT_OF(row); i++) {
                fg_tlog_record_begin(&r, "t");
                fg_tlog_record_add_int(&r, row[i], 1);
                assert_int_equal(fg_tlog_record_end(&r, NULL), -EINVAL);
                snprintf(text, sizeof(text), "{\"type\":\"t\",\"%s\":1}", row[i]);
                assert_int_equal(parse(text, strlen(text)), -EBADMSG);
                if (strcmp(row[i], "type") == 0)
                        continue;
                fg_tlog_record_begin(&r, row[i]);
                assert_int_equal(fg_tlog_record_end(&r, NULL), -EINVAL);
                snprintf(text, sizeof(text), "{\"type\":\"%s\"}", row[i]);
                assert_int_equal(parse(text, strlen(text)), -EBADMSG);
        }
        fg_tlog_record_begin(&r, "abcdefghijklmnopqrstuvwxyz_01234");
        fg_tlog_record_add_int(&r, "abcdefghijklmnopqrstuvwxyz_01234", 1);
        assert_int_equal(fg_tlog_record_end(&r, NULL), 0);
}

static void misused_writers(void **state)
{
        struct fg_tlog_record r = {0};
        struct fg_error err = {0};
        assert_int_equal(fg_tlog_record_end(&r, &err), -EINVAL);
        r = (struct fg_tlog_record){0};
        fg_tlog_record_add_int(&r, "n", 1);
        assert_int_equal(fg_tlog_record_end(&r, NULL), -EINVAL);
        make_example(&r);
        fg_tlog_record_add_int(&r, "seq", 18);
        fg_tlog_record_add_string(&r, "account", "\n"); /* only the first is told */
        assert_int_equal(fg_tlog_record_end(&r, &err), -EINVAL);
        assert_string_equal(err.text, "record field \"seq\": is there twice");
        make_example(&r);
        assert_int_equal(fg_tlog_record_end(&r, NULL), 0);
        assert_int_equal(fg_tlog_record_end(&r, NULL), -EINVAL);
        assert_int_equal(r.size, 0);
        make_example(&r);
        assert_int_equal(fg_tlog_record_end(&r, NULL), 0);
        fg_tlog_record_add_int(&r, "late", 1);
        assert_int_equal(r.error.code, -EINVAL);
        assert_string_equal(r.text, example);
        make_example(&r);
        assert_int_equal(fg_tlog_record_end(&r, NULL), 0);
        assert_string_equal(r.text, example);
}

static void full_records(void **state)
{
        static char value[2 * FG_TLOG_RECORD_MAX];
        struct fg_tlog_record r;
        size_t frame = strlen("{\"type\":\"t\",\"s\":\"\"}");
        for (size_t size = FG_TLOG_RECORD_MAX - frame - 3; size < FG_TLOG_RECORD_MAX - frame + 20; size++) {
                memset(value, 'x', size);
                value[size] = '\0';
                fg_tlog_record_begin(&r, "t");
                fg_tlog_record_add_string(&r, "s", value);
                int result = fg_tlog_record_end(&r, NULL);
                assert_int_equal(result, size <= FG_TLOG_RECORD_MAX - frame ? 0 : -EMSGSIZE);
                if (result == 0)
                        assert_int_equal(parse(r.text, r.size), 0);
        }
        memset(value, '"', sizeof(value) - 1);
        fg_tlog_record_begin(&r, "t");
        fg_tlog_record_add_string(&r, "s", value);
        assert_int_equal(fg_tlog_record_end(&r, NULL), -EMSGSIZE);
        memset(value, ' ', sizeof(value));
        memcpy(value, "{\"type\":\"t\"}", 12);
        assert_int_equal(parse(value, sizeof(value)), -EBADMSG);
        memset(value, 'x', sizeof(value));
        memcpy(value, "{\"type\":\"t\",\"s\":\"", 17);
        memcpy(value + FG_TLOG_RECORD_MAX - 1, "\"}", 2);
        assert_int_equal(parse(value, FG_TLOG_RECORD_MAX + 1), -EBADMSG);
        memcpy(value + FG_TLOG_RECORD_MAX - 2, "\"}", 2);
        assert_int_equal(parse(value, FG_TLOG_RECORD_MAX), 0);
}

static void many_fields(void **state)
{
        struct fg_tlog_record r;
        char key[8], text[FG_TLOG_RECORD_MAX];
        size_t size = (size_t)snprintf(text, sizeof(text), "{\"type\":\"t\"");
        for (unsigned n = 1; n <= FG_TLOG_FIELDS_MAX + 1; n++) {
                fg_tlog_record_begin(&r, "t");
                for (unsigned i = 1; i < n; i++) {
                        snprintf(key, sizeof(key), "k%u", i);
                        fg_tlog_record_add_int(&r, key, i);
                }
                assert_int_equal(fg_tlog_record_end(&r, NULL), n <= FG_TLOG_FIELDS_MAX ? 0 : -EMSGSIZE);
                strcpy(text + size, "}");
                assert_int_equal(parse(text, size + 1), n <= FG_TLOG_FIELDS_MAX ? 0 : -EBADMSG);
                assert_string_equal(r.text, n <= FG_TLOG_FIELDS_MAX ? text : "");
                size += (size_t)snprintf(text + size, sizeof(text) - size, ",\"k%u\":%u", n, n);
        }
}

static void refused_texts(void **state)
{
        static const char *const row[] = {
                "",
                "{",
                "}",
                "{}",
                "[]",
                "null",
                "\"type\"",
                "{\"type\"}",
                "{\"type\":}",
                "{\"type\":\"t\"",
                "{\"type\":\"t}",
                "{\"type\":\"t\",}",
                "{,\"type\":\"t\"}",
                "{\"type\":\"t\",,\"n\":1}",
                "{\"type\":\"t\"}}",
                "{\"type\":\"t\"}\n",
                "{\"type\":\"t\"} ",
                " {\"type\":\"t\"}",
                "{\"type\":\"t\"}{\"type\":\"t\"}",
                "{\"type\":\"t\"\"n\":1}",
                "{\"type\"=\"t\"}",
                /* white space */
                "{ \"type\":\"t\"}",
                "{\"type\" :\"t\"}",
                "{\"type\": \"t\"}",
                "{\"type\":\"t\" }",
                "{\"type\":\"t\",\n\"n\":1}",
                "{\"type\":\"t\",\"n\":1 }",
                /* the type: first, once, a word */
                "{\"type\":1}",
                "{\"n\":1}",
                "{\"n\":1,\"type\":\"t\"}",
                "{\"type\":\"t\",\"type\":\"t\"}",
                "{\"type\":\"\"}",
                "{\"type\":\"T\"}",
                "{type:\"t\"}",
                "{'type':'t'}",
                "{\"typ\\u0065\":\"t\"}",
                /* other keys: once, in our letters */
                "{\"type\":\"t\",\"n\":1,\"n\":1}",
                "{\"type\":\"t\",\"n\":1,\"m\":2,\"n\":3}",
                "{\"type\":\"t\",\"\":1}",
                "{\"type\":\"t\",n:1}",
                "{\"type\":\"t\",\"\\u006e\":1}",
                "{\"type\":\"t\",1:1}",
                /* integers in another form, or beyond */
                "{\"type\":\"t\",\"n\":-0}",
                "{\"type\":\"t\",\"n\":00}",
                "{\"type\":\"t\",\"n\":01}",
                "{\"type\":\"t\",\"n\":-01}",
                "{\"type\":\"t\",\"n\":+1}",
                "{\"type\":\"t\",\"n\":--1}",
                "{\"type\":\"t\",\"n\":-}",
                "{\"type\":\"t\",\"n\":1.0}",
                "{\"type\":\"t\",\"n\":1e3}",
                "{\"type\":\"t\",\"n\":0x1}",
                "{\"type\":\"t\",\"n\":1-}",
                "{\"type\":\"t\",\"n\":}",
                "{\"type\":\"t\",\"n\":9223372036854775808}",
                "{\"type\":\"t\",\"n\":-9223372036854775809}",
                "{\"type\":\"t\",\"n\":18446744073709551617}",
                "{\"type\":\"t\",\"n\":99999999999999999999999999999999}",
                /* values of other kinds */
                "{\"type\":\"t\",\"n\":true}",
                "{\"type\":\"t\",\"n\":null}",
                "{\"type\":\"t\",\"n\":[]}",
                "{\"type\":\"t\",\"n\":{}}",
                "{\"type\":\"t\",\"n\":NaN}",
                "{\"type\":\"t\",\"n\":'1'}",
                /* escapes that need not be, or are none */
                "{\"type\":\"t\",\"s\":\"\\/\"}",
                "{\"type\":\"t\",\"s\":\"\\n\"}",
                "{\"type\":\"t\",\"s\":\"\\u0041\"}",
                "{\"type\":\"t\",\"s\":\"\\u0000\"}",
                "{\"type\":\"t\",\"s\":\"\\u000a\"}",
                "{\"type\":\"t\",\"s\":\"\\x41\"}",
                "{\"type\":\"t\",\"s\":\"\\\"}",
                "{\"type\":\"t\",\"s\":\"\\",
                "{\"type\":\"t\",\"s\":\"\\a\"}",
                "{\"type\":\"t\",\"s\":\"\"\"}",
                "{\"type\":\"t\",\"s\":\"",
                "{\"type\":\"t\",\"s\":\"a",
        };
        for (size_t i = 0; i < COUNT_OF(row); i++)
                if (parse(row[i], strlen(row[i])) != -EBADMSG)
                        fail_msg("row %zu: %s", i, row[i]);
        assert_int_equal(parse("{\"type\":\"t\0\"}", 13), -EBADMSG);
        assert_int_equal(parse("{\"type\":\"t\",\"s\":\"a\0b\"}", 22), -EBADMSG);
        assert_int_equal(parse("{\"type\":\"t\"}\0", 13), -EBADMSG);
}

/* Whatever is one byte from a record is none, or is another record: never the same fields in other bytes. */
static void every_near_text(void **state)
{
        char text[sizeof(example)];
        struct fg_tlog_record r, original, again;
        assert_int_equal(fg_tlog_record_parse(example, strlen(example), &original, NULL), 0);
        unsigned taken = 0;
        for (size_t i = 0; i < strlen(example); i++)
                for (int c = 0; c < 256; c++) {
                        strcpy(text, example);
                        text[i] = (char)c;
                        if (fg_tlog_record_parse(text, strlen(example), &r, NULL) < 0 || text[i] == example[i])
                                continue;
                        taken++;
                        char value[3][2][64];
                        static const char *const key[] = {"type", "account", "amount"};
                        int64_t seq[2] = {0};
                        bool differs = false;
                        for (int k = 0; k < 3; k++)
                                for (int which = 0; which < 2; which++)
                                        if (fg_tlog_record_get_string(which ? &r : &original, key[k], value[k][which],
                                                                      64) < 0)
                                                strcpy(value[k][which], "none");
                        for (int k = 0; k < 3; k++)
                                differs |= strcmp(value[k][0], value[k][1]) != 0;
                        fg_tlog_record_get_int(&original, "seq", &seq[0]);
                        fg_tlog_record_get_int(&r, "seq", &seq[1]);
                        assert_true(differs || seq[0] != seq[1]);
                        assert_int_equal(fg_tlog_record_parse(r.text, r.size, &again, NULL), 0);
                        assert_string_equal(again.text, text);
                }
        assert_true(taken > 100);
}

static void errors_say_where(void **state)
{
        struct fg_error err = {0};
        struct fg_tlog_record r;
        fg_tlog_record_parse("{\"type\":\"t\",\"n\":1.5}", 20, &r, &err);
        assert_string_equal(err.text, "record is not one at byte 17");
        fg_tlog_record_parse("{\"type\":\"t\",\"n\":007}", 20, &r, &err);
        assert_string_equal(err.text, "record is not in canonical form, which is {\"type\":\"t\",\"n\":7}");
        fg_tlog_record_parse("{\"n\":1}", 7, &r, &err);
        assert_string_equal(err.text, "record does not begin with its type");
        fg_tlog_record_parse("{\"type\":\"t\",\"N\":1}", 18, &r, &err);
        assert_string_equal(err.text, "record field \"N\": not a key: a-z, 0-9 and '_', a letter first, at most 32");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(writes_and_reads), cmocka_unit_test(wrong_questions),
                cmocka_unit_test(schemas),          cmocka_unit_test(integers),
                cmocka_unit_test(big_integers),     cmocka_unit_test(strings),
                cmocka_unit_test(refused_strings),  cmocka_unit_test(refused_keys),
                cmocka_unit_test(misused_writers),  cmocka_unit_test(full_records),
                cmocka_unit_test(many_fields),      cmocka_unit_test(refused_texts),
                cmocka_unit_test(every_near_text),  cmocka_unit_test(errors_say_where),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
