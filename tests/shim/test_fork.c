/* SPDX-License-Identifier: Apache-2.0
 * fork(): the child has accounts of its own and no share in its parent's. Run with one vGPU of 64 MiB. */
#include "shim_test.h"

#include <sys/wait.h>
#include <unistd.h>

#define MIB (1ull << 20)

/* What a child may do with what it inherited: the driver's objects are half alive, but memory can come and go. */
static int child(struct bench *b, cl_mem inherited)
{
        cl_ulong memory;
        cl_mem own;

        CHECK_OK(clGetDeviceInfo(b->device[0], CL_DEVICE_GLOBAL_MEM_SIZE, sizeof(memory), &memory, NULL));
        CHECK_EQ(memory, 64 * MIB);
        CHECK_EQ(used(0), 10 * MIB);
        own = clCreateBuffer(b->context, 0, 20 * MIB, NULL, NULL);
        CHECK(own);
        CHECK_EQ(used(0), 30 * MIB);
        CHECK_OK(clReleaseMemObject(inherited)); /* the parent still has it */
        CHECK_EQ(used(0), 30 * MIB);
        CHECK(!clCreateBuffer(b->context, 0, 35 * MIB, NULL, NULL));
        CHECK_OK(clReleaseMemObject(own));
        CHECK_EQ(used(0), 10 * MIB);
        own = clCreateBuffer(b->context, 0, 5 * MIB, NULL, NULL); /* dies with it */
        CHECK(own);
        return 0;
}

static void wait_for(pid_t pid)
{
        int status;

        CHECK(pid > 0);
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EQ(status, 0);
}

/* Everything from the start, in a child of a process that has never asked. */
static void fork_before_use(void)
{
        pid_t pid = fork();

        if (pid == 0) {
                struct bench b;
                bench_open(&b);
                cl_mem memory = clCreateBuffer(b.context, 0, MIB, NULL, NULL);
                CHECK(memory && used(0) == MIB);
                CHECK_OK(clReleaseMemObject(memory));
                bench_close(&b);
                _exit(0);
        }
        wait_for(pid);
}

int main(void)
{
        struct bench b;
        cl_mem memory;
        pid_t pid;

        fork_before_use();
        CHECK_EQ(used(0), 0);
        bench_open(&b);
        memory = clCreateBuffer(b.context, 0, 10 * MIB, NULL, NULL);
        CHECK_EQ(used(0), 10 * MIB);
        for (int i = 0; i < 3; i++) {
                pid = fork();
                if (pid == 0)
                        _exit(child(&b, memory));
                wait_for(pid);
                for (int wait = 0; used(0) != 10 * MIB && wait < 1000; wait++)
                        usleep(10000);
                CHECK_EQ(used(0), 10 * MIB);
        }
        CHECK_OK(clReleaseMemObject(memory));
        CHECK_EQ(used(0), 0);
        bench_close(&b);
        return 0;
}
