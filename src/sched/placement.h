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
        uint64_t memory; /* what vGPUs could have of it if it were empty; 0: what is free */
        bool crowded;    /* not for this request: too many are there already */
        bool last;       /* only where no other has room: a processor beside GPUs; nor where one is only crowded */
        uint32_t loss;   /* permille by which the slowest there would take longer with it, as predicted; 0: not longer, or nobody knows */
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

struct fg_placer;

/* Places `count` vGPUs (want[i] in, ret_device/ret_memory/ret_share out) on the usable devices that have room, those that are `last` only
 * if no other has: a set's onto different devices first, because two on one are worth one larger one at most, and NCCL refuses them; then each where the placer's policy
 * scores highest, one with an unstated amount where most is free; of equals the least loss, then (of what is unstated) most memory, then
 * the lowest index. Without a placer (NULL): the least loss, most free memory, then the lowest index. Where the order given leaves one out,
 * the largest go first. Unstated amounts are then an equal part of what each chosen device still has, memory rounded down to 4 KiB.
 * 0; -ENOSPC with *ret_misfit; -ENOMEM. On failure the other outputs are untouched. */
int fg_sched_place_by(const struct fg_placer *placer, const struct fg_sched_device *device, size_t devices,
                      const struct fg_sched_want *want, size_t count, uint32_t *ret_device, uint64_t *ret_memory, uint32_t *ret_share,
                      struct fg_sched_misfit *ret_misfit);
int fg_sched_place(const struct fg_sched_device *device, size_t devices, const struct fg_sched_want *want, size_t count,
                   uint32_t *ret_device, uint64_t *ret_memory, uint32_t *ret_share, struct fg_sched_misfit *ret_misfit);

/* What became of a device when a vGPU of a set was placed. The order is that of the questions: the first that was decided. */
enum fg_sched_fate {
        FG_SCHED_CHOSEN,
        FG_SCHED_UNUSABLE,
        FG_SCHED_CROWDED,
        FG_SCHED_NO_MEMORY,
        FG_SCHED_NO_SHARE,
        FG_SCHED_LAST,   /* it is `last`, and another has room, though it may be crowded */
        FG_SCHED_OF_SET, /* it has more of the set's already */
        FG_SCHED_LESS,   /* a lower score */
        FG_SCHED_SLOWER, /* as good, but more would be lost there */
        FG_SCHED_TIE     /* as good; another comes first, or where most counts has more memory free */
};
struct fg_sched_verdict {
        enum fg_sched_fate fate;
        uint64_t memory; /* what it had left when the vGPU's turn came */
        uint32_t share;
        int32_t score; /* of the policy; 0 where it has no room */
};
/* As above, and of each vGPU what it found: ret[i * devices + d], also where one did not fit; those behind it are all 0 then. */
int fg_sched_explain(const struct fg_placer *placer, const struct fg_sched_device *device, size_t devices, const struct fg_sched_want *want,
                     size_t count, uint32_t *ret_device, struct fg_sched_verdict *ret, struct fg_sched_misfit *ret_misfit);

#endif
