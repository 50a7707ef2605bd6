/* SPDX-License-Identifier: Apache-2.0
 * Devices as the program holds them, and lists of them as the driver wants them. */
#ifndef FGO_DEVICE_H
#define FGO_DEVICE_H

#include "shim/opencl/map.h"
#include "shim/opencl/session.h"

extern struct fgo_map
        fgo_devices; /* the program's handle -> struct _cl_device_id, so that any pointer can be asked for */
extern struct fgo_map fgo_sub_devices; /* the driver's handle of a sub-device -> ours */

void fgo_devices_register(struct fgo_session *view);

/* The device if `device` is one of ours, else NULL. That a sub-device is still alive is the driver's business. */
static inline cl_device_id fgo_device_check(cl_device_id device)
{
        return fgo_map_get(&fgo_devices, device);
}

/* The driver's answer about the physical device. */
cl_int fgo_device_native_info(cl_device_id device, cl_device_info name, void *value, size_t size);

/* What a sub-device of the driver is for the program. NULL: out of memory. */
cl_device_id fgo_sub_device_get(cl_device_id parent, cl_device_id native);

/* min(physical, quota); 0: not attached. */
uint64_t fgo_device_max_alloc(cl_device_id device);

/* Devices in the program's order and, each once, in the driver's. Several vGPUs of one physical device share a slot. */
struct fgo_device_list {
        cl_uint count, natives;
        cl_device_id *device; /* count of them */
        cl_uint *slot;        /* device[i] is native[slot[i]] */
        cl_device_id *native; /* natives of them */
};

/* CL_INVALID_DEVICE: one is not ours. One that is named twice counts once. *ret is the caller's, by free(). */
cl_int fgo_device_list_new(cl_uint count, const cl_device_id *devices, struct fgo_device_list **ret);
struct fgo_device_list *fgo_device_list_copy(const struct fgo_device_list *list);
/* Its position, or -1. */
int fgo_device_list_find(const struct fgo_device_list *list, cl_device_id device);

#endif
