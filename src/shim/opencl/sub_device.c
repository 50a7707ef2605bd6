/* SPDX-License-Identifier: Apache-2.0
 * Sub-devices: objects of ours over the driver's, with the vGPU's account and gate. */
#include "shim/opencl/device.h"

/* Replaces the driver's handles by ours; on failure gives them all back. */
static cl_int sub_device_wrap(cl_device_id parent, cl_device_id *devices, cl_uint count)
{
        for (cl_uint i = 0; i < count; i++) {
                cl_device_id native = devices[i];
                devices[i] = fgo_sub_device_get(parent, native);
                if (devices[i])
                        continue;
                devices[i] = native;
                for (cl_uint j = 0; j < count; j++)
                        fgo_driver.clReleaseDevice(j < i ? devices[j]->native : devices[j]);
                return CL_OUT_OF_HOST_MEMORY;
        }
        return CL_SUCCESS;
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clCreateSubDevices(cl_device_id device,
                                                       const cl_device_partition_property *properties, cl_uint room,
                                                       cl_device_id *devices, cl_uint *ret_count)
{
        cl_uint count = 0;
        cl_int r;

        if (!fgo_device_check(device))
                return CL_INVALID_DEVICE;
        r = fgo_driver.clCreateSubDevices(device->native, properties, room, devices, &count);
        if (r != CL_SUCCESS)
                return r;
        if (ret_count)
                *ret_count = count;
        return devices ? sub_device_wrap(device, devices, count < room ? count : room) : CL_SUCCESS;
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clCreateSubDevicesEXT(cl_device_id device,
                                                          const cl_device_partition_property_ext *properties,
                                                          cl_uint room, cl_device_id *devices, cl_uint *ret_count)
{
        cl_uint count = 0;
        cl_int r;

        if (!fgo_device_check(device))
                return CL_INVALID_DEVICE;
        r = fgo_driver.clCreateSubDevicesEXT(device->native, properties, room, devices, &count);
        if (r != CL_SUCCESS)
                return r;
        if (ret_count)
                *ret_count = count;
        return devices ? sub_device_wrap(device, devices, count < room ? count : room) : CL_SUCCESS;
}

/* A vGPU is not counted, as a physical device is not. */
CL_API_ENTRY cl_int CL_API_CALL fgo_clRetainDevice(cl_device_id device)
{
        if (!fgo_device_check(device))
                return CL_INVALID_DEVICE;
        if (!device->parent)
                return CL_SUCCESS;
        return fgo_driver.clRetainDevice(device->native);
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clReleaseDevice(cl_device_id device)
{
        if (!fgo_device_check(device))
                return CL_INVALID_DEVICE;
        if (!device->parent)
                return CL_SUCCESS;
        return fgo_driver.clReleaseDevice(device->native);
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clRetainDeviceEXT(cl_device_id device)
{
        return fgo_clRetainDevice(device);
}

CL_API_ENTRY cl_int CL_API_CALL fgo_clReleaseDeviceEXT(cl_device_id device)
{
        return fgo_clReleaseDevice(device);
}
