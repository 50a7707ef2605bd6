/* SPDX-License-Identifier: Apache-2.0
 * Graphs: built by hand, copied, changed, launched; what they compute and what they say about themselves. */
#include "exec_test.h"

static CUstream s;
static CUdeviceptr a, b;
static uint32_t words[256];

static CUgraphNode add_note(CUgraph graph, const CUgraphNode *needs, size_t count, int number)
{
        CUDA_KERNEL_NODE_PARAMS p = {.func = function("note"),
                                     .gridDimX = 1,
                                     .gridDimY = 1,
                                     .gridDimZ = 1,
                                     .blockDimX = 1,
                                     .blockDimY = 1,
                                     .blockDimZ = 1,
                                     .kernelParams = (void *[]){&number}};
        CUgraphNode node;

        OK(cuGraphAddKernelNode_v2(&node, graph, needs, count, &p));
        return node;
}

static CUgraph new_graph(void)
{
        CUgraph graph;

        OK(cuGraphCreate(&graph, 0));
        return graph;
}

static CUgraphExec ready(CUgraph graph)
{
        CUgraphExec exec;

        OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
        return exec;
}

static void launch_once(CUgraphExec exec)
{
        OK(cuGraphLaunch(exec, s));
        OK(cuStreamSynchronize(s));
}

static void test_edges_decide_the_order(void **state)
{
        CUgraph graph = new_graph();
        CUgraphNode four = add_note(graph, NULL, 0, 4), one = add_note(graph, NULL, 0, 1);
        CUgraphNode two = add_note(graph, &one, 1, 2), three = add_note(graph, &one, 1, 3);
        CUgraphNode from[3] = {two, three, two}, to[3] = {four, four, three}, nodes[8];
        CUgraphExec exec;
        size_t count = 8;

        OK(cuGraphAddDependencies(graph, from, to, 3));
        IS(cuGraphAddDependencies(graph, from, to, 1), CUDA_ERROR_INVALID_VALUE); /* already there */
        OK(cuGraphGetRootNodes(graph, nodes, &count));
        assert_int_equal(count, 1);
        assert_ptr_equal(nodes[0], one);
        count = 8;
        OK(cuGraphNodeGetDependencies(four, nodes, &count));
        assert_int_equal(count, 2);
        count = 8;
        OK(cuGraphNodeGetDependentNodes(one, nodes, &count));
        assert_int_equal(count, 2);
        OK(cuGraphGetEdges(graph, NULL, NULL, &count));
        assert_int_equal(count, 5);
        exec = ready(graph);
        OK(cuGraphDestroy(graph)); /* a ready graph lives on its own */
        launch_once(exec);
        launch_once(exec);
        NOTES(1, 2, 3, 4, 1, 2, 3, 4);
        OK(cuGraphExecDestroy(exec));
        IS(cuGraphLaunch(exec, s), CUDA_ERROR_INVALID_VALUE);
}

static void test_cycle_is_refused(void **state)
{
        CUgraph graph = new_graph();
        CUgraphNode one = add_note(graph, NULL, 0, 1), two = add_note(graph, &one, 1, 2);
        CUDA_GRAPH_INSTANTIATE_PARAMS params = {0};
        CUgraphExec exec;

        OK(cuGraphAddDependencies(graph, &two, &one, 1));
        IS(cuGraphInstantiateWithFlags(&exec, graph, 0), CUDA_ERROR_INVALID_VALUE);
        IS(cuGraphInstantiateWithParams(&exec, graph, &params), CUDA_ERROR_INVALID_VALUE);
        assert_int_equal(params.result_out, CUDA_GRAPH_INSTANTIATE_INVALID_STRUCTURE);
        OK(cuGraphRemoveDependencies(graph, &two, &one, 1));
        OK(cuGraphInstantiateWithParams(&exec, graph, &params));
        launch_once(exec);
        NOTES(1, 2);
        OK(cuGraphExecDestroy(exec));
        OK(cuGraphDestroy(graph));
}

static CUDA_MEMCPY3D to_host(void)
{
        return (CUDA_MEMCPY3D){.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                               .srcDevice = a,
                               .dstMemoryType = CU_MEMORYTYPE_HOST,
                               .dstHost = words,
                               .WidthInBytes = sizeof(words),
                               .Height = 1,
                               .Depth = 1};
}

static void test_all_kinds_of_nodes(void **state)
{
        CUDA_MEMSET_NODE_PARAMS fill = {.dst = a, .value = 77, .elementSize = 4, .width = 256, .height = 1};
        CUDA_HOST_NODE_PARAMS host = {.fn = note_host, .userData = (void *)9};
        CUDA_MEMCPY3D copy = to_host(), got;
        CUgraph graph = new_graph(), child = new_graph(), inner;
        CUgraphNode node, kernel;
        CUgraphNodeType type;
        CUgraphExec exec;
        CUevent event;

        OK(cuEventCreate(&event, 0));
        add_note(child, NULL, 0, 5);
        OK(cuGraphAddMemsetNode(&node, graph, NULL, 0, &fill, context));
        OK(cuGraphAddMemcpyNode(&node, graph, &node, 1, &copy, context));
        OK(cuGraphMemcpyNodeGetParams(node, &got));
        assert_ptr_equal(got.dstHost, words);
        OK(cuGraphAddChildGraphNode(&node, graph, &node, 1, child));
        OK(cuGraphChildGraphNodeGetGraph(node, &inner));
        IS(cuGraphDestroy(inner), CUDA_ERROR_INVALID_VALUE);
        OK(cuGraphAddEmptyNode(&node, graph, &node, 1));
        OK(cuGraphAddEventRecordNode(&node, graph, &node, 1, event));
        OK(cuGraphAddHostNode(&node, graph, &node, 1, &host));
        kernel = add_note(graph, &node, 1, 6);
        OK(cuGraphNodeGetType(kernel, &type));
        assert_int_equal(type, CU_GRAPH_NODE_TYPE_KERNEL);
        IS(cuGraphHostNodeGetParams(kernel, &host), CUDA_ERROR_INVALID_VALUE);
        exec = ready(graph);
        launch_once(exec);
        for (int i = 0; i < 256; i++)
                assert_int_equal(words[i], 77);
        NOTES(5, 9, 6);
        OK(cuEventQuery(event));
        OK(cuGraphExecDestroy(exec));
        OK(cuGraphDestroy(child));
        OK(cuGraphDestroy(graph));
        OK(cuEventDestroy_v2(event));
}

static void test_changing_a_ready_graph(void **state)
{
        CUDA_MEMSET_NODE_PARAMS fill = {.dst = a, .value = 1, .elementSize = 4, .width = 256, .height = 1};
        CUDA_KERNEL_NODE_PARAMS p;
        CUgraph graph = new_graph();
        CUgraphNode set, one, two;
        unsigned enabled;
        CUgraphExec exec;
        int ten = 10;

        OK(cuGraphAddMemsetNode(&set, graph, NULL, 0, &fill, context));
        one = add_note(graph, &set, 1, 1);
        two = add_note(graph, &one, 1, 2);
        exec = ready(graph);
        OK(cuGraphKernelNodeGetParams_v2(one, &p));
        assert_int_equal(*(int *)p.kernelParams[0], 1);
        p.kernelParams = (void *[]){&ten};
        OK(cuGraphExecKernelNodeSetParams_v2(exec, one, &p));
        fill.value = 2;
        OK(cuGraphExecMemsetNodeSetParams(exec, set, &fill, context));
        IS(cuGraphExecMemsetNodeSetParams(exec, one, &fill, context), CUDA_ERROR_INVALID_VALUE);
        OK(cuGraphNodeSetEnabled(exec, two, 0));
        OK(cuGraphNodeGetEnabled(exec, two, &enabled));
        assert_int_equal(enabled, 0);
        launch_once(exec);
        NOTES(10);
        OK(cuMemcpyDtoH_v2(words, a, 4));
        assert_int_equal(words[0], 2);
        OK(cuGraphNodeSetEnabled(exec, two, 1));
        launch_once(exec);
        NOTES(10, 10, 2);
        OK(cuGraphExecDestroy(exec));
        OK(cuGraphDestroy(graph));
}

static void test_update_from_another_graph(void **state)
{
        CUgraph first = new_graph(), second = new_graph(), third = new_graph();
        CUgraphNode node = add_note(first, NULL, 0, 1), error;
        CUgraphExecUpdateResultInfo info;
        CUgraphExecUpdateResult result;
        CUgraphExec exec;

        add_note(first, &node, 1, 2);
        exec = ready(first);
        node = add_note(second, NULL, 0, 3);
        add_note(second, &node, 1, 4);
        OK(cuGraphExecUpdate_v2(exec, second, &info));
        assert_int_equal(info.result, CU_GRAPH_EXEC_UPDATE_SUCCESS);
        launch_once(exec);
        NOTES(3, 4);
        add_note(third, NULL, 0, 5);
        IS(cuGraphExecUpdate(exec, third, &error, &result), CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE);
        assert_int_equal(result, CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED);
        OK(cuGraphAddEmptyNode(&node, third, NULL, 0));
        IS(cuGraphExecUpdate_v2(exec, third, &info), CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE);
        assert_int_equal(info.result, CU_GRAPH_EXEC_UPDATE_ERROR_NODE_TYPE_CHANGED);
        assert_ptr_equal(info.errorNode, node);
        launch_once(exec); /* unharmed */
        NOTES(3, 4, 3, 4);
        OK(cuGraphExecDestroy(exec));
        OK(cuGraphDestroy(first));
        OK(cuGraphDestroy(second));
        OK(cuGraphDestroy(third));
}

static void test_clone(void **state)
{
        CUgraph graph = new_graph(), clone;
        CUgraphNode one = add_note(graph, NULL, 0, 1), two = add_note(graph, &one, 1, 2), found;
        CUgraphExec exec;

        OK(cuGraphClone(&clone, graph));
        OK(cuGraphNodeFindInClone(&found, two, clone));
        assert_ptr_not_equal(found, two);
        OK(cuGraphDestroyNode(found));
        IS(cuGraphNodeFindInClone(&found, two, clone), CUDA_ERROR_INVALID_VALUE);
        OK(cuGraphDestroy(graph));
        exec = ready(clone);
        launch_once(exec);
        NOTES(1);
        OK(cuGraphExecDestroy(exec));
        OK(cuGraphDestroy(clone));
}

static void test_launches_of_one_graph_do_not_overlap(void **state)
{
        CUgraph graph = new_graph();
        CUgraphNode node = add_note(graph, NULL, 0, 1);
        CUDA_KERNEL_NODE_PARAMS busy = {.func = function("busy5"),
                                        .gridDimX = 1,
                                        .gridDimY = 1,
                                        .gridDimZ = 1,
                                        .blockDimX = 1,
                                        .blockDimY = 1,
                                        .blockDimZ = 1};
        CUgraphExec exec;
        CUstream t;

        OK(cuGraphAddKernelNode_v2(&node, graph, &node, 1, &busy));
        add_note(graph, &node, 1, 2);
        exec = ready(graph);
        OK(cuStreamCreate(&t, CU_STREAM_NON_BLOCKING));
        OK(cuGraphLaunch(exec, s));
        OK(cuGraphLaunch(exec, t));
        OK(cuGraphLaunch(exec, s));
        OK(cuCtxSynchronize());
        NOTES(1, 2, 1, 2, 1, 2);
        OK(cuStreamDestroy_v2(t));
        OK(cuGraphExecDestroy(exec));
        OK(cuGraphDestroy(graph));
}

static size_t memory_of_graphs(void)
{
        cuuint64_t used;

        OK(cuDeviceGetGraphMemAttribute(0, CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT, &used));
        return used;
}

static void test_memory_nodes(void **state)
{
        CUDA_MEM_ALLOC_NODE_PARAMS p = {.bytesize = 1 << 20};
        CUDA_MEMSET_NODE_PARAMS fill = {.value = 1, .elementSize = 1, .width = 1 << 20, .height = 1};
        CUgraph graph = new_graph();
        CUgraphNode node;
        CUgraphExec exec;

        p.poolProps.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
        p.poolProps.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
        OK(cuGraphAddMemAllocNode(&node, graph, NULL, 0, &p));
        fill.dst = p.dptr;
        OK(cuGraphAddMemsetNode(&node, graph, &node, 1, &fill, context));
        exec = ready(graph);
        assert_int_equal(memory_of_graphs(), 0);
        launch_once(exec);
        assert_int_equal(memory_of_graphs(), 1 << 20);
        IS(cuGraphLaunch(exec, s), CUDA_ERROR_INVALID_VALUE); /* what it allocated is not freed yet */
        OK(cuMemFreeAsync(p.dptr, s));
        OK(cuStreamSynchronize(s));
        assert_int_equal(memory_of_graphs(), 0);
        OK(cuGraphExecDestroy(exec));
        OK(cuGraphAddMemFreeNode(&node, graph, &node, 1, p.dptr));
        exec = ready(graph);
        for (int i = 0; i < 5; i++)
                OK(cuGraphLaunch(exec, s)); /* launches that follow each other share it */
        OK(cuStreamSynchronize(s));
        assert_int_equal(memory_of_graphs(), 0);
        OK(cuGraphExecDestroy(exec));
        OK(cuGraphDestroy(graph));
}

static void test_nodes_of_any_kind(void **state)
{
        CUgraphNodeParams p = {.type = CU_GRAPH_NODE_TYPE_HOST, .host = {.fn = note_host, .userData = (void *)3}};
        CUgraph graph = new_graph();
        CUgraphExec exec;
        CUgraphNode node;

        OK(cuGraphAddNode_v2(&node, graph, NULL, NULL, 0, &p));
        exec = ready(graph);
        launch_once(exec);
        p.host.userData = (void *)4;
        OK(cuGraphExecNodeSetParams(exec, node, &p));
        launch_once(exec);
        NOTES(3, 4);
        p.type = CU_GRAPH_NODE_TYPE_CONDITIONAL;
        IS(cuGraphAddNode(&node, graph, NULL, 0, &p), CUDA_ERROR_NOT_SUPPORTED);
        p.type = CU_GRAPH_NODE_TYPE_EMPTY;
        IS(cuGraphExecNodeSetParams(exec, node, &p), CUDA_ERROR_INVALID_VALUE);
        OK(cuGraphExecDestroy(exec));
        OK(cuGraphDestroy(graph));
}

static void test_user_objects(void **state)
{
        CUgraph graph = new_graph();
        CUuserObject object;
        CUgraphExec exec;

        OK(cuUserObjectCreate(&object, (void *)8, note_host, 1, CU_USER_OBJECT_NO_DESTRUCTOR_SYNC));
        OK(cuGraphRetainUserObject(graph, object, 1, CU_GRAPH_USER_OBJECT_MOVE));
        exec = ready(graph);
        OK(cuGraphDestroy(graph));
        assert_int_equal(notes, 0);
        OK(cuGraphExecDestroy(exec));
        NOTES(8);
        IS(cuUserObjectRelease(object, 1), CUDA_ERROR_INVALID_VALUE);
}

static int open_all(void **state)
{
        set_up(NULL);
        OK(cuMemAlloc_v2(&a, sizeof(words)));
        OK(cuMemAlloc_v2(&b, sizeof(words)));
        OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
        return 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(test_edges_decide_the_order, forget_notes),
                cmocka_unit_test_setup(test_cycle_is_refused, forget_notes),
                cmocka_unit_test_setup(test_all_kinds_of_nodes, forget_notes),
                cmocka_unit_test_setup(test_changing_a_ready_graph, forget_notes),
                cmocka_unit_test_setup(test_update_from_another_graph, forget_notes),
                cmocka_unit_test_setup(test_clone, forget_notes),
                cmocka_unit_test_setup(test_launches_of_one_graph_do_not_overlap, forget_notes),
                cmocka_unit_test_setup(test_memory_nodes, forget_notes),
                cmocka_unit_test_setup(test_nodes_of_any_kind, forget_notes),
                cmocka_unit_test_setup(test_user_objects, forget_notes),
        };

        return cmocka_run_group_tests(tests, open_all, tear_down);
}
