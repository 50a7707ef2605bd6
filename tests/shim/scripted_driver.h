/* SPDX-License-Identifier: Apache-2.0
 * A driver that does as it is told, for functions that no driver at hand has. Its commands are complete at once. */
#ifndef SCRIPTED_DRIVER_H
#define SCRIPTED_DRIVER_H

#include "shim/opencl/usm.h"

#include <stdbool.h>

#define SCRIPTED_UUID "\x01\x23\x45\x67\x89\xab\xcd\xef\xfe\xdc\xba\x98\x76\x54\x32\x10"
#define SCRIPTED_INFO_SIZE   0x419C /* CL_MEM_ALLOC_SIZE_INTEL */
#define SCRIPTED_INFO_DEVICE 0x419D /* CL_MEM_ALLOC_DEVICE_INTEL */

extern struct scripted {
        /* The script. */
        const char *lacks; /* the extension function that it has not */
        cl_int fail;       /* what allocating and freeing say */
        bool no_callbacks; /* nobody is told of an object's end */
        /* What it was asked for. */
        int allocations, releases, work;
        int events;          /* handed out and not released */
        size_t size;         /* of the last allocation or piece of work */
        cl_device_id device; /* of the last allocation */
        void *freed;
} scripted;

extern const cl_device_id scripted_device;
extern const cl_icd_dispatch scripted_table;

void *scripted_function(const char *name);

#endif
