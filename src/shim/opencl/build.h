/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FGO_BUILD_H
#define FGO_BUILD_H

#include "shim/opencl/program.h"

/* Remembers the devices of a program just made; `built` for all of them (0: not yet). On failure the program is
 * released. NULL passes. */
cl_program fgo_program_keep(cl_program program, const struct fgo_device_list *devices, uint64_t built, cl_int *ret);

#endif
