/* SPDX-License-Identifier: Apache-2.0
 * Numbers are read and written digit by digit: libc's functions would follow the program's locale, and know no 128
 * bits. */
#include "sched/money.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define NANO_DECIMALS   9u
#define SECOND_DECIMALS 12u /* one ppmus is 1e-12 GPU-seconds */
#define HOUR_DECIMALS   15u
#define HOUR_SCALE      1000000000000000ull

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

/* The text of `value` at the end of `buf`, with `least` digits at least. */
static const char *digits_of(fg_uint128 value, unsigned least, char buf[FG_NUMBER_MAX])
{
        char *s = buf + FG_NUMBER_MAX - 1;
        *s = '\0';
        for (unsigned i = 0; value || i < least; i++, value /= 10)
                *--s = (char)('0' + (int)(value % 10));
        return s;
}

/* fraction / 10^scale behind the point, without trailing zeros as far as more than `least` digits are left. */
static char *format_decimal(bool negative, fg_uint128 whole, uint64_t fraction, unsigned scale, unsigned least,
                            char *buf, size_t len)
{
        char before[FG_NUMBER_MAX], after[FG_NUMBER_MAX];
        for (; scale > least && fraction % 10 == 0; scale--)
                fraction /= 10;
        snprintf(buf, len, "%s%s%s%s", negative ? "-" : "", digits_of(whole, 1, before), scale ? "." : "",
                 digits_of(fraction, scale, after));
        return buf;
}

char *fg_money_format(int64_t nano, unsigned decimals, char *buf, size_t len)
{
        uint64_t size = (uint64_t)fg_int128_magnitude(nano);
        unsigned least = decimals < NANO_DECIMALS ? decimals : NANO_DECIMALS;
        return format_decimal(nano < 0, size / FG_NANO, size % FG_NANO, NANO_DECIMALS, least, buf, len);
}

char *fg_hours_format(fg_int128 ppmus, char *buf, size_t len)
{
        const fg_uint128 unit = (fg_uint128)FG_PPMUS_PER_HOUR;
        fg_uint128 size = fg_int128_magnitude(ppmus), whole = size / unit, scaled = size % unit * HOUR_SCALE;
        uint64_t fraction = (uint64_t)(scaled / unit), rest = (uint64_t)(scaled % unit);
        if (rest > unit - rest || (rest == unit - rest && fraction % 2))
                fraction++;
        if (fraction == HOUR_SCALE)
                whole++, fraction = 0;
        return format_decimal(ppmus < 0 && (whole || fraction), whole, fraction, HOUR_DECIMALS, 0, buf, len);
}

char *fg_seconds_format(fg_int128 ppmus, char *buf, size_t len)
{
        fg_uint128 size = fg_int128_magnitude(ppmus);
        return format_decimal(ppmus < 0, size / FG_PPMUS_PER_SEC, (uint64_t)(size % FG_PPMUS_PER_SEC), SECOND_DECIMALS,
                              0, buf, len);
}

char *fg_int128_format(fg_int128 value, char *buf, size_t len)
{
        return format_decimal(value < 0, fg_int128_magnitude(value), 0, 0, 0, buf, len);
}

int fg_int128_parse(const char *text, fg_int128 *ret, struct fg_error *err)
{
        bool negative = *text == '-', too_large = false;
        const char *s = text + negative;
        fg_uint128 size = 0, most = (fg_uint128)FG_INT128_MAX + negative;
        if (!is_digit(*s))
                return fg_error_set(err, -EINVAL, "\"%.80s\" is not a whole number", text);
        for (; is_digit(*s); s++) {
                unsigned digit = (unsigned)(*s - '0');
                too_large = too_large || size > (most - digit) / 10;
                if (!too_large)
                        size = size * 10 + digit;
        }
        if (*s)
                return fg_error_set(err, -EINVAL, "\"%.80s\" is not a whole number", text);
        if (too_large)
                return fg_error_set(err, -ERANGE, "\"%.80s\" does not fit into 128 bits", text);
        *ret = negative ? (fg_int128)-size : (fg_int128)size;
        return 0;
}

/* The number at *s, which then points behind its digits. Stays above FG_PRICE_MAX once it is. */
static uint64_t read_whole(const char **s)
{
        uint64_t value = 0;
        for (; is_digit(**s); (*s)++)
                if (value <= FG_PRICE_MAX)
                        value = value * 10 + (uint64_t)(**s - '0');
        return value;
}

int fg_price_parse(const char *text, int64_t *ret_nano, struct fg_error *err)
{
        const char *s = text;
        uint64_t whole = read_whole(&s), fraction = 0;
        unsigned decimals = 0;
        bool good = s != text;
        if (good && *s == '.') {
                good = is_digit(*++s);
                for (; is_digit(*s); s++, decimals++)
                        if (decimals < NANO_DECIMALS)
                                fraction = fraction * 10 + (uint64_t)(*s - '0');
        }
        if (!good || *s)
                return fg_error_set(err, -EINVAL,
                                    "\"%.80s\" is not a price: write units per GPU-hour, such as 2 or 1.85", text);
        if (decimals > NANO_DECIMALS)
                return fg_error_set(err, -EINVAL, "price \"%.80s\" is too fine: at most nine decimals", text);
        for (; decimals < NANO_DECIMALS; decimals++)
                fraction *= 10;
        if (whole > FG_PRICE_MAX / FG_NANO || whole * FG_NANO + fraction > FG_PRICE_MAX)
                return fg_error_set(err, -ERANGE, "price \"%.80s\" is too large: at most a million per GPU-hour", text);
        *ret_nano = (int64_t)(whole * FG_NANO + fraction);
        return 0;
}

int fg_currency_parse(const char *text, char ret[FG_CURRENCY_MAX], struct fg_error *err)
{
        size_t letters = 0;
        while (text[letters] >= 'A' && text[letters] <= 'Z')
                letters++;
        if (letters != FG_CURRENCY_MAX - 1 || text[letters])
                return fg_error_set(err, -EINVAL,
                                    "\"%.80s\" is not a currency: write its three capital letters, such as EUR", text);
        memcpy(ret, text, FG_CURRENCY_MAX);
        return 0;
}
