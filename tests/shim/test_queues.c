/* SPDX-License-Identifier: Apache-2.0
 * Order and results of everything that is enqueued, while the gate opens and closes (fake-daemon --gate toggle):
 * nothing may be late, lost, done twice or wait for itself. Run with two vGPUs. */
#include "shim_test.h"

#include <pthread.h>

#define ITEMS  16384 /* 64 KiB of int: transfers of this size pass the gate */
#define BYTES  (ITEMS * sizeof(int))
#define ROUNDS 200

static const char source[] = "kernel void set(global int *a, int n) { a[get_global_id(0)] = n; }\n"
                             "kernel void add(global int *a, int n) {\n"
                             "        int v = a[get_global_id(0)];\n"
                             "        for (int i = 0; i < 20; i++) v = v * 3 + 1;\n"
                             "        for (int i = 0; i < 20; i++) v = (v - 1) * (int)0xaaaaaaab;\n"
                             "        a[get_global_id(0)] = v + n; }\n";

static struct bench b;
static cl_program program;
static int result[ITEMS];

static void launch(cl_command_queue queue, cl_kernel k, cl_mem memory, int n, cl_uint waits, const cl_event *wait,
                   cl_event *event)
{
        size_t items = ITEMS;

        CHECK_OK(clSetKernelArg(k, 0, sizeof(memory), &memory));
        CHECK_OK(clSetKernelArg(k, 1, sizeof(n), &n));
        CHECK_OK(clEnqueueNDRangeKernel(queue, k, 1, NULL, &items, NULL, waits, wait, event));
}

static cl_mem buffer(void)
{
        cl_mem memory = clCreateBuffer(b.context, CL_MEM_READ_WRITE, BYTES, NULL, NULL);

        CHECK(memory);
        return memory;
}

static void all_are(const int *values, int expected)
{
        for (int i = 0; i < ITEMS; i++)
                CHECK_EQ(values[i], expected);
}

static void map_after_kernels(void)
{
        cl_kernel set = kernel(program, "set"), add = kernel(program, "add");
        cl_mem memory = buffer();

        for (int round = 0; round < ROUNDS; round++) {
                cl_int r;
                int *mapped;
                launch(b.queue[0], set, memory, round, 0, NULL, NULL);
                for (int i = 0; i < 4; i++)
                        launch(b.queue[0], add, memory, 1, 0, NULL, NULL);
                mapped = clEnqueueMapBuffer(b.queue[0], memory, CL_TRUE, CL_MAP_READ, 0, BYTES, 0, NULL, NULL, &r);
                CHECK_OK(r);
                all_are(mapped, round + 4);
                CHECK_OK(clEnqueueUnmapMemObject(b.queue[0], memory, mapped, 0, NULL, NULL));
        }
        CHECK_OK(clFinish(b.queue[0]));
        CHECK_OK(clReleaseMemObject(memory));
        CHECK_OK(clReleaseKernel(set));
        CHECK_OK(clReleaseKernel(add));
}

static void rectangles(void)
{
        const size_t zero[3] = {0, 0, 0}, all[3] = {1024, BYTES / 1024, 1};
        cl_kernel set = kernel(program, "set");
        cl_mem from = buffer(), to = buffer();

        for (int round = 0; round < ROUNDS; round++) {
                launch(b.queue[1], set, from, round, 0, NULL, NULL);
                CHECK_OK(clEnqueueCopyBufferRect(b.queue[1], from, to, zero, zero, all, 1024, 0, 1024, 0, 0, NULL,
                                                 NULL));
                launch(b.queue[1], set, from, -1, 0, NULL, NULL);
                memset(result, 0, sizeof(result));
                CHECK_OK(clEnqueueReadBufferRect(b.queue[1], to, CL_TRUE, zero, zero, all, 1024, 0, 1024, 0, result, 0,
                                                 NULL, NULL));
                all_are(result, round);
        }
        CHECK_OK(clFinish(b.queue[1]));
        CHECK_OK(clReleaseMemObject(from));
        CHECK_OK(clReleaseMemObject(to));
        CHECK_OK(clReleaseKernel(set));
}

static void released_at_once(void)
{
        for (int round = 0; round < ROUNDS; round++) {
                cl_kernel set = kernel(program, "set");
                cl_command_queue queue = clCreateCommandQueue(b.context, b.device[round % 2], 0, NULL);
                cl_mem memory = buffer();
                launch(queue, set, memory, round, 0, NULL, NULL);
                CHECK_OK(clReleaseMemObject(memory));
                CHECK_OK(clReleaseKernel(set));
                CHECK_OK(clFinish(queue));
                CHECK_OK(clReleaseCommandQueue(queue));
        }
        CHECK(used_finally(0, 0) == 0 && used_finally(1, 0) == 0);
}

/* Far more launches than the window holds wait for an event that this very thread completes afterwards. */
static void user_events(void)
{
        cl_kernel set = kernel(program, "set"), add = kernel(program, "add");
        cl_mem memory = buffer();

        for (int round = 0; round < 20; round++) {
                cl_event start = clCreateUserEvent(b.context, NULL), first, done;
                launch(b.queue[0], set, memory, round, 1, &start, &first);
                for (int i = 0; i < 64; i++)
                        launch(b.queue[0], add, memory, 1, 0, NULL, NULL);
                launch(b.queue[1], add, memory, 1, 1, &first, NULL); /* on the other vGPU, indirectly */
                CHECK_OK(clEnqueueMarkerWithWaitList(b.queue[0], 0, NULL, &done));
                CHECK_OK(clSetUserEventStatus(start, CL_COMPLETE));
                CHECK_OK(clWaitForEvents(1, &done));
                CHECK_OK(clFinish(b.queue[1]));
                CHECK_OK(clReleaseEvent(start));
                CHECK_OK(clReleaseEvent(first));
                CHECK_OK(clReleaseEvent(done));
        }
        CHECK_OK(clReleaseMemObject(memory));
        CHECK_OK(clReleaseKernel(set));
        CHECK_OK(clReleaseKernel(add));
}

struct relay {
        cl_kernel kernel;
        cl_mem memory;
        int left;
        pthread_mutex_t lock;
        pthread_cond_t done;
};

static void CL_CALLBACK relay(cl_event event, cl_int status, void *user)
{
        struct relay *r = user;
        cl_event next;
        bool last;

        CHECK_EQ(status, CL_COMPLETE);
        pthread_mutex_lock(&r->lock);
        last = --r->left == 0;
        if (last)
                pthread_cond_signal(&r->done);
        pthread_mutex_unlock(&r->lock);
        if (last)
                return; /* r is gone */
        launch(b.queue[0], r->kernel, r->memory, 1, 0, NULL, &next);
        CHECK_OK(clSetEventCallback(next, CL_COMPLETE, relay, r));
        CHECK_OK(clFlush(b.queue[0]));
        CHECK_OK(clReleaseEvent(next));
}

/* Each completion launches the next kernel from the driver's thread. */
static void launched_from_callbacks(void)
{
        struct relay r = {.kernel = kernel(program, "add"), .memory = buffer(), .left = 50};
        const int zero = 0;
        cl_event first;

        pthread_mutex_init(&r.lock, NULL);
        pthread_cond_init(&r.done, NULL);
        CHECK_OK(clEnqueueFillBuffer(b.queue[0], r.memory, &zero, sizeof(zero), 0, BYTES, 0, NULL, &first));
        CHECK_OK(clSetEventCallback(first, CL_COMPLETE, relay, &r));
        CHECK_OK(clReleaseEvent(first));
        pthread_mutex_lock(&r.lock);
        while (r.left)
                pthread_cond_wait(&r.done, &r.lock);
        pthread_mutex_unlock(&r.lock);
        CHECK_OK(clFinish(b.queue[0]));
        CHECK_OK(clEnqueueReadBuffer(b.queue[0], r.memory, CL_TRUE, 0, BYTES, result, 0, NULL, NULL));
        all_are(result, 49);
        CHECK_OK(clReleaseMemObject(r.memory));
        CHECK_OK(clReleaseKernel(r.kernel));
}

static void *one_thread(void *arg)
{
        int n = (int)(intptr_t)arg;
        cl_kernel add = kernel(program, "add");
        cl_command_queue queue = clCreateCommandQueue(b.context, b.device[n % 2],
                                                      n & 2 ? CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE : 0, NULL);
        int *values = malloc(BYTES);

        for (int round = 0; round < 40; round++) {
                cl_mem memory = buffer();
                cl_event last, next;
                CHECK_OK(clEnqueueFillBuffer(queue, memory, &n, sizeof(n), 0, BYTES, 0, NULL, &last));
                for (int i = 0; i < 8; i++) {
                        launch(queue, add, memory, 1, 1, &last, &next);
                        CHECK_OK(clReleaseEvent(last));
                        last = next;
                }
                CHECK_OK(clEnqueueReadBuffer(queue, memory, CL_TRUE, 0, BYTES, values, 1, &last, NULL));
                all_are(values, n + 8);
                CHECK_OK(clReleaseEvent(last));
                CHECK_OK(clReleaseMemObject(memory));
        }
        CHECK_OK(clReleaseCommandQueue(queue));
        CHECK_OK(clReleaseKernel(add));
        free(values);
        return NULL;
}

static void threads(void)
{
        pthread_t thread[6];

        for (intptr_t i = 0; i < 6; i++)
                CHECK_EQ(pthread_create(&thread[i], NULL, one_thread, (void *)i), 0);
        for (int i = 0; i < 6; i++)
                CHECK_EQ(pthread_join(thread[i], NULL), 0);
        CHECK(used_finally(0, 0) == 0 && used_finally(1, 0) == 0);
}

/* An event leads back to its queue after the program has let go of it. */
static void queue_from_event(void)
{
        cl_command_queue queue = clCreateCommandQueue(b.context, b.device[1], 0, NULL), found;
        cl_mem memory = buffer();
        cl_kernel set = kernel(program, "set");
        cl_device_id device;
        cl_event event;

        launch(queue, set, memory, 1, 0, NULL, &event);
        CHECK_OK(clRetainCommandQueue(queue));
        CHECK_OK(clReleaseCommandQueue(queue));
        CHECK_OK(clGetEventInfo(event, CL_EVENT_COMMAND_QUEUE, sizeof(found), &found, NULL));
        CHECK(found == queue);
        CHECK_OK(clGetCommandQueueInfo(found, CL_QUEUE_DEVICE, sizeof(device), &device, NULL));
        CHECK(device == b.device[1]);
        CHECK_OK(clFinish(queue));
        CHECK_OK(clReleaseEvent(event));
        CHECK_OK(clReleaseCommandQueue(queue));
        CHECK_OK(clReleaseMemObject(memory));
        CHECK_OK(clReleaseKernel(set));
}

static void images(void)
{
        cl_image_format format = {CL_RGBA, CL_UNSIGNED_INT8};
        cl_image_desc desc = {.image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = 128, .image_height = 128};
        const size_t zero[3] = {0, 0, 0}, all[3] = {128, 128, 1};
        const cl_uint color[4] = {1, 2, 3, 4};
        cl_mem image = clCreateImage(b.context, CL_MEM_READ_WRITE, &format, &desc, NULL, NULL), memory = buffer();
        size_t row;
        cl_int r;
        int *mapped;

        CHECK(image);
        for (int round = 0; round < 20; round++) {
                CHECK_OK(clEnqueueFillImage(b.queue[0], image, color, zero, all, 0, NULL, NULL));
                CHECK_OK(clEnqueueCopyImageToBuffer(b.queue[0], image, memory, zero, all, 0, 0, NULL, NULL));
                CHECK_OK(clEnqueueReadBuffer(b.queue[0], memory, CL_TRUE, 0, BYTES, result, 0, NULL, NULL));
                all_are(result, 0x04030201);
                memset(result, round, sizeof(result));
                CHECK_OK(clEnqueueWriteImage(b.queue[0], image, CL_FALSE, zero, all, 0, 0, result, 0, NULL, NULL));
                mapped = clEnqueueMapImage(b.queue[0], image, CL_TRUE, CL_MAP_READ, zero, all, &row, NULL, 0, NULL,
                                           NULL, &r);
                CHECK_OK(r);
                CHECK_EQ(mapped[77], round * 0x01010101);
                CHECK_OK(clEnqueueUnmapMemObject(b.queue[0], image, mapped, 0, NULL, NULL));
                CHECK_OK(clFinish(b.queue[0]));
        }
        CHECK_OK(clReleaseMemObject(image));
        CHECK_OK(clReleaseMemObject(memory));
}

static void bad_arguments(void)
{
        cl_kernel set = kernel(program, "set");
        size_t items = ITEMS;

        CHECK_EQ(clEnqueueNDRangeKernel(b.queue[0], set, 4, NULL, &items, NULL, 0, NULL, NULL),
                 CL_INVALID_WORK_DIMENSION);
        CHECK_EQ(clEnqueueNDRangeKernel((cl_command_queue)&b, set, 1, NULL, &items, NULL, 0, NULL, NULL),
                 CL_INVALID_COMMAND_QUEUE);
        CHECK_EQ(clEnqueueReadBuffer(b.queue[0], NULL, CL_TRUE, 0, BYTES, result, 0, NULL, NULL),
                 CL_INVALID_MEM_OBJECT);
        CHECK_OK(clReleaseKernel(set));
}

int main(void)
{
        bench_open(&b);
        program = build(&b, source, NULL);
        map_after_kernels();
        rectangles();
        released_at_once();
        user_events();
        launched_from_callbacks();
        threads();
        queue_from_event();
        images();
        bad_arguments();
        CHECK_OK(clReleaseProgram(program));
        CHECK(used_finally(0, 0) == 0 && used_finally(1, 0) == 0);
        bench_close(&b);
        return 0;
}
