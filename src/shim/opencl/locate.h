/* SPDX-License-Identifier: Apache-2.0
 * Finding the physical devices that the pages name. */
#ifndef FGO_LOCATE_H
#define FGO_LOCATE_H

#include "shim/opencl/session.h"

/* Fills *ret (ret->vgpu is the caller's, by free()). 0, -ENOMEM, -ENODEV: a vGPU's device is not here. */
int fgo_locate(const struct fg_session *pages, struct fgo_session *ret);

#endif
