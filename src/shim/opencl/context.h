/* SPDX-License-Identifier: Apache-2.0
 *
 * Contexts stay the driver's. A context over several vGPUs of one physical device reaches the driver with that device
 * once; what the program asked for is kept here. An entry stays until the driver uses the handle again: queues,
 * programs and events can bring a released context back. */
#ifndef FGO_CONTEXT_H
#define FGO_CONTEXT_H

#include "shim/opencl/device.h"

extern struct fgo_map fgo_contexts; /* cl_context -> struct fgo_device_list */

/* NULL: not a context. */
static inline const struct fgo_device_list *fgo_context_devices(cl_context context)
{
        return fgo_map_get(&fgo_contexts, context);
}

#endif
