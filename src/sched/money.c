/* SPDX-License-Identifier: Apache-2.0
 * Products are taken of magnitudes: unsigned 128-bit multiplication needs no helper from a compiler's runtime, whatever
 * is instrumented. */
#include "sched/money.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define NANO_DECIMALS 9u

/* ISO 4217's minor units, as far as they are not 2. */
unsigned fg_currency_decimals(const char *currency)
{
        static const struct {
                char code[FG_CURRENCY_MAX];
                unsigned char decimals;
        } row[] = {
                {"BHD", 3}, {"BIF", 0}, {"CLF", 4}, {"CLP", 0}, {"DJF", 0}, {"GNF", 0}, {"IQD", 3},
                {"ISK", 0}, {"JOD", 3}, {"JPY", 0}, {"KMF", 0}, {"KRW", 0}, {"KWD", 3}, {"LYD", 3},
                {"OMR", 3}, {"PYG", 0}, {"RWF", 0}, {"TND", 3}, {"UGX", 0}, {"UYI", 0}, {"UYW", 4},
                {"VND", 0}, {"VUV", 0}, {"XAF", 0}, {"XOF", 0}, {"XPF", 0},
        };
        for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
                if (strcmp(currency, row[i].code) == 0)
                        return row[i].decimals;
        return 2;
}

int fg_cost_of(fg_int128 ppmus, int64_t price, fg_int128 *ret)
{
        fg_uint128 quantity = fg_int128_magnitude(ppmus), each = fg_int128_magnitude(price);
        bool negative = (ppmus < 0) != (price < 0);
        if (each && quantity > (fg_uint128)FG_INT128_MAX / each)
                return -EOVERFLOW;
        fg_int128 cost = (fg_int128)(quantity * each);
        *ret = negative ? -cost : cost;
        return 0;
}

int64_t fg_money_round(fg_int128 cost, unsigned decimals)
{
        int64_t coin = 1; /* in nano-units */
        for (unsigned i = decimals; i < NANO_DECIMALS; i++)
                coin *= 10;
        /* Of the magnitude: half to even is the same on both sides of 0. */
        fg_uint128 unit = (fg_uint128)FG_PPMUS_PER_HOUR * (fg_uint128)coin, whole = fg_int128_magnitude(cost);
        fg_uint128 coins = whole / unit, rest = whole % unit;
        if (rest > unit - rest || (rest == unit - rest && coins % 2))
                coins++;
        if (coins > (fg_uint128)(FG_MONEY_MAX / coin))
                return cost < 0 ? -FG_MONEY_MAX : FG_MONEY_MAX;
        int64_t nano = (int64_t)coins * coin;
        return cost < 0 ? -nano : nano;
}
