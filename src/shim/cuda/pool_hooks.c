/* SPDX-License-Identifier: Apache-2.0
 *
 * Pools that the program makes. One in host memory, or another process's, is charged nothing; one of managed memory
 * like a device's. */
#include "shim/cuda/hook.h"
#include "shim/cuda/memory.h"
#include "shim/cuda/pool.h"
#include "shim/cuda/translate.h"

static bool is_on_host(CUmemLocationType type)
{
        return type == CU_MEM_LOCATION_TYPE_HOST || type == CU_MEM_LOCATION_TYPE_HOST_NUMA ||
               type == CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT;
}

/* Which vGPU pays; NULL: none. */
static struct fgc_vgpu *payer(const CUmemPoolProps *properties)
{
        if (properties->location.type == CU_MEM_LOCATION_TYPE_DEVICE)
                return fgc_vgpu_of_ordinal(properties->location.id);
        return is_on_host(properties->location.type) && properties->allocType != CU_MEM_ALLOCATION_TYPE_MANAGED
                       ? NULL
                       : fgc_vgpu_current();
}

CUresult fgc_cuMemPoolCreate(CUmemoryPool *ret, const CUmemPoolProps *properties)
{
        CUmemPoolProps real;
        struct fgc_vgpu *vgpu;
        CUresult r;

        FGC_PASS(cuMemPoolCreate, ret, properties);
        if (!properties)
                return FGC_REAL(cuMemPoolCreate, ret, properties);
        real = *properties;
        real.location = fgc_location_in(real.location);
        vgpu = payer(properties);
        r = FGC_REAL(cuMemPoolCreate, ret, &real);
        if (r == CUDA_SUCCESS && vgpu)
                fgc_pool_adopt(*ret, vgpu);
        else if (r == CUDA_SUCCESS)
                fgc_pool_adopt_free(*ret);
        return r;
}

CUresult fgc_cuMemPoolImportFromShareableHandle(CUmemoryPool *ret, void *handle, CUmemAllocationHandleType type,
                                                unsigned long long flags)
{
        CUresult r;

        FGC_PASS(cuMemPoolImportFromShareableHandle, ret, handle, type, flags);
        r = FGC_REAL(cuMemPoolImportFromShareableHandle, ret, handle, type, flags);
        if (r == CUDA_SUCCESS)
                fgc_pool_adopt_free(*ret);
        return r;
}

CUresult fgc_cuMemPoolDestroy(CUmemoryPool handle)
{
        struct fgc_alloc entry;
        uint64_t used = 0;
        bool known;
        CUresult r;

        FGC_PASS(cuMemPoolDestroy, handle);
        if (fgc_pool_is_default(handle))
                return CUDA_ERROR_INVALID_VALUE;
        known = fgc_alloc_take(&fgc_handles, (uintptr_t)handle, &entry);
        if (known)
                fgc_pool_used(entry.owner, &used);
        r = FGC_REAL(cuMemPoolDestroy, handle);
        if (r == CUDA_SUCCESS)
                fgc_pool_gone(handle);
        if (known && r == CUDA_SUCCESS)
                fgc_pool_destroyed(entry.owner, used);
        else if (known)
                fgc_alloc_put_back(&fgc_handles, entry);
        return r;
}

CUresult fgc_cuMemPoolTrimTo(CUmemoryPool handle, size_t keep)
{
        struct fgc_alloc entry;
        CUresult r;

        FGC_PASS(cuMemPoolTrimTo, handle, keep);
        r = FGC_REAL(cuMemPoolTrimTo, handle, keep);
        if (r == CUDA_SUCCESS && fgc_alloc_find(&fgc_handles, (uintptr_t)handle, &entry) &&
            entry.kind == FGC_ALLOC_POOL_HANDLE && fg_load_relaxed(&((struct fgc_pool *)entry.owner)->kind) == FGC_POOL_DEVICE)
                fgc_pool_settle(entry.owner);
        return r;
}
