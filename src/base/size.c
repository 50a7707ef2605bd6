/* SPDX-License-Identifier: Apache-2.0
 * Numbers are read digit by digit: strtod() would follow the program's locale and take "nan", "0x10" and "1e30". */
#include "base/size.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define SIZE_MAX_BYTES  (1ull << 50)
#define FRACTION_DIGITS 18
#define SATURATED       (1ull << 60) /* more than any number that is allowed */

/* whole + fraction / scale */
struct decimal {
        uint64_t whole, fraction, scale;
        bool negative, has_point;
};

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

/* Reads digits, saturating. Returns what follows them. */
static const char *read_digits(const char *s, uint64_t *ret)
{
        uint64_t value = 0;
        for (; is_digit(*s); s++)
                value = value >= SATURATED / 10 ? SATURATED : value * 10 + (uint64_t)(*s - '0');
        *ret = value;
        return s;
}

/* Reads "-12.5" and sets *ret. Returns what follows, NULL when no number is there. */
static const char *read_decimal(const char *s, struct decimal *ret)
{
        struct decimal d = {.scale = 1};
        if (*s == '-')
                d.negative = true, s++;
        if (!is_digit(*s))
                return NULL;
        s = read_digits(s, &d.whole);
        if (*s == '.') {
                d.has_point = true;
                if (!is_digit(*++s))
                        return NULL;
                for (int i = 0; is_digit(*s); s++, i++)
                        if (i < FRACTION_DIGITS)
                                d.fraction = d.fraction * 10 + (uint64_t)(*s - '0'), d.scale *= 10;
        }
        *ret = d;
        return s;
}

/* The factor of a unit, 0 when it is none. One space in front of it is fine: "256 MiB" is what we print. */
static uint64_t unit_factor(const char *s)
{
        static const char letter[] = "kmgtp";
        if (*s == ' ' && s[1])
                s++;
        if (*s == '\0' || strcasecmp(s, "b") == 0)
                return 1;
        const char *found = strchr(letter, *s | 0x20);
        if (!found || (s[1] && strcasecmp(s + 1, "b") != 0 && strcasecmp(s + 1, "ib") != 0))
                return 0;
        return 1ull << (10 * (found - letter + 1));
}

static unsigned __int128 decimal_times(const struct decimal *d, uint64_t factor)
{
        return (unsigned __int128)d->whole * factor + (unsigned __int128)d->fraction * factor / d->scale;
}

static int size_check(const char *text, const struct decimal *d, unsigned __int128 bytes, uint64_t *ret,
                      struct fg_error *err)
{
        if (d->negative)
                return fg_error_set(err, -ERANGE, "size \"%.80s\" is negative", text);
        if (bytes == 0)
                return fg_error_set(err, -ERANGE, "size \"%.80s\" is less than one byte", text);
        if (bytes > SIZE_MAX_BYTES)
                return fg_error_set(err, -ERANGE, "size \"%.80s\" is too large: at most 1024T", text);
        *ret = (uint64_t)bytes;
        return 0;
}

int fg_size_parse(const char *text, uint64_t whole, uint64_t *ret_bytes, struct fg_error *err)
{
        struct decimal d;
        const char *unit = read_decimal(text, &d);
        if (unit && strcmp(unit, "%") == 0) {
                if (whole == 0)
                        return fg_error_set(err, -EINVAL, "size \"%.80s\": a percentage has no meaning here", text);
                if (!d.negative && (d.whole > 100 || (d.whole == 100 && d.fraction)))
                        return fg_error_set(err, -ERANGE, "size \"%.80s\" is more than 100%%", text);
                return size_check(text, &d, decimal_times(&d, whole) / 100, ret_bytes, err);
        }
        uint64_t factor = unit ? unit_factor(unit) : 0;
        if (factor == 0)
                return fg_error_set(
                        err, -EINVAL,
                        "\"%.80s\" is not a size: write bytes or a number with a unit, such as 256M, 1.5GiB%s", text,
                        whole ? " or 25%" : "");
        if (factor == 1 && d.has_point)
                return fg_error_set(err, -EINVAL,
                                    "size \"%.80s\" is not a whole number of bytes: add a unit, such as G", text);
        return size_check(text, &d, decimal_times(&d, factor), ret_bytes, err);
}

int fg_share_parse(const char *text, uint32_t *ret_permille, struct fg_error *err)
{
        struct decimal d;
        const char *rest = read_decimal(text, &d);
        if (!rest || (*rest && strcmp(rest, "%") != 0))
                return fg_error_set(err, -EINVAL, "\"%.80s\" is not a share: write a percentage, such as 70 or 12.5",
                                    text);
        if (d.negative || d.whole > 100 || (d.whole == 100 && d.fraction) || (d.whole == 0 && d.fraction == 0))
                return fg_error_set(err, -ERANGE, "share \"%.80s\" is out of range: 0.1 to 100 percent", text);
        unsigned __int128 tenths = (unsigned __int128)d.fraction * 10;
        if (tenths % d.scale)
                return fg_error_set(err, -EINVAL, "share \"%.80s\" is too fine: at most one decimal", text);
        *ret_permille = (uint32_t)(d.whole * 10 + (uint64_t)(tenths / d.scale));
        return 0;
}

int fg_count_parse(const char *what, const char *text, uint64_t min, uint64_t max, uint64_t *ret, struct fg_error *err)
{
        bool negative = *text == '-';
        uint64_t value = 0;
        const char *s = text + negative;
        bool overflow = false;
        if (!is_digit(*s))
                return fg_error_set(err, -EINVAL, "%s \"%.80s\" is not a whole number", what, text);
        for (; is_digit(*s); s++)
                overflow |= __builtin_mul_overflow(value, 10, &value) ||
                            __builtin_add_overflow(value, (uint64_t)(*s - '0'), &value);
        if (*s)
                return fg_error_set(err, -EINVAL, "%s \"%.80s\" is not a whole number", what, text);
        if (overflow || (negative && value) || value < min || value > max)
                return fg_error_set(err, -ERANGE, "%s \"%.80s\" is out of range: %llu to %llu", what, text,
                                    (unsigned long long)min, (unsigned long long)max);
        *ret = value;
        return 0;
}

/* `scaled` counts units of 10^-decimals. Prints it without trailing zeros. */
static void format_decimal(uint64_t scaled, int decimals, const char *unit, char *buf, size_t len)
{
        while (decimals && scaled % 10 == 0)
                scaled /= 10, decimals--;
        uint64_t power = decimals == 2 ? 100 : decimals == 1 ? 10 : 1;
        if (decimals)
                snprintf(buf, len, "%llu.%0*llu %s", (unsigned long long)(scaled / power), decimals,
                         (unsigned long long)(scaled % power), unit);
        else
                snprintf(buf, len, "%llu %s", (unsigned long long)scaled, unit);
}

static char *format_size(uint64_t bytes, bool up, char *buf, size_t len)
{
        static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
        unsigned u = 0;
        while (u < 6 && bytes >> (10 * (u + 1)))
                u++;
        uint64_t factor = 1ull << (10 * u), whole = bytes / factor;
        int decimals = whole < 10 ? 2 : whole < 100 ? 1 : 0;
        uint64_t power = decimals == 2 ? 100 : decimals == 1 ? 10 : 1;
        uint64_t scaled = (uint64_t)(((unsigned __int128)bytes * power + (up ? factor / 2 : 0)) / factor);
        if (scaled == 1024 && decimals == 0 && u < 6)
                scaled = 1, u++;
        format_decimal(scaled, decimals, unit[u], buf, len);
        return buf;
}

char *fg_size_format(uint64_t bytes, char *buf, size_t len)
{
        return format_size(bytes, true, buf, len);
}

char *fg_size_floor(uint64_t bytes, char *buf, size_t len)
{
        return format_size(bytes, false, buf, len);
}

static bool is_letter_or_digit(char c)
{
        return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

int fg_name_check(const char *name, struct fg_error *err)
{
        size_t len = strnlen(name, 64);
        bool good = len >= 1 && is_letter_or_digit(name[0]);
        for (size_t i = 0; good && i < len; i++)
                good = is_letter_or_digit(name[i]) || name[i] == '.' || name[i] == '_' || name[i] == '-';
        if (good && len > 63)
                return fg_error_set(err, -EINVAL, "name \"%.80s\" is too long: at most 63 characters", name);
        if (!good)
                return fg_error_set(
                        err, -EINVAL,
                        "\"%.80s\" is not a name: letters, digits, '.', '_' and '-', a letter or digit first", name);
        return 0;
}

int fg_target_parse(const char *text, char ret_name[64], int64_t *ret_index, struct fg_error *err)
{
        const char *slash = strchr(text, '/');
        size_t len = slash ? (size_t)(slash - text) : strlen(text);
        char name[65];
        uint64_t index = 0;
        snprintf(name, sizeof(name), "%.*s", len > 64 ? 64 : (int)len, text);
        int r = fg_name_check(name, err);
        if (r < 0)
                return fg_error_wrap(err, r, "target \"%.80s\"", text);
        if (slash) {
                r = fg_count_parse("index", slash + 1, 0, INT32_MAX, &index, err);
                if (r < 0)
                        return fg_error_wrap(err, r, "target \"%.80s\" is neither NAME nor NAME/I", text);
        }
        memcpy(ret_name, name, len + 1);
        *ret_index = slash ? (int64_t)index : -1;
        return 0;
}

int fg_target_split(const char *text, char ret_project[64], char ret_name[64], int64_t *ret_index, struct fg_error *err)
{
        const char *colon = strchr(text, ':');
        size_t len = colon ? (size_t)(colon - text) : 0;
        char project[65] = "", name[64];
        int64_t index;
        snprintf(project, sizeof(project), "%.*s", len > 64 ? 64 : (int)len, text);
        int r = colon ? fg_name_check(project, err) : 0;
        if (r < 0)
                return fg_error_wrap(err, r, "project of \"%.80s\"", text);
        r = fg_target_parse(colon ? colon + 1 : text, name, &index, err);
        if (r < 0)
                return r;
        memcpy(ret_project, project, len + 1);
        strcpy(ret_name, name);
        *ret_index = index;
        return 0;
}

int fg_duration_parse(const char *what, const char *text, uint64_t max, uint64_t *ret_seconds, struct fg_error *err)
{
        static const struct {
                char unit;
                uint64_t seconds;
        } units[] = {{0, 1}, {'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
        uint64_t amount = 0;
        const char *at = text;
        for (; *at >= '0' && *at <= '9' && at - text < 12; at++)
                amount = 10 * amount + (uint64_t)(*at - '0');
        for (size_t i = 0; at > text && i < sizeof units / sizeof *units; i++) {
                if (*at != units[i].unit || (*at && at[1]))
                        continue;
                if (amount * units[i].seconds > max)
                        return fg_error_set(err, -ERANGE, "%s: \"%.40s\" is more than %" PRIu64 " s", what, text, max);
                *ret_seconds = amount * units[i].seconds;
                return 0;
        }
        return fg_error_set(err, -EINVAL, "%s: \"%.40s\" is not a time; write 90s, 30m, 12h or 2d", what, text);
}
