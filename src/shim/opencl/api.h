/* SPDX-License-Identifier: Apache-2.0
 * The OpenCL headers as every file of the layer sees them, and what is too new or too old for some of them. */
#ifndef FGO_API_H
#define FGO_API_H

#define CL_TARGET_OPENCL_VERSION 300
#define CL_USE_DEPRECATED_OPENCL_1_0_APIS
#define CL_USE_DEPRECATED_OPENCL_1_1_APIS
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#define CL_USE_DEPRECATED_OPENCL_2_0_APIS
#define CL_USE_DEPRECATED_OPENCL_2_1_APIS
#define CL_USE_DEPRECATED_OPENCL_2_2_APIS
#include <CL/cl_layer.h>

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifndef CL_DEVICE_UUID_KHR
#define CL_DEVICE_UUID_KHR 0x106A
#define CL_UUID_SIZE_KHR 16
#endif
#ifndef CL_DEVICE_GLOBAL_FREE_MEMORY_AMD
#define CL_DEVICE_GLOBAL_FREE_MEMORY_AMD 0x4039
#endif
#ifndef CL_DEVICE_COMMAND_BUFFER_CAPABILITIES_KHR
#define CL_DEVICE_COMMAND_BUFFER_CAPABILITIES_KHR 0x12A9
#endif
#ifndef CL_DEVICE_COMMAND_BUFFER_REQUIRED_QUEUE_PROPERTIES_KHR
#define CL_DEVICE_COMMAND_BUFFER_REQUIRED_QUEUE_PROPERTIES_KHR 0x12AA
#endif

/* For entries that return an object: the code goes where the program wants it. */
static inline void *fgo_fail(cl_int *ret, cl_int code)
{
        if (ret)
                *ret = code;
        return NULL;
}

/* The answer to a clGet…Info call. */
static inline cl_int fgo_answer(const void *value, size_t size, size_t room, void *ret, size_t *ret_size)
{
        if (ret && room < size)
                return CL_INVALID_VALUE;
        if (ret && size)
                memcpy(ret, value, size);
        if (ret_size)
                *ret_size = size;
        return CL_SUCCESS;
}

#endif
