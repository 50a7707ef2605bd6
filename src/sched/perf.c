/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/perf.h"

#include <errno.h>
#include <math.h>

static void add(uint64_t *to, uint64_t more)
{
        if (__builtin_add_overflow(*to, more, to))
                *to = UINT64_MAX;
}

void fg_perf_add(struct fg_perf_counters *to, const struct fg_perf_counters *more)
{
        add(&to->servable, more->servable);
        add(&to->occupied, more->occupied);
        add(&to->busy, more->busy);
        add(&to->native, more->native);
        add(&to->kept, more->kept);
}

static bool divide(uint64_t numerator, uint64_t denominator, double *ret)
{
        *ret = denominator ? (double)numerator / (double)denominator : 0;
        return denominator != 0;
}

void fg_perf_evaluate(const struct fg_perf_counters *counters, struct fg_perf *ret)
{
        struct fg_perf f = {0};
        f.has_s = divide(counters->occupied, counters->servable, &f.s);
        f.has_u = divide(counters->busy, counters->occupied, &f.u);
        f.has_v = divide(counters->native, counters->busy, &f.v);
        f.has_alpha = divide(counters->kept, counters->native, &f.alpha);
        /* Not the product, which would round four times. */
        if (f.has_s && f.has_u && f.has_v && f.has_alpha)
                f.has_p = divide(counters->kept, counters->servable, &f.p);
        *ret = f;
}

static bool is_factor(double value)
{
        return isfinite(value) && value >= 0;
}

int fg_perf_product(double alpha, double u, double s, double v, double *ret)
{
        if (!is_factor(alpha) || !is_factor(u) || !is_factor(s) || !is_factor(v))
                return -EINVAL;
        double p = alpha * u * s * v;
        if (!isfinite(p))
                return -ERANGE;
        *ret = p;
        return 0;
}
