/* SPDX-License-Identifier: Apache-2.0
 *
 * What an allocation costs. It is charged its full size once for each distinct physical device of its context: whole to
 * the first vGPU in the context's order that has room, else split over that device's vGPUs. A charge never moves, and
 * it is given back when the object is destroyed. */
#ifndef FGO_CHARGE_H
#define FGO_CHARGE_H

#include "shim/opencl/device.h"

struct fgo_charge;

/* CL_MEM_OBJECT_ALLOCATION_FAILURE: over quota. CL_INVALID_BUFFER_SIZE: more than any of the vGPUs could ever allocate.
 * CL_OUT_OF_RESOURCES: no vGPU. *ret is the caller's until fgo_charge_refund(). */
cl_int fgo_charge_new(const struct fgo_device_list *devices, uint64_t bytes, struct fgo_charge **ret);
/* Gives everything back and frees it. NULL is fine. A forked child only forgets what its parent was charged. */
void fgo_charge_refund(struct fgo_charge *charge);
/* fgo_charge_refund() as a destructor callback, kept by the driver until the object is gone. On failure the object is
 * released, the charge given back, and NULL returned. */
cl_mem fgo_charge_attach(cl_mem memory, struct fgo_charge *charge, cl_int *ret);

#endif
