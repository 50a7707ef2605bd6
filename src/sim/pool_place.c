/* SPDX-License-Identifier: Apache-2.0
 * Pools by location, as of CUDA 13: on a device the same as those that the older calls give, in the host's memory one
 * for all. */
#include "sim/pool.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct fgsim_pool *host_default, *host_current;

/* With the lock. */
static struct fgsim_pool *pool_of_host(bool current)
{
        CUmemPoolProps props = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                                .location = {.type = CU_MEM_LOCATION_TYPE_HOST}};
        if (current && host_current && !host_current->is_destroyed)
                return host_current;
        if (!host_default && fgsim_pool_new(&props, &host_default) == CUDA_SUCCESS)
                host_default->is_default = true;
        return host_default;
}

static CUresult get(CUmemoryPool *ret, const CUmemLocation *location, CUmemAllocationType type, bool current)
{
        uint32_t gpu;
        if (!ret || !location || (type != CU_MEM_ALLOCATION_TYPE_PINNED && type != CU_MEM_ALLOCATION_TYPE_MANAGED))
                return CUDA_ERROR_INVALID_VALUE;
        if (type == CU_MEM_ALLOCATION_TYPE_MANAGED)
                return CUDA_ERROR_NOT_SUPPORTED;
        switch ((int)location->type) {
        case CU_MEM_LOCATION_TYPE_DEVICE:
                if (!fgsim_gpu_of(location->id, &gpu))
                        return CUDA_ERROR_INVALID_DEVICE;
                *ret = (CUmemoryPool)fgsim_pool_of_gpu(gpu, current);
                break;
        case CU_MEM_LOCATION_TYPE_HOST:
        case CU_MEM_LOCATION_TYPE_HOST_NUMA:
        case CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT:
                pthread_mutex_lock(&lock);
                *ret = (CUmemoryPool)pool_of_host(current);
                pthread_mutex_unlock(&lock);
                break;
        default:
                return CUDA_ERROR_INVALID_VALUE;
        }
        return *ret ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult cuMemGetDefaultMemPool(CUmemoryPool *ret, CUmemLocation *location, CUmemAllocationType type)
{
        FGSIM_ENTER(cuMemGetDefaultMemPool);
        return get(ret, location, type, false);
}

CUresult cuMemGetMemPool(CUmemoryPool *ret, CUmemLocation *location, CUmemAllocationType type)
{
        FGSIM_ENTER(cuMemGetMemPool);
        return get(ret, location, type, true);
}

CUresult cuMemSetMemPool(CUmemLocation *location, CUmemAllocationType type, CUmemoryPool handle)
{
        FGSIM_ENTER(cuMemSetMemPool);
        struct fgsim_pool *pool = fgsim_pool_get(handle);
        if (!location || !pool || type != CU_MEM_ALLOCATION_TYPE_PINNED)
                return CUDA_ERROR_INVALID_VALUE;
        if (location->type == CU_MEM_LOCATION_TYPE_DEVICE)
                return cuDeviceSetMemPool(location->id, handle);
        if (pool->is_device)
                return CUDA_ERROR_INVALID_VALUE;
        pthread_mutex_lock(&lock);
        host_current = pool->is_default ? NULL : pool;
        pthread_mutex_unlock(&lock);
        return CUDA_SUCCESS;
}
