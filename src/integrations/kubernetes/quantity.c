/* SPDX-License-Identifier: Apache-2.0 */
#include "integrations/kubernetes/dra.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct {
        const char *suffix;
        uint64_t times; /* of thousandths; 0: less than one */
} suffix_table[] = {{"", 1000},           {"m", 1},           {"k", 1000000},          {"M", 1000000000},      {"G", 1000000000000},
                    {"T", 1000000000000000}, {"P", 1000000000000000000}, {"Ki", 1000ull << 10}, {"Mi", 1000ull << 20}, {"Gi", 1000ull << 30},
                    {"Ti", 1000ull << 40},   {"Pi", 1000ull << 50}};

/* The part before a suffix: digits with at most one point, as a whole number and how many of them stand behind the point. */
static const char *take_digits(const char *text, unsigned __int128 *ret, unsigned *ret_behind)
{
        bool point = false, any = false;
        *ret = 0;
        *ret_behind = 0;
        for (; isdigit((unsigned char)*text) || (*text == '.' && !point); text++) {
                if (*text == '.') {
                        point = true;
                        continue;
                }
                any = true;
                if (*ret > (unsigned __int128)1 << 90)
                        return NULL;
                *ret = *ret * 10 + (unsigned)(*text - '0');
                *ret_behind += point;
        }
        return any ? text : NULL;
}

static int scale(const char *suffix, unsigned __int128 *value)
{
        if ((*suffix == 'e' || *suffix == 'E') && isdigit((unsigned char)suffix[1])) {
                char *end;
                unsigned long power = strtoul(suffix + 1, &end, 10);
                if (*end || power > 18)
                        return -EINVAL;
                for (*value *= 1000; power-- > 0 && *value < (unsigned __int128)1 << 100;)
                        *value *= 10;
                return 0;
        }
        for (size_t i = 0; i < sizeof suffix_table / sizeof *suffix_table; i++)
                if (strcmp(suffix, suffix_table[i].suffix) == 0) {
                        if (*value > ((unsigned __int128)1 << 120) / suffix_table[i].times)
                                return -ERANGE;
                        *value *= suffix_table[i].times;
                        return 0;
                }
        return -EINVAL;
}

int fgi_kube_quantity(const char *text, uint64_t *ret_milli)
{
        unsigned __int128 value;
        unsigned behind;
        if (*text == '-')
                return -ERANGE;
        const char *suffix = take_digits(*text == '+' ? text + 1 : text, &value, &behind);
        if (!suffix)
                return -EINVAL;
        int r = scale(suffix, &value);
        if (r < 0)
                return r;
        /* Rounded up, as Kubernetes does. */
        for (; behind > 0; behind--)
                value = (value + 9) / 10;
        if (value > UINT64_MAX)
                return -ERANGE;
        *ret_milli = (uint64_t)value;
        return 0;
}
