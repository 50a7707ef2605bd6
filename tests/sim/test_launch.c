/* SPDX-License-Identifier: Apache-2.0
 * Launches in all their forms, their arguments, and what is refused. */
#include "exec_test.h"

static struct {
        int calls;
        unsigned grid[3], block[3];
        uint8_t byte;
        uint64_t word;
        float real;
} seen;

static void look(void **params, const unsigned grid[3], const unsigned block[3])
{
        seen.calls++;
        memcpy(seen.grid, grid, sizeof(seen.grid));
        memcpy(seen.block, block, sizeof(seen.block));
        seen.byte = *(uint8_t *)params[0];
        seen.word = *(uint64_t *)params[1];
        seen.real = *(float *)params[2];
}

static CUfunction look_function(void)
{
        CUfunction f;

        fgsim_kernel_register("look", look, 0);
        assert_int_equal(fgsim_kernel_arguments("look", 3, (size_t[]){1, 8, 4}), 0);
        OK(cuModuleGetFunction(&f, module, "look"));
        return f;
}

static void expect_seen(int calls, unsigned gx, unsigned bx)
{
        OK(cuCtxSynchronize());
        assert_int_equal(seen.calls, calls);
        assert_int_equal(seen.grid[0], gx);
        assert_int_equal(seen.block[0], bx);
        assert_int_equal(seen.byte, 7);
        assert_true(seen.word == 1ull << 40);
        assert_true(seen.real == 0.5f);
        memset(&seen, 0, sizeof(seen));
}

static void test_arguments_are_copied_at_the_launch(void **state)
{
        uint8_t byte = 7;
        uint64_t word = 1ull << 40;
        float real = 0.5f;
        void *params[] = {&byte, &word, &real};

        OK(launch(function("busy5"), NULL, NULL));
        OK(cuLaunchKernel(look_function(), 3, 1, 1, 64, 1, 1, 0, NULL, params, NULL));
        byte = 0;
        word = 0;
        real = 0;
        expect_seen(1, 3, 64);
}

static void test_arguments_in_a_buffer(void **state)
{
        struct {
                uint8_t byte;
                uint64_t word;
                float real;
        } args = {7, 1ull << 40, 0.5f};
        size_t bytes = sizeof(args), few = 8;
        void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &args, CU_LAUNCH_PARAM_BUFFER_SIZE, &bytes,
                         CU_LAUNCH_PARAM_END};

        OK(cuLaunchKernel(look_function(), 2, 1, 1, 32, 1, 1, 0, NULL, NULL, extra));
        expect_seen(1, 2, 32);
        extra[3] = &few;
        IS(cuLaunchKernel(look_function(), 2, 1, 1, 32, 1, 1, 0, NULL, NULL, extra), CUDA_ERROR_INVALID_VALUE);
}

static void test_other_ways_to_launch(void **state)
{
        uint8_t byte = 7;
        uint64_t word = 1ull << 40;
        float real = 0.5f;
        void *params[] = {&byte, &word, &real};
        CUlaunchConfig config = {
                .gridDimX = 4, .gridDimY = 1, .gridDimZ = 1, .blockDimX = 16, .blockDimY = 1, .blockDimZ = 1};
        CUDA_LAUNCH_PARAMS one = {look_function(), 6, 1, 1, 8, 1, 1, 0, NULL, params};

        OK(cuLaunchKernelEx(&config, look_function(), params, NULL));
        expect_seen(1, 4, 16);
        OK(cuLaunchKernelEx_ptsz(&config, look_function(), params, NULL));
        expect_seen(1, 4, 16);
        OK(cuLaunchCooperativeKernel(look_function(), 5, 1, 1, 32, 1, 1, 0, NULL, params));
        expect_seen(1, 5, 32);
        OK(cuStreamCreate(&one.hStream, CU_STREAM_NON_BLOCKING));
        OK(cuLaunchCooperativeKernelMultiDevice(&one, 1, 0));
        expect_seen(1, 6, 8);
        OK(cuStreamDestroy_v2(one.hStream));
}

static void test_launches_of_old(void **state)
{
        CUfunction f = look_function();
        uint8_t byte = 7;
        uint64_t word = 1ull << 40;

        OK(cuFuncSetBlockShape(f, 24, 1, 1));
        OK(cuParamSetv(f, 0, &byte, 1));
        OK(cuParamSetv(f, 8, &word, 8));
        OK(cuParamSetf(f, 16, 0.5f));
        OK(cuParamSetSize(f, 20));
        OK(cuLaunch(f));
        expect_seen(1, 1, 24);
        OK(cuLaunchGrid(f, 9, 1));
        expect_seen(1, 9, 24);
        OK(cuLaunchGridAsync(f, 10, 1, NULL));
        expect_seen(1, 10, 24);
}

static void test_refused(void **state)
{
        CUfunction f = function("nothing");
        CUstream gone;

        IS(cuLaunchKernel(f, 0, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL), CUDA_ERROR_INVALID_VALUE);
        IS(cuLaunchKernel(f, 1, 1, 1, 1025, 1, 1, 0, NULL, NULL, NULL), CUDA_ERROR_INVALID_VALUE);
        IS(cuLaunchKernel(f, 1, 70000, 1, 1, 1, 1, 0, NULL, NULL, NULL), CUDA_ERROR_INVALID_VALUE);
        IS(cuLaunchKernel((CUfunction)0x10, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL), CUDA_ERROR_INVALID_HANDLE);
        IS(cuLaunchKernel(NULL, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL), CUDA_ERROR_INVALID_HANDLE);
        OK(cuStreamCreate(&gone, 0));
        OK(cuStreamDestroy_v2(gone));
        IS(launch(f, gone, NULL), CUDA_ERROR_INVALID_HANDLE);
        IS(cuLaunchCooperativeKernel(f, 1u << 20, 1, 1, 1024, 1, 1, 0, NULL, NULL),
           CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);
        OK(cuLaunchKernel(f, 1u << 20, 1, 1, 1024, 1, 1, 0, NULL, NULL, NULL));
}

static void test_no_context_and_a_foreign_one(void **state)
{
        CUfunction f = function("nothing");
        CUcontext other, back;

        OK(cuCtxCreate_v2(&other, 0, 0));
        IS(launch(f, NULL, NULL), CUDA_ERROR_INVALID_HANDLE);
        OK(cuCtxDestroy_v2(other));
        OK(cuCtxPopCurrent_v2(&back));
        assert_ptr_equal(back, context);
        IS(launch(f, NULL, NULL), CUDA_ERROR_INVALID_CONTEXT);
        OK(cuCtxPushCurrent_v2(context));
        OK(launch(f, NULL, NULL));
}

static void test_time_from_a_parameter(void **state)
{
        CUevent start, end;
        uint64_t ns;
        float ms;

        OK(cuEventCreate(&start, 0));
        OK(cuEventCreate(&end, 0));
        OK(launch(function("busy5"), NULL, NULL));
        OK(cuEventRecord(start, NULL));
        for (int i = 1; i <= 4; i++) {
                ns = (uint64_t)i * 1000000;
                OK(launch(function("sleep"), NULL, (void *[]){&ns}));
        }
        OK(cuEventRecord(end, NULL));
        OK(cuEventSynchronize(end));
        OK(cuEventElapsedTime(&ms, start, end));
        assert_true(ms == 10.0f);
        OK(cuEventDestroy_v2(start));
        OK(cuEventDestroy_v2(end));
}

static void test_event_of_a_launch_attribute(void **state)
{
        CUlaunchAttribute attribute = {.id = CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT};
        CUlaunchConfig config = {
                .gridDimX = 1, .gridDimY = 1, .gridDimZ = 1, .blockDimX = 1, .blockDimY = 1, .blockDimZ = 1};
        CUevent event;

        OK(cuEventCreate(&event, 0));
        attribute.value.launchCompletionEvent.event = event;
        config.attrs = &attribute;
        config.numAttrs = 1;
        OK(cuLaunchKernelEx(&config, function("busy20"), NULL, NULL));
        IS(cuEventQuery(event), CUDA_ERROR_NOT_READY);
        OK(cuEventSynchronize(event));
        OK(cuStreamQuery(NULL));
        OK(cuEventDestroy_v2(event));
}

static void test_occupancy(void **state)
{
        int blocks, grid, block;
        size_t shared;

        OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, function("nothing"), 1024, 0));
        assert_in_range(blocks, 1, 2);
        OK(cuOccupancyMaxPotentialBlockSize(&grid, &block, function("nothing"), NULL, 0, 0));
        assert_in_range(block, 32, 1024);
        assert_true(grid >= 1);
        OK(cuOccupancyAvailableDynamicSMemPerBlock(&shared, function("nothing"), 2, 64));
        assert_true(shared > 0);
        IS(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, function("nothing"), 0, 0), CUDA_ERROR_INVALID_VALUE);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_arguments_are_copied_at_the_launch),
                cmocka_unit_test(test_arguments_in_a_buffer),
                cmocka_unit_test(test_other_ways_to_launch),
                cmocka_unit_test(test_launches_of_old),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_no_context_and_a_foreign_one),
                cmocka_unit_test(test_time_from_a_parameter),
                cmocka_unit_test(test_event_of_a_launch_attribute),
                cmocka_unit_test(test_occupancy),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
