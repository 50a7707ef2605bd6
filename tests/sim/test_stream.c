/* SPDX-License-Identifier: Apache-2.0
 * Streams: order within them, and between them where CUDA promises it. */
#include "exec_test.h"

#include <pthread.h>

static void test_order_within_a_stream(void **state)
{
        CUstream s;

        OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
        for (int i = 0; i < 3000; i++) /* deeper than the queue: the launch waits for room */
                launch_note(s, i);
        OK(cuStreamSynchronize(s));
        assert_int_equal(atomic_load(&notes), 3000);
        for (int i = 0; i < 3000; i++)
                assert_int_equal(noted[i], i);
        OK(cuStreamDestroy_v2(s));
}

static void test_kinds_of_work_keep_their_order(void **state)
{
        CUdeviceptr ptr;
        CUstream s;
        uint32_t word = 0;

        OK(cuMemAlloc_v2(&ptr, 4));
        OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
        OK(launch(function("busy1"), s, NULL));
        launch_note(s, 1);
        OK(cuLaunchHostFunc(s, note_host, (void *)2));
        OK(cuMemsetD32Async(ptr, 0x1234, 1, s));
        launch_note(s, 3);
        OK(cuMemcpyDtoHAsync_v2(&word, ptr, 4, s));
        OK(cuLaunchHostFunc(s, note_host, (void *)4));
        OK(cuStreamSynchronize(s));
        NOTES(1, 2, 3, 4);
        assert_int_equal(word, 0x1234);
        OK(cuStreamDestroy_v2(s));
        OK(cuMemFree_v2(ptr));
}

static void test_legacy_stream_and_blocking_ones(void **state)
{
        CUstream a, b;

        OK(cuStreamCreate(&a, CU_STREAM_DEFAULT));
        OK(cuStreamCreate(&b, CU_STREAM_DEFAULT));
        OK(launch(function("busy5"), a, NULL));
        launch_note(a, 1);
        launch_note(NULL, 2); /* after a's work */
        launch_note(b, 3);    /* after the legacy stream's */
        launch_note(CU_STREAM_LEGACY, 4);
        OK(cuCtxSynchronize());
        NOTES(1, 2, 3, 4);
        OK(cuStreamDestroy_v2(a));
        OK(cuStreamDestroy_v2(b));
}

static void test_non_blocking_stream_does_not_wait(void **state)
{
        uint32_t *gate;
        CUdeviceptr word;
        CUstream s;

        OK(cuMemHostAlloc((void **)&gate, 4, 0));
        *gate = 0;
        OK(cuMemHostGetDevicePointer_v2(&word, gate, 0));
        OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
        OK(cuStreamWaitValue32_v2(NULL, word, 1, CU_STREAM_WAIT_VALUE_EQ));
        launch_note(NULL, 2);
        launch_note(s, 1);
        OK(cuStreamSynchronize(s));
        NOTES(1);
        IS(cuStreamQuery(NULL), CUDA_ERROR_NOT_READY);
        __atomic_store_n(gate, 1, __ATOMIC_RELEASE);
        OK(cuStreamSynchronize(NULL));
        NOTES(1, 2);
        OK(cuStreamDestroy_v2(s));
        OK(cuMemFreeHost(gate));
}

static void *launch_in_own(void *arg)
{
        unsigned long long *id = arg;

        OK(cuCtxSetCurrent(context));
        OK(cuStreamGetId_ptsz(NULL, id));
        launch_note(CU_STREAM_PER_THREAD, 7);
        OK(cuStreamSynchronize_ptsz(NULL));
        return NULL;
}

static void test_per_thread_streams(void **state)
{
        unsigned long long here, there, legacy;
        pthread_t thread;
        int number = 8;

        OK(cuStreamGetId(CU_STREAM_PER_THREAD, &here));
        OK(cuStreamGetId(NULL, &legacy));
        assert_int_equal(pthread_create(&thread, NULL, launch_in_own, &there), 0);
        pthread_join(thread, NULL);
        assert_int_not_equal(here, there);
        assert_int_not_equal(here, legacy);
        OK(cuLaunchKernel_ptsz(function("note"), 1, 1, 1, 1, 1, 1, 0, NULL, (void *[]){&number}, NULL));
        OK(cuStreamSynchronize(CU_STREAM_PER_THREAD));
        NOTES(7, 8);
        IS(cuStreamDestroy_v2(CU_STREAM_PER_THREAD), CUDA_ERROR_INVALID_HANDLE);
}

static void test_priority_decides_between_ready_streams(void **state)
{
        CUstream low, high;
        int priority;

        OK(cuStreamCreateWithPriority(&low, CU_STREAM_NON_BLOCKING, 0));
        OK(cuStreamCreateWithPriority(&high, CU_STREAM_NON_BLOCKING, -100));
        OK(cuStreamGetPriority(high, &priority));
        assert_int_equal(priority, -5);
        OK(launch(function("busy20"), low, NULL));
        launch_note(low, 2);
        launch_note(high, 1); /* ready when the GPU becomes free, as the low one is */
        OK(cuCtxSynchronize());
        NOTES(1, 2);
        OK(cuStreamDestroy_v2(low));
        OK(cuStreamDestroy_v2(high));
}

static void test_query_and_synchronise(void **state)
{
        CUstream s;

        OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
        OK(cuStreamQuery(s));
        OK(launch(function("busy20"), s, NULL));
        IS(cuStreamQuery(s), CUDA_ERROR_NOT_READY);
        OK(cuStreamSynchronize(s));
        OK(cuStreamQuery(s));
        OK(cuStreamDestroy_v2(s));
        IS(cuStreamQuery(s), CUDA_ERROR_INVALID_HANDLE);
        IS(cuStreamSynchronize((CUstream)0x1234567), CUDA_ERROR_INVALID_HANDLE);
}

static void test_destroyed_stream_finishes_its_work(void **state)
{
        CUstream s;

        OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
        OK(launch(function("busy5"), s, NULL));
        launch_note(s, 1);
        OK(cuStreamDestroy_v2(s));
        OK(cuCtxSynchronize());
        NOTES(1);
}

static void stream_done(CUstream stream, CUresult status, void *user)
{
        note(status == CUDA_SUCCESS && stream == *(CUstream *)user ? 1 : -1);
}

static void test_callbacks(void **state)
{
        CUstream s;

        OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
        OK(launch(function("busy1"), s, NULL));
        OK(cuStreamAddCallback(s, stream_done, &s, 0));
        launch_note(s, 2);
        OK(cuStreamSynchronize(s));
        NOTES(1, 2);
        IS(cuStreamAddCallback(s, NULL, NULL, 0), CUDA_ERROR_INVALID_VALUE);
        OK(cuStreamDestroy_v2(s));
}

static void block_on(void *word)
{
        while (!__atomic_load_n((uint32_t *)word, __ATOMIC_ACQUIRE))
                usleep(100);
        note(2);
}

static void test_blocked_host_function_leaves_the_gpu_to_others(void **state)
{
        uint32_t released = 0;
        CUstream a, b;

        OK(cuStreamCreate(&a, CU_STREAM_NON_BLOCKING));
        OK(cuStreamCreate(&b, CU_STREAM_NON_BLOCKING));
        OK(cuLaunchHostFunc(a, block_on, &released));
        launch_note(b, 1);
        OK(cuStreamSynchronize(b));
        __atomic_store_n(&released, 1, __ATOMIC_RELEASE);
        OK(cuStreamSynchronize(a));
        NOTES(1, 2);
        OK(cuStreamDestroy_v2(a));
        OK(cuStreamDestroy_v2(b));
}

static void wait_inside(void *result)
{
        *(CUresult *)result = cuStreamSynchronize(NULL);
}

static void test_host_function_must_not_wait(void **state)
{
        CUresult r = CUDA_SUCCESS;

        OK(launch(function("busy1"), NULL, NULL));
        OK(cuLaunchHostFunc(NULL, wait_inside, &r));
        OK(cuStreamSynchronize(NULL));
        assert_int_not_equal(r, CUDA_SUCCESS);
}

static void test_values_pass_between_streams(void **state)
{
        CUdeviceptr word;
        CUstream a, b;

        OK(cuMemAlloc_v2(&word, 8));
        OK(cuMemsetD32_v2(word, 0, 2));
        OK(cuStreamCreate(&a, CU_STREAM_NON_BLOCKING));
        OK(cuStreamCreate(&b, CU_STREAM_NON_BLOCKING));
        OK(cuStreamWaitValue64_v2(a, word, 5, CU_STREAM_WAIT_VALUE_GEQ));
        launch_note(a, 2);
        OK(launch(function("busy5"), b, NULL));
        launch_note(b, 1);
        OK(cuStreamWriteValue64_v2(b, word, 6, 0));
        OK(cuStreamSynchronize(a));
        NOTES(1, 2);
        IS(cuStreamWaitValue32_v2(a, word + 1, 0, 0), CUDA_ERROR_INVALID_VALUE);
        OK(cuStreamDestroy_v2(a));
        OK(cuStreamDestroy_v2(b));
        OK(cuMemFree_v2(word));
}

static void test_what_a_stream_knows(void **state)
{
        CUcontext ctx;
        CUdevice device;
        unsigned flags;
        CUstream s;

        OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
        OK(cuStreamGetFlags(s, &flags));
        assert_int_equal(flags, CU_STREAM_NON_BLOCKING);
        OK(cuStreamGetCtx(s, &ctx));
        assert_ptr_equal(ctx, context);
        OK(cuStreamGetDevice(s, &device));
        assert_int_equal(device, 0);
        IS(cuStreamCreate(&s, 0x80), CUDA_ERROR_INVALID_VALUE);
        OK(cuStreamDestroy_v2(s));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(test_order_within_a_stream, forget_notes),
                cmocka_unit_test_setup(test_kinds_of_work_keep_their_order, forget_notes),
                cmocka_unit_test_setup(test_legacy_stream_and_blocking_ones, forget_notes),
                cmocka_unit_test_setup(test_non_blocking_stream_does_not_wait, forget_notes),
                cmocka_unit_test_setup(test_per_thread_streams, forget_notes),
                cmocka_unit_test_setup(test_priority_decides_between_ready_streams, forget_notes),
                cmocka_unit_test_setup(test_query_and_synchronise, forget_notes),
                cmocka_unit_test_setup(test_destroyed_stream_finishes_its_work, forget_notes),
                cmocka_unit_test_setup(test_callbacks, forget_notes),
                cmocka_unit_test_setup(test_blocked_host_function_leaves_the_gpu_to_others, forget_notes),
                cmocka_unit_test_setup(test_host_function_must_not_wait, forget_notes),
                cmocka_unit_test_setup(test_values_pass_between_streams, forget_notes),
                cmocka_unit_test_setup(test_what_a_stream_knows, forget_notes),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
