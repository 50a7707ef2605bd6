/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "base/size.h"

#include <errno.h>
#include <locale.h>

#define KIB       1024ull
#define MIB       (1024 * KIB)
#define GIB       (1024 * MIB)
#define TIB       (1024 * GIB)
#define UNTOUCHED 0x5555u

struct size_row {
        const char *text;
        uint64_t whole;
        int result;
        uint64_t bytes;
};

static const struct size_row size_table[] = {
        {"1", 0, 0, 1},
        {"4096", 0, 0, 4096},
        {"17B", 0, 0, 17},
        {"64K", 0, 0, 64 * KIB},
        {"64KB", 0, 0, 64 * KIB},
        {"64KiB", 0, 0, 64 * KIB},
        {"64kib", 0, 0, 64 * KIB},
        {"256M", 0, 0, 256 * MIB},
        {"256m", 0, 0, 256 * MIB},
        {"256 MiB", 0, 0, 256 * MIB},
        {"1.5GiB", 0, 0, 1536 * MIB},
        {"1.5g", 0, 0, 1536 * MIB},
        {"0.5K", 0, 0, 512},
        {"0.0009765625K", 0, 0, 1},
        {"0.001K", 0, 0, 1}, /* 1.024 bytes, rounded down */
        {"1.999999999999999999999999G", 0, 0, 2 * GIB - 1},
        {"2T", 0, 0, 2 * TIB},
        {"1024T", 0, 0, 1024 * TIB},
        {"1P", 0, 0, 1024 * TIB},
        {"1125899906842624", 0, 0, 1ull << 50},
        {"000000000000000000000000000001", 0, 0, 1},
        {"25%", 1000, 0, 250},
        {"100%", 1000, 0, 1000},
        {"12.5%", 8 * GIB, 0, GIB},
        {"33.3%", 10, 0, 3},
        {"0.0001%", 4 * TIB, 0, 4398046},
        {"100.000%", 7, 0, 7},
        {"100%", 1ull << 50, 0, 1ull << 50},

        {"0", 0, -ERANGE, 0},
        {"0G", 0, -ERANGE, 0},
        {"0.0M", 0, -ERANGE, 0},
        {"0.0001K", 0, -ERANGE, 0},
        {"-1", 0, -ERANGE, 0},
        {"-256M", 0, -ERANGE, 0},
        {"-0", 0, -ERANGE, 0},
        {"-5%", 100, -ERANGE, 0},
        {"0%", 100, -ERANGE, 0},
        {"1%", 99, -ERANGE, 0}, /* less than a byte */
        {"101%", 100, -ERANGE, 0},
        {"100.0000001%", 100, -ERANGE, 0},
        {"100%", UINT64_MAX, -ERANGE, 0},
        {"1125899906842625", 0, -ERANGE, 0},
        {"1024.1T", 0, -ERANGE, 0},
        {"1025T", 0, -ERANGE, 0},
        {"1.1P", 0, -ERANGE, 0},
        {"18446744073709551615", 0, -ERANGE, 0},
        {"18446744073709551617", 0, -ERANGE, 0}, /* 1 if it wrapped */
        {"18446744073709551617T", 0, -ERANGE, 0},
        {"16777217T", 0, -ERANGE, 0}, /* 1T if the product wrapped */
        {"340282366920938463463374607431768211457", 0, -ERANGE, 0},
        {"99999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999G", 0, -ERANGE,
         0},

        {"", 0, -EINVAL, 0},
        {" ", 0, -EINVAL, 0},
        {"M", 0, -EINVAL, 0},
        {"1e30", 0, -EINVAL, 0},
        {"1e3", 0, -EINVAL, 0},
        {"0x10", 0, -EINVAL, 0},
        {"nan", 0, -EINVAL, 0},
        {"NaN", 0, -EINVAL, 0},
        {"inf", 0, -EINVAL, 0},
        {"-inf", 0, -EINVAL, 0},
        {"infinity", 0, -EINVAL, 0},
        {"-", 0, -EINVAL, 0},
        {"--1", 0, -EINVAL, 0},
        {"+1", 0, -EINVAL, 0},
        {" 1", 0, -EINVAL, 0},
        {"1 ", 0, -EINVAL, 0},
        {"1\n", 0, -EINVAL, 0},
        {"1  M", 0, -EINVAL, 0},
        {".5G", 0, -EINVAL, 0},
        {"5.G", 0, -EINVAL, 0},
        {"1.5", 0, -EINVAL, 0}, /* of a byte? */
        {"1.5B", 0, -EINVAL, 0},
        {"1,5G", 0, -EINVAL, 0},
        {"1.5.5G", 0, -EINVAL, 0},
        {"1X", 0, -EINVAL, 0},
        {"1Mi", 0, -EINVAL, 0},
        {"1MiBs", 0, -EINVAL, 0},
        {"1iB", 0, -EINVAL, 0},
        {"1BB", 0, -EINVAL, 0},
        {"256MM", 0, -EINVAL, 0},
        {"25%", 0, -EINVAL, 0}, /* of what? */
        {"25%%", 100, -EINVAL, 0},
        {"25 %", 100, -EINVAL, 0},
        {"%", 100, -EINVAL, 0},
        {"\xff\xfe", 0, -EINVAL, 0},
        {"1\xc2\xa0M", 0, -EINVAL, 0},
};

static void check_size_row(const struct size_row *row)
{
        struct fg_error err = {.code = 77};
        uint64_t bytes = UNTOUCHED;
        int r = fg_size_parse(row->text, row->whole, &bytes, &err);
        if (r != row->result || bytes != (r ? UNTOUCHED : row->bytes))
                fail_msg("size \"%s\" of %llu: %d, %llu bytes", row->text, (unsigned long long)row->whole, r,
                         (unsigned long long)bytes);
        assert_int_equal(err.code, r ? r : 77);
        if (r)
                assert_true(err.text[0] != '\0');
}

static void sizes(void **state)
{
        for (size_t i = 0; i < COUNT_OF(size_table); i++)
                check_size_row(&size_table[i]);
        assert_int_equal(fg_size_parse("junk", 0, &(uint64_t){0}, NULL), -EINVAL);
}

/* A decimal comma in the person's language must not change what 1.5G means. */
static void sizes_in_a_locale_with_decimal_comma(void **state)
{
        static const char *const name[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "fr_FR.utf8", "pl_PL.UTF-8"};
        bool found = false;
        for (size_t i = 0; i < COUNT_OF(name) && !found; i++)
                found = setlocale(LC_ALL, name[i]) != NULL;
        char buf[32];
        sizes(state);
        assert_string_equal(fg_size_format(1536 * MIB, buf, sizeof(buf)), "1.5 GiB");
        setlocale(LC_ALL, "C");
        if (!found)
                skip();
}

static void errors_name_what_was_typed(void **state)
{
        struct fg_error err = {0};
        uint64_t bytes;
        fg_size_parse("12 parsecs", 0, &bytes, &err);
        assert_non_null(strstr(err.text, "\"12 parsecs\""));
        assert_non_null(strstr(err.text, "256M"));
        fg_size_parse("-3G", 0, &bytes, &err);
        assert_non_null(strstr(err.text, "\"-3G\" is negative"));
        assert_non_null(strstr((fg_size_parse("1.5", 0, &bytes, &err), err.text), "add a unit"));
}

static void shares(void **state)
{
        static const struct {
                const char *text;
                int result;
                uint32_t permille;
        } row[] = {
                {"70", 0, 700},
                {"70%", 0, 700},
                {"12.5", 0, 125},
                {"12.50%", 0, 125},
                {"0.1", 0, 1},
                {"100", 0, 1000},
                {"100.0%", 0, 1000},
                {"99.9", 0, 999},
                {"007", 0, 70},
                {"0", -ERANGE, 0},
                {"0.0", -ERANGE, 0},
                {"-1", -ERANGE, 0},
                {"-70%", -ERANGE, 0},
                {"100.1", -ERANGE, 0},
                {"101", -ERANGE, 0},
                {"4294967366", -ERANGE, 0},
                {"18446744073709551686", -ERANGE, 0},
                {"0.05", -EINVAL, 0},
                {"12.55", -EINVAL, 0},
                {"0.00000000000000000001", -ERANGE, 0},
                {"", -EINVAL, 0},
                {"%", -EINVAL, 0},
                {"seventy", -EINVAL, 0},
                {"nan", -EINVAL, 0},
                {"1e1", -EINVAL, 0},
                {"70 %", -EINVAL, 0},
                {"70%%", -EINVAL, 0},
                {"+70", -EINVAL, 0},
                {"7O", -EINVAL, 0},
                {"70.", -EINVAL, 0},
                {".7", -EINVAL, 0},
        };
        for (size_t i = 0; i < COUNT_OF(row); i++) {
                struct fg_error err = {0};
                uint32_t permille = UNTOUCHED;
                int r = fg_share_parse(row[i].text, &permille, &err);
                if (r != row[i].result || permille != (r ? UNTOUCHED : row[i].permille))
                        fail_msg("share \"%s\": %d, %u", row[i].text, r, permille);
                assert_int_equal(err.code, r);
        }
}

static void counts(void **state)
{
        static const struct {
                const char *text;
                uint64_t min, max;
                int result;
                uint64_t value;
        } row[] = {
                {"0", 0, 0, 0, 0},
                {"5", 1, 9, 0, 5},
                {"-0", 0, 9, 0, 0},
                {"0009", 1, 9, 0, 9},
                {"18446744073709551615", 0, UINT64_MAX, 0, UINT64_MAX},
                {"18446744073709551616", 0, UINT64_MAX, -ERANGE, 0},
                {"36893488147419103237", 0, UINT64_MAX, -ERANGE, 0}, /* 2^65 + 5 */
                {"36893488147419103240", 0, UINT64_MAX, -ERANGE, 0}, /* 8 if only the product wrapped */
                {"0", 1, 9, -ERANGE, 0},
                {"10", 1, 9, -ERANGE, 0},
                {"-1", 0, UINT64_MAX, -ERANGE, 0},
                {"", 0, 9, -EINVAL, 0},
                {"-", 0, 9, -EINVAL, 0},
                {"1.0", 0, 9, -EINVAL, 0},
                {"1 ", 0, 9, -EINVAL, 0},
                {" 1", 0, 9, -EINVAL, 0},
                {"0x1", 0, 9, -EINVAL, 0},
                {"two", 0, 9, -EINVAL, 0},
        };
        for (size_t i = 0; i < COUNT_OF(row); i++) {
                struct fg_error err = {0};
                uint64_t value = UNTOUCHED;
                int r = fg_count_parse("--gpus", row[i].text, row[i].min, row[i].max, &value, &err);
                if (r != row[i].result || value != (r ? UNTOUCHED : row[i].value))
                        fail_msg("count \"%s\": %d, %llu", row[i].text, r, (unsigned long long)value);
                if (r)
                        assert_non_null(strstr(err.text, "--gpus"));
        }
}

static void formats(void **state)
{
        static const struct {
                uint64_t bytes;
                const char *text;
        } row[] = {
                {0, "0 B"},
                {17, "17 B"},
                {1023, "1023 B"},
                {1024, "1 KiB"},
                {1025, "1 KiB"},
                {1536, "1.5 KiB"},
                {256 * MIB, "256 MiB"},
                {1536 * MIB, "1.5 GiB"},
                {GIB + GIB / 4, "1.25 GiB"},
                {12 * MIB + 345 * KIB, "12.3 MiB"},
                {123 * MIB + 900 * KIB, "124 MiB"},
                {1023 * MIB + 900 * KIB, "1 GiB"},
                {10 * KIB - 1, "10 KiB"},
                {1000 * MIB, "1000 MiB"},
                {1ull << 50, "1 PiB"},
                {UINT64_MAX, "16 EiB"},
        };
        for (size_t i = 0; i < COUNT_OF(row); i++) {
                char buf[32];
                assert_ptr_equal(fg_size_format(row[i].bytes, buf, sizeof(buf)), buf);
                assert_string_equal(buf, row[i].text);
        }
        char small[4];
        assert_string_equal(fg_size_format(256 * MIB, small, sizeof(small)), "256");
}

/* What may be had is never said to be more, and can be typed. */
static void floors(void **state)
{
        static const struct {
                uint64_t bytes;
                const char *text;
        } row[] = {{0, "0 B"}, {1023, "1023 B"}, {2 * KIB - 1, "1.99 KiB"}, {10 * KIB - 1, "9.99 KiB"}, {16 * GIB - 1, "15.9 GiB"}, {1023 * MIB + 900 * KIB, "1023 MiB"},
                   {256 * MIB, "256 MiB"}, {UINT64_MAX, "15.9 EiB"}};
        uint64_t seed = 1, back = 0;
        char buf[32];
        for (size_t i = 0; i < COUNT_OF(row); i++)
                assert_string_equal(fg_size_floor(row[i].bytes, buf, sizeof(buf)), row[i].text);
        for (int i = 0; i < 100000; i++) {
                uint64_t bytes = (unit_random(&seed) >> (14 + unit_random(&seed) % 50)) | 1;
                assert_int_equal(fg_size_parse(fg_size_floor(bytes, buf, sizeof(buf)), 0, &back, NULL), 0);
                if (back > bytes || bytes - back > bytes / 90)
                        fail_msg("%llu is said to be %s", (unsigned long long)bytes, buf);
        }
}

/* What we print can be typed again, within the three digits that were printed. */
static void formats_parse(void **state)
{
        uint64_t seed = 1;
        for (int i = 0; i < 100000; i++) {
                uint64_t bytes = (unit_random(&seed) >> (14 + unit_random(&seed) % 50)) | 1, back = 0;
                char buf[32];
                assert_int_equal(fg_size_parse(fg_size_format(bytes, buf, sizeof(buf)), 0, &back, NULL), 0);
                uint64_t off = back > bytes ? back - bytes : bytes - back;
                if (off > bytes / 180 || (bytes < 1024 && off))
                        fail_msg("%llu prints as %s", (unsigned long long)bytes, buf);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(sizes),
                cmocka_unit_test(errors_name_what_was_typed),
                cmocka_unit_test(shares),
                cmocka_unit_test(counts),
                cmocka_unit_test(formats),
                cmocka_unit_test(floors),
                cmocka_unit_test(formats_parse),
                cmocka_unit_test(sizes_in_a_locale_with_decimal_comma),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
