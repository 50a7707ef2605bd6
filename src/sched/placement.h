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

/* Why a set was not placed. */
struct fg_sched_misfit {
        size_t failed;   /* the first vGPU that does not fit, in the order given */
        uint64_t memory; /* what one device has beside the vGPUs before it: of those with the share it wants, the one with the */
        uint32_t share;  /* most memory; where none has the share, the one with the most share; 0 without a usable device */
};

/* Places `count` vGPUs (want[i] in, ret_device/ret_memory/ret_share out) on the usable devices: each onto the device with the
 * most free memory that has room (lowest index at a tie), spreading a set over devices first; where the order given leaves
 * one out, the largest go first. Unstated amounts are then an
 * equal part of what each chosen device still has, memory rounded down to 4 KiB.
 * 0; -ENOSPC with *ret_misfit; -ENOMEM. On failure the other outputs are untouched. */
int fg_sched_place(const struct fg_sched_device *device, size_t devices, const struct fg_sched_want *want, size_t count,
                   uint32_t *ret_device, uint64_t *ret_memory, uint32_t *ret_share, struct fg_sched_misfit *ret_misfit);

#endif
