/* SPDX-License-Identifier: Apache-2.0
 * Pools and other processes: a pool travels as a descriptor, each of its allocations as 64 bytes. */
#include "sim/card.h"
#include "sim/pool.h"

#include <string.h>

CUresult cuMemPoolExportToShareableHandle(void *ret, CUmemoryPool handle, CUmemAllocationHandleType type,
                                          unsigned long long flags)
{
        FGSIM_ENTER(cuMemPoolExportToShareableHandle);
        struct fgsim_pool *pool = fgsim_pool_get(handle);
        if (!ret || !pool || flags || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR ||
            pool->props.handleTypes != type)
                return CUDA_ERROR_INVALID_VALUE;
        struct fgsim_card card = {.kind = FGSIM_CARD_POOL,
                                  .gpu = (uint16_t)pool->gpu,
                                  .handle_types = (uint16_t)type,
                                  .location_type = (int16_t)pool->props.location.type,
                                  .location_id = (int16_t)pool->props.location.id};
        int fd = fgsim_card_file(&card, 0);
        if (fd < 0)
                return CUDA_ERROR_OPERATING_SYSTEM;
        *(int *)ret = fd;
        return CUDA_SUCCESS;
}

CUresult cuMemPoolImportFromShareableHandle(CUmemoryPool *ret, void *handle, CUmemAllocationHandleType type,
                                            unsigned long long flags)
{
        FGSIM_ENTER(cuMemPoolImportFromShareableHandle);
        struct fgsim_card card;
        struct fgsim_pool *pool;
        if (!ret || flags || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR ||
            !fgsim_card_of_file((int)(intptr_t)handle, FGSIM_CARD_POOL, &card))
                return CUDA_ERROR_INVALID_VALUE;
        bool is_device = card.location_type == CU_MEM_LOCATION_TYPE_DEVICE;
        CUmemPoolProps props = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                                .handleTypes = type,
                                .location = {.type = (CUmemLocationType)card.location_type,
                                             .id = is_device ? fgsim_ordinal_of(card.gpu) : card.location_id}};
        CUresult result = fgsim_pool_new(&props, &pool);
        if (result != CUDA_SUCCESS)
                return result;
        pool->is_imported = true;
        *ret = (CUmemoryPool)pool;
        return CUDA_SUCCESS;
}

CUresult cuMemPoolExportPointer(CUmemPoolPtrExportData *data, CUdeviceptr address)
{
        FGSIM_ENTER(cuMemPoolExportPointer);
        struct fgsim_range *range = fgsim_arena_find(address);
        struct fgsim_card card;
        if (!data || !range || range->kind != FGSIM_MEM_ASYNC)
                return CUDA_ERROR_INVALID_VALUE;
        struct fgsim_pool *pool = range->owner;
        if (pool->props.handleTypes == CU_MEM_HANDLE_TYPE_NONE || !fgsim_card_of_range(range, &card))
                return CUDA_ERROR_INVALID_VALUE;
        memset(data, 0, sizeof *data);
        memcpy(data, &card, sizeof card);
        return CUDA_SUCCESS;
}

/* The importer frees it with cuMemFree or cuMemFreeAsync, which only takes its mapping away. */
CUresult cuMemPoolImportPointer(CUdeviceptr *ret, CUmemoryPool handle, CUmemPoolPtrExportData *data)
{
        FGSIM_ENTER_CONTEXT(cuMemPoolImportPointer, ctx);
        struct fgsim_pool *pool = fgsim_pool_get(handle);
        struct fgsim_card card;
        if (!ret || !data || !pool || !pool->is_imported)
                return CUDA_ERROR_INVALID_VALUE;
        memcpy(&card, data, sizeof card);
        if (card.gpu != pool->gpu)
                return CUDA_ERROR_INVALID_VALUE;
        CUresult result = fgsim_card_open(&card, ctx, ret);
        if (result == CUDA_SUCCESS)
                fgsim_place_find(*ret)->flags |= FGSIM_FREED_AS_MEMORY;
        return result;
}
