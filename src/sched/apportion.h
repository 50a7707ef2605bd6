/* SPDX-License-Identifier: Apache-2.0
 * A whole number divided in proportion, without a unit lost or made: the method of the largest remainder. */
#ifndef FG_SCHED_APPORTION_H
#define FG_SCHED_APPORTION_H

#include "sched/money.h"

struct fg_part {
        int64_t weight;  /* >= 0 */
        int64_t share;   /* result */
        fg_uint128 rest; /* of the division */
        size_t index;    /* whose it is; ties go to the lower one */
};

/* Each part gets total * weight / whole, rounded down; what the parts together lack of total * (sum of weights) /
 * whole, rounded down, goes to those with the largest remainders, one unit each. So a share is less than one unit off,
 * 0 for a weight of 0, and the shares add up to `total` where the weights add up to `whole`. `total` >= 0; `whole` >=
 * the sum of the weights, or 0 when that is 0; then nobody gets anything. The parts come back in another order. Returns
 * the sum of the shares. */
int64_t fg_apportion(int64_t total, fg_uint128 whole, struct fg_part *parts, size_t count);

#endif
