/* SPDX-License-Identifier: Apache-2.0
 *
 * Programs stay the driver's, too. Where two vGPUs of one physical device share a program, the driver has one build for
 * both: what was built for which is remembered, and a second build with other options for the other one is refused,
 * because it would silently replace the first. */
#ifndef FGO_PROGRAM_H
#define FGO_PROGRAM_H

#include "shim/opencl/context.h"

struct fgo_program {
        struct fgo_device_list *devices;
        uint64_t built[]; /* by device: which build, 0: none. Under fgo_program_lock */
};

extern struct fgo_map fgo_programs; /* cl_program -> struct fgo_program; entries stay as those of contexts do */
extern pthread_mutex_t fgo_program_lock;

static inline struct fgo_program *fgo_program_get(cl_program program)
{
        return fgo_map_get(&fgo_programs, program);
}

/* True: the device's slot was built, but not for this device. */
bool fgo_program_built_for_another(struct fgo_program *program, int device);

/* The same for a kernel's program: the devices a kernel can be asked about. NULL: unknown. */
const struct fgo_device_list *fgo_kernel_devices(cl_kernel kernel);

#endif
