/* SPDX-License-Identifier: Apache-2.0
 * Without a vGPU nothing is visible and nothing is allowed: run with no socket, a wrong one, or (argument "closed") a
 * vGPU that is being taken away. */
#include "shim_test.h"

static int no_devices(void)
{
        cl_platform_id platform[4];
        cl_device_id device;
        cl_uint platforms = 0, devices = 7;
        cl_int r;

        CHECK_OK(clGetPlatformIDs(4, platform, &platforms));
        for (cl_uint i = 0; i < platforms; i++)
                for (cl_device_type type = CL_DEVICE_TYPE_DEFAULT; type <= CL_DEVICE_TYPE_ACCELERATOR; type <<= 1) {
                        CHECK_EQ(clGetDeviceIDs(platform[i], type, 1, &device, &devices), CL_DEVICE_NOT_FOUND);
                        CHECK_EQ(devices, 0);
                }
        CHECK_EQ(clGetDeviceIDs(platform[0], CL_DEVICE_TYPE_ALL, 1, &device, &devices), CL_DEVICE_NOT_FOUND);
        CHECK(!clCreateContextFromType(NULL, CL_DEVICE_TYPE_ALL, NULL, NULL, &r));
        CHECK(r != CL_SUCCESS);
        return 0;
}

static int closed(void)
{
        static const char source[] = "kernel void nothing(void) {}";
        const char *text = source;
        struct bench b;
        size_t items = 1;
        cl_program program;
        cl_kernel k;
        cl_int r;

        bench_open(&b);
        program = clCreateProgramWithSource(b.context, 1, &text, NULL, NULL);
        CHECK_OK(clBuildProgram(program, 0, NULL, NULL, NULL, NULL));
        k = kernel(program, "nothing");
        CHECK(!clCreateBuffer(b.context, 0, 1, NULL, &r));
        CHECK_EQ(r, CL_OUT_OF_RESOURCES);
        CHECK(!clSVMAlloc(b.context, CL_MEM_READ_WRITE, 1, 0));
        CHECK_EQ(clEnqueueNDRangeKernel(b.queue[0], k, 1, NULL, &items, NULL, 0, NULL, NULL), CL_OUT_OF_RESOURCES);
        CHECK_OK(clFinish(b.queue[0]));
        CHECK_OK(clReleaseKernel(k));
        CHECK_OK(clReleaseProgram(program));
        bench_close(&b);
        return 0;
}

int main(int argc, char **argv)
{
        return argc > 1 && strcmp(argv[1], "closed") == 0 ? closed() : no_devices();
}
