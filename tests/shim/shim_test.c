/* SPDX-License-Identifier: Apache-2.0 */
#include "shim_test.h"

#include "base/clock.h"
#include "base/futex.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define GRANT_TIME (60 * FG_NSEC_PER_SEC) /* of a timed one; tests end it themselves */

void bench_open(struct bench *b)
{
        CHECK_OK(clGetPlatformIDs(1, &b->platform, NULL));
        CHECK_OK(clGetDeviceIDs(b->platform, CL_DEVICE_TYPE_ALL, MAX_DEVICES, b->device, &b->devices));
        b->context = clCreateContext(NULL, b->devices, b->device, NULL, NULL, NULL);
        CHECK(b->context);
        for (cl_uint i = 0; i < b->devices; i++) {
                b->queue[i] = clCreateCommandQueue(b->context, b->device[i], 0, NULL);
                CHECK(b->queue[i]);
        }
}

void bench_close(struct bench *b)
{
        for (cl_uint i = 0; i < b->devices; i++)
                CHECK_OK(clReleaseCommandQueue(b->queue[i]));
        CHECK_OK(clReleaseContext(b->context));
}

cl_program build(struct bench *b, const char *source, const char *options)
{
        cl_program program = clCreateProgramWithSource(b->context, 1, &source, NULL, NULL);

        CHECK(program);
        CHECK_OK(clBuildProgram(program, 0, NULL, options, NULL, NULL));
        return program;
}

cl_kernel kernel(cl_program program, const char *name)
{
        cl_int r;
        cl_kernel k = clCreateKernel(program, name, &r);

        CHECK_OK(r);
        return k;
}

static void *page(const char *name, unsigned i, size_t size)
{
        char path[256];
        void *at;
        int fd;

        CHECK(getenv("FAKE_PAGES"));
        snprintf(path, sizeof(path), "%s/%s%u", getenv("FAKE_PAGES"), name, i);
        fd = open(path, O_RDWR | O_CLOEXEC);
        CHECK(fd >= 0);
        at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        CHECK(at != MAP_FAILED);
        close(fd);
        return at;
}

static struct fg_usage_page *usage(unsigned i)
{
        static struct fg_usage_page *mapped[MAX_DEVICES];

        if (!mapped[i])
                mapped[i] = page("usage", i, sizeof(struct fg_usage_page));
        return mapped[i];
}

static struct fg_limits_page *limits(unsigned i)
{
        static struct fg_limits_page *mapped[MAX_DEVICES];

        if (!mapped[i])
                mapped[i] = page("limits", i, sizeof(struct fg_limits_page));
        return mapped[i];
}

uint64_t used(unsigned i)
{
        return __atomic_load_n(&usage(i)->counter.used, __ATOMIC_SEQ_CST);
}

uint64_t used_finally(unsigned i, uint64_t expected)
{
        for (int tries = 0; tries < 10000 && used(i) != expected; tries++)
                usleep(1000);
        return used(i);
}

uint64_t quota(unsigned i)
{
        return __atomic_load_n(&limits(i)->quota, __ATOMIC_SEQ_CST);
}

void set_limit(unsigned i, uint64_t bytes)
{
        __atomic_store_n(&limits(i)->quota, bytes, __ATOMIC_SEQ_CST);
}

static uint64_t sum(unsigned i, size_t offset)
{
        uint64_t total = 0;

        for (unsigned s = 0; s < FG_SLOTS; s++)
                total += __atomic_load_n((uint64_t *)((char *)&usage(i)->slot[s] + offset), __ATOMIC_SEQ_CST);
        return total;
}

uint64_t refusals(unsigned i)
{
        return sum(i, offsetof(struct fg_slot, refusals));
}

uint64_t launches(unsigned i)
{
        return sum(i, offsetof(struct fg_slot, launches));
}

uint64_t waits(unsigned i)
{
        return sum(i, offsetof(struct fg_slot, waits));
}

unsigned waiting(unsigned i)
{
        unsigned total = 0;

        for (unsigned s = 0; s < FG_SLOTS; s++)
                total += __atomic_load_n(&usage(i)->slot[s].waiting, __ATOMIC_SEQ_CST);
        return total;
}

static unsigned inflight(unsigned i)
{
        unsigned total = 0;

        for (unsigned s = 0; s < FG_SLOTS; s++)
                total += __atomic_load_n(&usage(i)->slot[s].inflight, __ATOMIC_SEQ_CST);
        return total;
}

unsigned inflight_finally(unsigned i, unsigned expected)
{
        for (int tries = 0; tries < 10000 && inflight(i) != expected; tries++)
                usleep(1000);
        return inflight(i);
}

void set_grant(unsigned i, enum fg_grant mode)
{
        uint32_t epoch = (__atomic_load_n(&limits(i)->grant, __ATOMIC_SEQ_CST) >> 2) + 1;

        __atomic_store_n(&limits(i)->beat, fg_now(), __ATOMIC_SEQ_CST);
        __atomic_store_n(&limits(i)->until, fg_now() + GRANT_TIME, __ATOMIC_SEQ_CST);
        __atomic_store_n(&limits(i)->grant, epoch << 2 | mode, __ATOMIC_SEQ_CST);
        fg_futex_wake_all(&limits(i)->grant);
}
