/* SPDX-License-Identifier: Apache-2.0
 * Threads that allocate, share, cut and release at random on two vGPUs, alone and together, near the quota. The books
 * are never over the quota, and balance to the byte at the end. */
#include "shim_test.h"

#include <pthread.h>
#include <unistd.h>

#define THREADS 4
#define STEPS   4000
#define HELD    12

static struct bench b;
static cl_context alone[2];
static int stop;

struct held {
        cl_mem memory[2]; /* an object and another reference to it or a part of it */
        void *block;
        cl_context context;
};

static void let_go(struct held *h, unsigned *seed)
{
        int first = rand_r(seed) % 2;

        for (int i = 0; i < 2; i++)
                if (h->memory[i ^ first])
                        CHECK_OK(clReleaseMemObject(h->memory[i ^ first]));
        if (h->block)
                clSVMFree(h->context, h->block);
        *h = (struct held){0};
}

static void get_hold(struct held *h, unsigned *seed, cl_command_queue queue)
{
        cl_image_format format = {CL_RGBA, CL_UNORM_INT8};
        cl_image_desc desc = {.image_type = CL_MEM_OBJECT_IMAGE2D,
                              .image_width = (size_t)rand_r(seed) % 256 + 1,
                              .image_height = (size_t)rand_r(seed) % 256 + 1};
        cl_buffer_region region = {0, 1};
        size_t size = (size_t)rand_r(seed) % 400000 + 1;
        int context = rand_r(seed) % 3;
        const char zero = 0;
        cl_int r = CL_SUCCESS;

        h->context = context == 2 ? b.context : alone[context];
        switch (rand_r(seed) % 4) {
        case 0:
                h->memory[0] = clCreateImage(h->context, CL_MEM_READ_WRITE, &format, &desc, NULL, &r);
                break;
        case 1:
                h->block = clSVMAlloc(h->context, CL_MEM_READ_WRITE, size, 0);
                return;
        default:
                h->memory[0] = clCreateBuffer(h->context, CL_MEM_READ_WRITE, size, NULL, &r);
        }
        CHECK(r == CL_SUCCESS || r == CL_MEM_OBJECT_ALLOCATION_FAILURE);
        if (!h->memory[0])
                return;
        if (rand_r(seed) % 2) {
                h->memory[1] = clCreateSubBuffer(h->memory[0], 0, CL_BUFFER_CREATE_TYPE_REGION, &region, NULL);
        } else {
                h->memory[1] = h->memory[0];
                CHECK_OK(clRetainMemObject(h->memory[1]));
        }
        if (h->context == b.context && h->memory[1] && rand_r(seed) % 8 == 0)
                clEnqueueFillBuffer(queue, h->memory[0], &zero, 1, 0, 1, 0, NULL, NULL); /* refused for images */
}

static void *worker(void *arg)
{
        unsigned seed = (unsigned)(intptr_t)arg + 1;
        struct held held[HELD] = {0};
        cl_command_queue queue = clCreateCommandQueue(b.context, b.device[seed % 2], 0, NULL);

        for (int step = 0; step < STEPS; step++) {
                struct held *h = &held[rand_r(&seed) % HELD];
                let_go(h, &seed);
                get_hold(h, &seed, queue);
        }
        for (int i = 0; i < HELD; i++)
                let_go(&held[i], &seed);
        CHECK_OK(clFinish(queue));
        CHECK_OK(clReleaseCommandQueue(queue));
        return NULL;
}

static void *watcher(void *arg)
{
        while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
                CHECK(used(0) <= quota(0) && used(1) <= quota(1));
                usleep(100);
        }
        return NULL;
}

int main(void)
{
        pthread_t thread[THREADS], watch;

        bench_open(&b);
        used(0), used(1), quota(0), quota(1); /* mapped before the threads start */
        for (int i = 0; i < 2; i++)
                alone[i] = clCreateContext(NULL, 1, &b.device[i], NULL, NULL, NULL);
        CHECK_EQ(pthread_create(&watch, NULL, watcher, NULL), 0);
        for (intptr_t i = 0; i < THREADS; i++)
                CHECK_EQ(pthread_create(&thread[i], NULL, worker, (void *)i), 0);
        for (int i = 0; i < THREADS; i++)
                CHECK_EQ(pthread_join(thread[i], NULL), 0);
        __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
        CHECK_EQ(pthread_join(watch, NULL), 0);
        CHECK_EQ(used_finally(0, 0), 0);
        CHECK_EQ(used_finally(1, 0), 0);
        CHECK(refusals(0) > 0); /* it was tight */
        for (int i = 0; i < 2; i++)
                CHECK_OK(clReleaseContext(alone[i]));
        bench_close(&b);
        return 0;
}
