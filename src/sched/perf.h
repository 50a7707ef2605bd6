/* SPDX-License-Identifier: Apache-2.0
 *
 * The performance model P = alpha * U * S * V. Each factor is a ratio of neighbours among five counters of GPU time, so
 * that the product is what is useful of what could have been served: P = N4 / N0 exactly (compare Google's ML
 * Productivity Goodput, arXiv 2502.06982). Counters are summed first and divided last; averages of ratios are never
 * multiplied. */
#ifndef FG_SCHED_PERF_H
#define FG_SCHED_PERF_H

#include <stdbool.h>
#include <stdint.h>

/* GPU-nanoseconds. */
struct fg_perf_counters {
        uint64_t servable; /* N0: integral of min(demand, capacity) */
        uint64_t occupied; /* N1: integral of min(1, max(reserved, busy)) for each GPU */
        uint64_t busy;     /* N2: measured device time, conserved */
        uint64_t native;   /* N3: what the completed work would have taken alone on the bare device */
        uint64_t kept;     /* N4: of that, what was not rolled back, redone or spent on suspending, restoring and failed
                              starts */
};

/* S = N1/N0, U = N2/N1, V = N3/N2, alpha = N4/N3. A factor whose denominator is 0 is not known (its has_ is false, its
 * value means nothing); P is known when all four are. Never NaN. V may exceed 1: kernels of several tenants overlap. */
struct fg_perf {
        double p, alpha, u, s, v;
        bool has_p, has_alpha, has_u, has_s, has_v;
};

void fg_perf_add(struct fg_perf_counters *to, const struct fg_perf_counters *more); /* saturates */
void fg_perf_evaluate(const struct fg_perf_counters *counters, struct fg_perf *ret);
/* The article's form: every factor given. -EINVAL: a factor is negative or not finite; -ERANGE: the product is not. */
int fg_perf_product(double alpha, double u, double s, double v, double *ret);

#endif
