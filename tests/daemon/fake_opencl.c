/* SPDX-License-Identifier: Apache-2.0
 * A stand-in for libOpenCL.so.1 with just what a probe asks for. The file named by FAKE_OPENCL says how many devices there
 * are and how many bytes each has; "hang", "crash" or "chatter" in it is what the driver does first, "uuid" gives device n the
 * UUID 00000000-1111-2222-3333-00000000000n, counted from 0. */
#define CL_TARGET_OPENCL_VERSION 300
#include <CL/cl.h>
#include <CL/cl_ext.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static unsigned count;
static unsigned long long memory;
static bool has_uuid;

static void load(void)
{
        char how[16] = "";
        FILE *f = fopen(getenv("FAKE_OPENCL") ? getenv("FAKE_OPENCL") : "/dev/null", "r");
        if (f && fscanf(f, "%u %llu %15s", &count, &memory, how) < 2)
                count = 0;
        if (f)
                fclose(f);
        has_uuid = strcmp(how, "uuid") == 0;
        if (strcmp(how, "crash") == 0)
                abort();
        if (strcmp(how, "hang") == 0)
                pause();
        if (strcmp(how, "chatter") == 0)
                printf("hello from a driver\n{\"end\": true}\n"), fflush(stdout);
}

EXPORT cl_int clGetPlatformIDs(cl_uint room, cl_platform_id *ret, cl_uint *ret_count)
{
        load();
        if (ret && room)
                ret[0] = (cl_platform_id)(size_t)1;
        if (ret_count)
                *ret_count = count ? 1 : 0;
        return CL_SUCCESS;
}

static cl_int give(const void *value, size_t size, size_t room, void *ret, size_t *ret_size)
{
        if (ret && room < size)
                return CL_INVALID_VALUE;
        if (ret)
                memcpy(ret, value, size);
        if (ret_size)
                *ret_size = size;
        return CL_SUCCESS;
}

EXPORT cl_int clGetPlatformInfo(cl_platform_id platform, cl_platform_info what, size_t room, void *ret, size_t *ret_size)
{
        return give("Fake", 5, room, ret, ret_size);
}

EXPORT cl_int clGetDeviceIDs(cl_platform_id platform, cl_device_type type, cl_uint room, cl_device_id *ret, cl_uint *ret_count)
{
        for (unsigned i = 0; ret && i < room && i < count; i++)
                ret[i] = (cl_device_id)(size_t)(i + 1);
        if (ret_count)
                *ret_count = count;
        return CL_SUCCESS;
}

EXPORT cl_int clGetDeviceInfo(cl_device_id device, cl_device_info what, size_t room, void *ret, size_t *ret_size)
{
        cl_ulong bytes = memory;
        cl_uint units = 4;
        switch (what) {
        case CL_DEVICE_GLOBAL_MEM_SIZE:
                return give(&bytes, sizeof bytes, room, ret, ret_size);
        case CL_DEVICE_MAX_COMPUTE_UNITS:
                return give(&units, sizeof units, room, ret, ret_size);
        case CL_DEVICE_NAME:
        case CL_DEVICE_VENDOR:
        case CL_DRIVER_VERSION:
                return give("fake \xff device", 14, room, ret, ret_size);
        case CL_DEVICE_UUID_KHR: {
                unsigned char uuid[16] = {[4] = 0x11, 0x11, 0x22, 0x22, 0x33, 0x33, [15] = (unsigned char)((size_t)device - 1)};
                return has_uuid ? give(uuid, sizeof uuid, room, ret, ret_size) : CL_INVALID_VALUE;
        }
        default:
                return CL_INVALID_VALUE;
        }
}
