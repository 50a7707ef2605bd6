/* SPDX-License-Identifier: Apache-2.0
 * Every way to make the device work passes the gate, and nothing tracked is ever left behind. */
#include "test_launch_fake.h"

#include "shim/cuda/copy.h"

#include <limits.h>

#define KERNEL ((CUfunction)0x777)

static CUresult launch(CUstream stream)
{
        return fgc_cuLaunchKernel(KERNEL, 2, 2, 2, 32, 1, 1, 0, stream, NULL, NULL);
}

/* One launch of unknown cost fills the window; a first one that completes says what they cost. */
static void learn(void)
{
        fake_grant(FG_GRANT_TIMED);
        assert_int_equal(launch(NULL), CUDA_SUCCESS);
        fake_complete_all();
        assert_int_equal(fake_slot()->inflight, 0);
        fake.records = fake.launches = fake.events = 0;
}

static CUstream new_stream(void)
{
        CUstream stream = NULL;

        assert_int_equal(fgc_cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING), CUDA_SUCCESS);
        return stream;
}

static void test_free_launches_reach_the_driver_and_nothing_else(void **state)
{
        CUstream stream = new_stream();

        assert_int_equal(launch(stream), CUDA_SUCCESS); /* a probe */
        assert_int_equal(fake.records, 1);
        for (int i = 0; i < 500; i++)
                assert_int_equal(launch(stream), CUDA_SUCCESS);
        assert_int_equal(fake.launches, 501);
        assert_int_equal(fake.records, 1);
        assert_int_equal(fake.queries, 0);
        assert_int_equal(fake_slot()->launches, 501);
        assert_int_equal(fake_slot()->inflight, 0);
        fake_complete_all();
        assert_int_equal(fgc_complete_pending(), false);
}

/* By the short way and the long one. */
static void test_all_arguments_arrive(void **state)
{
        CUstream streams[] = {new_stream(), NULL, CU_STREAM_LEGACY, CU_STREAM_PER_THREAD, new_stream()};

        for (unsigned i = 0; i < 400; i++) {
                CUstream stream = streams[i / 4 % 5];
                if (i == 200)
                        fake_grant(FG_GRANT_TIMED);
                if (i % 50 == 0)
                        fake_complete_all(); /* ends a probe: some launches look at the clock */
                fake.arguments_arrived = 0;
                assert_int_equal(fgc_cuLaunchKernel((CUfunction)100, 1, 2, 3, 4, 5, 6, 7, stream, (void **)8, (void **)9),
                                 CUDA_SUCCESS);
                assert_true(fake.arguments_arrived);
                assert_ptr_equal(fake.last_stream, stream);
                if (i >= 200)
                        fake_complete_all();
        }
        assert_int_equal(fake.launches, 400);
        assert_int_equal(fake_slot()->launches, 400);
        assert_int_equal(fake_slot()->inflight, 0);
}

static void test_contended_launches_cost_three_calls_and_no_memory(void **state)
{
        CUstream stream = new_stream();

        fake_grant(FG_GRANT_TIMED);
        for (unsigned i = 1; i <= 100; i++) {
                assert_int_equal(launch(stream), CUDA_SUCCESS);
                assert_ptr_equal(fake.last_record, stream);
                assert_int_equal(fake.records, i);
                assert_int_equal(fake.stream_waits, i);
                assert_int_equal(fake.host_functions, i);
                assert_int_equal(fake_slot()->inflight, 1);
                fake_complete(stream, 1);
                assert_int_equal(fake_slot()->inflight, 0);
        }
        assert_int_equal(fake.events, 1);
        assert_int_equal(fake.streams, 2); /* the program's, and one of ours */
        assert_int_equal(fake.queries, 0);
        assert_true(fake_slot()->busy > 0);
}

/* Each form once: which stream it works in, and that it was tracked. */
static void test_every_form_passes_the_gate(void **state)
{
        CUstream s = new_stream();
        CUlaunchConfig config = {.gridDimX = 1, .gridDimY = 1, .gridDimZ = 1, .blockDimX = 1, .hStream = s};
        CUDA_MEMCPY2D plane = {.WidthInBytes = 4096, .Height = 256};
        unsigned n = 0;

        learn();
#define TRY(stream, call) \
        do { \
                assert_int_equal(call, CUDA_SUCCESS); \
                assert_int_equal(fake.records, ++n); \
                assert_ptr_equal(fake.last_record, stream); \
                assert_int_equal(fake_slot()->inflight, n); \
        } while (0)
        TRY(CU_STREAM_LEGACY, launch(NULL));
        TRY(CU_STREAM_LEGACY, launch(CU_STREAM_LEGACY));
        TRY(CU_STREAM_PER_THREAD, launch(CU_STREAM_PER_THREAD));
        TRY(CU_STREAM_PER_THREAD, fgc_cuLaunchKernel_ptsz(KERNEL, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
        TRY(s, fgc_cuLaunchKernelEx(&config, KERNEL, NULL, NULL));
        TRY(s, fgc_cuLaunchCooperativeKernel(KERNEL, 1, 1, 1, 1, 1, 1, 0, s, NULL));
        TRY(CU_STREAM_LEGACY, fgc_cuLaunch(KERNEL));
        TRY(CU_STREAM_LEGACY, fgc_cuLaunchGrid(KERNEL, 3, 4));
        TRY(s, fgc_cuLaunchGridAsync(KERNEL, 3, 4, s));
        TRY(s, fgc_cuGraphLaunch((CUgraphExec)0x99, s));
        TRY(s, fgc_cuMemcpyHtoDAsync_v2(0, "", FGC_COPY_LARGE, s));
        TRY(s, fgc_cuMemsetD32Async(0, 7, FGC_COPY_LARGE / 4, s));
        TRY(CU_STREAM_LEGACY, fgc_cuMemcpy2D_v2(&plane));
        assert_int_equal(fake.launches, n);
        fake_complete_all();
        assert_int_equal(fake_slot()->inflight, 0);
}

static void test_small_copies_and_nonsense_go_straight_to_the_driver(void **state)
{
        CUDA_MEMCPY2D plane = {.WidthInBytes = 4096, .Height = 255};

        fake_grant(FG_GRANT_TIMED);
        assert_int_equal(fgc_cuMemcpyHtoDAsync_v2(0, "", FGC_COPY_LARGE - 1, NULL), CUDA_SUCCESS);
        assert_int_equal(fgc_cuMemsetD32Async(0, 7, FGC_COPY_LARGE / 4 - 1, NULL), CUDA_SUCCESS);
        assert_int_equal(fgc_cuMemcpy2D_v2(&plane), CUDA_SUCCESS);
        assert_int_equal(fgc_cuMemcpy2D_v2(NULL), CUDA_ERROR_INVALID_VALUE);
        assert_int_equal(fake_slot()->launches, 0);
        assert_int_equal(fgc_cuLaunchKernelEx(NULL, KERNEL, NULL, NULL), CUDA_ERROR_INVALID_VALUE);
        assert_int_equal(fake_slot()->inflight, 0);
}

static void test_a_refused_launch_leaves_nothing(void **state)
{
        fake_grant(FG_GRANT_TIMED);
        fake.launch_result = CUDA_ERROR_INVALID_VALUE;
        assert_int_equal(launch(NULL), CUDA_ERROR_INVALID_VALUE);
        assert_int_equal(fake.records, 0);
        assert_int_equal(fake_slot()->inflight, 0);
}

static void test_a_closed_vgpu_launches_nothing(void **state)
{
        fake_limits()->closed = 1;
        fake_grant(FG_GRANT_DENIED);
        assert_int_equal(launch(NULL), CUDA_ERROR_DEVICE_UNAVAILABLE);
        assert_int_equal(fake.launches, 0);
}

static void test_what_the_driver_calls_of_its_own_exports_passes_by(void **state)
{
        fake_grant(FG_GRANT_DENIED);
        fgc_inside = 1;
        assert_int_equal(launch(NULL), CUDA_SUCCESS);
        fgc_inside = 0;
        assert_int_equal(fake.records, 0);
        assert_int_equal(fake_slot()->launches, 0);
}

/* Only the first of them may wait; all are paid for. */
static void test_a_launch_on_several_devices_enters_each_gate(void **state)
{
        CUDA_LAUNCH_PARAMS list[3] = {{.hStream = new_stream()}, {.hStream = new_stream()}, {.hStream = new_stream()}};

        learn();
        assert_int_equal(fgc_cuLaunchCooperativeKernelMultiDevice(list, 3, 0), CUDA_SUCCESS);
        assert_int_equal(fake.records, 3);
        assert_int_equal(fake_slot()->launches, 4);
        fake_complete_all();
        assert_int_equal(fake_slot()->inflight, 0);
        assert_int_equal(fgc_complete_pending(), false);
}

/* --- completions that do not come as planned --- */

static void test_without_events_a_launch_counts_as_complete(void **state)
{
        fake_grant(FG_GRANT_TIMED);
        fake.record_result = CUDA_ERROR_UNKNOWN;
        assert_int_equal(launch(NULL), CUDA_SUCCESS);
        assert_int_equal(fake_slot()->inflight, 0);
}

static void test_without_host_functions_events_are_asked(void **state)
{
        fake_grant(FG_GRANT_TIMED);
        fake.host_result = CUDA_ERROR_NOT_SUPPORTED;
        assert_int_equal(launch(NULL), CUDA_SUCCESS);
        assert_int_equal(fake_slot()->inflight, 1);
        fgc_complete_sweep();
        assert_int_equal(fake_slot()->inflight, 1);
        fake_complete(NULL, 1);
        assert_int_equal(fake_slot()->inflight, 1);
        fgc_complete_sweep();
        assert_int_equal(fake_slot()->inflight, 0);
}

static void test_a_late_host_function_settles_nothing_twice(void **state)
{
        learn();
        fake_hold_host_functions(1);
        assert_int_equal(launch(NULL), CUDA_SUCCESS);
        fake_complete(NULL, 1);
        fgc_complete_sweep(); /* a waiting thread found it first */
        assert_int_equal(fake_slot()->inflight, 0);
        assert_int_equal(launch(NULL), CUDA_SUCCESS); /* not with the same entry: its host function is still to come */
        assert_int_equal(fake.events, 1); /* besides the one there was */
        fake_hold_host_functions(0);
        assert_int_equal(fake_slot()->inflight, 1);
        fake_complete(NULL, 1);
        assert_int_equal(fake_slot()->inflight, 0);
}

static void test_a_broken_context_strands_nothing(void **state)
{
        learn();
        for (int i = 0; i < 5; i++)
                assert_int_equal(launch(i & 1 ? NULL : CU_STREAM_PER_THREAD), CUDA_SUCCESS);
        assert_int_equal(fake_slot()->inflight, 5);
        fake_break(CUDA_ERROR_ILLEGAL_ADDRESS);
        assert_int_equal(fgc_cuStreamSynchronize(NULL), CUDA_ERROR_ILLEGAL_ADDRESS);
        assert_int_equal(fake_slot()->inflight, 0);
        assert_int_equal(launch(NULL), CUDA_ERROR_ILLEGAL_ADDRESS);
        assert_int_equal(fake_slot()->inflight, 0);
}

static void test_a_context_takes_its_work_along(void **state)
{
        fake_grant(FG_GRANT_TIMED);
        assert_int_equal(launch(NULL), CUDA_SUCCESS);
        fake_break(CUDA_ERROR_CONTEXT_IS_DESTROYED);
        fgc_gate_context_gone(FAKE_CONTEXT);
        assert_int_equal(fake_slot()->inflight, 0);
        fake_break(CUDA_SUCCESS);
        fake_complete_all(); /* the host function comes all the same */
        assert_int_equal(fake_slot()->inflight, 0);
        fake_current = FAKE_OTHER;
        assert_int_equal(launch(NULL), CUDA_SUCCESS);
        fake_complete_all();
        assert_int_equal(fake_slot()->inflight, 0);
        fgc_gate_context_gone(FAKE_OTHER);
        fake_current = FAKE_CONTEXT;
}

/* --- leaving the free grant --- */

static void test_work_of_a_free_grant_is_marked_when_it_ends(void **state)
{
        CUstream a = new_stream(), b = new_stream(), idle = new_stream();

        (void)idle;
        for (int i = 0; i < 3; i++)
                launch(a), launch(b);
        fake_complete(a, 1); /* the probe */
        assert_int_equal(fgc_complete_pending(), false);
        fake_grant(FG_GRANT_TIMED);
        fake.records = 0;
        launch(a);
        assert_int_equal(fake.records, 3);         /* a mark in each busy stream, and the launch */
        assert_int_equal(fake_slot()->inflight, 3); /* the legacy stream was not used and is left alone */
        fake_complete(a, UINT_MAX);
        assert_int_equal(fake_slot()->inflight, 1);
        fake_complete(b, UINT_MAX);
        assert_int_equal(fake_slot()->inflight, 0);
}

static void destroy_it(CUstream stream, void *user)
{
        assert_int_equal(fgc_cuStreamDestroy_v2(stream), CUDA_SUCCESS);
        assert_int_equal(fake.destroyed, 0); /* not while we use it */
        ++*(unsigned *)user;
}

static void test_a_stream_does_not_die_while_it_is_used(void **state)
{
        unsigned visits = 0;

        new_stream();
        fgc_complete_streams(fgc_vgpus, destroy_it, &visits);
        assert_int_equal(visits, 1);
        assert_int_equal(fake.destroyed, 1);
        fgc_complete_streams(fgc_vgpus, destroy_it, &visits);
        assert_int_equal(visits, 1);
}

/* --- the program waits --- */

static void test_a_wait_for_everything_ends_device_time(void **state)
{
        CUstream a = new_stream(), b = new_stream();

        launch(a);
        launch(a);
        assert_int_equal(fake_slot()->active, 1);
        fgc_cuStreamSynchronize(b);
        assert_int_equal(fake_slot()->active, 1);
        fgc_cuStreamSynchronize(a);
        assert_int_equal(fake_slot()->active, 0);
        launch(a);
        launch(b);
        fgc_cuStreamSynchronize(b);
        assert_int_equal(fake_slot()->active, 1); /* a may still be at work */
        fgc_cuCtxSynchronize();
        assert_int_equal(fake_slot()->active, 0);
        launch(NULL);
        assert_int_equal(fake_slot()->active, 1);
        fgc_cuMemcpyDtoH_v2(NULL, 0, 4);
        assert_int_equal(fake_slot()->active, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_set_up, fake_tear_down)
        static const struct CMUnitTest tests[] = {
                TEST(test_free_launches_reach_the_driver_and_nothing_else),
                TEST(test_all_arguments_arrive),
                TEST(test_contended_launches_cost_three_calls_and_no_memory),
                TEST(test_every_form_passes_the_gate),
                TEST(test_small_copies_and_nonsense_go_straight_to_the_driver),
                TEST(test_a_refused_launch_leaves_nothing),
                TEST(test_a_closed_vgpu_launches_nothing),
                TEST(test_what_the_driver_calls_of_its_own_exports_passes_by),
                TEST(test_a_launch_on_several_devices_enters_each_gate),
                TEST(test_without_events_a_launch_counts_as_complete),
                TEST(test_without_host_functions_events_are_asked),
                TEST(test_a_late_host_function_settles_nothing_twice),
                TEST(test_a_broken_context_strands_nothing),
                TEST(test_a_context_takes_its_work_along),
                TEST(test_work_of_a_free_grant_is_marked_when_it_ends),
                TEST(test_a_stream_does_not_die_while_it_is_used),
                TEST(test_a_wait_for_everything_ends_device_time),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
