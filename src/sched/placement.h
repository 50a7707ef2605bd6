/* SPDX-License-Identifier: Apache-2.0
 * Placement: pure functions that choose devices for vGPUs. */
#ifndef FG_SCHED_PLACEMENT_H
#define FG_SCHED_PLACEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fg_sched_device {
        uint64_t memory_free; /* bytes not promised to a vGPU (reserve already taken off) */
        uint32_t share_free;  /* permille not promised */
        bool usable;
};

struct fg_sched_want {
        uint64_t memory; /* bytes; 0: an equal part of what the device still has */
        uint32_t share;  /* permille; 0: an equal part */
};

/* Places `count` vGPUs (want[i] in, ret_device/ret_memory/ret_share out) on the usable devices: each onto the device with the
 * most free memory that has room (lowest index at a tie), spreading a set over devices first; where the order given leaves
 * one out, the largest go first. Unstated amounts are then an
 * equal part of what each chosen device still has, memory rounded down to 4 KiB.
 * 0; -ENOSPC with *ret_failed = the first vGPU that does not fit (in the order given); -ENOMEM. On
 * failure the other outputs are untouched. */
int fg_sched_place(const struct fg_sched_device *device, size_t devices, const struct fg_sched_want *want, size_t count,
                   uint32_t *ret_device, uint64_t *ret_memory, uint32_t *ret_share, size_t *ret_failed);

#endif
