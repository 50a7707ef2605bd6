/* SPDX-License-Identifier: Apache-2.0
 * A program that starts another one: OPENCL_LAYERS must reach it whole, although the loader splits it in place. Run
 * with OPENCL_LAYERS=LAYER:/no/such/layer:/nor/this (argument: that value) and one vGPU. */
#include "shim_test.h"

#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
        cl_platform_id platform;
        cl_device_id device;
        pid_t pid;
        int status;

        CHECK(argc == 2);
        CHECK_OK(clGetPlatformIDs(1, &platform, NULL));
        CHECK_OK(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL));
        CHECK(getenv("OPENCL_LAYERS") && strcmp(getenv("OPENCL_LAYERS"), argv[1]) == 0);
        pid = fork();
        if (pid == 0) {
                execlp("sh", "sh", "-c", "test \"$OPENCL_LAYERS\" = \"$0\"", argv[1], NULL);
                _exit(127);
        }
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EQ(status, 0);
        return 0;
}
