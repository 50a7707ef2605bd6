/* SPDX-License-Identifier: Apache-2.0
 * cuMemAlloc and its kin: contents, capacity to the byte, alignment, wrong frees, host memory, pointer attributes. */
#include "sim_test.h"

#include <pthread.h>

#define CONTEXT (16 * MI)
#define MEMORY  (256 * MI)

static void to_the_byte(void)
{
        CUdeviceptr all, one;
        CHECK(sim_free() == MEMORY - CONTEXT);
        IS(cuMemAlloc_v2(&all, MEMORY - CONTEXT + 1), CUDA_ERROR_OUT_OF_MEMORY);
        IS(cuMemAlloc_v2(&all, SIZE_MAX), CUDA_ERROR_OUT_OF_MEMORY);
        OK(cuMemAlloc_v2(&all, MEMORY - CONTEXT));
        CHECK(sim_free() == 0);
        IS(cuMemAlloc_v2(&one, 1), CUDA_ERROR_OUT_OF_MEMORY);
        OK(cuMemFree_v2(all));
        OK(cuMemAlloc_v2(&one, 1));
        CHECK(sim_free() == MEMORY - CONTEXT - 512);
        OK(cuMemFree_v2(one));
        CHECK(sim_free() == MEMORY - CONTEXT);
}

static void wrong_arguments(void)
{
        CUdeviceptr p;
        size_t pitch;
        IS(cuMemAlloc_v2(NULL, 1), CUDA_ERROR_INVALID_VALUE);
        IS(cuMemAlloc_v2(&p, 0), CUDA_ERROR_INVALID_VALUE);
        IS(cuMemAllocPitch_v2(&p, &pitch, 10, 10, 3), CUDA_ERROR_INVALID_VALUE);
        IS(cuMemAllocPitch_v2(&p, NULL, 10, 10, 4), CUDA_ERROR_INVALID_VALUE);
        IS(cuMemAllocManaged(&p, 10, 0), CUDA_ERROR_INVALID_VALUE);
        OK(cuMemFree_v2(0));
        IS(cuMemFree_v2(0x1234), CUDA_ERROR_INVALID_VALUE);
        OK(cuMemAlloc_v2(&p, 4096));
        IS(cuMemFree_v2(p + 512), CUDA_ERROR_INVALID_VALUE);
        OK(cuMemFree_v2(p));
        IS(cuMemFree_v2(p), CUDA_ERROR_INVALID_VALUE);
        OK(cuMemGetInfo_v2(NULL, NULL));
}

static void free_every_second(CUdeviceptr *p, int count)
{
        for (int k = 0; k < count; k += 2) {
                OK(cuMemFree_v2(p[k]));
                p[k] = 0;
        }
}

/* Sizes of every class, all alive at once: none overlaps, each keeps what was written. */
static void contents(void)
{
        enum { COUNT = 600 };
        static CUdeviceptr p[COUNT];
        static size_t size[COUNT];
        for (int i = 0; i < COUNT; i++) {
                size[i] = i < 500 ? 1 + (size_t)i * 700 : 1 * MI + (size_t)(i - 500) * 3001;
                OK(cuMemAlloc_v2(&p[i], size[i]));
                CHECK(p[i] % 256 == 0);
                OK(cuMemsetD8_v2(p[i], (unsigned char)i, size[i]));
                if (i == COUNT / 2 || sim_free() < 8 * MI)
                        free_every_second(p, i);
        }
        for (int i = 0; i < COUNT; i++) {
                unsigned char ends[2];
                if (!p[i])
                        continue;
                OK(cuMemcpyDtoH_v2(&ends[0], p[i], 1));
                OK(cuMemcpyDtoH_v2(&ends[1], p[i] + size[i] - 1, 1));
                CHECK(ends[0] == (unsigned char)i && ends[1] == (unsigned char)i);
                OK(cuMemFree_v2(p[i]));
        }
        CHECK(sim_free() == MEMORY - CONTEXT);
}

static void pitch(void)
{
        CUdeviceptr p;
        size_t step;
        OK(cuMemAllocPitch_v2(&p, &step, 1000, 30, 4));
        CHECK(step == 1024 && sim_free() == MEMORY - CONTEXT - 30 * 1024);
        OK(cuMemFree_v2(p));
}

static void managed(void)
{
        CUdeviceptr p;
        int value;
        OK(cuMemAllocManaged(&p, MI, CU_MEM_ATTACH_GLOBAL));
        CHECK(sim_free() == MEMORY - CONTEXT - MI);
        memset((void *)p, 7, MI);
        OK(cuPointerGetAttribute(&value, CU_POINTER_ATTRIBUTE_IS_MANAGED, p + 5));
        CHECK(value == 1);
        OK(cuMemAdvise(p, MI, CU_MEM_ADVISE_SET_PREFERRED_LOCATION, CU_DEVICE_CPU));
        OK(cuMemPrefetchAsync(p, MI, 0, NULL));
        OK(cuMemRangeGetAttribute(&value, sizeof value, CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION, p, MI));
        CHECK(value == 0);
        IS(cuMemPrefetchAsync(p, MI + 1, 0, NULL), CUDA_ERROR_INVALID_VALUE);
        IS(cuMemPrefetchAsync(p, MI, 7, NULL), CUDA_ERROR_INVALID_DEVICE);
        OK(cuMemFree_v2(p));
}

static void host(void)
{
        void *p, *own = malloc(64 * KI);
        CUdeviceptr device;
        unsigned flags;
        size_t before = sim_free();
        OK(cuMemHostAlloc(&p, MI, CU_MEMHOSTALLOC_PORTABLE));
        memset(p, 1, MI);
        CHECK(sim_free() == before);
        OK(cuMemHostGetDevicePointer_v2(&device, p, 0));
        CHECK(device == (CUdeviceptr)p);
        OK(cuMemHostGetFlags(&flags, p));
        CHECK(flags & CU_MEMHOSTALLOC_PORTABLE);
        IS(cuMemFree_v2((CUdeviceptr)p), CUDA_ERROR_INVALID_VALUE);
        OK(cuMemFreeHost(p));
        IS(cuMemFreeHost(p), CUDA_ERROR_INVALID_VALUE);
        IS(cuMemHostUnregister(own), CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
        OK(cuMemHostRegister_v2(own, 64 * KI, 0));
        IS(cuMemHostRegister_v2((char *)own + 100, 5, 0), CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
        OK(cuMemHostUnregister(own));
        IS(cuMemHostGetDevicePointer_v2(&device, own, 0), CUDA_ERROR_INVALID_VALUE);
        free(own);
}

static void attributes(void)
{
        CUdeviceptr p, base;
        CUcontext ctx, current;
        CUmemorytype type;
        size_t size;
        unsigned long long id, other;
        int ordinal;
        OK(cuMemAlloc_v2(&p, 10000));
        OK(cuCtxGetCurrent(&current));
        CUpointer_attribute which[] = {CU_POINTER_ATTRIBUTE_CONTEXT, CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
                                       CU_POINTER_ATTRIBUTE_RANGE_SIZE, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL};
        void *where[] = {&ctx, &type, &size, &ordinal};
        OK(cuPointerGetAttributes(4, which, where, p + 9999));
        CHECK(ctx == current && type == CU_MEMORYTYPE_DEVICE && size == 10000 && ordinal == 0);
        IS(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p + 10000), CUDA_ERROR_INVALID_VALUE);
        OK(cuPointerGetAttributes(4, which, where, (CUdeviceptr)&p));
        CHECK(!ctx && !type && !size && ordinal == CU_DEVICE_INVALID);
        OK(cuMemGetAddressRange_v2(&base, &size, p + 77));
        CHECK(base == p && size == 10000);
        OK(cuPointerGetAttribute(&id, CU_POINTER_ATTRIBUTE_BUFFER_ID, p));
        OK(cuMemFree_v2(p));
        IS(cuMemGetAddressRange_v2(&base, &size, p), CUDA_ERROR_NOT_FOUND);
        OK(cuMemAlloc_v2(&p, 10000));
        OK(cuPointerGetAttribute(&other, CU_POINTER_ATTRIBUTE_BUFFER_ID, p));
        CHECK(id != other);
        OK(cuMemFree_v2(p));
}

/* Many live ones, freed in another order, by many threads. */
static void *churn(void *ctx)
{
        enum { COUNT = 2000 };
        CUdeviceptr p[COUNT] = {0};
        unsigned state = (unsigned)(uintptr_t)&p;
        OK(cuCtxSetCurrent(ctx));
        for (int i = 0; i < 40000; i++) {
                unsigned at = rand_r(&state) % COUNT;
                if (p[at])
                        OK(cuMemFree_v2(p[at]));
                p[at] = 0;
                CUresult result = i < 30000 ? cuMemAlloc_v2(&p[at], 1 + rand_r(&state) % 20000) : CUDA_SUCCESS;
                CHECK(result == CUDA_SUCCESS || result == CUDA_ERROR_OUT_OF_MEMORY);
                if (p[at])
                        *(volatile char *)p[at] = 1;
        }
        for (int i = 0; i < COUNT; i++)
                OK(cuMemFree_v2(p[i]));
        return NULL;
}

static void threads(CUcontext ctx)
{
        pthread_t thread[4];
        for (int i = 0; i < 4; i++)
                CHECK(pthread_create(&thread[i], NULL, churn, ctx) == 0);
        for (int i = 0; i < 4; i++)
                pthread_join(thread[i], NULL);
        CHECK(sim_free() == MEMORY - CONTEXT);
}

/* A context takes its memory with it, of every kind. */
static void context_takes_all(void)
{
        CUcontext ctx;
        CUdeviceptr p;
        void *host_memory;
        CUmemoryPool pool;
        /* What earlier tests freed in stream order may still be in the pool. */
        cuCtxSynchronize();
        OK(cuDeviceGetDefaultMemPool(&pool, 0));
        OK(cuMemPoolTrimTo(pool, 0));
        size_t before = sim_free();
        OK(cuCtxCreate_v2(&ctx, 0, 0));
        CHECK(sim_free() == before - CONTEXT);
        OK(cuMemAlloc_v2(&p, 100));
        OK(cuMemAlloc_v2(&p, 5 * MI));
        OK(cuMemAllocManaged(&p, 7 * MI, CU_MEM_ATTACH_GLOBAL));
        OK(cuMemHostAlloc(&host_memory, MI, 0));
        OK(cuMemAllocAsync(&p, MI, NULL));
        OK(cuCtxDestroy_v2(ctx));
        CHECK(sim_free() <= before);
        OK(cuMemPoolTrimTo(pool, 0));
        CHECK(sim_free() == before);
}

static void no_room_for_a_context(void)
{
        CUdeviceptr p;
        CUcontext ctx;
        OK(cuMemAlloc_v2(&p, sim_free() - CONTEXT + 512));
        IS(cuCtxCreate_v2(&ctx, 0, 0), CUDA_ERROR_OUT_OF_MEMORY);
        OK(cuMemFree_v2(p));
}

int main(void)
{
        sim_start("[gpu]\nmodel = Test\nmemory = 256M\ncontext = 16M\nlaunch = 0\nh2d = 0\nd2h = 0\nd2d = 0\n");
        CUcontext ctx = sim_context(0);
        to_the_byte();
        wrong_arguments();
        contents();
        pitch();
        managed();
        host();
        attributes();
        threads(ctx);
        context_takes_all();
        no_room_for_a_context();
        CHECK(sim_free() == MEMORY - CONTEXT);
        OK(cuCtxDestroy_v2(ctx));
        return 0;
}
