/* SPDX-License-Identifier: Apache-2.0
 *
 * Amounts of money and of GPU time as integers. Nothing here rounds but fg_money_round(), once per invoice line, and
 * what is printed for people.
 *
 * Units: time us; shares ppm of a GPU; a quantity is ppm * us ("ppmus"): one GPU for one hour is 3.6e15. A price is
 * nano-units of a currency per GPU-hour. A cost is quantity * price: nano-units * FG_PPMUS_PER_HOUR, kept whole in 128
 * bits; costs are added up before they are rounded. */
#ifndef FG_SCHED_MONEY_H
#define FG_SCHED_MONEY_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

__extension__ typedef __int128 fg_int128;
__extension__ typedef unsigned __int128 fg_uint128;

#define FG_INT128_MAX ((fg_int128)(~(fg_uint128)0 >> 1))

#define FG_PPM            1000000
#define FG_PPMUS_PER_SEC  1000000000000ll    /* 1e6 ppm * 1e6 us */
#define FG_PPMUS_PER_HOUR 3600000000000000ll /* 1e6 ppm * 3.6e9 us */
#define FG_NANO           1000000000
#define FG_PRICE_MAX      1000000000000000ll    /* nano-units: a million units an hour */
#define FG_MONEY_MAX      9000000000000000000ll /* nano-units: nine billion units */
#define FG_CURRENCY_MAX   4u                    /* "EUR" and its NUL */
#define FG_NUMBER_MAX     48u                   /* bytes that hold whatever a function below prints */

static inline fg_uint128 fg_int128_magnitude(fg_int128 value)
{
        return value < 0 ? -(fg_uint128)value : (fg_uint128)value;
}

/* "2", "2.00", "0.123456789" -> nano-units: digits, at most nine decimals, no sign, no exponent, 0 <= value <=
 * FG_PRICE_MAX. -EINVAL, -ERANGE. */
int fg_price_parse(const char *text, int64_t *ret_nano, struct fg_error *err);
/* Three capital letters (ISO 4217's form), else -EINVAL. */
int fg_currency_parse(const char *text, char ret[FG_CURRENCY_MAX], struct fg_error *err);
/* Digits after the decimal point of the currency's smallest coin by ISO 4217: 2, but 0 for JPY, KRW … and 3 for KWD,
 * BHD …. */
unsigned fg_currency_decimals(const char *currency);

/* The exact cost of `ppmus` at `price`: the numerator over FG_PPMUS_PER_HOUR nano-units. -EOVERFLOW. */
int fg_cost_of(fg_int128 ppmus, int64_t price, fg_int128 *ret);
/* A cost rounded half to even to whole coins of `decimals` digits; the result in nano-units. `decimals` 0..9. What is
 * beyond FG_MONEY_MAX either way is FG_MONEY_MAX: a caller who meets it has no amount but an alarm. */
int64_t fg_money_round(fg_int128 cost, unsigned decimals);

/* These print into `buf`, cut to `len`, and return it. FG_NUMBER_MAX bytes hold any of them.
 * "-12.345600000" with trailing zeros cut down to `decimals` digits at least ("-12.3456" for 2); '.' always, no
 * thousands mark, no plus sign. */
char *fg_money_format(int64_t nano, unsigned decimals, char *buf, size_t len);
/* A quantity in GPU-hours: as many decimals as it takes, at most 15, the last one rounded half to even (a ninth has no
 * end). */
char *fg_hours_format(fg_int128 ppmus, char *buf, size_t len);
/* The same in GPU-seconds; always exact, twelve decimals are enough. */
char *fg_seconds_format(fg_int128 ppmus, char *buf, size_t len);
char *fg_int128_format(fg_int128 value, char *buf, size_t len);
/* Decimal digits with an optional '-'. -EINVAL, -ERANGE. */
int fg_int128_parse(const char *text, fg_int128 *ret, struct fg_error *err);

#endif
