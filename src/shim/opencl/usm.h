/* SPDX-License-Identifier: Apache-2.0
 * cl_intel_unified_shared_memory. Its functions are reached through extension pointers only, so their types stand here
 * and the driver's pointers are asked for when they are used. Host allocations are the host's and not charged. */
#ifndef FGO_USM_H
#define FGO_USM_H

#include "shim/opencl/dispatch.h"

typedef cl_bitfield fgo_usm_properties;

typedef void *(CL_API_CALL *fgo_usm_alloc)(cl_context context, cl_device_id device,
                                           const fgo_usm_properties *properties, size_t size, cl_uint alignment,
                                           cl_int *ret);
typedef cl_int(CL_API_CALL *fgo_usm_free)(cl_context context, void *block);
typedef cl_int(CL_API_CALL *fgo_usm_info)(cl_context context, const void *block, cl_uint name, size_t room, void *ret,
                                          size_t *ret_size);
typedef cl_int(CL_API_CALL *fgo_usm_fill)(cl_command_queue queue, void *to, const void *pattern, size_t pattern_size,
                                          size_t size, cl_uint waits, const cl_event *wait, cl_event *event);
typedef cl_int(CL_API_CALL *fgo_usm_copy)(cl_command_queue queue, cl_bool blocking, void *to, const void *from,
                                          size_t size, cl_uint waits, const cl_event *wait, cl_event *event);
typedef cl_int(CL_API_CALL *fgo_usm_migrate)(cl_command_queue queue, const void *block, size_t size, cl_bitfield flags,
                                             cl_uint waits, const cl_event *wait, cl_event *event);

#define FGO_USM(X)                                \
        X(clDeviceMemAllocINTEL, fgo_usm_alloc)   \
        X(clSharedMemAllocINTEL, fgo_usm_alloc)   \
        X(clMemFreeINTEL, fgo_usm_free)           \
        X(clMemBlockingFreeINTEL, fgo_usm_free)   \
        X(clGetMemAllocInfoINTEL, fgo_usm_info)   \
        X(clEnqueueMemFillINTEL, fgo_usm_fill)    \
        X(clEnqueueMemcpyINTEL, fgo_usm_copy)     \
        X(clEnqueueMigrateMemINTEL, fgo_usm_migrate)

#define FGO_USM_DECLARE(name, type) __typeof__(*(type)0) fgo_##name;
FGO_USM(FGO_USM_DECLARE)
#undef FGO_USM_DECLARE

/* The layer's function for the name; NULL: not one of these, or the driver of `platform` has none. */
void *fgo_usm_function(cl_platform_id platform, const char *name);

#endif
