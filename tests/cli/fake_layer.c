/* SPDX-License-Identifier: Apache-2.0
 * The least that an OpenCL loader takes for a layer; it speaks up as the real one does. */
#define CL_TARGET_OPENCL_VERSION 300
#include <CL/cl_layer.h>
#include <stdlib.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static struct _cl_icd_dispatch dispatch;

EXPORT CL_API_ENTRY cl_int CL_API_CALL clGetLayerInfo(cl_layer_info name, size_t size, void *value, size_t *ret_size)
{
        if (name != CL_LAYER_API_VERSION)
                return CL_INVALID_VALUE;
        if (value)
                *(cl_layer_api_version *)value = CL_LAYER_API_VERSION_100;
        if (ret_size)
                *ret_size = sizeof(cl_layer_api_version);
        return CL_SUCCESS;
}

EXPORT CL_API_ENTRY cl_int CL_API_CALL clInitLayer(cl_uint entries, const struct _cl_icd_dispatch *target,
                                                   cl_uint *ret_entries, const struct _cl_icd_dispatch **ret_dispatch)
{
        const char *prove = getenv("FASTGPU_PROVE");
        if (prove && write(atoi(prove), "F", 1) != 1)
                return CL_OUT_OF_RESOURCES;
        dispatch = *target;
        *ret_dispatch = &dispatch;
        *ret_entries = sizeof dispatch / sizeof(void *);
        return CL_SUCCESS;
}
