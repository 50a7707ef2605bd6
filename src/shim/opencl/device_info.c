/* SPDX-License-Identifier: Apache-2.0
 * clGetDeviceInfo: the vGPU's figures where they differ from the physical device's. */
#include "base/cleanup.h"
#include "shim/opencl/device.h"
#include "shim/opencl/names.h"

#include <stdio.h>

#ifndef CL_DEVICE_PARENT_DEVICE_EXT
#define CL_DEVICE_PARENT_DEVICE_EXT 0x4054
#endif
#ifndef CL_DEVICE_REFERENCE_COUNT_EXT
#define CL_DEVICE_REFERENCE_COUNT_EXT 0x4057
#endif

/* The driver's answer in memory of ours, with `extra` bytes of room behind it. */
static cl_int device_fetch(cl_device_id device, cl_device_info name, size_t extra, void **ret, size_t *ret_size)
{
        fg_autofree void *value = NULL;
        size_t size = 0;
        cl_int r = fgo_driver.clGetDeviceInfo(device->native, name, 0, NULL, &size);

        if (r != CL_SUCCESS)
                return r;
        value = calloc(1, size + extra + 1);
        if (!value)
                return CL_OUT_OF_HOST_MEMORY;
        r = fgo_driver.clGetDeviceInfo(device->native, name, size, value, NULL);
        if (r != CL_SUCCESS)
                return r;
        *ret = FG_TAKE_PTR(value);
        *ret_size = size;
        return CL_SUCCESS;
}

/* Programs know devices and keep compiled kernels by name, so the physical name stays; only where the process sees
 * several vGPUs of one physical device does the vGPU's name follow. */
static cl_int device_name(cl_device_id device, size_t room, void *ret, size_t *ret_size)
{
        fg_autofree void *text = NULL;
        size_t size;
        cl_int r = device_fetch(device, CL_DEVICE_NAME, FG_NAME_MAX + 4, &text, &size);

        if (r != CL_SUCCESS)
                return r;
        if (device->vgpu->shared) {
                size_t length = strlen(text);
                size = length +
                       (size_t)snprintf((char *)text + length, size + FG_NAME_MAX + 4 - length, " [%s]",
                                        device->vgpu->name) +
                       1;
        }
        return fgo_answer(text, size, room, ret, ret_size);
}

static cl_int device_extensions(cl_device_id device, cl_device_info name, size_t room, void *ret, size_t *ret_size)
{
        fg_autofree void *list = NULL;
        size_t size;
        cl_int r = device_fetch(device, name, 0, &list, &size);

        if (r != CL_SUCCESS)
                return r;
        size = name == CL_DEVICE_EXTENSIONS ? fgo_names_filter(list) : fgo_names_filter_versions(list, size);
        return fgo_answer(list, size, room, ret, ret_size);
}

static cl_int device_memory(cl_device_id device, cl_device_info name, size_t room, void *ret, size_t *ret_size)
{
        struct fg_ledger *ledger = fgo_vgpu_ledger(device->vgpu);
        cl_ulong bytes;

        if (!ledger)
                return CL_OUT_OF_RESOURCES;
        bytes = name == CL_DEVICE_GLOBAL_MEM_SIZE ? fg_ledger_quota(ledger) : fgo_device_max_alloc(device);
        return fgo_answer(&bytes, sizeof(bytes), room, ret, ret_size);
}

/* AMD's query: KiB free, KiB of the largest free block. Only where the driver knows it. */
static cl_int device_free_memory(cl_device_id device, size_t room, void *ret, size_t *ret_size)
{
        fg_autofree void *value = NULL;
        struct fg_ledger *ledger = fgo_vgpu_ledger(device->vgpu);
        size_t size, *kib;
        uint64_t quota, used;
        cl_int r = device_fetch(device, CL_DEVICE_GLOBAL_FREE_MEMORY_AMD, 0, &value, &size);

        if (r != CL_SUCCESS)
                return r;
        if (!ledger)
                return CL_OUT_OF_RESOURCES;
        quota = fg_ledger_quota(ledger);
        used = fg_ledger_used(ledger);
        kib = value;
        for (size_t i = 0; i < size / sizeof(*kib); i++)
                kib[i] = used < quota && kib[i] > (quota - used) / 1024 ? (quota - used) / 1024
                         : used < quota                                 ? kib[i]
                                                                        : 0;
        return fgo_answer(value, size, room, ret, ret_size);
}

/* Two vGPUs of one device must not look the same to a program that tells devices apart by it. */
static cl_int device_uuid(cl_device_id device, size_t room, void *ret, size_t *ret_size)
{
        struct fg_session_vgpu *session = fg_load_acquire(&device->vgpu->session);
        fg_autofree void *native = NULL;
        size_t size;
        cl_int r = device_fetch(device, CL_DEVICE_UUID_KHR, 0, &native, &size);

        if (r != CL_SUCCESS)
                return r;
        if (!session)
                return CL_OUT_OF_RESOURCES;
        return fgo_answer(session->ledger.limits->uuid, sizeof(session->ledger.limits->uuid), room, ret, ret_size);
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clGetDeviceInfo(cl_device_id device, cl_device_info name, size_t room, void *ret,
                                                    size_t *ret_size)
{
        static const cl_uint one = 1;

        if (!fgo_device_check(device))
                return CL_INVALID_DEVICE;
        switch (name) {
        case CL_DEVICE_NAME:
                return device_name(device, room, ret, ret_size);
        case CL_DEVICE_GLOBAL_MEM_SIZE:
        case CL_DEVICE_MAX_MEM_ALLOC_SIZE:
                return device_memory(device, name, room, ret, ret_size);
        case CL_DEVICE_GLOBAL_FREE_MEMORY_AMD:
                return device_free_memory(device, room, ret, ret_size);
        case CL_DEVICE_UUID_KHR:
                return device_uuid(device, room, ret, ret_size);
        case CL_DEVICE_EXTENSIONS:
        case CL_DEVICE_EXTENSIONS_WITH_VERSION:
                return device_extensions(device, name, room, ret, ret_size);
        case CL_DEVICE_PARENT_DEVICE:
        case CL_DEVICE_PARENT_DEVICE_EXT:
                return fgo_answer(&device->parent, sizeof(device->parent), room, ret, ret_size);
        case CL_DEVICE_REFERENCE_COUNT:
        case CL_DEVICE_REFERENCE_COUNT_EXT:
                if (!device->parent) /* a vGPU is not counted, as a physical device is not */
                        return fgo_answer(&one, sizeof(one), room, ret, ret_size);
                return fgo_driver.clGetDeviceInfo(device->native, name, room, ret, ret_size);
        case CL_DEVICE_COMMAND_BUFFER_CAPABILITIES_KHR:
        case CL_DEVICE_COMMAND_BUFFER_REQUIRED_QUEUE_PROPERTIES_KHR:
                return CL_INVALID_VALUE;
        default:
                return fgo_driver.clGetDeviceInfo(device->native, name, room, ret, ret_size);
        }
}
