/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "sched/money.h"

#include <errno.h>

#define UNTOUCHED 0x5555
#define HOUR      ((fg_int128)FG_PPMUS_PER_HOUR)

static fg_int128 number(const char *text)
{
        fg_int128 value = 0;
        assert_int_equal(fg_int128_parse(text, &value, NULL), 0);
        return value;
}

static void prices(void **state)
{
        static const struct {
                const char *text;
                int result;
                int64_t nano;
        } row[] = {
                {"2", 0, 2000000000},
                {"2.00", 0, 2000000000},
                {"0", 0, 0},
                {"0.000000000", 0, 0},
                {"0.123456789", 0, 123456789},
                {"0.000000001", 0, 1},
                {"1.5", 0, 1500000000},
                {"00000000000000000000000000000001.5", 0, 1500000000},
                {"999999.999999999", 0, FG_PRICE_MAX - 1},
                {"1000000", 0, FG_PRICE_MAX},
                {"1000000.000000000", 0, FG_PRICE_MAX},
                {"1000000.000000001", -ERANGE, 0},
                {"1000001", -ERANGE, 0},
                {"18446744073709551617", -ERANGE, 0},
                {"99999999999999999999999999999999999999999999", -ERANGE, 0},
                {"0.1234567890", -EINVAL, 0}, /* the tenth decimal, whatever it is */
                {"0.1234567891", -EINVAL, 0},
                {"", -EINVAL, 0},
                {".", -EINVAL, 0},
                {".5", -EINVAL, 0},
                {"2.", -EINVAL, 0},
                {"2.0.0", -EINVAL, 0},
                {"-1", -EINVAL, 0},
                {"-0", -EINVAL, 0},
                {"+1", -EINVAL, 0},
                {"1e3", -EINVAL, 0},
                {"1,5", -EINVAL, 0},
                {"0x10", -EINVAL, 0},
                {" 1", -EINVAL, 0},
                {"1 ", -EINVAL, 0},
                {"nan", -EINVAL, 0},
                {"2 EUR", -EINVAL, 0},
        };
        for (size_t i = 0; i < COUNT_OF(row); i++) {
                struct fg_error err = {0};
                int64_t nano = UNTOUCHED;
                assert_int_equal(fg_price_parse(row[i].text, &nano, &err), row[i].result);
                assert_int_equal(nano, row[i].result ? UNTOUCHED : row[i].nano);
                assert_int_equal(err.code, row[i].result);
                assert_true(row[i].result == 0 || strstr(err.text, row[i].text));
        }
}

static void currencies(void **state)
{
        static const char *const bad[] = {"", "EU", "EURO", "eur", "Eur", "E R", "€UR", "E1R", "EUR "};
        static const struct {
                const char *code;
                unsigned decimals;
        } row[] = {{"EUR", 2}, {"USD", 2}, {"CHF", 2}, {"HUF", 2}, {"IDR", 2}, {"MGA", 2},
                   {"JPY", 0}, {"KRW", 0}, {"VND", 0}, {"ISK", 0}, {"CLP", 0}, {"XOF", 0},
                   {"KWD", 3}, {"BHD", 3}, {"TND", 3}, {"OMR", 3}, {"CLF", 4}, {"UYW", 4}};
        for (size_t i = 0; i < COUNT_OF(bad); i++) {
                struct fg_error err = {0};
                char code[FG_CURRENCY_MAX] = "???";
                assert_int_equal(fg_currency_parse(bad[i], code, &err), -EINVAL);
                assert_string_equal(code, "???");
                assert_int_equal(err.code, -EINVAL);
        }
        for (size_t i = 0; i < COUNT_OF(row); i++) {
                char code[FG_CURRENCY_MAX];
                assert_int_equal(fg_currency_parse(row[i].code, code, NULL), 0);
                assert_string_equal(code, row[i].code);
                assert_int_equal(fg_currency_decimals(code), row[i].decimals);
        }
}

static void costs_are_exact_or_refused(void **state)
{
        fg_int128 cost = 0, most = FG_INT128_MAX;
        assert_int_equal(fg_cost_of(HOUR, 2000000000, &cost), 0);
        assert_true(cost == HOUR * 2000000000);
        assert_int_equal(fg_cost_of(1, 1, &cost), 0);
        assert_true(cost == 1);
        assert_int_equal(fg_cost_of(-7, 3, &cost), 0);
        assert_true(cost == -21);
        assert_int_equal(fg_cost_of(7, -3, &cost), 0);
        assert_true(cost == -21);
        assert_int_equal(fg_cost_of(most, 0, &cost), 0);
        assert_true(cost == 0);
        assert_int_equal(fg_cost_of(most, 1, &cost), 0);
        assert_true(cost == most);
        assert_int_equal(fg_cost_of(-most, 1, &cost), 0);
        assert_true(cost == -most);
        /* The last that fits, and the first that does not. */
        assert_int_equal(fg_cost_of(most / 1000, 1000, &cost), 0);
        assert_true(cost == most / 1000 * 1000);
        cost = UNTOUCHED;
        assert_int_equal(fg_cost_of(most / 1000 + 1, 1000, &cost), -EOVERFLOW);
        assert_int_equal(fg_cost_of(-(most / 1000) - 1, 1000, &cost), -EOVERFLOW);
        assert_int_equal(fg_cost_of(-most - 1, INT64_MIN, &cost), -EOVERFLOW);
        assert_true(cost == UNTOUCHED);
        /* A GPU of the dearest kind for five thousand years still fits. */
        assert_int_equal(fg_cost_of(HOUR * 24 * 365 * 5000, FG_PRICE_MAX, &cost), 0);
}

/* Half a coin, a unit less and a unit more, on both sides of 0. */
static void rounding_is_half_to_even(void **state)
{
        for (unsigned decimals = 0; decimals <= 9; decimals++) {
                int64_t coin = 1;
                for (unsigned i = decimals; i < 9; i++)
                        coin *= 10;
                for (int64_t coins = 0; coins < 4; coins++) {
                        fg_int128 half = HOUR * coin / 2, at = HOUR * coin * coins;
                        int64_t even = (coins + coins % 2) * coin;
                        for (int sign = -1; sign <= 1; sign += 2) {
                                assert_int_equal(fg_money_round(sign * at, decimals), sign * coins * coin);
                                assert_int_equal(fg_money_round(sign * (at + 1), decimals), sign * coins * coin);
                                assert_int_equal(fg_money_round(sign * (at + half - 1), decimals), sign * coins * coin);
                                assert_int_equal(fg_money_round(sign * (at + half), decimals), sign * even);
                                assert_int_equal(fg_money_round(sign * (at + half + 1), decimals),
                                                 sign * (coins + 1) * coin);
                        }
                }
        }
}

static void rounding_has_a_limit_that_shows(void **state)
{
        fg_int128 most = HOUR * FG_MONEY_MAX;
        for (unsigned decimals = 0; decimals <= 9; decimals++) {
                assert_true(fg_money_round(most, decimals) == FG_MONEY_MAX);
                assert_true(fg_money_round(-most, decimals) == -FG_MONEY_MAX);
                assert_true(fg_money_round(FG_INT128_MAX, decimals) == FG_MONEY_MAX);
                assert_true(fg_money_round(-FG_INT128_MAX - 1, decimals) == -FG_MONEY_MAX);
        }
        assert_true(fg_money_round(most - HOUR, 9) == FG_MONEY_MAX - 1);
}

static void money_as_text(void **state)
{
        static const struct {
                int64_t nano;
                unsigned decimals;
                const char *text;
        } row[] = {
                {0, 0, "0"},
                {0, 2, "0.00"},
                {0, 9, "0.000000000"},
                {12345600000, 2, "12.3456"},
                {-12345600000, 2, "-12.3456"},
                {12000000000, 0, "12"},
                {12000000000, 3, "12.000"},
                {12500000000, 0, "12.5"},
                {10000000, 2, "0.01"},
                {-1, 2, "-0.000000001"},
                {16666667, 2, "0.016666667"},
                {FG_MONEY_MAX, 2, "9000000000.00"},
                {INT64_MAX, 2, "9223372036.854775807"},
                {INT64_MIN, 2, "-9223372036.854775808"},
                {5000000000, 40, "5.000000000"}, /* there are no more */
        };
        char buf[FG_NUMBER_MAX], small[4];
        for (size_t i = 0; i < COUNT_OF(row); i++)
                assert_string_equal(fg_money_format(row[i].nano, row[i].decimals, buf, sizeof(buf)), row[i].text);
        assert_string_equal(fg_money_format(12345600000, 2, small, sizeof(small)), "12.");
}

static void quantities_as_text(void **state)
{
        static const struct {
                const char *ppmus, *hours, *seconds;
        } row[] = {
                {"0", "0", "0"},
                {"1", "0", "0.000000000001"},
                {"-1", "0", "-0.000000000001"},
                {"3600000000000000", "1", "3600"},
                {"-3600000000000000", "-1", "-3600"},
                {"30000000000000", "0.008333333333333", "30"},
                {"60000000000000", "0.016666666666667", "60"},
                {"5400000000000000", "1.5", "5400"},
                {"2", "0.000000000000001", "0.000000000002"},   /* 0.56e-15 */
                {"9", "0.000000000000002", "0.000000000009"},   /* 2.5e-15 */
                {"27", "0.000000000000008", "0.000000000027"},  /* 7.5e-15 */
                {"3599999999999999", "1", "3599.999999999999"}, /* rounded up into the next */
                {"170141183460469231731687303715884105727", "47261439850130342147690.917698856696035",
                 "170141183460469231731687303.715884105727"},
                {"-170141183460469231731687303715884105728", "-47261439850130342147690.917698856696036",
                 "-170141183460469231731687303.715884105728"},
        };
        char buf[FG_NUMBER_MAX];
        for (size_t i = 0; i < COUNT_OF(row); i++) {
                assert_string_equal(fg_hours_format(number(row[i].ppmus), buf, sizeof(buf)), row[i].hours);
                assert_string_equal(fg_seconds_format(number(row[i].ppmus), buf, sizeof(buf)), row[i].seconds);
        }
}

static void whole_numbers(void **state)
{
        static const char *const good[] = {"0",
                                           "7",
                                           "-7",
                                           "18446744073709551616",
                                           "170141183460469231731687303715884105727",
                                           "-170141183460469231731687303715884105728"};
        static const char *const bad[] = {"", "-", "--1", "+1", " 1", "1 ", "1.0", "0x1", "1e3", "a"};
        static const char *const large[] = {"170141183460469231731687303715884105728",
                                            "-170141183460469231731687303715884105729",
                                            "340282366920938463463374607431768211457", /* would wrap to 1 */
                                            "99999999999999999999999999999999999999999999999999999999999999999999"};
        char buf[FG_NUMBER_MAX];
        fg_int128 value = UNTOUCHED;
        for (size_t i = 0; i < COUNT_OF(good); i++)
                assert_string_equal(fg_int128_format(number(good[i]), buf, sizeof(buf)), good[i]);
        assert_true(number("-0") == 0);
        assert_true(number("000000000000000000000000000000000000000000000042") == 42);
        assert_true(number("-170141183460469231731687303715884105728") == -FG_INT128_MAX - 1);
        for (size_t i = 0; i < COUNT_OF(bad); i++)
                assert_int_equal(fg_int128_parse(bad[i], &value, NULL), -EINVAL);
        for (size_t i = 0; i < COUNT_OF(large); i++)
                assert_int_equal(fg_int128_parse(large[i], &value, NULL), -ERANGE);
        assert_true(value == UNTOUCHED);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(prices),
                cmocka_unit_test(currencies),
                cmocka_unit_test(costs_are_exact_or_refused),
                cmocka_unit_test(rounding_is_half_to_even),
                cmocka_unit_test(rounding_has_a_limit_that_shows),
                cmocka_unit_test(money_as_text),
                cmocka_unit_test(quantities_as_text),
                cmocka_unit_test(whole_numbers),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
