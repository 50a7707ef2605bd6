/* SPDX-License-Identifier: Apache-2.0
 * Attributes of pools, and who may access them. */
#include "sim/pool.h"

CUresult cuMemPoolGetAttribute(CUmemoryPool handle, CUmemPool_attribute attribute, void *value)
{
        FGSIM_ENTER(cuMemPoolGetAttribute);
        struct fgsim_pool *pool = fgsim_pool_get(handle);
        CUresult result = CUDA_SUCCESS;
        if (!pool || !value)
                return CUDA_ERROR_INVALID_VALUE;
        pthread_mutex_lock(&pool->lock);
        switch ((int)attribute) {
        case CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES:
        case CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC:
        case CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES:
                *(int *)value = pool->reuse[attribute - CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES];
                break;
        case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
                *(cuuint64_t *)value = pool->threshold;
                break;
        case CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT:
                *(cuuint64_t *)value = pool->reserved;
                break;
        case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
                *(cuuint64_t *)value = pool->reserved_high;
                break;
        case CU_MEMPOOL_ATTR_USED_MEM_CURRENT:
                *(cuuint64_t *)value = pool->used;
                break;
        case CU_MEMPOOL_ATTR_USED_MEM_HIGH:
                *(cuuint64_t *)value = pool->used_high;
                break;
        case CU_MEMPOOL_ATTR_ALLOCATION_TYPE:
                *(CUmemAllocationType *)value = pool->props.allocType;
                break;
        case CU_MEMPOOL_ATTR_EXPORT_HANDLE_TYPES:
                *(CUmemAllocationHandleType *)value = pool->props.handleTypes;
                break;
        case CU_MEMPOOL_ATTR_LOCATION_ID:
                *(int *)value = pool->props.location.id;
                break;
        case CU_MEMPOOL_ATTR_LOCATION_TYPE:
                *(CUmemLocationType *)value = pool->props.location.type;
                break;
        case CU_MEMPOOL_ATTR_MAX_POOL_SIZE:
                *(cuuint64_t *)value = pool->max;
                break;
        case CU_MEMPOOL_ATTR_HW_DECOMPRESS_ENABLED:
                *(int *)value = 0;
                break;
        default:
                result = CUDA_ERROR_INVALID_VALUE;
        }
        pthread_mutex_unlock(&pool->lock);
        return result;
}

/* The high marks may only be set to 0, which means: to what is current. */
static CUresult set(struct fgsim_pool *pool, CUmemPool_attribute attribute, const void *value)
{
        switch ((int)attribute) {
        case CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES:
        case CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC:
        case CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES:
                pool->reuse[attribute - CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES] = *(const int *)value;
                return CUDA_SUCCESS;
        case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
                pool->threshold = *(const cuuint64_t *)value;
                return CUDA_SUCCESS;
        case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
                if (*(const cuuint64_t *)value)
                        return CUDA_ERROR_INVALID_VALUE;
                pool->reserved_high = pool->reserved;
                return CUDA_SUCCESS;
        case CU_MEMPOOL_ATTR_USED_MEM_HIGH:
                if (*(const cuuint64_t *)value)
                        return CUDA_ERROR_INVALID_VALUE;
                pool->used_high = pool->used;
                return CUDA_SUCCESS;
        default:
                return CUDA_ERROR_INVALID_VALUE;
        }
}

CUresult cuMemPoolSetAttribute(CUmemoryPool handle, CUmemPool_attribute attribute, void *value)
{
        FGSIM_ENTER(cuMemPoolSetAttribute);
        struct fgsim_pool *pool = fgsim_pool_get(handle);
        if (!pool || !value)
                return CUDA_ERROR_INVALID_VALUE;
        pthread_mutex_lock(&pool->lock);
        CUresult result = set(pool, attribute, value);
        pthread_mutex_unlock(&pool->lock);
        return result;
}

CUresult cuMemPoolSetAccess(CUmemoryPool handle, const CUmemAccessDesc *map, size_t count)
{
        FGSIM_ENTER(cuMemPoolSetAccess);
        struct fgsim_pool *pool = fgsim_pool_get(handle);
        uint32_t gpu;
        if (!pool || (!map && count))
                return CUDA_ERROR_INVALID_VALUE;
        for (size_t i = 0; i < count; i++)
                if (map[i].location.type == CU_MEM_LOCATION_TYPE_DEVICE && !fgsim_gpu_of(map[i].location.id, &gpu))
                        return CUDA_ERROR_INVALID_DEVICE;
        for (size_t i = 0; i < count; i++) {
                if (map[i].location.type != CU_MEM_LOCATION_TYPE_DEVICE || !fgsim_gpu_of(map[i].location.id, &gpu))
                        continue;
                /* The GPU it lies on cannot be kept out. */
                if (pool->is_device && gpu == pool->gpu && map[i].flags != CU_MEM_ACCESS_FLAGS_PROT_READWRITE)
                        return CUDA_ERROR_INVALID_VALUE;
                pool->peer[gpu] = map[i].flags;
        }
        return CUDA_SUCCESS;
}

CUresult cuMemPoolGetAccess(CUmemAccess_flags *flags, CUmemoryPool handle, CUmemLocation *location)
{
        FGSIM_ENTER(cuMemPoolGetAccess);
        struct fgsim_pool *pool = fgsim_pool_get(handle);
        uint32_t gpu;
        if (!pool || !flags || !location || location->type != CU_MEM_LOCATION_TYPE_DEVICE)
                return CUDA_ERROR_INVALID_VALUE;
        if (!fgsim_gpu_of(location->id, &gpu))
                return CUDA_ERROR_INVALID_DEVICE;
        *flags = pool->peer[gpu];
        return CUDA_SUCCESS;
}
