/* SPDX-License-Identifier: Apache-2.0
 * Planned repacking: who is placed worse than if he came now is moved, a bounded number at a time, before there is no room left to
 * move into. A gain is the difference of the policy's scores, so a policy that scores by what is left useful repacks by that. */
#ifndef FG_SCHED_REPACK_H
#define FG_SCHED_REPACK_H

#include "sched/cluster_choose.h"

struct fg_repack_guest {
        struct fg_cluster_pod pod;
        struct fg_cluster_place place;
};

struct fg_repack {
        unsigned look, moves; /* guests looked at and moved at most */
        int64_t gain;         /* the least that a move is worth, in scores: more than 0, or two would change places for ever */
        size_t cursor;        /* where the next look begins: the caller's to keep */
};

/* Moves guests from node to node in the cluster; guest i is `stride` bytes behind the one before. moved(user, i) is called for each that
 * was, with its new place. What is gained is never less than the exact score says: the old node is judged by the best of its GPUs.
 * Returns how many moved; -ENOMEM. A policy that draws has no scores: nobody moves. */
int fg_repack(struct fg_repack *r, struct fg_cluster *c, struct fg_chooser *ch, struct fg_repack_guest *guest, size_t stride, size_t guests,
              void (*moved)(void *user, size_t i), void *user);

#endif
