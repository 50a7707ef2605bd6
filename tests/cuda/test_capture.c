/* SPDX-License-Identifier: Apache-2.0
 * Nothing of ours happens inside a stream capture. */
#include "test_launch_fake.h"

#include "shim/cuda/capture.h"

#include <pthread.h>
#include <unistd.h>

static CUresult launch(CUstream stream)
{
        return fgc_cuLaunchKernel((CUfunction)0x777, 1, 1, 1, 32, 1, 1, 0, stream, NULL, NULL);
}

static CUstream new_stream(void)
{
        CUstream stream = NULL;

        assert_int_equal(fgc_cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING), CUDA_SUCCESS);
        return stream;
}

static void begin(CUstream stream)
{
        assert_int_equal(fgc_cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL), CUDA_SUCCESS);
}

static void end(CUstream stream)
{
        CUgraph graph;

        assert_int_equal(fgc_cuStreamEndCapture(stream, &graph), CUDA_SUCCESS);
}

static void test_a_captured_launch_is_neither_counted_nor_blocked(void **state)
{
        CUstream stream = new_stream();

        fake_grant(FG_GRANT_DENIED); /* nobody would ever grant it */
        begin(stream);
        for (int i = 0; i < 100; i++)
                assert_int_equal(launch(stream), CUDA_SUCCESS);
        end(stream);
        assert_int_equal(fake.launches, 100);
        assert_int_equal(fake_slot()->launches, 0);
        assert_int_equal(fake.records + fake.queries + fake.stream_waits + fake.host_functions, 0);
        assert_int_equal(fake.touched_capture, 0);
        assert_int_equal(fgc_captures, 0);
}

static void test_other_streams_go_on_beside_a_capture(void **state)
{
        CUstream captured = new_stream(), other = new_stream();

        fake_grant(FG_GRANT_TIMED);
        begin(captured);
        assert_int_equal(launch(other), CUDA_SUCCESS);
        assert_int_equal(fake.records, 1);
        assert_int_equal(fake.mode, CU_STREAM_CAPTURE_MODE_GLOBAL); /* as it was */
        assert_int_equal(fake.exchanges, 2);
        fgc_complete_sweep(); /* asks an event, in the permitted mode: the driver's test for it is in the fake */
        assert_true(fake.queries > 0);
        assert_int_equal(fake.mode, CU_STREAM_CAPTURE_MODE_GLOBAL);
        end(captured);
        fake_complete_all();
        assert_int_equal(fake_slot()->inflight, 0);
        assert_int_equal(fake.touched_capture, 0);
}

/* The driver says "implicit" for it: unusable until the capture ends, and the driver is to say so. */
static void test_the_legacy_stream_is_left_alone_during_a_capture(void **state)
{
        CUstream captured = new_stream();

        fake_grant(FG_GRANT_TIMED);
        begin(captured);
        assert_int_equal(launch(NULL), CUDA_SUCCESS);
        assert_int_equal(fake.records, 0);
        end(captured);
        assert_int_equal(launch(NULL), CUDA_SUCCESS);
        assert_int_equal(fake.records, 1);
}

static void test_the_end_of_a_free_grant_does_not_mark_captures(void **state)
{
        CUstream busy = new_stream(), captured = new_stream(), asking = new_stream();

        launch(busy);
        launch(captured);
        launch(NULL);
        begin(captured);
        launch(captured);
        fake_grant(FG_GRANT_TIMED);
        fake.records = 0;
        assert_int_equal(launch(asking), CUDA_SUCCESS);
        assert_int_equal(fake.records, 2); /* busy's mark and the launch; the legacy stream would be drawn in */
        assert_int_equal(fake.touched_capture, 0);
        end(captured);
}

static void test_only_what_ended_is_counted_off(void **state)
{
        CUstream stream = new_stream(), idle = new_stream();
        CUgraph graph;

        assert_int_equal(fgc_cuStreamBeginCapture_v2(NULL, CU_STREAM_CAPTURE_MODE_GLOBAL),
                         CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
        assert_int_equal(fgc_captures, 0);
        begin(stream);
        assert_int_equal(fgc_cuStreamEndCapture(idle, &graph), CUDA_ERROR_ILLEGAL_STATE);
        assert_int_equal(fgc_captures, 1);
        end(stream);
        assert_int_equal(fgc_captures, 0);
}

static void *begin_elsewhere(void *stream)
{
        begin(stream);
        return NULL;
}

/* A thread is putting marks into all streams: a capture begins after that, not in the middle. */
static void test_a_capture_waits_for_marks_under_way(void **state)
{
        CUstream stream = new_stream();
        CUevent event;
        pthread_t thread;

        assert_int_equal(fgc_real.cuEventCreate(&event, 0), CUDA_SUCCESS);
        assert_true(fgc_capture_hold());
        assert_false(fgc_capture_has(stream));
        pthread_create(&thread, NULL, begin_elsewhere, stream);
        while (!fg_load_seq_cst(&fgc_captures))
                usleep(100);
        assert_int_equal(fake.touched_capture, 0);
        assert_int_equal(fgc_real.cuEventRecord(event, stream), CUDA_SUCCESS);
        assert_int_equal(fake.touched_capture, 0);
        fgc_capture_release();
        pthread_join(thread, NULL);
        assert_true(fgc_capture_has(stream));
        end(stream);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_set_up, fake_tear_down)
        static const struct CMUnitTest tests[] = {
                TEST(test_a_captured_launch_is_neither_counted_nor_blocked),
                TEST(test_other_streams_go_on_beside_a_capture),
                TEST(test_the_legacy_stream_is_left_alone_during_a_capture),
                TEST(test_the_end_of_a_free_grant_does_not_mark_captures),
                TEST(test_only_what_ended_is_counted_off),
                TEST(test_a_capture_waits_for_marks_under_way),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
