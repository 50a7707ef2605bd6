/* SPDX-License-Identifier: Apache-2.0
 * Copies and memsets: what arrives where, in which order, and what is refused. The GPU copies a gigabyte a second each
 * way. */
#include "exec_test.h"

#include <fcntl.h>

#define N 65536

static unsigned char in[N], out[N];
static CUdeviceptr a, b;
static CUstream stream;

static int fresh(void **state)
{
        for (int i = 0; i < N; i++)
                in[i] = (unsigned char)(i * 7 + i / 256);
        memset(out, 0, N);
        OK(cuCtxSynchronize());
        OK(cuMemsetD8_v2(a, 0, N));
        OK(cuMemsetD8_v2(b, 0, N));
        OK(cuCtxSynchronize());
        return 0;
}

static void test_plain_round_trips(void **state)
{
        OK(cuMemcpyHtoD_v2(a, in, N));
        OK(cuMemcpyDtoD_v2(b, a, N));
        OK(cuMemcpyDtoH_v2(out, b, N));
        assert_memory_equal(in, out, N);
        memset(out, 0, N);
        OK(cuMemcpy((CUdeviceptr)(uintptr_t)out, a, N));
        assert_memory_equal(in, out, N);
        OK(cuMemcpyHtoD_v2_ptds(b, in + 1, 100));
        OK(cuMemcpyDtoH_v2_ptds(out, b, 100));
        assert_memory_equal(in + 1, out, 100);
}

static void test_async_from_pageable_memory_is_taken_at_the_call(void **state)
{
        OK(launch(function("busy5"), stream, NULL));
        OK(cuMemcpyHtoDAsync_v2(a, in, 1000, stream));
        memset(in, 0xff, 1000);
        OK(cuMemcpyDtoHAsync_v2(out, a, 1000, stream)); /* to pageable memory: done when it returns */
        for (int i = 0; i < 1000; i++)
                assert_int_equal(out[i], (unsigned char)(i * 7 + i / 256));
}

static void test_async_with_pinned_memory_comes_in_its_turn(void **state)
{
        unsigned char *pinned;

        OK(cuMemHostAlloc((void **)&pinned, N, 0));
        memset(pinned, 0, N);
        OK(cuMemcpyHtoD_v2(a, in, N));
        OK(launch(function("busy20"), stream, NULL));
        OK(cuMemcpyDtoHAsync_v2(pinned, a, N, stream));
        IS(cuStreamQuery(stream), CUDA_ERROR_NOT_READY);
        assert_int_equal(pinned[1], 0);
        OK(cuStreamSynchronize(stream));
        assert_memory_equal(pinned, in, N);
        OK(cuMemFreeHost(pinned));
}

static void test_copies_overlap_kernels_and_each_other(void **state)
{
        CUevent start, copied, computed;
        unsigned char *pinned;
        CUstream other;
        float ms;

        OK(cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
        OK(cuMemHostAlloc((void **)&pinned, N, 0));
        OK(cuEventCreate(&start, 0));
        OK(cuEventCreate(&copied, 0));
        OK(cuEventCreate(&computed, 0));
        OK(launch(function("busy5"), stream, NULL));
        OK(cuEventRecord(start, stream));
        OK(cuStreamWaitEvent(other, start, 0));
        for (int i = 0; i < 10; i++)
                OK(cuMemcpyHtoDAsync_v2(a, pinned, 50000, other)); /* 50 us each */
        OK(launch(function("busy1"), stream, NULL));
        OK(cuEventRecord(computed, stream));
        OK(cuEventRecord(copied, other));
        OK(cuCtxSynchronize());
        OK(cuEventElapsedTime(&ms, start, copied));
        assert_true(ms == 0.5f);
        OK(cuEventElapsedTime(&ms, start, computed));
        assert_true(ms == 1.0f);
        OK(cuMemFreeHost(pinned));
        OK(cuEventDestroy_v2(start));
        OK(cuEventDestroy_v2(copied));
        OK(cuEventDestroy_v2(computed));
        OK(cuStreamDestroy_v2(other));
}

static void test_memsets(void **state)
{
        uint16_t *halves = (uint16_t *)(void *)out;
        uint32_t *words = (uint32_t *)(void *)out;

        OK(cuMemsetD16_v2(a, 0xbeef, 10));
        OK(cuMemsetD32Async(a + 100, 0xdeadbeef, 10, stream));
        OK(cuStreamSynchronize(stream));
        OK(cuMemcpyDtoH_v2(out, a, 200));
        assert_int_equal(halves[9], 0xbeef);
        assert_int_equal(halves[10], 0);
        assert_int_equal(words[34], 0xdeadbeef);
        assert_int_equal(words[35], 0);
        OK(cuMemsetD2D8_v2(b, 100, 5, 10, 3));
        OK(cuMemcpyDtoH_v2(out, b, 400));
        for (int i = 0; i < 400; i++)
                assert_int_equal(out[i], i < 300 && i % 100 < 10 ? 5 : 0);
        IS(cuMemsetD2D8_v2(b, 5, 5, 10, 3), CUDA_ERROR_INVALID_VALUE);
        IS(cuMemsetD32_v2(b + 1, 5, 1), CUDA_ERROR_INVALID_VALUE);
        IS(cuMemsetD8_v2(b, 5, N + 1), CUDA_ERROR_INVALID_VALUE);
        OK(cuMemsetD8_v2(b, 5, 0));
}

static void test_rectangles(void **state)
{
        CUDA_MEMCPY2D there = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                               .srcHost = in,
                               .srcPitch = 256,
                               .srcXInBytes = 3,
                               .srcY = 2,
                               .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                               .dstDevice = a,
                               .dstPitch = 64,
                               .WidthInBytes = 50,
                               .Height = 10};
        CUDA_MEMCPY2D back = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                              .srcDevice = a,
                              .srcPitch = 64,
                              .dstMemoryType = CU_MEMORYTYPE_HOST,
                              .dstHost = out,
                              .dstPitch = 50,
                              .WidthInBytes = 50,
                              .Height = 10};

        OK(cuMemcpy2D_v2(&there));
        OK(cuMemcpy2DAsync_v2(&back, stream));
        OK(cuStreamSynchronize(stream));
        for (int y = 0; y < 10; y++)
                assert_memory_equal(out + y * 50, in + (y + 2) * 256 + 3, 50);
        there.dstPitch = 49;
        IS(cuMemcpy2D_v2(&there), CUDA_ERROR_INVALID_VALUE);
        IS(cuMemcpy2D_v2(NULL), CUDA_ERROR_INVALID_VALUE);
}

static void test_boxes_and_arrays(void **state)
{
        CUDA_ARRAY3D_DESCRIPTOR shape = {
                .Width = 16, .Height = 8, .Depth = 4, .Format = CU_AD_FORMAT_UNSIGNED_INT8, .NumChannels = 4};
        CUDA_MEMCPY3D box = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                             .srcHost = in,
                             .srcPitch = 64,
                             .srcHeight = 8,
                             .dstMemoryType = CU_MEMORYTYPE_ARRAY,
                             .WidthInBytes = 64,
                             .Height = 8,
                             .Depth = 4};
        CUarray array;

        OK(cuArray3DCreate_v2(&array, &shape));
        box.dstArray = array;
        OK(cuMemcpy3D_v2(&box));
        box = (CUDA_MEMCPY3D){.srcMemoryType = CU_MEMORYTYPE_ARRAY,
                              .srcArray = array,
                              .srcXInBytes = 8,
                              .srcY = 1,
                              .srcZ = 2,
                              .dstMemoryType = CU_MEMORYTYPE_HOST,
                              .dstHost = out,
                              .WidthInBytes = 20,
                              .Height = 3,
                              .Depth = 2};
        OK(cuMemcpy3DAsync_v2(&box, stream));
        OK(cuStreamSynchronize(stream));
        for (int z = 0; z < 2; z++)
                for (int y = 0; y < 3; y++)
                        assert_memory_equal(out + (z * 3 + y) * 20, in + ((z + 2) * 8 + y + 1) * 64 + 8, 20);
        box.srcXInBytes = 60;
        IS(cuMemcpy3D_v2(&box), CUDA_ERROR_INVALID_VALUE);
        OK(cuMemcpyHtoA_v2(array, 4, in, 8));
        OK(cuMemcpyAtoH_v2(out, array, 4, 8));
        assert_memory_equal(out, in, 8);
        OK(cuArrayDestroy(array));
        IS(cuMemcpyAtoH_v2(out, array, 4, 8), CUDA_ERROR_INVALID_HANDLE);
}

static void test_refused(void **state)
{
        int local;

        IS(cuMemcpyHtoD_v2(a, in, N + 1), CUDA_ERROR_INVALID_VALUE);
        IS(cuMemcpyHtoD_v2((CUdeviceptr)(uintptr_t)&local, in, 4), CUDA_ERROR_INVALID_VALUE);
        IS(cuMemcpyDtoHAsync_v2(out, 0, 4, stream), CUDA_ERROR_INVALID_VALUE);
        IS(cuMemcpyDtoHAsync_v2(out, a, 4, (CUstream)0x77), CUDA_ERROR_INVALID_HANDLE);
        OK(cuMemcpyHtoD_v2(a, in, 0));
}

static void test_batch(void **state)
{
        CUdeviceptr to[3] = {a, a + 100, a + 200};
        CUdeviceptr from[3] = {(uintptr_t)in, (uintptr_t)in + 500, (uintptr_t)in + 900};
        size_t sizes[3] = {100, 50, 10}, failed, index = 0;
        CUmemcpyAttributes attributes = {.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM};

        OK(cuMemcpyBatchAsync(to, from, sizes, 3, &attributes, &index, 1, &failed, stream));
        OK(cuStreamSynchronize(stream));
        OK(cuMemcpyDtoH_v2(out, a, 210));
        assert_memory_equal(out, in, 100);
        assert_memory_equal(out + 100, in + 500, 50);
        assert_memory_equal(out + 200, in + 900, 10);
        to[1] = 0;
        IS(cuMemcpyBatchAsync(to, from, sizes, 3, &attributes, &index, 1, &failed, stream), CUDA_ERROR_INVALID_VALUE);
        assert_int_equal(failed, 1);
}

static void write_spec(void)
{
        static const char spec[] =
                "[gpu]\nmodel = Test GPU\nmemory = 1G\nh2d = 1000000000\nd2h = 1000000000\nd2d = 0\nlaunch = 0\n";
        char path[96];
        int fd;

        choose_gpus("");
        snprintf(path, sizeof(path), "%s/spec", state_folder);
        fd = open(path, O_WRONLY | O_CREAT, 0600);
        if (fd < 0 || write(fd, spec, sizeof(spec) - 1) != sizeof(spec) - 1)
                abort();
        close(fd);
        setenv("FASTGPU_SIM", path, 1);
}

static int open_all(void **state)
{
        write_spec();
        open_gpu(0);
        OK(cuMemAlloc_v2(&a, N));
        OK(cuMemAlloc_v2(&b, N));
        OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
        return 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(test_plain_round_trips, fresh),
                cmocka_unit_test_setup(test_async_from_pageable_memory_is_taken_at_the_call, fresh),
                cmocka_unit_test_setup(test_async_with_pinned_memory_comes_in_its_turn, fresh),
                cmocka_unit_test_setup(test_copies_overlap_kernels_and_each_other, fresh),
                cmocka_unit_test_setup(test_memsets, fresh),
                cmocka_unit_test_setup(test_rectangles, fresh),
                cmocka_unit_test_setup(test_boxes_and_arrays, fresh),
                cmocka_unit_test_setup(test_refused, fresh),
                cmocka_unit_test_setup(test_batch, fresh),
        };

        return cmocka_run_group_tests(tests, open_all, tear_down);
}
