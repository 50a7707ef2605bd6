/* SPDX-License-Identifier: Apache-2.0
 * Captures: what they record, and what is not allowed while they last. */
#include "exec_test.h"

#include <pthread.h>

static CUstream s, t;

static int fresh(void **state)
{
        forget_notes(NULL);
        OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
        OK(cuStreamCreate(&t, CU_STREAM_NON_BLOCKING));
        return 0;
}

static int done(void **state)
{
        OK(cuStreamDestroy_v2(s));
        OK(cuStreamDestroy_v2(t));
        return 0;
}

static void run(CUgraph graph)
{
        CUgraphExec exec;

        OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
        OK(cuGraphLaunch(exec, s));
        OK(cuStreamSynchronize(s));
        OK(cuGraphExecDestroy(exec));
        OK(cuGraphDestroy(graph));
}

static CUstreamCaptureStatus status_of(CUstream stream)
{
        CUstreamCaptureStatus status;

        OK(cuStreamIsCapturing(stream, &status));
        return status;
}

static void expect_spoilt(void)
{
        CUgraph graph = (CUgraph)1;

        assert_int_equal(status_of(s), CU_STREAM_CAPTURE_STATUS_INVALIDATED);
        IS(cuLaunchHostFunc(s, note_host, NULL), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
        IS(cuStreamEndCapture(s, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
        assert_null(graph);
        assert_int_equal(status_of(s), CU_STREAM_CAPTURE_STATUS_NONE);
}

static void test_work_is_recorded_not_done(void **state)
{
        CUgraph graph;
        size_t count;

        OK(cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
        assert_int_equal(status_of(s), CU_STREAM_CAPTURE_STATUS_ACTIVE);
        launch_note(s, 1);
        OK(cuLaunchHostFunc(s, note_host, (void *)2));
        OK(launch(function("busy1"), s, NULL));
        OK(cuStreamEndCapture(s, &graph));
        OK(cuStreamSynchronize(s));
        assert_int_equal(notes, 0);
        OK(cuGraphGetNodes(graph, NULL, &count));
        assert_int_equal(count, 3);
        OK(cuGraphGetEdges(graph, NULL, NULL, &count));
        assert_int_equal(count, 2);
        run(graph);
        NOTES(1, 2);
}

static void test_fork_and_join(void **state)
{
        CUevent forked, joined;
        CUgraph graph;
        size_t count;

        OK(cuEventCreate(&forked, CU_EVENT_DISABLE_TIMING));
        OK(cuEventCreate(&joined, CU_EVENT_DISABLE_TIMING));
        OK(cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
        launch_note(s, 1);
        OK(cuEventRecord(forked, s));
        OK(cuStreamWaitEvent(t, forked, 0));
        assert_int_equal(status_of(t), CU_STREAM_CAPTURE_STATUS_ACTIVE);
        launch_note(s, 2);
        launch_note(t, 3);
        OK(cuEventRecord(joined, t));
        OK(cuStreamWaitEvent(s, joined, 0));
        launch_note(s, 4);
        IS(cuEventQuery(joined), CUDA_ERROR_CAPTURED_EVENT);
        OK(cuStreamEndCapture(s, &graph));
        assert_int_equal(status_of(t), CU_STREAM_CAPTURE_STATUS_NONE);
        OK(cuGraphGetEdges(graph, NULL, NULL, &count));
        assert_int_equal(count, 4); /* 1-2 1-3 2-4 3-4 */
        run(graph);
        NOTES(1, 2, 3, 4);
        IS(cuEventQuery(joined), CUDA_ERROR_CAPTURED_EVENT);
        OK(cuEventRecord(joined, s));
        OK(cuEventSynchronize(joined));
        OK(cuEventDestroy_v2(forked));
        OK(cuEventDestroy_v2(joined));
}

static void test_unjoined(void **state)
{
        CUevent event;
        CUgraph graph = (CUgraph)1;

        OK(cuEventCreate(&event, 0));
        OK(cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
        OK(cuEventRecord(event, s));
        OK(cuStreamWaitEvent(t, event, 0));
        launch_note(t, 1);
        IS(cuStreamEndCapture(t, &graph), CUDA_ERROR_STREAM_CAPTURE_UNMATCHED);
        IS(cuStreamEndCapture(s, &graph), CUDA_ERROR_STREAM_CAPTURE_UNJOINED);
        assert_null(graph);
        assert_int_equal(status_of(t), CU_STREAM_CAPTURE_STATUS_NONE);
        OK(cuEventDestroy_v2(event));
}

static void ignore(CUstream stream, CUresult status, void *user)
{
}

static void test_waiting_for_the_stream_spoils_it(void **state)
{
        OK(cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_RELAXED));
        IS(cuStreamSynchronize(s), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
        expect_spoilt();
        OK(cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_RELAXED));
        IS(cuStreamQuery(s), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
        expect_spoilt();
        OK(cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_RELAXED));
        IS(cuStreamAddCallback(s, ignore, NULL, 0), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
        expect_spoilt();
}

static void test_legacy_stream_while_a_blocking_stream_captures(void **state)
{
        CUstreamCaptureStatus status;
        CUgraph graph;
        CUstream blocking;

        OK(cuStreamCreate(&blocking, CU_STREAM_DEFAULT));
        OK(cuStreamBeginCapture_v2(blocking, CU_STREAM_CAPTURE_MODE_RELAXED));
        IS(cuStreamIsCapturing(NULL, &status), CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
        assert_int_equal(status_of(blocking), CU_STREAM_CAPTURE_STATUS_ACTIVE); /* asking harms nothing */
        IS(launch(function("busy1"), NULL, NULL), CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
        assert_int_equal(status_of(blocking), CU_STREAM_CAPTURE_STATUS_INVALIDATED);
        IS(cuStreamEndCapture(blocking, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
        OK(launch(function("busy1"), NULL, NULL));
        OK(cuStreamDestroy_v2(blocking));
        /* A non-blocking one has nothing to do with the legacy stream. */
        OK(cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_RELAXED));
        OK(launch(function("busy1"), NULL, NULL));
        OK(cuStreamEndCapture(s, &graph));
        OK(cuGraphDestroy(graph));
        IS(cuStreamBeginCapture_v2(NULL, CU_STREAM_CAPTURE_MODE_RELAXED), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
}

static CUevent other_event;

static void *query_elsewhere(void *mode)
{
        CUstreamCaptureMode m = (CUstreamCaptureMode)(intptr_t)mode;

        OK(cuCtxSetCurrent(context));
        OK(cuThreadExchangeStreamCaptureMode(&m));
        assert_int_equal(m, CU_STREAM_CAPTURE_MODE_GLOBAL);
        return (void *)(intptr_t)cuEventQuery(other_event);
}

static CUresult query_in_thread(CUstreamCaptureMode mode)
{
        pthread_t thread;
        void *result;

        assert_int_equal(pthread_create(&thread, NULL, query_elsewhere, (void *)(intptr_t)mode), 0);
        pthread_join(thread, &result);
        return (CUresult)(intptr_t)result;
}

static void test_modes_and_unsafe_calls(void **state)
{
        CUstreamCaptureMode relaxed = CU_STREAM_CAPTURE_MODE_RELAXED;
        CUgraph graph;

        OK(cuEventCreate(&other_event, 0));
        OK(cuEventRecord(other_event, t));
        OK(cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
        OK(query_in_thread(CU_STREAM_CAPTURE_MODE_RELAXED));
        OK(query_in_thread(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
        assert_int_equal(status_of(s), CU_STREAM_CAPTURE_STATUS_ACTIVE);
        IS(query_in_thread(CU_STREAM_CAPTURE_MODE_GLOBAL), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
        expect_spoilt();

        OK(cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
        OK(query_in_thread(CU_STREAM_CAPTURE_MODE_GLOBAL));
        IS(cuEventQuery(other_event), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
        expect_spoilt();

        OK(cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
        OK(cuThreadExchangeStreamCaptureMode(&relaxed));
        OK(cuEventQuery(other_event));
        OK(cuThreadExchangeStreamCaptureMode(&relaxed));
        assert_int_equal(relaxed, CU_STREAM_CAPTURE_MODE_RELAXED);
        OK(cuStreamEndCapture(s, &graph));
        OK(cuGraphDestroy(graph));
        OK(cuEventDestroy_v2(other_event));
}

static void test_events_from_outside_and_two_captures(void **state)
{
        CUevent event;
        CUgraph graph;

        OK(cuEventCreate(&event, 0));
        OK(cuEventRecord(event, t));
        OK(cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_RELAXED));
        IS(cuStreamWaitEvent(s, event, 0), CUDA_ERROR_STREAM_CAPTURE_ISOLATION);
        expect_spoilt();
        OK(cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_RELAXED));
        OK(cuStreamBeginCapture_v2(t, CU_STREAM_CAPTURE_MODE_RELAXED));
        OK(cuEventRecord(event, t));
        IS(cuStreamWaitEvent(s, event, 0), CUDA_ERROR_STREAM_CAPTURE_MERGE);
        expect_spoilt();
        IS(cuStreamEndCapture(t, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
        IS(cuStreamWaitEvent(s, event, 0), CUDA_ERROR_CAPTURED_EVENT);
        IS(cuStreamEndCapture(s, &graph), CUDA_ERROR_ILLEGAL_STATE);
        OK(cuEventDestroy_v2(event));
}

static void *end_elsewhere(void *ret)
{
        OK(cuCtxSetCurrent(context));
        *(CUresult *)ret = cuStreamEndCapture(s, &(CUgraph){0});
        return NULL;
}

static void test_ends_in_its_own_thread(void **state)
{
        pthread_t thread;
        CUresult r;

        OK(cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
        assert_int_equal(pthread_create(&thread, NULL, end_elsewhere, &r), 0);
        pthread_join(thread, NULL);
        assert_int_equal(r, CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD);
        IS(cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_GLOBAL), CUDA_ERROR_ILLEGAL_STATE);
        OK(cuStreamEndCapture(s, &(CUgraph){0}));
}

static void test_info_and_own_dependencies(void **state)
{
        const CUgraphNode *tips;
        CUstreamCaptureStatus status;
        CUgraphNode empty;
        cuuint64_t id;
        CUgraph graph, ended;
        size_t count;

        OK(cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_RELAXED));
        launch_note(s, 1);
        OK(cuStreamGetCaptureInfo_v2(s, &status, &id, &graph, &tips, &count));
        assert_int_equal(status, CU_STREAM_CAPTURE_STATUS_ACTIVE);
        assert_int_equal(count, 1);
        OK(cuGraphAddEmptyNode(&empty, graph, tips, count));
        OK(cuStreamUpdateCaptureDependencies(s, &empty, 1, CU_STREAM_SET_CAPTURE_DEPENDENCIES));
        launch_note(s, 2);
        OK(cuStreamEndCapture(s, &ended));
        assert_ptr_equal(graph, ended);
        OK(cuGraphGetEdges(graph, NULL, NULL, &count));
        assert_int_equal(count, 2);
        run(graph);
        NOTES(1, 2);
}

static void test_allocations_become_nodes(void **state)
{
        CUdeviceptr ptr;
        CUgraph graph;
        size_t count;

        OK(cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_RELAXED));
        OK(cuMemAllocAsync(&ptr, 1 << 20, s));
        OK(cuMemsetD8Async(ptr, 3, 1 << 20, s));
        OK(cuMemFreeAsync(ptr, s));
        OK(cuStreamEndCapture(s, &graph));
        OK(cuGraphGetNodes(graph, NULL, &count));
        assert_int_equal(count, 3);
        run(graph);
}

static void query_inside(void *user)
{
        note(cuStreamQuery(t) == CUDA_SUCCESS ? 1 : -1);
}

/* What a spoilt capture leaves behind calls the program, which may call CUDA. */
static void test_user_object_of_a_spoilt_capture(void **state)
{
        CUstreamCaptureStatus status;
        CUuserObject object;
        CUgraph graph;

        OK(cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_RELAXED));
        OK(cuStreamGetCaptureInfo_v2(s, &status, NULL, &graph, NULL, NULL));
        OK(cuUserObjectCreate(&object, NULL, query_inside, 1, CU_USER_OBJECT_NO_DESTRUCTOR_SYNC));
        OK(cuGraphRetainUserObject(graph, object, 1, CU_GRAPH_USER_OBJECT_MOVE));
        IS(cuStreamSynchronize(s), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
        IS(cuStreamEndCapture(s, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
        NOTES(1);
}

static void test_destroyed_stream_ends_its_capture(void **state)
{
        CUstream gone;

        OK(cuStreamCreate(&gone, CU_STREAM_NON_BLOCKING));
        OK(cuStreamBeginCapture_v2(gone, CU_STREAM_CAPTURE_MODE_GLOBAL));
        launch_note(gone, 1);
        OK(cuStreamDestroy_v2(gone));
        OK(cuCtxSynchronize());
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_work_is_recorded_not_done, fresh, done),
                cmocka_unit_test_setup_teardown(test_fork_and_join, fresh, done),
                cmocka_unit_test_setup_teardown(test_unjoined, fresh, done),
                cmocka_unit_test_setup_teardown(test_waiting_for_the_stream_spoils_it, fresh, done),
                cmocka_unit_test_setup_teardown(test_legacy_stream_while_a_blocking_stream_captures, fresh, done),
                cmocka_unit_test_setup_teardown(test_modes_and_unsafe_calls, fresh, done),
                cmocka_unit_test_setup_teardown(test_events_from_outside_and_two_captures, fresh, done),
                cmocka_unit_test_setup_teardown(test_ends_in_its_own_thread, fresh, done),
                cmocka_unit_test_setup_teardown(test_info_and_own_dependencies, fresh, done),
                cmocka_unit_test_setup_teardown(test_allocations_become_nodes, fresh, done),
                cmocka_unit_test_setup_teardown(test_user_object_of_a_spoilt_capture, fresh, done),
                cmocka_unit_test_setup_teardown(test_destroyed_stream_ends_its_capture, fresh, done),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
