/* SPDX-License-Identifier: Apache-2.0
 * Pools: what they reserve, use, give back and when; every legal pairing of allocation and free; order within streams.
 */
#include "sim_test.h"

#define CONTEXT (4 * MI)
#define MEMORY  (512 * MI)
#define GRAIN   (32 * MI)

static size_t start_free;

static uint64_t get(CUmemoryPool pool, CUmemPool_attribute attribute)
{
        cuuint64_t value;
        OK(cuMemPoolGetAttribute(pool, attribute, &value));
        return value;
}

static CUmemoryPool make(size_t max)
{
        CUmemoryPool pool;
        CUmemPoolProps props = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                                .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = 0},
                                .maxSize = max};
        OK(cuMemPoolCreate(&pool, &props));
        return pool;
}

static void figures(void)
{
        CUmemoryPool pool = make(0);
        CUdeviceptr a, b;
        cuuint64_t zero = 0, one = 1;
        OK(cuMemAllocFromPoolAsync(&a, MI, pool, NULL));
        CHECK(get(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT) == MI &&
              get(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT) == GRAIN);
        CHECK(sim_free() == start_free - GRAIN);
        OK(cuMemAllocFromPoolAsync(&b, 40 * MI, pool, NULL));
        CHECK(get(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT) == 2 * GRAIN);
        OK(cuMemFreeAsync(b, NULL));
        OK(cuStreamSynchronize(NULL));
        CHECK(get(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT) == MI && get(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH) == 41 * MI);
        /* The threshold is 0: a synchronisation gives back all but what is used. */
        CHECK(get(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT) == 2 * MI && sim_free() == start_free - 2 * MI);
        IS(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH, &one), CUDA_ERROR_INVALID_VALUE);
        OK(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH, &zero));
        CHECK(get(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH) == MI);
        IS(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, &zero), CUDA_ERROR_INVALID_VALUE);
        OK(cuMemFreeAsync(a, NULL));
        OK(cuCtxSynchronize());
        CHECK(sim_free() == start_free);
        OK(cuMemPoolDestroy(pool));
        IS(cuMemPoolTrimTo(pool, 0), CUDA_ERROR_INVALID_VALUE);
}

static void threshold(void)
{
        CUmemoryPool pool = make(0);
        cuuint64_t keep = 48 * MI;
        CUdeviceptr p, big;
        OK(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &keep));
        OK(cuMemAllocFromPoolAsync(&p, 100 * MI, pool, NULL));
        OK(cuMemFreeAsync(p, NULL));
        OK(cuCtxSynchronize());
        CHECK(sim_free() == start_free - 48 * MI);
        OK(cuMemPoolTrimTo(pool, 10 * MI));
        CHECK(sim_free() == start_free - 10 * MI);
        /* Before anything is refused, pools give back what they only keep. */
        OK(cuMemAlloc_v2(&big, start_free));
        CHECK(get(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT) == 0);
        OK(cuMemFree_v2(big));
        OK(cuMemPoolDestroy(pool));
}

static void limits(void)
{
        CUmemoryPool pool = make(64 * MI), standard;
        CUdeviceptr p, q;
        OK(cuMemAllocFromPoolAsync(&p, 60 * MI, pool, NULL));
        IS(cuMemAllocFromPoolAsync(&q, 5 * MI, pool, NULL), CUDA_ERROR_OUT_OF_MEMORY);
        OK(cuMemAllocFromPoolAsync(&q, 4 * MI, pool, NULL));
        OK(cuMemPoolDestroy(pool));
        IS(cuMemAllocFromPoolAsync(&q, 1, pool, NULL), CUDA_ERROR_INVALID_VALUE);
        CHECK(sim_free() == start_free - 64 * MI);
        OK(cuMemFree_v2(q));
        OK(cuMemFreeAsync(p, NULL));
        OK(cuCtxSynchronize());
        CHECK(sim_free() == start_free);
        OK(cuDeviceGetDefaultMemPool(&standard, 0));
        IS(cuMemPoolDestroy(standard), CUDA_ERROR_INVALID_VALUE);
        IS(cuMemAllocAsync(&p, start_free + 1, NULL), CUDA_ERROR_OUT_OF_MEMORY);
        /* To the last byte, not only to the last granule. */
        OK(cuMemAllocAsync(&p, start_free - 512, NULL));
        OK(cuMemAllocAsync(&q, 512, NULL));
        CHECK(sim_free() == 0);
        OK(cuMemFree_v2(p));
        OK(cuMemFree_v2(q));
        OK(cuMemPoolTrimTo(standard, 0));
        CHECK(sim_free() == start_free);
        IS(cuMemAllocAsync(NULL, 1, NULL), CUDA_ERROR_INVALID_VALUE);
        IS(cuMemAllocAsync(&p, 0, NULL), CUDA_ERROR_INVALID_VALUE);
}

/* Every way to get memory with every way to free it. */
static CUresult allocate(int way, CUdeviceptr *p, CUmemoryPool pool, CUstream stream)
{
        size_t pitch;
        switch (way) {
        case 0:
                return cuMemAlloc_v2(p, 3 * MI);
        case 1:
                return cuMemAllocPitch_v2(p, &pitch, 1 * KI, 3 * KI, 4);
        case 2:
                return cuMemAllocManaged(p, 3 * MI, CU_MEM_ATTACH_GLOBAL);
        case 3:
                return cuMemAllocAsync(p, 3 * MI, stream);
        case 4:
                return cuMemAllocAsync_ptsz(p, 3 * MI, NULL);
        default:
                return cuMemAllocFromPoolAsync(p, 3 * MI, pool, stream);
        }
}

static CUresult release(int way, CUdeviceptr p, CUstream stream)
{
        return way == 0 ? cuMemFree_v2(p) : way == 1 ? cuMemFreeAsync(p, stream) : cuMemFreeAsync_ptsz(p, NULL);
}

static void pairings(void)
{
        CUmemoryPool pool = make(0);
        CUstream stream;
        OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
        for (int a = 0; a < 6; a++)
                for (int f = 0; f < 3; f++) {
                        CUdeviceptr p;
                        OK(allocate(a, &p, pool, stream));
                        *(volatile char *)p = 1;
                        OK(release(f, p, stream));
                        IS(release(f, p, stream), CUDA_ERROR_INVALID_VALUE);
                        OK(cuCtxSynchronize());
                        CHECK(sim_free() == start_free);
                }
        OK(cuStreamDestroy_v2(stream));
        OK(cuMemPoolDestroy(pool));
}

static void note(void *arg)
{
        while (!__atomic_load_n((int *)arg, __ATOMIC_ACQUIRE))
                usleep(100);
}

/* A free waits for its stream; the same stream may have the memory at once, another may not. */
static void stream_order(void)
{
        CUmemoryPool pool = make(0);
        CUstream one, two;
        CUdeviceptr a, b, c;
        int go = 0;
        OK(cuStreamCreate(&one, CU_STREAM_NON_BLOCKING));
        OK(cuStreamCreate(&two, CU_STREAM_NON_BLOCKING));
        OK(cuMemAllocFromPoolAsync(&a, MI, pool, one));
        OK(cuLaunchHostFunc(one, note, &go));
        OK(cuMemFreeAsync(a, one));
        CHECK(get(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT) == MI);
        OK(cuMemAllocFromPoolAsync(&b, MI, pool, two));
        CHECK(b != a && get(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT) == 2 * MI);
        OK(cuMemAllocFromPoolAsync(&c, MI - 100, pool, one));
        CHECK(c == a && get(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT) == 2 * MI);
        __atomic_store_n(&go, 1, __ATOMIC_RELEASE);
        OK(cuStreamSynchronize(one));
        CHECK(get(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT) == 2 * MI);
        OK(cuMemFreeAsync(c, one));
        OK(cuMemFreeAsync(b, two));
        OK(cuCtxSynchronize());
        CHECK(get(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT) == 0 && sim_free() == start_free);
        OK(cuStreamDestroy_v2(one));
        OK(cuStreamDestroy_v2(two));
        OK(cuMemPoolDestroy(pool));
}

static void device_pool(void)
{
        CUmemoryPool own = make(0), got, standard;
        CUdeviceptr p;
        OK(cuDeviceGetDefaultMemPool(&standard, 0));
        OK(cuDeviceGetMemPool(&got, 0));
        CHECK(got == standard);
        OK(cuDeviceSetMemPool(0, own));
        OK(cuDeviceGetMemPool(&got, 0));
        CHECK(got == own);
        OK(cuMemAllocAsync(&p, MI, NULL));
        OK(cuPointerGetAttribute(&got, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, p));
        CHECK(got == own);
        OK(cuMemFree_v2(p));
        OK(cuMemPoolDestroy(own));
        OK(cuDeviceGetMemPool(&got, 0));
        CHECK(got == standard);
}

/* In the host's memory: no byte of the GPU's. */
static void host_pool(void)
{
        CUmemoryPool pool;
        CUdeviceptr p;
        CUmemPoolProps props = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                                .location = {.type = CU_MEM_LOCATION_TYPE_HOST}};
        OK(cuMemPoolCreate(&pool, &props));
        OK(cuMemAllocFromPoolAsync(&p, 2 * MEMORY, pool, NULL));
        CHECK(sim_free() == start_free);
        OK(cuMemFreeAsync(p, NULL));
        OK(cuCtxSynchronize());
        OK(cuMemPoolDestroy(pool));
        props.location.type = CU_MEM_LOCATION_TYPE_INVALID;
        IS(cuMemPoolCreate(&pool, &props), CUDA_ERROR_INVALID_VALUE);
}

/* By location: the same pools, and one for the host. */
static void by_location(void)
{
        CUmemLocation device = {.type = CU_MEM_LOCATION_TYPE_DEVICE}, host = {.type = CU_MEM_LOCATION_TYPE_HOST};
        CUmemoryPool standard, got, own = make(0);
        CUdeviceptr p;
        OK(cuDeviceGetDefaultMemPool(&standard, 0));
        OK(cuMemGetDefaultMemPool(&got, &device, CU_MEM_ALLOCATION_TYPE_PINNED));
        CHECK(got == standard);
        OK(cuMemSetMemPool(&device, CU_MEM_ALLOCATION_TYPE_PINNED, own));
        OK(cuDeviceGetMemPool(&got, 0));
        CHECK(got == own);
        IS(cuMemSetMemPool(&host, CU_MEM_ALLOCATION_TYPE_PINNED, own), CUDA_ERROR_INVALID_VALUE);
        OK(cuMemPoolDestroy(own));
        OK(cuMemGetMemPool(&got, &host, CU_MEM_ALLOCATION_TYPE_PINNED));
        OK(cuMemAllocFromPoolAsync(&p, MI, got, NULL));
        CHECK(sim_free() == start_free);
        OK(cuMemFree_v2(p));
        device.id = 7;
        IS(cuMemGetMemPool(&got, &device, CU_MEM_ALLOCATION_TYPE_PINNED), CUDA_ERROR_INVALID_DEVICE);
}

int main(void)
{
        sim_start("[gpu]\nmodel = Test\nmemory = 512M\ncontext = 4M\nlaunch = 0\nh2d = 0\nd2h = 0\nd2d = 0\n");
        sim_context(0);
        start_free = sim_free();
        CHECK(start_free == MEMORY - CONTEXT);
        figures();
        threshold();
        limits();
        pairings();
        stream_order();
        device_pool();
        host_pool();
        by_location();
        CUmemoryPool standard;
        OK(cuDeviceGetDefaultMemPool(&standard, 0));
        OK(cuMemPoolTrimTo(standard, 0));
        CHECK(sim_free() == start_free);
        return 0;
}
