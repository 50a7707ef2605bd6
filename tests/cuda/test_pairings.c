/* SPDX-License-Identifier: Apache-2.0
 * Every legal pair of allocating and freeing, in the same stream and in another: the memory is freed, and the books
 * know. */
#include "test_memory.h"

#include <stdatomic.h>
#include <unistd.h>

#define BYTES (64 * MiB)

static CUstream other;
static CUmemoryPool pool;

static CUresult by_alloc(CUdeviceptr *p)
{
        return cuMemAlloc_v2(p, BYTES);
}

static CUresult by_pitch(CUdeviceptr *p)
{
        size_t pitch;

        return cuMemAllocPitch_v2(p, &pitch, BYTES / 64, 64, 16);
}

static CUresult by_managed(CUdeviceptr *p)
{
        return cuMemAllocManaged(p, BYTES, CU_MEM_ATTACH_GLOBAL);
}

static CUresult by_async(CUdeviceptr *p)
{
        return cuMemAllocAsync(p, BYTES, 0);
}

static CUresult by_async_ptsz(CUdeviceptr *p)
{
        return cuMemAllocAsync_ptsz(p, BYTES, 0);
}

static CUresult by_pool(CUdeviceptr *p)
{
        return cuMemAllocFromPoolAsync(p, BYTES, pool, 0);
}

static CUresult by_pool_ptsz(CUdeviceptr *p)
{
        return cuMemAllocFromPoolAsync_ptsz(p, BYTES, pool, 0);
}

static CUresult free_async(CUdeviceptr p)
{
        return cuMemFreeAsync(p, 0);
}

static CUresult free_other(CUdeviceptr p)
{
        return cuMemFreeAsync(p, other);
}

static CUresult free_async_ptsz(CUdeviceptr p)
{
        return cuMemFreeAsync_ptsz(p, 0);
}

static const struct {
        const char *name;
        CUresult (*get)(CUdeviceptr *);
        bool pooled;
} gets[] = {{"cuMemAlloc", by_alloc, false},
            {"cuMemAllocPitch", by_pitch, false},
            {"cuMemAllocManaged", by_managed, false},
            {"cuMemAllocAsync", by_async, true},
            {"cuMemAllocAsync_ptsz", by_async_ptsz, true},
            {"cuMemAllocFromPoolAsync", by_pool, true},
            {"cuMemAllocFromPoolAsync_ptsz", by_pool_ptsz, true}};

static const struct {
        const char *name;
        CUresult (*put)(CUdeviceptr);
} puts_[] = {{"cuMemFree", cuMemFree_v2},
             {"cuMemFreeAsync", free_async},
             {"cuMemFreeAsync in another stream", free_other},
             {"cuMemFreeAsync_ptsz", free_async_ptsz}};

static uint64_t settled(void)
{
        size_t available, total;

        CHECK_OK(cuCtxSynchronize());
        CHECK_OK(cuMemGetInfo_v2(&available, &total));
        return used(0);
}

static void pair(size_t g, size_t p, uint64_t before, uint64_t really)
{
        CUdeviceptr pointer;

        fprintf(stderr, "%s, %s\n", gets[g].name, puts_[p].name);
        for (int i = 0; i < 20; i++) { /* more than the quota, if any of it were kept */
                CHECK_OK(gets[g].get(&pointer));
                CHECK_SAME(used(0), before + BYTES);
                CHECK_OK(cuStreamSynchronize(0));
                CHECK_OK(puts_[p].put(pointer));
                CHECK_SAME(settled(), before);
        }
        CHECK_SAME(really_used(0), really);
}

/* Freed in a stream that does not come there yet: the memory is still taken, and so is the charge. */
static atomic_int go;

static void hold_up(void *arg)
{
        while (!atomic_load(&go))
                usleep(1000);
}

static void behind_work(void)
{
        uint64_t before = settled();
        CUdeviceptr pointer;

        atomic_store(&go, 0);
        CHECK_OK(cuMemAlloc_v2(&pointer, BYTES));
        CHECK_OK(cuLaunchHostFunc(other, hold_up, NULL));
        CHECK_OK(cuMemFreeAsync(pointer, other));
        CHECK_SAME(used(0), before + BYTES);
        CHECK(really_used(0) >= BYTES);
        atomic_store(&go, 1);
        CHECK_OK(cuStreamSynchronize(other));
        CHECK_SAME(settled(), before);
}

/* What was never allocated, or was freed before, changes nothing. */
static void illegal(void)
{
        CUdeviceptr pointer;
        uint64_t before = settled();

        CHECK_OK(cuMemAlloc_v2(&pointer, BYTES));
        CHECK(cuMemFree_v2(pointer + 512) != CUDA_SUCCESS);
        CHECK_SAME(used(0), before + BYTES);
        CHECK_OK(cuMemFree_v2(pointer));
        CHECK(cuMemFree_v2(pointer) != CUDA_SUCCESS);
        CHECK(cuMemAlloc_v2(&pointer, 0) != CUDA_SUCCESS);
        CHECK_IS(cuMemAlloc_v2(&pointer, (size_t)-1), CUDA_ERROR_OUT_OF_MEMORY);
        CHECK_IS(cuMemAllocAsync(&pointer, (size_t)-1, 0), CUDA_ERROR_OUT_OF_MEMORY);
        CHECK(cuMemAlloc_v2(NULL, 512) != CUDA_SUCCESS);
        CHECK_OK(cuMemFree_v2(0));
        CHECK_SAME(settled(), before);
}

int main(void)
{
        CUmemPoolProps properties = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                                     .location = {CU_MEM_LOCATION_TYPE_DEVICE, {0}}};
        uint64_t before, really;

        begin();
        CHECK_OK(cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
        CHECK_OK(cuMemPoolCreate(&pool, &properties));
        before = settled();
        really = really_used(0);
        for (size_t g = 0; g < sizeof(gets) / sizeof(gets[0]); g++)
                for (size_t p = 0; p < sizeof(puts_) / sizeof(puts_[0]); p++)
                        pair(g, p, before, really);
        behind_work();
        illegal();
        CHECK_OK(cuMemPoolDestroy(pool));
        CHECK_OK(cuStreamDestroy_v2(other));
        CHECK_SAME(settled(), before);
        return 0;
}
