/* SPDX-License-Identifier: Apache-2.0
 * Prices, currencies and 128-bit numbers as people and records write them; and what was read is priced, rounded and
 * printed. */
#include "sched/money.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#define LONGEST 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_error(const struct fg_error *err, int r)
{
        assert(r <= 0 && err->code == r);
        assert((r == 0) == (err->text[0] == '\0'));
        for (const char *c = err->text; *c; c++)
                assert((unsigned char)*c >= 0x20);
}

/* Digits with at most one point between two of them, and a '-' in front of something that is not 0. */
static void check_number(const char *text, bool may_have_point)
{
        const char *point = strchr(text, '.');
        size_t len = strlen(text), minus = text[0] == '-';
        assert(len < FG_NUMBER_MAX && strspn(text + minus, "0123456789.") == len - minus);
        assert(!point || (may_have_point && point > text + minus && point[1] && !strchr(point + 1, '.')));
        assert(text[minus] != '0' || !text[minus + 1] || text[minus + 1] == '.');
        assert(!minus || strpbrk(text, "123456789"));
}

static int64_t check_price(const char *text, unsigned decimals)
{
        struct fg_error err = {0};
        int64_t nano = -1, again = -1;
        char buf[FG_NUMBER_MAX];
        int r = fg_price_parse(text, &nano, &err);
        check_error(&err, r);
        assert(r == 0 ? nano >= 0 && nano <= FG_PRICE_MAX : nano == -1);
        if (r < 0)
                return 1;
        check_number(fg_money_format(nano, decimals, buf, sizeof(buf)), true);
        assert(fg_price_parse(buf, &again, NULL) == 0 && again == nano);
        return nano;
}

static void check_currency(const char *text)
{
        struct fg_error err = {0};
        char code[FG_CURRENCY_MAX] = "";
        int r = fg_currency_parse(text, code, &err);
        check_error(&err, r);
        assert(r == 0 ? strcmp(code, text) == 0 && strlen(code) == 3 : code[0] == '\0');
        assert(fg_currency_decimals(text) <= 4);
}

static void check_int128(const char *text, fg_int128 *ret)
{
        struct fg_error err = {0};
        fg_int128 value = 7, again = 8;
        char buf[FG_NUMBER_MAX];
        int r = fg_int128_parse(text, &value, &err);
        check_error(&err, r);
        assert(r == 0 || value == 7);
        check_number(fg_int128_format(value, buf, sizeof(buf)), false);
        assert(fg_int128_parse(buf, &again, NULL) == 0 && again == value);
        check_number(fg_hours_format(value, buf, sizeof(buf)), true);
        check_number(fg_seconds_format(value, buf, sizeof(buf)), true);
        *ret = value;
}

/* No further away than half a coin, in whole coins, and the same on both sides of 0. */
static void check_rounding(fg_int128 cost, unsigned decimals)
{
        int64_t coin = 1, nano = fg_money_round(cost, decimals);
        char buf[FG_NUMBER_MAX];
        for (unsigned i = decimals; i < 9; i++)
                coin *= 10;
        check_number(fg_money_format(nano, decimals, buf, sizeof(buf)), true);
        assert(nano % coin == 0);
        if (cost >= -FG_INT128_MAX)
                assert(fg_money_round(-cost, decimals) == -nano);
        fg_uint128 exact = fg_int128_magnitude(cost), unit = (fg_uint128)FG_PPMUS_PER_HOUR;
        fg_uint128 rounded = fg_int128_magnitude(nano) * unit,
                   off = exact > rounded ? exact - rounded : rounded - exact;
        assert(nano == 0 || (nano < 0) == (cost < 0));
        if (nano > -FG_MONEY_MAX && nano < FG_MONEY_MAX)
                assert(off * 2 <= unit * (fg_uint128)coin);
        else
                assert(exact >= unit * (FG_MONEY_MAX - FG_NANO));
}

static void check_cost(fg_int128 ppmus, int64_t price, unsigned decimals)
{
        fg_int128 cost = 0;
        int r = fg_cost_of(ppmus, price, &cost);
        assert(r == 0 ? price == 0 || cost / price == ppmus : cost == 0);
        assert(price == 0 || (r == 0) == (fg_int128_magnitude(ppmus) <= (fg_uint128)(FG_INT128_MAX / price)));
        check_rounding(cost, decimals);
        check_rounding(ppmus, decimals);
}

/* The first byte chooses the decimals; then a price, a currency and a number, each up to a space or the end. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char text[LONGEST + 1], *rest = text, *part[3];
        if (size == 0)
                return 0;
        size_t len = size - 1 < LONGEST ? size - 1 : LONGEST;
        memcpy(text, data + 1, len);
        text[len] = '\0';
        unsigned decimals = data[0] % 10;
        fg_int128 ppmus = 0;
        for (int i = 0; i < 3; i++) {
                part[i] = rest ? strsep(&rest, " ") : text + len;
                check_price(part[i], decimals);
                check_currency(part[i]);
                check_int128(part[i], &ppmus);
        }
        check_cost(ppmus, check_price(part[0], decimals), decimals);
        return 0;
}
