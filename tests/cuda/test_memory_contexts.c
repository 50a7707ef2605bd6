/* SPDX-License-Identifier: Apache-2.0
 * Contexts: what they cost, that everything of theirs goes with them, and that the driver's own figure is followed.
 * Started with contexts of 64 MiB by the daemon's word. */
#include "test_memory.h"

#include "base/clock.h"

#define CONTEXT (64 * MiB)

static uint64_t looked(void)
{
        size_t available, total;

        CHECK_OK(cuMemGetInfo_v2(&available, &total));
        return used(0);
}

/* One of each kind that belongs to a context. */
static void fill(void)
{
        CUDA_ARRAY_DESCRIPTOR d = {.Width = 1024, .Height = 1024, .Format = CU_AD_FORMAT_FLOAT, .NumChannels = 1};
        CUDA_ARRAY3D_DESCRIPTOR m = {
                .Width = 256, .Height = 256, .Format = CU_AD_FORMAT_UNSIGNED_INT8, .NumChannels = 1};
        CUmipmappedArray mipmap;
        CUdeviceptr pointer;
        CUarray array;
        size_t pitch;

        for (int i = 0; i < 300; i++)
                CHECK_OK(cuMemAlloc_v2(&pointer, 4096));
        CHECK_OK(cuMemAllocPitch_v2(&pointer, &pitch, 512, 16, 4));
        CHECK_OK(cuMemAllocManaged(&pointer, MiB, CU_MEM_ATTACH_GLOBAL));
        CHECK_OK(cuArrayCreate_v2(&array, &d));
        CHECK_OK(cuMipmappedArrayCreate(&mipmap, &m, 2));
}

static void test_destroy(CUcontext primary)
{
        uint64_t before = used(0);
        CUdeviceptr kept;
        CUcontext context;

        CHECK_OK(cuMemAlloc_v2(&kept, MiB));
        CHECK_OK(cuCtxCreate_v2(&context, 0, 0));
        CHECK_SAME(used(0), before + MiB + CONTEXT);
        fill();
        CHECK(used(0) > before + 2 * MiB + CONTEXT);
        CHECK_OK(cuCtxDestroy_v2(context));
        CHECK_SAME(used(0), before + MiB);
        CHECK_OK(cuCtxSetCurrent(primary));
        CHECK_OK(cuMemFree_v2(kept));
        CHECK_SAME(used(0), before);
}

static void test_refused(CUcontext primary)
{
        uint64_t all = quota(0), before = used(0);
        CUcontext context;

        leave(0, CONTEXT - 1);
        CHECK_IS(cuCtxCreate_v2(&context, 0, 0), CUDA_ERROR_OUT_OF_MEMORY);
        CHECK_SAME(used(0), before);
        leave(0, CONTEXT);
        CHECK_OK(cuCtxCreate_v2(&context, 0, 0));
        CHECK_SAME(used(0), quota(0));
        CHECK_OK(cuCtxDestroy_v2(context));
        CHECK_OK(cuCtxSetCurrent(primary));
        set_quota(0, all);
}

/* The driver's figure: up, down, never over the quota, never below what was asked for, and only when nothing moved. */
static void test_figure(void)
{
        uint64_t now = fg_now() + 10 * FG_NSEC_PER_SEC, all = quota(0), before = used(0);
        CUdeviceptr pointer;

        CHECK_OK(cuMemAlloc_v2(&pointer, 8 * MiB));
        set_driver_used(0, before + 50 * MiB, now);
        CHECK_SAME(looked(), before + 50 * MiB);
        set_driver_used(0, before + 20 * MiB, now += FG_NSEC_PER_SEC);
        CHECK_SAME(looked(), before + 20 * MiB);
        set_driver_used(0, 4 * all, now += FG_NSEC_PER_SEC);
        CHECK_SAME(looked(), all);
        set_driver_used(0, MiB, now += FG_NSEC_PER_SEC);
        CHECK_SAME(looked(), 8 * MiB);

        /* 250 ms after a change a figure may be from before it. */
        CHECK_OK(cuMemFree_v2(pointer));
        CHECK_OK(cuMemAlloc_v2(&pointer, 8 * MiB));
        set_driver_used(0, 100 * MiB, now += FG_NSEC_PER_SEC / 4);
        CHECK_SAME(looked(), 8 * MiB);
        set_driver_used(0, 90 * MiB, now += FG_NSEC_PER_SEC / 4);
        CHECK_SAME(looked(), 90 * MiB);
        /* Managed memory need not be on the device. */
        CHECK_OK(cuMemFree_v2(pointer));
        CHECK_OK(cuMemAllocManaged(&pointer, 8 * MiB, CU_MEM_ATTACH_GLOBAL));
        set_driver_used(0, 82 * MiB, now += FG_NSEC_PER_SEC);
        CHECK_SAME(looked(), 90 * MiB);
        CHECK_OK(cuMemFree_v2(pointer));
        set_driver_used(0, CONTEXT, now += FG_NSEC_PER_SEC);
        CHECK_SAME(looked(), CONTEXT);
}

static void test_reset(void)
{
        CUcontext context;

        fill();
        CHECK_OK(cuDevicePrimaryCtxReset_v2(0));
        CHECK_SAME(used(0), 0);
        CHECK_OK(cuDevicePrimaryCtxRetain(&context, 0));
        CHECK_OK(cuCtxSetCurrent(context));
        CHECK_SAME(used(0), CONTEXT);
        fill();
        CHECK_OK(cuDevicePrimaryCtxRelease_v2(0));
        CHECK_SAME(used(0), 0);
}

int main(void)
{
        CUcontext primary = begin();

        CHECK_SAME(used(0), CONTEXT);
        test_destroy(primary);
        test_refused(primary);
        test_figure();
        test_reset();
        return 0;
}
