/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/apportion.h"

#include <stdlib.h>

static int by_remainder_descending(const void *a, const void *b)
{
        const struct fg_part *x = a, *y = b;
        if (x->rest != y->rest)
                return x->rest > y->rest ? -1 : 1;
        return x->index < y->index ? -1 : 1;
}

int64_t fg_apportion(int64_t total, fg_uint128 whole, struct fg_part *parts, size_t count)
{
        fg_uint128 rests = 0;
        int64_t given = 0;
        for (size_t i = 0; i < count; i++) {
                fg_uint128 product = (fg_uint128)total * (fg_uint128)parts[i].weight;
                parts[i].share = whole ? (int64_t)(product / whole) : 0;
                parts[i].rest = whole ? product % whole : 0;
                given += parts[i].share;
                rests += parts[i].rest;
        }
        /* Fewer than there are remainders other than 0: nobody gets a unit whose part came out even. */
        size_t left = whole ? (size_t)(rests / whole) : 0;
        if (left)
                qsort(parts, count, sizeof(*parts), by_remainder_descending);
        for (size_t i = 0; i < left; i++)
                parts[i].share++;
        return given + (int64_t)left;
}
