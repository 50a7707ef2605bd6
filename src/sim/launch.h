/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FGSIM_LAUNCH_H
#define FGSIM_LAUNCH_H

#include "sim/exec_task.h"
#include "sim/module.h"

/* `launch` has grid, block, shared. */
CUresult fgsim_launch(struct fgsim_launch *launch, CUfunction function, CUstream stream, void **params, void **extra);
/* Time and arguments; launch->args is the caller's to drop. launch->function is set. */
CUresult fgsim_launch_fill(struct fgsim_launch *launch, void **params, void **extra);
/* How many blocks of this shape the GPU holds at once. */
uint64_t fgsim_blocks_at_once(const struct fgsim_function *function, const struct fgsim_launch *launch);

#endif
