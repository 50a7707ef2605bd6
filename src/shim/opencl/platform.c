/* SPDX-License-Identifier: Apache-2.0
 * Which platforms and devices the program sees. */
#include "base/cleanup.h"
#include "shim/opencl/device.h"
#include "shim/opencl/names.h"

/* The platform's first vGPU at or after `from`, or the session's count. NULL stands for the first vGPU's platform. */
static uint32_t platform_next(const struct fgo_session *session, cl_platform_id platform, uint32_t from)
{
        if (!platform && session->count)
                platform = session->vgpu[0].platform;
        while (from < session->count && session->vgpu[from].platform != platform)
                from++;
        return from;
}

/* Platforms without a vGPU are not shown; they come in the driver's order of vGPUs. */
CL_API_ENTRY cl_int CL_API_CALL fgo_clGetPlatformIDs(cl_uint room, cl_platform_id *platforms, cl_uint *ret_count)
{
        const struct fgo_session *session = fgo_session_get();
        cl_uint count = 0;

        if ((room == 0 && platforms) || (!platforms && !ret_count))
                return CL_INVALID_VALUE;
        if (!session) /* without a vGPU platforms may be listed, but they are empty */
                return fgo_driver.clGetPlatformIDs(room, platforms, ret_count);
        for (uint32_t i = 0; i < session->count; i++) {
                if (platform_next(session, session->vgpu[i].platform, 0) != i)
                        continue;
                if (count < room)
                        platforms[count] = session->vgpu[i].platform;
                count++;
        }
        if (ret_count)
                *ret_count = count;
        return CL_SUCCESS;
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clGetPlatformInfo(cl_platform_id platform, cl_platform_info name, size_t room,
                                                      void *value, size_t *ret_size)
{
        fg_autofree void *list = NULL;
        size_t size;
        cl_int r;

        if (name != CL_PLATFORM_EXTENSIONS && name != CL_PLATFORM_EXTENSIONS_WITH_VERSION)
                return fgo_driver.clGetPlatformInfo(platform, name, room, value, ret_size);
        r = fgo_driver.clGetPlatformInfo(platform, name, 0, NULL, &size);
        if (r != CL_SUCCESS)
                return r;
        list = calloc(1, size + 1);
        if (!list)
                return CL_OUT_OF_HOST_MEMORY;
        r = fgo_driver.clGetPlatformInfo(platform, name, size, list, NULL);
        if (r != CL_SUCCESS)
                return r;
        size = name == CL_PLATFORM_EXTENSIONS ? fgo_names_filter(list) : fgo_names_filter_versions(list, size);
        return fgo_answer(list, size, room, value, ret_size);
}

/* The driver's type is kept: a vGPU on a CPU device is a CPU. */
static bool device_has_type(const struct fgo_vgpu *vgpu, cl_device_type wanted)
{
        cl_device_type type = 0;

        if (wanted == CL_DEVICE_TYPE_ALL)
                return true;
        fgo_driver.clGetDeviceInfo(vgpu->root.native, CL_DEVICE_TYPE, sizeof(type), &type, NULL);
        return (type & wanted) != 0;
}

/* How the driver answers a request for a kind of device: which of the errors, or none. */
static cl_int device_request_check(cl_platform_id platform, cl_device_type type)
{
        cl_uint count;

        return fgo_driver.clGetDeviceIDs(platform, type, 0, NULL, &count);
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clGetDeviceIDs(cl_platform_id platform, cl_device_type type, cl_uint room,
                                                   cl_device_id *devices, cl_uint *ret_count)
{
        const struct fgo_session *session = fgo_session_get();
        cl_uint count = 0;
        cl_int r = device_request_check(platform, type);

        if (r != CL_SUCCESS && r != CL_DEVICE_NOT_FOUND)
                return r;
        if ((room == 0 && devices) || (!devices && !ret_count))
                return CL_INVALID_VALUE;
        for (uint32_t i = 0; session && (i = platform_next(session, platform, i)) < session->count; i++) {
                bool is_default = type == CL_DEVICE_TYPE_DEFAULT;
                if (!is_default && !device_has_type(&session->vgpu[i], type))
                        continue;
                if (devices && count < room)
                        devices[count] = &session->vgpu[i].root;
                count++;
                if (is_default)
                        break;
        }
        if (ret_count)
                *ret_count = count;
        return count ? CL_SUCCESS : CL_DEVICE_NOT_FOUND;
}
