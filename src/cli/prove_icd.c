/* SPDX-License-Identifier: Apache-2.0
 *
 * The smallest OpenCL driver: one platform without devices. ocl-icd loads layers only once it has found a platform, and
 * real drivers take far longer to load than `fastgpu run` may take; so the proof that the layer loads brings this one.
 * (cl_khr_icd: https://registry.khronos.org/OpenCL/specs/unified/html/OpenCL_Ext.html#cl_khr_icd) */
#define CL_TARGET_OPENCL_VERSION 300
#define CL_USE_DEPRECATED_OPENCL_1_1_APIS
#include <CL/cl_icd.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

EXPORT CL_API_ENTRY void *CL_API_CALL clGetExtensionFunctionAddress(const char *name);

static cl_int CL_API_CALL platform_info(cl_platform_id platform, cl_platform_info what, size_t room, void *value,
                                        size_t *ret_size)
{
        const char *text = what == CL_PLATFORM_EXTENSIONS       ? "cl_khr_icd"
                           : what == CL_PLATFORM_ICD_SUFFIX_KHR ? "FGPROVE"
                           : what == CL_PLATFORM_PROFILE        ? "FULL_PROFILE"
                           : what == CL_PLATFORM_VERSION        ? "OpenCL 3.0 FastGPU"
                                                                : "FastGPU proof";
        size_t size = strlen(text) + 1;
        if (value && room < size)
                return CL_INVALID_VALUE;
        if (value)
                memcpy(value, text, size);
        if (ret_size)
                *ret_size = size;
        return CL_SUCCESS;
}

static cl_int CL_API_CALL device_ids(cl_platform_id platform, cl_device_type type, cl_uint room, cl_device_id *devices,
                                     cl_uint *ret_count)
{
        if (ret_count)
                *ret_count = 0;
        return CL_DEVICE_NOT_FOUND;
}

static cl_icd_dispatch dispatch = {.clGetPlatformInfo = platform_info,
                                   .clGetDeviceIDs = device_ids,
                                   .clGetExtensionFunctionAddress = clGetExtensionFunctionAddress};

/* Every object of a driver starts with its table. */
struct _cl_platform_id {
        cl_icd_dispatch *dispatch;
};
static struct _cl_platform_id platform_object = {&dispatch};

static cl_int CL_API_CALL platform_ids(cl_uint room, cl_platform_id *platforms, cl_uint *ret_count)
{
        if (platforms && room)
                platforms[0] = &platform_object;
        if (ret_count)
                *ret_count = 1;
        return CL_SUCCESS;
}

CL_API_ENTRY void *CL_API_CALL clGetExtensionFunctionAddress(const char *name)
{
        if (strcmp(name, "clIcdGetPlatformIDsKHR") == 0)
                return (void *)platform_ids;
        if (strcmp(name, "clGetPlatformInfo") == 0)
                return (void *)platform_info;
        return NULL;
}
