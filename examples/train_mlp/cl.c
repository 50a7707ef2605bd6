/* SPDX-License-Identifier: Apache-2.0 */
#include "cl.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_DEVICES 256u

/* Runtime errors are 0..-19, errors in arguments -30..-72. */
static const char *const error_name[] = {
        [0] = "CL_SUCCESS",
        [1] = "CL_DEVICE_NOT_FOUND",
        [2] = "CL_DEVICE_NOT_AVAILABLE",
        [3] = "CL_COMPILER_NOT_AVAILABLE",
        [4] = "CL_MEM_OBJECT_ALLOCATION_FAILURE",
        [5] = "CL_OUT_OF_RESOURCES",
        [6] = "CL_OUT_OF_HOST_MEMORY",
        [11] = "CL_BUILD_PROGRAM_FAILURE",
        [12] = "CL_MAP_FAILURE",
        [14] = "CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST",
        [30] = "CL_INVALID_VALUE",
        [32] = "CL_INVALID_PLATFORM",
        [33] = "CL_INVALID_DEVICE",
        [34] = "CL_INVALID_CONTEXT",
        [36] = "CL_INVALID_COMMAND_QUEUE",
        [38] = "CL_INVALID_MEM_OBJECT",
        [44] = "CL_INVALID_PROGRAM",
        [45] = "CL_INVALID_PROGRAM_EXECUTABLE",
        [46] = "CL_INVALID_KERNEL_NAME",
        [48] = "CL_INVALID_KERNEL",
        [49] = "CL_INVALID_ARG_INDEX",
        [50] = "CL_INVALID_ARG_VALUE",
        [51] = "CL_INVALID_ARG_SIZE",
        [52] = "CL_INVALID_KERNEL_ARGS",
        [54] = "CL_INVALID_WORK_GROUP_SIZE",
        [59] = "CL_INVALID_OPERATION",
        [61] = "CL_INVALID_BUFFER_SIZE",
        [63] = "CL_INVALID_GLOBAL_WORK_SIZE",
};

const char *cl_error_name(cl_int code)
{
        static _Thread_local char number[32];
        size_t index = code <= 0 ? (size_t)-(long)code : sizeof(error_name);

        if (index < sizeof(error_name) / sizeof(error_name[0]) && error_name[index])
                return error_name[index];
        if (code == -1001)
                return "CL_PLATFORM_NOT_FOUND_KHR";
        snprintf(number, sizeof(number), "OpenCL error %d", code);
        return number;
}

int cl_failed(const char *call, cl_int code)
{
        if (code == CL_SUCCESS)
                return 0;
        fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, call, cl_error_name(code));
        return -1;
}

/* Device `number` of all platforms; where there is none, how many there are. */
static int walk(unsigned number, cl_device_id *ret, cl_uint *ret_total)
{
        cl_platform_id platform[16];
        cl_uint platforms = 0, total = 0;

        if (cl_failed("clGetPlatformIDs", clGetPlatformIDs(16, platform, &platforms)))
                return -1;
        for (cl_uint i = 0; i < platforms && i < 16; i++) {
                cl_device_id device[MAX_DEVICES];
                cl_uint found = 0;

                if (clGetDeviceIDs(platform[i], CL_DEVICE_TYPE_ALL, MAX_DEVICES, device, &found) != CL_SUCCESS)
                        continue;
                if (number - total < found) {
                        *ret = device[number - total];
                        return 0;
                }
                total += found;
        }
        *ret_total = total;
        return 0;
}

int cl_find_device(unsigned number, cl_device_id *ret)
{
        cl_uint total = 0;
        cl_device_id device = NULL;

        if (walk(number, &device, &total) < 0)
                return -1;
        if (!device) {
                fprintf(stderr, "%s: there is no OpenCL device %u: %u found\n", program_invocation_short_name, number, total);
                return -1;
        }
        *ret = device;
        return 0;
}

int cl_count_devices(unsigned *ret)
{
        cl_device_id none;
        cl_uint total = 0;

        if (walk(UINT_MAX, &none, &total) < 0)
                return -1;
        if (!total)
                return cl_failed("clGetDeviceIDs", CL_DEVICE_NOT_FOUND);
        *ret = total;
        return 0;
}

static void print_build_log(cl_program program, cl_device_id device)
{
        size_t size = 0;
        char *log;

        clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, 0, NULL, &size);
        log = calloc(1, size + 1);
        if (log && clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, size, log, NULL) == CL_SUCCESS)
                fprintf(stderr, "%s\n", log);
        free(log);
}

cl_program cl_build(cl_context context, cl_device_id device, const char *source, const char *options)
{
        cl_int rc;
        cl_program program = clCreateProgramWithSource(context, 1, &source, NULL, &rc);

        if (cl_failed("clCreateProgramWithSource", rc))
                return NULL;
        rc = clBuildProgram(program, 1, &device, options, NULL, NULL);
        if (rc == CL_SUCCESS)
                return program;
        cl_failed("clBuildProgram", rc);
        print_build_log(program, device);
        clReleaseProgram(program);
        return NULL;
}
