/* SPDX-License-Identifier: Apache-2.0
 * What gate_share and cuda_share hold against their tolerance. */
#ifndef SHARE_FIGURES_H
#define SHARE_FIGURES_H

#include <stdbool.h>

/* Percent; alone on the device, a cap is met from above, and halfway from below: a busy machine keeps a program from its due. */
static inline bool share_is_off(double asked, double share, double tolerance, bool alone)
{
        return share > asked + tolerance || share < (alone ? asked / 2 : asked - tolerance);
}

#endif
