/* SPDX-License-Identifier: Apache-2.0
 * Nodes: what the program describes, as tasks, and back. */
#include "sim/graph.h"

#include "sim/copy.h"
#include "sim/launch.h"

#include <stdlib.h>
#include <string.h>

static CUresult kernel_task(const CUDA_KERNEL_NODE_PARAMS_v3 *p, struct fgsim_task *ret)
{
        ret->launch = (struct fgsim_launch){
                .function = fgsim_function_get(p->func ? p->func : (CUfunction)p->kern),
                .grid = {p->gridDimX, p->gridDimY, p->gridDimZ},
                .block = {p->blockDimX, p->blockDimY, p->blockDimZ},
                .shared = p->sharedMemBytes,
        };
        return ret->launch.function ? fgsim_launch_fill(&ret->launch, p->kernelParams, p->extra)
                                    : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult memory_task(const CUDA_MEM_ALLOC_NODE_PARAMS_v2 *p, struct fgsim_task *ret)
{
        struct fgsim_context *ctx = fgsim_context_current();
        uint32_t gpu;
        CUresult r;

        if (p->bytesize == 0 || p->poolProps.location.type != CU_MEM_LOCATION_TYPE_DEVICE ||
            !fgsim_gpu_of(p->poolProps.location.id, &gpu))
                return CUDA_ERROR_INVALID_VALUE;
        if (!ctx || ctx->gpu != gpu)
                ctx = fgsim_context_primary(gpu);
        ret->memory = fgsim_graph_memory_new(ctx, p->bytesize, &r);
        if (!ret->memory)
                return r;
        memcpy(&ret->memory->asked, p, sizeof(ret->memory->asked));
        ret->memory->asked.dptr = ret->memory->ptr;
        return CUDA_SUCCESS;
}

static CUresult memop_task(const CUDA_BATCH_MEM_OP_NODE_PARAMS_v2 *p, struct fgsim_task *ret)
{
        ret->memop = (struct fgsim_memop){p->count, p->paramArray};
        return p->count <= 256 && (p->paramArray || p->count == 0) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* Child graphs and memory operations are only borrowed. */
CUresult fgsim_task_from(const CUgraphNodeParams *p, struct fgsim_task *ret)
{
        *ret = (struct fgsim_task){.type = p->type};
        switch (p->type) {
        case CU_GRAPH_NODE_TYPE_KERNEL:
                return kernel_task(&p->kernel, ret);
        case CU_GRAPH_NODE_TYPE_MEMCPY:
                return fgsim_copy_resolve(&p->memcpy.copyParams, &ret->copy);
        case CU_GRAPH_NODE_TYPE_MEMSET:
                return fgsim_fill_resolve((const CUDA_MEMSET_NODE_PARAMS *)&p->memset, &ret->fill);
        case CU_GRAPH_NODE_TYPE_HOST:
                ret->host.fn = p->host.fn;
                ret->host.user = p->host.userData;
                return p->host.fn ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
        case CU_GRAPH_NODE_TYPE_GRAPH:
                ret->graph = fgsim_graph_get(p->graph.graph);
                return ret->graph ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
        case CU_GRAPH_NODE_TYPE_EMPTY:
                return CUDA_SUCCESS;
        case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
        case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
                ret->event = p->eventRecord.event;
                return fgsim_object_get(ret->event, FGSIM_EVENT) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
        case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
                return memory_task(&p->alloc, ret);
        case CU_GRAPH_NODE_TYPE_MEM_FREE:
                ret->ptr = p->free.dptr;
                return fgsim_range_find(ret->ptr) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
        case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
                return memop_task(&p->memOp, ret);
        default:
                return CUDA_ERROR_NOT_SUPPORTED;
        }
}

/* What fgsim_task_from() made, not what it borrowed. */
static void temporary_clear(struct fgsim_task *task)
{
        if (task->type == CU_GRAPH_NODE_TYPE_KERNEL || task->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC)
                fgsim_task_clear(task);
}

static void kernel_params(const struct fgsim_launch *l, CUDA_KERNEL_NODE_PARAMS_v3 *ret)
{
        *ret = (CUDA_KERNEL_NODE_PARAMS_v3){
                .func = (CUfunction)l->function,
                .gridDimX = l->grid[0],
                .gridDimY = l->grid[1],
                .gridDimZ = l->grid[2],
                .blockDimX = l->block[0],
                .blockDimY = l->block[1],
                .blockDimZ = l->block[2],
                .sharedMemBytes = l->shared,
                .kernelParams = l->args ? l->args->pointer : NULL,
                .ctx = (CUcontext)l->function->module->ctx,
        };
}

CUresult fgsim_task_params(const struct fgsim_task *task, CUgraphNodeParams *ret)
{
        memset(ret, 0, sizeof(*ret));
        ret->type = task->type;
        switch (task->type) {
        case CU_GRAPH_NODE_TYPE_KERNEL:
                kernel_params(&task->launch, &ret->kernel);
                break;
        case CU_GRAPH_NODE_TYPE_MEMCPY:
                ret->memcpy.copyParams = task->copy.asked;
                break;
        case CU_GRAPH_NODE_TYPE_MEMSET:
                memcpy(&ret->memset, &task->fill.asked, sizeof(task->fill.asked));
                break;
        case CU_GRAPH_NODE_TYPE_HOST:
                ret->host.fn = task->host.fn;
                ret->host.userData = task->host.user;
                break;
        case CU_GRAPH_NODE_TYPE_GRAPH:
                ret->graph.graph = (CUgraph)task->graph;
                break;
        case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
        case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
                ret->eventRecord.event = task->event;
                break;
        case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
                memcpy(&ret->alloc, &task->memory->asked, sizeof(task->memory->asked));
                break;
        case CU_GRAPH_NODE_TYPE_MEM_FREE:
                ret->free.dptr = task->ptr;
                break;
        case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
                ret->memOp.count = task->memop.count;
                ret->memOp.paramArray = task->memop.param;
                break;
        default:
                break;
        }
        return CUDA_SUCCESS;
}

CUresult fgsim_node_add(CUgraphNode *ret, CUgraph handle, const CUgraphNode *needs, size_t count,
                        const CUgraphNodeParams *params)
{
        struct fgsim_graph *graph = fgsim_graph_get(handle);
        struct fgsim_task task;
        struct fgsim_node *node;
        CUresult r;

        if (!ret || !graph || !fgsim_graph_has(graph, needs, count))
                return CUDA_ERROR_INVALID_VALUE;
        if (params->type == CU_GRAPH_NODE_TYPE_GRAPH && fgsim_graph_get(params->graph.graph) == graph)
                return CUDA_ERROR_INVALID_VALUE;
        r = fgsim_task_from(params, &task);
        if (r != CUDA_SUCCESS)
                return r;
        r = fgsim_graph_add(graph, &task, (struct fgsim_node *const *)needs, count, &node);
        temporary_clear(&task);
        if (r == CUDA_SUCCESS)
                *ret = (CUgraphNode)node;
        return r;
}

/* Memory nodes cannot be changed; nothing changes its kind. */
CUresult fgsim_node_set(struct fgsim_node *node, const CUgraphNodeParams *params)
{
        struct fgsim_task task, own;
        CUresult r;

        if (!node || node->task.type != params->type || params->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC ||
            params->type == CU_GRAPH_NODE_TYPE_MEM_FREE)
                return CUDA_ERROR_INVALID_VALUE;
        r = fgsim_task_from(params, &task);
        if (r != CUDA_SUCCESS)
                return r;
        r = fgsim_task_dup(&own, &task) ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
        temporary_clear(&task);
        if (r != CUDA_SUCCESS)
                return r;
        if (own.type == CU_GRAPH_NODE_TYPE_GRAPH) {
                own.graph->is_child = true;
                if (!fgsim_graph_sort(own.graph)) {
                        fgsim_task_clear(&own);
                        return CUDA_ERROR_INVALID_VALUE;
                }
        }
        fgsim_task_clear(&node->task);
        node->task = own;
        return CUDA_SUCCESS;
}

CUresult fgsim_node_params(CUgraphNode handle, CUgraphNodeType type, CUgraphNodeParams *ret)
{
        const struct fgsim_node *node = fgsim_node_get(handle);

        return node && node->task.type == type ? fgsim_task_params(&node->task, ret) : CUDA_ERROR_INVALID_VALUE;
}
