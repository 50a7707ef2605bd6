/* SPDX-License-Identifier: Apache-2.0
 * Streams on a GPU that fails: nothing hangs, and CUDA's own errors come back. */
#include "exec_test.h"

#include <fcntl.h>

static void write_spec(void)
{
        static const char spec[] = "[gpu]\nmodel = Test GPU\nmemory = 1G\nlaunch = 0\n"
                                   "[fault]\nat = cuLaunchKernel\nafter = 2\ncount = 1\nresult = 719\n"
                                   "[fault]\nat = cuCtxGetFlags\nkind = lost\n";
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

static void test_failed_launch(void **state)
{
        CUfunction f = function("nothing");

        OK(launch(f, NULL, NULL));
        OK(launch(f, NULL, NULL));
        IS(launch(f, NULL, NULL), CUDA_ERROR_LAUNCH_FAILED);
        OK(launch(f, NULL, NULL));
        OK(cuCtxSynchronize());
}

/* A hundred seconds of work are under way when the GPU is lost. */
static void test_lost_gpu(void **state)
{
        CUfunction f = function("long");
        CUevent event;
        CUstream s;
        unsigned flags;

        OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
        OK(cuEventCreate(&event, 0));
        for (int i = 0; i < 100; i++)
                OK(launch(f, s, NULL));
        OK(cuEventRecord(event, s));
        assert_int_not_equal(cuCtxGetFlags(&flags), CUDA_SUCCESS);
        assert_int_not_equal(cuStreamSynchronize(s), CUDA_SUCCESS);
        assert_int_not_equal(cuEventSynchronize(event), CUDA_SUCCESS);
        assert_int_not_equal(cuEventQuery(event), CUDA_SUCCESS);
        assert_int_not_equal(launch(f, s, NULL), CUDA_SUCCESS);
        assert_int_not_equal(cuMemsetD8_v2(0, 0, 1), CUDA_SUCCESS);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_failed_launch),
                cmocka_unit_test(test_lost_gpu),
        };

        write_spec();
        open_gpu(0);
        return cmocka_run_group_tests(tests, NULL, tear_down);
}
