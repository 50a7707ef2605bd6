/* SPDX-License-Identifier: Apache-2.0
 * The one shape of all transfers. */
#ifndef FGO_TRANSFER_H
#define FGO_TRANSFER_H

#include "shim/opencl/work.h"

/* The body of an entry: `call` is the driver's with work.event; queue, waits, wait and event are the entry's
 * parameters. */
#define FGO_TRANSFER(bytes, blocking, call)                                                                            \
        struct fgo_work work;                                                                                          \
        cl_int r = fgo_work_enter_transfer(&work, queue, bytes, waits, wait, event);                                   \
                                                                                                                       \
        if (r != CL_SUCCESS)                                                                                           \
                return r;                                                                                              \
        r = call;                                                                                                      \
        return fgo_work_leave_blocking(&work, blocking, r)

/* Bytes of a box of elements; NULL: 0, the driver refuses it. */
static inline uint64_t fgo_region(const size_t *region)
{
        return region ? (uint64_t)region[0] * region[1] * region[2] : 0;
}

/* Bytes of a box of an image's pixels. */
uint64_t fgo_region_image(cl_mem image, const size_t *region);
/* Bytes of a whole object. */
uint64_t fgo_memory_size(cl_mem memory);

#endif
