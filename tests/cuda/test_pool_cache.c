/* SPDX-License-Identifier: Apache-2.0
 * What a pool keeps: charged while the driver has it reserved, given back when it lets go, and trimmed before anything
 * is refused. Two vGPUs on one GPU: each pays for its own, whoever frees it. */
#include "test_memory.h"

#define BYTES (64 * MiB)

static uint64_t looked(unsigned i)
{
        size_t available, total;

        CHECK_OK(cuMemGetInfo_v2(&available, &total));
        return used(i);
}

static CUmemoryPool keeping_pool(CUdevice device)
{
        cuuint64_t threshold = UINT64_MAX;
        CUmemoryPool pool;

        CHECK_OK(cuDeviceGetMemPool(&pool, device));
        CHECK_OK(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &threshold));
        return pool;
}

static void fill_and_free(void)
{
        CUdeviceptr pointer;

        CHECK_OK(cuMemAllocAsync(&pointer, BYTES, 0));
        CHECK_OK(cuMemFreeAsync(pointer, 0));
        CHECK_OK(cuCtxSynchronize());
}

/* `i`: the vGPU, which is also the device. */
static void test_cache(unsigned i)
{
        CUmemoryPool pool = keeping_pool((CUdevice)i);
        uint64_t all = quota(i);
        CUdeviceptr pointer;

        fill_and_free();
        CHECK_SAME(looked(i), BYTES);
        set_quota(i, BYTES);
        CHECK_OK(cuMemAllocAsync(&pointer, BYTES, 0)); /* out of what it keeps */
        CHECK_SAME(used(i), BYTES);
        CHECK_OK(cuMemFreeAsync(pointer, 0));
        CHECK_OK(cuCtxSynchronize());
        CHECK_OK(cuMemAlloc_v2(&pointer, BYTES)); /* trimmed for it */
        CHECK_SAME(used(i), BYTES);
        CHECK_IS(cuMemAllocAsync(&pointer, 512, 0), CUDA_ERROR_OUT_OF_MEMORY);
        CHECK_OK(cuMemFree_v2(pointer));
        set_quota(i, all);
        fill_and_free();
        CHECK_OK(cuMemPoolTrimTo(pool, 0));
        CHECK_SAME(used(i), 0);
}

static void test_foreign_free(CUcontext first, CUcontext second)
{
        CUdeviceptr pointer, async;

        CHECK_OK(cuCtxSetCurrent(second));
        CHECK_OK(cuMemAlloc_v2(&pointer, BYTES));
        CHECK_OK(cuMemAllocAsync(&async, BYTES, 0));
        CHECK_SAME(used(0), 0);
        CHECK_SAME(used(1), 2 * BYTES);
        CHECK_OK(cuCtxSynchronize());
        CHECK_OK(cuCtxSetCurrent(first));
        CHECK_OK(cuMemFree_v2(pointer));
        CHECK_OK(cuMemFree_v2(async));
        CHECK_SAME(used(0), 0);
        CHECK_OK(cuCtxSetCurrent(second));
        set_quota(1, BYTES);
        CHECK_OK(cuMemAlloc_v2(&pointer, BYTES));
        CHECK_OK(cuMemFree_v2(pointer));
        CHECK_SAME(looked(1), 0);
}

int main(void)
{
        CUcontext first = begin(), second;

        CHECK_OK(cuDevicePrimaryCtxRetain(&second, 1));
        test_cache(0);
        CHECK_OK(cuCtxSetCurrent(second));
        test_cache(1);
        test_foreign_free(first, second);
        return 0;
}
