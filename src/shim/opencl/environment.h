/* SPDX-License-Identifier: Apache-2.0
 * What a loader does to the environment, undone. */
#ifndef FGO_ENVIRONMENT_H
#define FGO_ENVIRONMENT_H

/* ocl-icd splits OPENCL_LAYERS in place, so that a program started by this one would get the first layer only: puts the
 * separators back. */
void fgo_environment_restore(void);

#endif
