/* SPDX-License-Identifier: Apache-2.0
 * Graphs made ready, and launched: a sorted copy, whose nodes become operations of the stream at each launch. */
#include "sim/graph.h"

#include "sim/capture.h"

#include <stdlib.h>

static struct fgsim_graph_exec *exec_get(CUgraphExec handle)
{
        return fgsim_object_get(handle, FGSIM_EXEC);
}

struct fgsim_node *fgsim_exec_node(CUgraphExec handle, CUgraphNode node_handle)
{
        const struct fgsim_graph_exec *exec = exec_get(handle);
        const struct fgsim_node *node = fgsim_node_get(node_handle);

        return exec && node ? fgsim_graph_copy_of(exec->graph, node) : NULL;
}

bool fgsim_graph_push(struct fgsim_stream *stream, const struct fgsim_graph *graph)
{
        for (const struct fgsim_node *n = graph->first; n; n = n->next)
                if (!n->is_disabled && !fgsim_task_push(stream, &n->task))
                        return false;
        return true;
}

static CUresult instantiate(CUgraphExec *ret, CUgraph handle, cuuint64_t flags)
{
        static uint32_t count;
        const struct fgsim_graph *graph = fgsim_graph_get(handle);
        struct fgsim_graph_exec *exec;

        if (!ret || !graph || (flags & ~(cuuint64_t)0xf))
                return CUDA_ERROR_INVALID_VALUE;
        exec = fgsim_object_new(FGSIM_EXEC, sizeof(*exec));
        if (exec)
                exec->graph = fgsim_graph_dup(graph);
        if (!exec || !exec->graph) {
                if (exec)
                        fgsim_object_free(exec);
                return CUDA_ERROR_OUT_OF_MEMORY;
        }
        if (!fgsim_graph_sort(exec->graph)) {
                fgsim_graph_free(exec->graph);
                fgsim_object_free(exec);
                return CUDA_ERROR_INVALID_VALUE;
        }
        exec->id = fg_add_relaxed(&count, 1) + 1;
        exec->flags = flags;
        *ret = (CUgraphExec)exec;
        return CUDA_SUCCESS;
}

static bool graph_frees(const struct fgsim_graph *graph, CUdeviceptr ptr)
{
        for (const struct fgsim_node *n = graph->first; n; n = n->next)
                if (n->task.type == CU_GRAPH_NODE_TYPE_MEM_FREE && n->task.ptr == ptr)
                        return true;
        return false;
}

/* Takes the memory of the allocation nodes, all of it or none. */
static CUresult take_memory(const struct fgsim_graph *graph, bool frees_first)
{
        CUresult r = CUDA_SUCCESS;

        for (struct fgsim_node *n = graph->first; n; n = n->next) {
                if (n->task.type == CU_GRAPH_NODE_TYPE_GRAPH)
                        r = take_memory(n->task.graph, frees_first);
                else if (n->task.type == CU_GRAPH_NODE_TYPE_MEM_ALLOC) {
                        bool frees = graph_frees(graph, n->task.memory->ptr);
                        if (frees_first && !frees)
                                fgsim_graphmem_unuse(n->task.memory->ptr);
                        r = fgsim_graph_memory_take(n->task.memory, frees);
                }
                if (r == CUDA_SUCCESS)
                        continue;
                for (struct fgsim_node *taken = graph->first; taken != n; taken = taken->next)
                        if (taken->task.type == CU_GRAPH_NODE_TYPE_MEM_ALLOC)
                                fgsim_graph_memory_give(taken->task.memory->ptr);
                return r;
        }
        return CUDA_SUCCESS;
}

/* Two launches of the same graph never overlap. */
static bool push_launch(struct fgsim_stream *stream, struct fgsim_graph_exec *exec)
{
        struct fgsim_mark *mark = fgsim_mark_new();
        struct fgsim_op *end = mark ? fgsim_op_mark(mark) : NULL, *begin = NULL;

        if (end && exec->last && !exec->last->done) {
                begin = fgsim_op_wait(exec->last);
                if (begin)
                        fgsim_push(stream, begin);
        }
        if (!end || !fgsim_graph_push(stream, exec->graph)) {
                free(end);
                free(mark);
                return false;
        }
        fgsim_push(stream, end);
        fgsim_mark_drop(exec->last);
        exec->last = mark;
        return true;
}

static CUresult capture_launch(struct fgsim_stream *stream, const struct fgsim_graph_exec *exec, bool *ret_done)
{
        struct fgsim_task task = {.type = CU_GRAPH_NODE_TYPE_GRAPH, .graph = exec->graph};
        CUresult r = CUDA_SUCCESS;

        fgsim_lock();
        *ret_done = fgsim_captures && fgsim_capture_task(stream, &task, &r);
        fgsim_unlock();
        return r;
}

static CUresult launch(CUgraphExec handle, CUstream stream_handle)
{
        struct fgsim_graph_exec *exec = exec_get(handle);
        struct fgsim_stream *stream;
        bool is_captured;
        uint64_t until;
        CUresult r;

        if (!exec)
                return CUDA_ERROR_INVALID_VALUE;
        stream = fgsim_stream_get(stream_handle, &r);
        if (!stream)
                return r;
        for (until = fg_now() + fgsim_spec.gpu[stream->home->ctx->gpu].launch_ns; fg_now() < until;)
                fg_cpu_pause();
        r = capture_launch(stream, exec, &is_captured);
        if (r != CUDA_SUCCESS || is_captured)
                return r;
        r = take_memory(exec->graph, exec->flags & CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH);
        if (r != CUDA_SUCCESS)
                return r;
        fgsim_lock();
        fgsim_wait_room(stream);
        if (!push_launch(stream, exec))
                r = CUDA_ERROR_OUT_OF_MEMORY;
        fgsim_settle();
        fgsim_unlock();
        return r;
}

CUresult cuGraphInstantiate(CUgraphExec *ret, CUgraph graph, CUgraphNode *ret_node, char *log, size_t bytes)
{
        FGSIM_ENTER(cuGraphInstantiate);
        if (ret_node)
                *ret_node = NULL;
        if (log && bytes)
                *log = 0;
        return instantiate(ret, graph, 0);
}

CUresult cuGraphInstantiate_v2(CUgraphExec *ret, CUgraph graph, CUgraphNode *ret_node, char *log, size_t bytes)
{
        FGSIM_ENTER(cuGraphInstantiate_v2);
        if (ret_node)
                *ret_node = NULL;
        if (log && bytes)
                *log = 0;
        return instantiate(ret, graph, 0);
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec *ret, CUgraph graph, unsigned long long flags)
{
        FGSIM_ENTER(cuGraphInstantiateWithFlags);
        return instantiate(ret, graph, flags);
}

static CUresult instantiate_with(CUgraphExec *ret, CUgraph graph, CUDA_GRAPH_INSTANTIATE_PARAMS *params)
{
        CUresult r;

        if (!params)
                return CUDA_ERROR_INVALID_VALUE;
        r = instantiate(ret, graph, params->flags);
        params->hErrNode_out = NULL;
        params->result_out = r == CUDA_SUCCESS               ? CUDA_GRAPH_INSTANTIATE_SUCCESS
                             : r == CUDA_ERROR_INVALID_VALUE ? CUDA_GRAPH_INSTANTIATE_INVALID_STRUCTURE
                                                             : CUDA_GRAPH_INSTANTIATE_ERROR;
        return r;
}

CUresult cuGraphInstantiateWithParams(CUgraphExec *ret, CUgraph graph, CUDA_GRAPH_INSTANTIATE_PARAMS *params)
{
        FGSIM_ENTER(cuGraphInstantiateWithParams);
        return instantiate_with(ret, graph, params);
}

CUresult cuGraphInstantiateWithParams_ptsz(CUgraphExec *ret, CUgraph graph, CUDA_GRAPH_INSTANTIATE_PARAMS *params)
{
        FGSIM_ENTER(cuGraphInstantiateWithParams_ptsz);
        return instantiate_with(ret, graph, params);
}

CUresult cuGraphLaunch(CUgraphExec exec, CUstream stream)
{
        FGSIM_ENTER(cuGraphLaunch);
        return launch(exec, stream);
}

CUresult cuGraphUpload(CUgraphExec exec, CUstream handle)
{
        CUresult r;

        FGSIM_ENTER(cuGraphUpload);
        if (!exec_get(exec))
                return CUDA_ERROR_INVALID_VALUE;
        return fgsim_stream_get(handle, &r) ? CUDA_SUCCESS : r;
}

/* A launch under way has its own copies of all that it needs. */
CUresult cuGraphExecDestroy(CUgraphExec handle)
{
        struct fgsim_graph_exec *exec = exec_get(handle);

        FGSIM_ENTER(cuGraphExecDestroy);
        if (!exec)
                return CUDA_ERROR_INVALID_VALUE;
        fgsim_lock();
        fgsim_mark_drop(exec->last);
        fgsim_unlock();
        fgsim_graph_free(exec->graph);
        fgsim_object_free(exec);
        return CUDA_SUCCESS;
}

CUresult cuGraphExecGetFlags(CUgraphExec handle, cuuint64_t *ret)
{
        const struct fgsim_graph_exec *exec = exec_get(handle);

        FGSIM_ENTER(cuGraphExecGetFlags);
        if (!exec || !ret)
                return CUDA_ERROR_INVALID_VALUE;
        *ret = exec->flags;
        return CUDA_SUCCESS;
}

CUresult cuGraphExecGetId(CUgraphExec handle, unsigned int *ret)
{
        const struct fgsim_graph_exec *exec = exec_get(handle);

        FGSIM_ENTER(cuGraphExecGetId);
        if (!exec || !ret)
                return CUDA_ERROR_INVALID_VALUE;
        *ret = exec->id;
        return CUDA_SUCCESS;
}

CUresult cuGraphNodeSetEnabled(CUgraphExec handle, CUgraphNode node_handle, unsigned int enabled)
{
        struct fgsim_node *node = fgsim_exec_node(handle, node_handle);

        FGSIM_ENTER(cuGraphNodeSetEnabled);
        if (!node || (node->task.type != CU_GRAPH_NODE_TYPE_KERNEL && node->task.type != CU_GRAPH_NODE_TYPE_MEMCPY &&
                      node->task.type != CU_GRAPH_NODE_TYPE_MEMSET))
                return CUDA_ERROR_INVALID_VALUE;
        node->is_disabled = !enabled;
        return CUDA_SUCCESS;
}

CUresult cuGraphNodeGetEnabled(CUgraphExec handle, CUgraphNode node_handle, unsigned int *ret)
{
        const struct fgsim_node *node = fgsim_exec_node(handle, node_handle);

        FGSIM_ENTER(cuGraphNodeGetEnabled);
        if (!node || !ret)
                return CUDA_ERROR_INVALID_VALUE;
        *ret = !node->is_disabled;
        return CUDA_SUCCESS;
}
