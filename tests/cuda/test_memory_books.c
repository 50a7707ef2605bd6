/* SPDX-License-Identifier: Apache-2.0 */
#include "test_memory.h"

#include "fastgpu/page.h"
#include "sim/shared.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define VGPUS 4

CUcontext begin(void)
{
        CUcontext context;
        CUdevice device;

        CHECK_OK(cuInit(0));
        CHECK_OK(cuDeviceGet(&device, 0));
        CHECK_OK(cuDevicePrimaryCtxRetain(&context, device));
        CHECK_OK(cuCtxSetCurrent(context));
        return context;
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
        static struct fg_usage_page *mapped[VGPUS];

        if (!mapped[i])
                mapped[i] = page("usage", i, sizeof(struct fg_usage_page));
        return mapped[i];
}

static struct fg_limits_page *limits(unsigned i)
{
        static struct fg_limits_page *mapped[VGPUS];

        if (!mapped[i])
                mapped[i] = page("limits", i, sizeof(struct fg_limits_page));
        return mapped[i];
}

uint64_t used(unsigned i)
{
        return __atomic_load_n(&usage(i)->counter.used, __ATOMIC_SEQ_CST);
}

uint64_t quota(unsigned i)
{
        return __atomic_load_n(&limits(i)->quota, __ATOMIC_SEQ_CST);
}

uint64_t refusals(unsigned i)
{
        uint64_t sum = 0;

        for (unsigned slot = 0; slot < FG_SLOTS; slot++)
                sum += __atomic_load_n(&usage(i)->slot[slot].refusals, __ATOMIC_SEQ_CST);
        return sum;
}

void set_quota(unsigned i, uint64_t bytes)
{
        __atomic_store_n(&limits(i)->quota, bytes, __ATOMIC_SEQ_CST);
}

void leave(unsigned i, uint64_t more)
{
        set_quota(i, used(i) + more);
}

void set_driver_used(unsigned i, uint64_t bytes, uint64_t seen)
{
        for (unsigned slot = 0; slot < FG_SLOTS; slot++) {
                __atomic_store_n(&limits(i)->owner[slot].driver_used, bytes, __ATOMIC_RELEASE);
                __atomic_store_n(&limits(i)->owner[slot].driver_seen, seen, __ATOMIC_RELEASE);
        }
}

uint64_t really_used(unsigned gpu)
{
        CHECK(fgsim_attach(NULL) == 0);
        return fgsim_gpu_used(gpu);
}
