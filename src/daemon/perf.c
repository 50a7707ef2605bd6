/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/perf.h"

#include <string.h>

static void sum_add(struct fgd_perf_sum *to, const struct fgd_perf_sum *more)
{
        fg_perf_add(&to->counters, &more->counters);
        if (__builtin_add_overflow(to->unknown, more->unknown, &to->unknown))
                to->unknown = UINT64_MAX;
}

/* Forgets the pieces between the open one and `at`, which opens. */
static void turn(struct fgd_perf_sum *piece, unsigned count, int64_t *open, int64_t at)
{
        if (at - *open >= count)
                memset(piece, 0, count * sizeof *piece);
        else
                for (int64_t i = *open + 1; i <= at; i++)
                        piece[i % count] = (struct fgd_perf_sum){0};
        if (at > *open)
                *open = at;
}

static void turn_all(struct fgd_perf *perf, int64_t now)
{
        turn(perf->ten, FGD_PERF_TENS, &perf->ten_at, now / 600);
        turn(perf->hour, FGD_PERF_HOURS, &perf->hour_at, now / 3600);
}

void fgd_perf_add(struct fgd_perf *perf, int64_t start, const struct fgd_perf_sum *sum)
{
        turn_all(perf, start);
        if (perf->minute_at != start)
                perf->minute = (struct fgd_perf_sum){0};
        perf->minute_at = start;
        sum_add(&perf->minute, sum);
        sum_add(&perf->ten[perf->ten_at % FGD_PERF_TENS], sum);
        sum_add(&perf->hour[perf->hour_at % FGD_PERF_HOURS], sum);
        sum_add(&perf->life, sum);
        perf->is_changed = true;
}

static struct fgd_perf_sum sum_of(const struct fgd_perf_sum *piece, unsigned count)
{
        struct fgd_perf_sum all = {0};
        for (unsigned i = 0; i < count; i++)
                sum_add(&all, &piece[i]);
        return all;
}

struct fgd_perf_sum fgd_perf_get(struct fgd_perf *perf, int64_t now, enum fgd_perf_window window)
{
        turn_all(perf, now);
        switch (window) {
        case FGD_PERF_MINUTE:
                return now - perf->minute_at < 120 ? perf->minute : (struct fgd_perf_sum){0};
        case FGD_PERF_HOUR:
                return sum_of(perf->ten, FGD_PERF_TENS);
        case FGD_PERF_DAY:
                return sum_of(perf->hour, FGD_PERF_HOURS);
        default:
                return perf->life;
        }
}

static void take_off(struct fgd_perf_sum *of, const struct fgd_perf_sum *what)
{
        uint64_t kept = what->counters.kept;
        of->counters.kept -= kept < of->counters.kept ? kept : of->counters.kept;
}

void fgd_perf_take_off(struct fgd_perf *of, struct fgd_perf *what, int64_t now)
{
        turn_all(of, now);
        turn_all(what, now);
        if (of->minute_at == what->minute_at)
                take_off(&of->minute, &what->minute);
        for (unsigned i = 0; i < FGD_PERF_TENS; i++)
                take_off(&of->ten[i], &what->ten[i]);
        for (unsigned i = 0; i < FGD_PERF_HOURS; i++)
                take_off(&of->hour[i], &what->hour[i]);
        take_off(&of->life, &what->life);
        of->is_changed = true;
}

void fgd_perf_evaluate(const struct fgd_perf_sum *sum, struct fg_perf *ret)
{
        struct fg_perf perf;
        fg_perf_evaluate(&sum->counters, &perf);
        if (sum->unknown)
                perf.has_v = perf.has_alpha = perf.has_p = false;
        *ret = perf;
}
