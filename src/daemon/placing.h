/* SPDX-License-Identifier: Apache-2.0
 * Which device a vGPU goes to: the policy that the options name, and what it knows of what is asked for here. */
#ifndef FGD_PLACING_H
#define FGD_PLACING_H

#include "base/error.h"
#include "daemon/problem.h"
#include "sched/placement.h"

#define FGD_EXPLAIN_MAX 16u /* vGPUs of one explanation */

struct fgd_manager;
struct fgd_device;
struct fgd_set;

int fgd_placing_new(struct fgd_manager *manager, struct fg_error *err);
void fgd_placing_free(struct fgd_manager *manager);
/* No GPU: a vGPU goes there when no GPU has room. */
bool fgd_placing_is_last(const struct fgd_device *device);
/* A set is there: what it has is what is asked for. */
void fgd_placing_saw(struct fgd_manager *manager, const struct fgd_set *set);

/* What may be chosen from: all devices, or `only` that (NULL: any). Refuses when there is none. */
/* `class`: of pairing.h, for which some may be too crowded. */
int fgd_placing_devices(struct fgd_manager *manager, const struct fgd_device *only, uint64_t class, struct fg_sched_device *ret,
                        struct fgd_problem *problem);

#endif
