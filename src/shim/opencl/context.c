/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/opencl/context.h"

#include "base/cleanup.h"

struct fgo_map fgo_contexts = FGO_MAP_INIT;

typedef void(CL_CALLBACK *context_notify)(const char *, const void *, size_t, void *);

/* Takes *list on success. */
static cl_context context_create(const cl_context_properties *properties, struct fgo_device_list **list,
                                 context_notify notify, void *user, cl_int *ret)
{
        cl_context context =
                fgo_driver.clCreateContext(properties, (*list)->natives, (*list)->native, notify, user, ret);
        void *old;

        if (!context)
                return NULL;
        if (fgo_map_put(&fgo_contexts, context, *list, &old) < 0) {
                fgo_driver.clReleaseContext(context);
                return fgo_fail(ret, CL_OUT_OF_HOST_MEMORY);
        }
        *list = NULL;
        free(old);
        return context;
}

CL_API_ENTRY cl_context CL_API_CALL fgo_clCreateContext(const cl_context_properties *properties, cl_uint count,
                                                        const cl_device_id *devices, context_notify notify, void *user,
                                                        cl_int *ret)
{
        fg_autofree struct fgo_device_list *list = NULL;
        cl_int r;

        if (!fgo_session_get())
                return fgo_fail(ret, CL_OUT_OF_RESOURCES);
        if (!devices || count == 0)
                return fgo_fail(ret, CL_INVALID_VALUE);
        r = fgo_device_list_new(count, devices, &list);
        if (r != CL_SUCCESS)
                return fgo_fail(ret, r);
        return context_create(properties, &list, notify, user, ret);
}

static cl_platform_id context_platform(const cl_context_properties *properties)
{
        for (; properties && *properties; properties += 2)
                if (*properties == CL_CONTEXT_PLATFORM)
                        return (cl_platform_id)properties[1];
        return NULL;
}

CL_API_ENTRY cl_context CL_API_CALL fgo_clCreateContextFromType(const cl_context_properties *properties,
                                                                cl_device_type type, context_notify notify, void *user,
                                                                cl_int *ret)
{
        fg_autofree struct fgo_device_list *list = NULL;
        fg_autofree cl_device_id *devices = NULL;
        const struct fgo_session *session = fgo_session_get();
        cl_platform_id platform = context_platform(properties);
        cl_uint count = 0;
        cl_int r;

        if (!platform && session && session->count) /* no loader refuses this, but one refuses to list such devices */
                platform = session->vgpu[0].platform;
        r = fgo_clGetDeviceIDs(platform, type, 0, NULL, &count);
        if (r != CL_SUCCESS)
                return fgo_fail(ret, r);
        devices = calloc(count, sizeof(cl_device_id));
        if (!devices)
                return fgo_fail(ret, CL_OUT_OF_HOST_MEMORY);
        r = fgo_clGetDeviceIDs(platform, type, count, devices, &count);
        if (r == CL_SUCCESS)
                r = fgo_device_list_new(count, devices, &list);
        if (r != CL_SUCCESS)
                return fgo_fail(ret, r);
        return context_create(properties, &list, notify, user, ret);
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clGetContextInfo(cl_context context, cl_context_info name, size_t room, void *ret,
                                                     size_t *ret_size)
{
        const struct fgo_device_list *list = fgo_context_devices(context);

        if (!list)
                return CL_INVALID_CONTEXT;
        if (name == CL_CONTEXT_NUM_DEVICES)
                return fgo_answer(&list->count, sizeof(list->count), room, ret, ret_size);
        if (name == CL_CONTEXT_DEVICES)
                return fgo_answer(list->device, list->count * sizeof(cl_device_id), room, ret, ret_size);
        return fgo_driver.clGetContextInfo(context, name, room, ret, ret_size);
}

/* Which devices can share with a graphics context: the driver's answer, each device as all its vGPUs. */
CL_API_ENTRY cl_int CL_API_CALL fgo_clGetGLContextInfoKHR(const cl_context_properties *properties,
                                                          cl_gl_context_info name, size_t room, void *ret,
                                                          size_t *ret_size)
{
        const struct fgo_session *session = fgo_session_get();
        fg_autofree cl_device_id *devices = NULL;
        cl_device_id native[64];
        size_t size = 0, count = 0;
        cl_int r = fgo_driver.clGetGLContextInfoKHR(properties, name, sizeof(native), native, &size);

        if (r != CL_SUCCESS)
                return r;
        if (!session)
                return fgo_answer(NULL, 0, room, ret, ret_size);
        devices = calloc(session->count + 1, sizeof(cl_device_id));
        if (!devices)
                return CL_OUT_OF_HOST_MEMORY;
        for (uint32_t i = 0; i < session->count; i++)
                for (size_t j = 0; j < size / sizeof(native[0]); j++)
                        if (session->vgpu[i].root.native == native[j])
                                devices[count++] = &session->vgpu[i].root;
        if (name == CL_CURRENT_DEVICE_FOR_GL_CONTEXT_KHR && count > 1)
                count = 1;
        return fgo_answer(devices, count * sizeof(cl_device_id), room, ret, ret_size);
}
