/* SPDX-License-Identifier: Apache-2.0
 * Device numbers in the parameters of graph nodes that exist already, and the location of a pool. */
#include "shim/cuda/alloc.h"
#include "shim/cuda/hook.h"
#include "shim/cuda/pool.h"
#include "shim/cuda/translate.h"

#define SET(name, params, ...) \
        CUresult fgc_##name params \
        { \
                FGC_PASS(name, __VA_ARGS__); \
                FGC_SCRATCH(scratch); \
                CUgraphNodeParams copy; \
                node_params = fgc_node_in(node_params, &copy, &scratch); \
                return FGC_REAL(name, __VA_ARGS__); \
        }

SET(cuGraphNodeSetParams, (CUgraphNode node, CUgraphNodeParams *node_params), node, node_params)
SET(cuGraphNodeSetParams_v2, (CUgraphNode node, CUgraphNodeParams *node_params), node, node_params)
SET(cuGraphExecNodeSetParams, (CUgraphExec exec, CUgraphNode node, CUgraphNodeParams *node_params), exec, node, node_params)

/* The lists in the answers are the graph's own, with the driver's numbers: they are not written to. */
CUresult fgc_cuGraphNodeGetParams(CUgraphNode node, CUgraphNodeParams *node_params)
{
        FGC_PASS(cuGraphNodeGetParams, node, node_params);
        CUresult r = FGC_REAL(cuGraphNodeGetParams, node, node_params);
        if (!r && node_params && (int)node_params->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC)
                node_params->alloc.poolProps.location =
                        fgc_location_out(node_params->alloc.poolProps.location, fgc_vgpu_current());
        return r;
}

CUresult fgc_cuGraphMemAllocNodeGetParams(CUgraphNode node, CUDA_MEM_ALLOC_NODE_PARAMS *node_params)
{
        FGC_PASS(cuGraphMemAllocNodeGetParams, node, node_params);
        CUresult r = FGC_REAL(cuGraphMemAllocNodeGetParams, node, node_params);
        if (!r && node_params)
                node_params->poolProps.location = fgc_location_out(node_params->poolProps.location, fgc_vgpu_current());
        return r;
}

static struct fgc_vgpu *payer_of(CUmemoryPool pool)
{
        struct fgc_alloc entry;
        bool known = fgc_alloc_find(&fgc_handles, (uint64_t)(uintptr_t)pool, &entry) && entry.kind == FGC_ALLOC_POOL_HANDLE;
        return known ? ((struct fgc_pool *)entry.owner)->vgpu : fgc_vgpu_current();
}

/* Whether a pool's id is a device's is another attribute's matter; drivers that have the one have the other. */
CUresult fgc_cuMemPoolGetAttribute(CUmemoryPool pool, CUmemPool_attribute attribute, void *value)
{
        FGC_PASS(cuMemPoolGetAttribute, pool, attribute, value);
        CUresult r = FGC_REAL(cuMemPoolGetAttribute, pool, attribute, value);
        int type = 0;
        if (r || !value || fgc_devices_same || (int)attribute != CU_MEMPOOL_ATTR_LOCATION_ID)
                return r;
        if (!FGC_REAL(cuMemPoolGetAttribute, pool, CU_MEMPOOL_ATTR_LOCATION_TYPE, &type) && type == CU_MEM_LOCATION_TYPE_DEVICE)
                *(int *)value = fgc_device_out(*(int *)value, payer_of(pool));
        return r;
}
