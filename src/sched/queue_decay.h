/* SPDX-License-Identifier: Apache-2.0
 * Exponential decay in integers: the same on every machine, and no libm. */
#ifndef FG_SCHED_QUEUE_DECAY_H
#define FG_SCHED_QUEUE_DECAY_H

#include <stdint.h>

/* amount * 2^(-elapsed / half_life), rounded down; off by less than 2 + amount / 2^32. half_life 0: the amount. */
uint64_t fg_queue_decay(uint64_t amount, uint64_t elapsed, uint64_t half_life);

#endif
