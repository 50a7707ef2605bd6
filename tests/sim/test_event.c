/* SPDX-License-Identifier: Apache-2.0
 * Events: simulated time is exact, so these compare nanoseconds for equality. */
#include "exec_test.h"

#include <sys/socket.h>
#include <sys/wait.h>

static float between(CUevent a, CUevent b)
{
        float ms = -1;

        OK(cuEventElapsedTime(&ms, a, b));
        return ms;
}

/* A kernel in front keeps the stream busy, so that the first record has its place in the queue too. */
static void test_time_is_exact(void **state)
{
        CUevent start, middle, end;
        CUstream s;

        OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
        OK(cuEventCreate(&start, 0));
        OK(cuEventCreate(&middle, 0));
        OK(cuEventCreate(&end, 0));
        OK(launch(function("busy5"), s, NULL));
        OK(cuEventRecord(start, s));
        for (int i = 0; i < 10; i++)
                OK(launch(function("busy1"), s, NULL));
        OK(cuEventRecord(middle, s));
        OK(launch(function("busy20"), s, NULL));
        OK(cuEventRecord(end, s));
        OK(cuEventSynchronize(end));
        assert_true(between(start, middle) == 10.0f);
        assert_true(between(start, end) == 30.0f);
        assert_true(between(end, start) == -30.0f);
        OK(cuStreamDestroy_v2(s));
        OK(cuEventDestroy_v2(start));
        OK(cuEventDestroy_v2(middle));
        OK(cuEventDestroy_v2(end));
}

static void test_kernels_of_two_streams_do_not_overlap(void **state)
{
        CUevent start, end[2];
        CUstream s[2];

        OK(cuEventCreate(&start, 0));
        for (int i = 0; i < 2; i++) {
                OK(cuStreamCreate(&s[i], CU_STREAM_NON_BLOCKING));
                OK(cuEventCreate(&end[i], 0));
        }
        OK(launch(function("busy5"), s[0], NULL));
        OK(cuEventRecord(start, s[0]));
        OK(cuStreamWaitEvent(s[1], start, 0));
        for (int i = 0; i < 2; i++)
                OK(launch(function("busy5"), s[i], NULL));
        for (int i = 0; i < 2; i++)
                OK(cuEventRecord(end[i], s[i]));
        OK(cuCtxSynchronize());
        assert_true(between(start, end[0]) == 5.0f);
        assert_true(between(start, end[1]) == 10.0f);
        for (int i = 0; i < 2; i++) {
                OK(cuStreamDestroy_v2(s[i]));
                OK(cuEventDestroy_v2(end[i]));
        }
        OK(cuEventDestroy_v2(start));
}

static void test_waiting_is_for_the_record_made_before(void **state)
{
        CUstream a, b;
        CUevent event;

        OK(cuStreamCreate(&a, CU_STREAM_NON_BLOCKING));
        OK(cuStreamCreate(&b, CU_STREAM_NON_BLOCKING));
        OK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
        OK(cuStreamWaitEvent(b, event, 0)); /* never recorded: nothing to wait for */
        OK(cuStreamSynchronize(b));
        OK(launch(function("busy5"), a, NULL));
        launch_note(a, 1);
        OK(cuEventRecord(event, a));
        OK(cuStreamWaitEvent(b, event, 0));
        OK(launch(function("busy20"), a, NULL));
        launch_note(a, 3);
        OK(cuEventRecord(event, a)); /* a later record does not matter */
        launch_note(b, 2);
        IS(cuEventQuery(event), CUDA_ERROR_NOT_READY);
        OK(cuStreamSynchronize(b));
        OK(cuEventSynchronize(event));
        OK(cuEventQuery(event));
        NOTES(1, 2, 3);
        OK(cuStreamDestroy_v2(a));
        OK(cuStreamDestroy_v2(b));
        OK(cuEventDestroy_v2(event));
}

static void test_bad_uses(void **state)
{
        CUevent timed, untimed;
        float ms;

        OK(cuEventCreate(&timed, 0));
        OK(cuEventCreate(&untimed, CU_EVENT_DISABLE_TIMING));
        IS(cuEventElapsedTime(&ms, timed, timed), CUDA_ERROR_INVALID_HANDLE); /* not recorded */
        OK(cuEventRecord(timed, NULL));
        OK(cuEventRecord(untimed, NULL));
        IS(cuEventElapsedTime(&ms, timed, untimed), CUDA_ERROR_INVALID_HANDLE);
        OK(launch(function("busy5"), NULL, NULL));
        OK(cuEventRecord(timed, NULL));
        IS(cuEventElapsedTime(&ms, timed, timed), CUDA_ERROR_NOT_READY);
        OK(cuEventSynchronize(timed));
        OK(cuEventDestroy_v2(timed));
        OK(cuEventDestroy_v2(untimed));
        IS(cuEventQuery(timed), CUDA_ERROR_INVALID_HANDLE);
        IS(cuEventCreate(&timed, CU_EVENT_INTERPROCESS), CUDA_ERROR_INVALID_VALUE);
        IS(cuEventCreate(&timed, 0x100), CUDA_ERROR_INVALID_VALUE);
}

static int child(int fd)
{
        CUipcEventHandle handle;
        CUevent event;
        char go;

        if (read(fd, &handle, sizeof(handle)) != sizeof(handle))
                return 2;
        open_gpu(0);
        if (cuIpcOpenEventHandle(&event, handle) != CUDA_SUCCESS)
                return 3;
        if (cuEventQuery(event) != CUDA_ERROR_NOT_READY)
                return 4;
        if (write(fd, "1", 1) != 1 || read(fd, &go, 1) != 1)
                return 5;
        return cuEventSynchronize(event) == CUDA_SUCCESS ? 0 : 6;
}

/* The child is forked before this process touches CUDA, as it must be. */
static int child_pid, child_fd;

static void test_interprocess_event(void **state)
{
        CUipcEventHandle handle;
        uint32_t *gate;
        CUevent event;
        int status;
        char ready;

        OK(cuMemHostAlloc((void **)&gate, 4, 0));
        *gate = 0;
        OK(cuEventCreate(&event, CU_EVENT_INTERPROCESS | CU_EVENT_DISABLE_TIMING));
        OK(cuIpcGetEventHandle(&handle, event));
        OK(cuStreamWaitValue32_v2(NULL, (CUdeviceptr)(uintptr_t)gate, 1, CU_STREAM_WAIT_VALUE_EQ));
        OK(cuEventRecord(event, NULL));
        assert_int_equal(write(child_fd, &handle, sizeof(handle)), sizeof(handle));
        assert_int_equal(read(child_fd, &ready, 1), 1);
        __atomic_store_n(gate, 1, __ATOMIC_RELEASE);
        assert_int_equal(write(child_fd, "1", 1), 1);
        assert_int_equal(waitpid(child_pid, &status, 0), child_pid);
        assert_int_equal(status, 0);
        OK(cuEventSynchronize(event));
        OK(cuEventDestroy_v2(event));
        OK(cuMemFreeHost(gate));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_time_is_exact),
                cmocka_unit_test(test_kernels_of_two_streams_do_not_overlap),
                cmocka_unit_test_setup(test_waiting_is_for_the_record_made_before, forget_notes),
                cmocka_unit_test(test_bad_uses),
                cmocka_unit_test(test_interprocess_event),
        };
        int fds[2];

        choose_gpus("1x\"Test GPU\":1G");
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
                return 1;
        child_pid = fork();
        if (child_pid == 0) {
                close(fds[0]);
                _exit(child(fds[1]));
        }
        close(fds[1]);
        child_fd = fds[0];
        open_gpu(0);
        return cmocka_run_group_tests(tests, NULL, tear_down);
}
