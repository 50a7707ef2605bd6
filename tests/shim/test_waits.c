/* SPDX-License-Identifier: Apache-2.0
 * Who waits at a closed gate, and who must not: run with two vGPUs and --gate free; the test closes them itself. */
#include "shim_test.h"

#include <pthread.h>
#include <unistd.h>

static const char source[] = "kernel void set(global int *a, int n) { a[get_global_id(0)] = n; }\n";

static struct bench b;
static cl_kernel set;
static cl_mem memory;

static void launch(int queue, int n, cl_uint waits, const cl_event *wait, cl_event *event)
{
        size_t items = 64;

        CHECK_OK(clSetKernelArg(set, 0, sizeof(memory), &memory));
        CHECK_OK(clSetKernelArg(set, 1, sizeof(n), &n));
        CHECK_OK(clEnqueueNDRangeKernel(b.queue[queue], set, 1, NULL, &items, NULL, waits, wait, event));
}

static void gates(enum fg_grant mode)
{
        set_grant(0, mode);
        set_grant(1, mode);
}

static void nobody_waited(const uint64_t before[2])
{
        CHECK_EQ(waits(0), before[0]);
        CHECK_EQ(waits(1), before[1]);
        CHECK_EQ(waiting(0) + waiting(1), 0);
}

/* Directly, behind such a launch, through an event on the other vGPU, behind a marker: none may wait. */
static void behind_a_user_event(void)
{
        cl_event start = clCreateUserEvent(b.context, NULL), first, marked;
        uint64_t before[2] = {waits(0), waits(1)};
        int result;

        gates(FG_GRANT_DENIED);
        launch(0, 1, 1, &start, &first);
        for (int i = 2; i < 20; i++)
                launch(0, i, 0, NULL, NULL);
        CHECK_OK(clEnqueueMarkerWithWaitList(b.queue[1], 1, &first, &marked));
        launch(1, 77, 0, NULL, NULL);
        nobody_waited(before);
        CHECK_OK(clSetUserEventStatus(start, CL_COMPLETE));
        CHECK_OK(clWaitForEvents(1, &marked));
        CHECK_OK(clFinish(b.queue[0]));
        CHECK_OK(clFinish(b.queue[1]));
        nobody_waited(before);
        gates(FG_GRANT_FREE);
        CHECK_OK(clEnqueueReadBuffer(b.queue[1], memory, CL_TRUE, 0, sizeof(result), &result, 0, NULL, NULL));
        CHECK(result == 77 || result == 19);
        CHECK_OK(clReleaseEvent(start));
        CHECK_OK(clReleaseEvent(first));
        CHECK_OK(clReleaseEvent(marked));
}

static void CL_CALLBACK launch_more(cl_event event, cl_int status, void *user)
{
        launch(0, 5, 0, NULL, NULL);
        launch(0, 6, 0, NULL, NULL);
        *(int *)user = 1;
}

static void from_a_callback(void)
{
        cl_event start = clCreateUserEvent(b.context, NULL);
        uint64_t before[2] = {waits(0), waits(1)};
        int called = 0;

        CHECK_OK(clSetEventCallback(start, CL_COMPLETE, launch_more, &called));
        gates(FG_GRANT_DENIED);
        CHECK_OK(clSetUserEventStatus(start, CL_COMPLETE));
        for (int tries = 0; tries < 10000 && !__atomic_load_n(&called, __ATOMIC_ACQUIRE); tries++)
                usleep(1000);
        CHECK(called);
        nobody_waited(before);
        gates(FG_GRANT_FREE);
        CHECK_OK(clFinish(b.queue[0]));
        CHECK_OK(clReleaseEvent(start));
}

static void *launch_one(void *arg)
{
        launch(0, 9, 0, NULL, NULL);
        return NULL;
}

/* The counterpart: everybody else does wait, also after a user event that is long complete. */
static void others_wait(void)
{
        uint64_t before = waits(0);
        pthread_t thread;

        gates(FG_GRANT_DENIED);
        CHECK_EQ(pthread_create(&thread, NULL, launch_one, NULL), 0);
        for (int tries = 0; tries < 10000 && !waiting(0) && waits(0) == before; tries++)
                usleep(1000);
        CHECK(waiting(0) || waits(0) > before);
        gates(FG_GRANT_FREE);
        CHECK_EQ(pthread_join(thread, NULL), 0);
        CHECK_OK(clFinish(b.queue[0]));
}

/* Small transfers pass whatever the gate says. */
static void small_transfers(void)
{
        uint64_t before[2] = {waits(0), waits(1)};
        int value = 3;

        gates(FG_GRANT_DENIED);
        CHECK_OK(clEnqueueWriteBuffer(b.queue[0], memory, CL_TRUE, 0, sizeof(value), &value, 0, NULL, NULL));
        CHECK_OK(clEnqueueReadBuffer(b.queue[0], memory, CL_TRUE, 0, sizeof(value), &value, 0, NULL, NULL));
        nobody_waited(before);
        gates(FG_GRANT_FREE);
}

int main(void)
{
        cl_program program;

        bench_open(&b);
        program = build(&b, source, NULL);
        set = kernel(program, "set");
        memory = clCreateBuffer(b.context, CL_MEM_READ_WRITE, 64 * sizeof(int), NULL, NULL);
        launch(0, 0, 0, NULL, NULL);
        CHECK_OK(clFinish(b.queue[0]));
        behind_a_user_event();
        from_a_callback();
        others_wait();
        small_transfers();
        CHECK_OK(clReleaseMemObject(memory));
        CHECK_OK(clReleaseKernel(set));
        CHECK_OK(clReleaseProgram(program));
        bench_close(&b);
        return 0;
}
