/* SPDX-License-Identifier: Apache-2.0
 * What is left of a GPU, by what the parts of GPUs that pods want make of it.
 *
 * The parts are packed into GPUs with the fewest of these, fractions of a GPU allowed (the linear program of Gilmore and Gomory, "A
 * Linear Programming Approach to the Cutting-Stock Problem", 1961). Its prices say which part of a GPU a pod takes up with the waste
 * that goes with it: one of 470 milli takes half, because two of them go into one; one of 810 all. A gap is worth the prices of
 * what fits into it best, so a pod costs what its gap loses in worth, and least where it completes a good packing. */
#ifndef FG_SCHED_CLUSTER_GAP_H
#define FG_SCHED_CLUSTER_GAP_H

#include "sched/cluster.h"

#define FG_GAP_SIZES_MAX 128u /* of more different parts, the most frequent count */

/* ret_worth[g]: of g free milli of one GPU, in milli; ascending from 0 to FG_CLUSTER_GPU. Without any parts g is worth g. -ENOMEM. */
int fg_gap_worth(const struct fg_cluster_pod *pod, size_t count, int16_t ret_worth[FG_CLUSTER_GPU + 1]);

#endif
