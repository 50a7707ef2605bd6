/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/opencl/usm.h"

#include "shim/opencl/context.h"
#include "shim/opencl/svm.h"
#include "shim/opencl/work.h"

#define USM_ALLOC_DEVICE 0x419D /* CL_MEM_ALLOC_DEVICE_INTEL */

/* The driver's function on the platform of a context or queue: what the program's call will reach. */
static void *usm_driver(const struct fgo_device_list *devices, const char *name)
{
        return devices ? fgo_driver.clGetExtensionFunctionAddressForPlatform(devices->device[0]->vgpu->platform, name)
                       : NULL;
}

static void *usm_driver_queue(cl_command_queue handle, const char *name)
{
        struct fgo_queue *queue = fgo_queue_get(handle);

        return queue ? fgo_driver.clGetExtensionFunctionAddressForPlatform(queue->device->vgpu->platform, name) : NULL;
}

static void *usm_alloc(const char *name, cl_context context, cl_device_id device, const fgo_usm_properties *properties,
                       size_t size, cl_uint alignment, cl_int *ret)
{
        const struct fgo_device_list *devices = fgo_context_devices(context);
        struct fgo_device_list one = {.count = 1, .natives = 1, .device = &device};
        fgo_usm_alloc driver = (fgo_usm_alloc)usm_driver(devices, name);
        struct fgo_charge *charge;
        void *block;
        cl_int r;

        if (!driver)
                return fgo_fail(ret, CL_INVALID_CONTEXT);
        if (device && fgo_device_list_find(devices, device) < 0)
                return fgo_fail(ret, CL_INVALID_DEVICE);
        r = fgo_charge_new(device ? &one : devices, size, &charge);
        if (r != CL_SUCCESS)
                return fgo_fail(ret, r);
        block = driver(context, device ? device->native : NULL, properties, size, alignment, ret);
        if (!block || !fgo_svm_keep(block, charge)) {
                if (block)
                        fgo_clMemFreeINTEL(context, block);
                fgo_charge_refund(charge);
                return block ? fgo_fail(ret, CL_OUT_OF_HOST_MEMORY) : NULL;
        }
        return block;
}

CL_API_ENTRY void *CL_API_CALL fgo_clDeviceMemAllocINTEL(cl_context context, cl_device_id device,
                                                         const fgo_usm_properties *properties, size_t size,
                                                         cl_uint alignment, cl_int *ret)
{
        return usm_alloc("clDeviceMemAllocINTEL", context, device, properties, size, alignment, ret);
}

CL_API_ENTRY void *CL_API_CALL fgo_clSharedMemAllocINTEL(cl_context context, cl_device_id device,
                                                         const fgo_usm_properties *properties, size_t size,
                                                         cl_uint alignment, cl_int *ret)
{
        return usm_alloc("clSharedMemAllocINTEL", context, device, properties, size, alignment, ret);
}

static cl_int usm_free(const char *name, cl_context context, void *block)
{
        fgo_usm_free driver = (fgo_usm_free)usm_driver(fgo_context_devices(context), name);
        struct fgo_charge *charge = driver ? fgo_svm_take(block) : NULL;
        cl_int r = driver ? driver(context, block) : CL_INVALID_CONTEXT;

        if (r == CL_SUCCESS)
                fgo_charge_refund(charge);
        else if (charge)
                fgo_svm_keep(block, charge);
        return r;
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clMemFreeINTEL(cl_context context, void *block)
{
        return usm_free("clMemFreeINTEL", context, block);
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clMemBlockingFreeINTEL(cl_context context, void *block)
{
        return usm_free("clMemBlockingFreeINTEL", context, block);
}

/* Which device a block is on: the first vGPU of the context on the driver's device. */
CL_API_ENTRY cl_int CL_API_CALL fgo_clGetMemAllocInfoINTEL(cl_context context, const void *block, cl_uint name,
                                                           size_t room, void *ret, size_t *ret_size)
{
        const struct fgo_device_list *devices = fgo_context_devices(context);
        fgo_usm_info driver = (fgo_usm_info)usm_driver(devices, "clGetMemAllocInfoINTEL");
        cl_device_id native = NULL, device = NULL;
        cl_int r;

        if (!driver)
                return CL_INVALID_CONTEXT;
        if (name != USM_ALLOC_DEVICE)
                return driver(context, block, name, room, ret, ret_size);
        r = driver(context, block, name, sizeof(native), &native, NULL);
        if (r != CL_SUCCESS)
                return r;
        for (cl_uint i = 0; i < devices->count && !device; i++)
                if (devices->device[i]->native == native)
                        device = devices->device[i];
        return fgo_answer(&device, sizeof(device), room, ret, ret_size);
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clEnqueueMemFillINTEL(cl_command_queue queue, void *to, const void *pattern,
                                                          size_t pattern_size, size_t size, cl_uint waits,
                                                          const cl_event *wait, cl_event *event)
{
        fgo_usm_fill driver = (fgo_usm_fill)usm_driver_queue(queue, "clEnqueueMemFillINTEL");
        struct fgo_work work;
        cl_int r = driver ? fgo_work_enter_transfer(&work, queue, size, waits, wait, event) : CL_INVALID_COMMAND_QUEUE;

        if (r != CL_SUCCESS)
                return r;
        return fgo_work_leave(&work, driver(queue, to, pattern, pattern_size, size, waits, wait, work.event));
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clEnqueueMemcpyINTEL(cl_command_queue queue, cl_bool blocking, void *to,
                                                         const void *from, size_t size, cl_uint waits,
                                                         const cl_event *wait, cl_event *event)
{
        fgo_usm_copy driver = (fgo_usm_copy)usm_driver_queue(queue, "clEnqueueMemcpyINTEL");
        struct fgo_work work;
        cl_int r = driver ? fgo_work_enter_transfer(&work, queue, size, waits, wait, event) : CL_INVALID_COMMAND_QUEUE;

        if (r != CL_SUCCESS)
                return r;
        r = driver(queue, blocking, to, from, size, waits, wait, work.event);
        return fgo_work_leave_blocking(&work, blocking, r);
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clEnqueueMigrateMemINTEL(cl_command_queue queue, const void *block, size_t size,
                                                             cl_bitfield flags, cl_uint waits, const cl_event *wait,
                                                             cl_event *event)
{
        fgo_usm_migrate driver = (fgo_usm_migrate)usm_driver_queue(queue, "clEnqueueMigrateMemINTEL");
        struct fgo_work work;
        cl_int r = driver ? fgo_work_enter_transfer(&work, queue, size, waits, wait, event) : CL_INVALID_COMMAND_QUEUE;

        if (r != CL_SUCCESS)
                return r;
        return fgo_work_leave(&work, driver(queue, block, size, flags, waits, wait, work.event));
}

void *fgo_usm_function(cl_platform_id platform, const char *name)
{
#define USM_ROW(row, type)                                                                                             \
        if (strcmp(name, #row) == 0)                                                                                   \
                return fgo_driver.clGetExtensionFunctionAddressForPlatform(platform, name) ? (void *)fgo_##row : NULL;
        FGO_USM(USM_ROW)
#undef USM_ROW
        return NULL;
}
