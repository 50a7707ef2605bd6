/* SPDX-License-Identifier: Apache-2.0
 * Physical memory mapped at addresses and into sparse arrays. */
#include "shim/cuda/hook.h"
#include "shim/cuda/memory.h"
#include "shim/cuda/vmm.h"

/* An import has no size until it is mapped. What is charged stays until it is let go of. */
static CUresult charge_import(struct fgc_physical *physical, uint64_t end)
{
        uint64_t charged = fg_load_relaxed(&physical->charged);
        CUresult r;

        if (!physical->imported || end <= charged)
                return CUDA_SUCCESS;
        r = fgc_reserve(physical->vgpu, end - charged);
        if (r == CUDA_SUCCESS)
                fg_add_relaxed(&physical->charged, end - charged);
        return r;
}

CUresult fgc_cuMemMap(CUdeviceptr at, size_t size, size_t offset, CUmemGenericAllocationHandle handle,
                      unsigned long long flags)
{
        struct fgc_physical *physical;
        CUresult r;

        FGC_PASS(cuMemMap, at, size, offset, handle, flags);
        physical = fgc_physical_hold(handle);
        r = physical ? charge_import(physical, offset + size) : CUDA_SUCCESS;
        if (r == CUDA_SUCCESS)
                r = FGC_REAL(cuMemMap, at, size, offset, handle, flags);
        if (r == CUDA_SUCCESS && physical && fgc_mapping_add(at, size, physical) < 0) {
                FGC_REAL(cuMemUnmap, at, size);
                r = CUDA_ERROR_OUT_OF_MEMORY;
        }
        if (r != CUDA_SUCCESS && physical)
                fgc_physical_drop(physical);
        return r;
}

CUresult fgc_cuMemUnmap(CUdeviceptr at, size_t size)
{
        struct fgc_mapping *list;
        CUresult r;

        FGC_PASS(cuMemUnmap, at, size);
        list = fgc_mapping_take(at, size);
        r = FGC_REAL(cuMemUnmap, at, size);
        if (r == CUDA_SUCCESS)
                fgc_mapping_drop(list);
        else
                fgc_mapping_put_back(list);
        return r;
}

/* --- sparse arrays: which piece is where is not followed, so what an array ever had is charged until the array is gone
 * --- */

static void note(const CUarrayMapInfo *info)
{
        struct fgc_physical *physical;

        if (info->memOperationType != CU_MEM_OPERATION_TYPE_MAP || info->memHandleType != CU_MEM_HANDLE_TYPE_GENERIC)
                return;
        physical = fgc_physical_hold(info->memHandle.memHandle);
        if (!physical)
                return;
        fgc_physical_into_array(physical, info->resource.array); /* or mipmap: a union of two pointers */
        fgc_physical_drop(physical);
}

#define MAP_ARRAY(name)                                                                                                \
        CUresult fgc_##name(CUarrayMapInfo *list, unsigned int count, CUstream stream)                                 \
        {                                                                                                              \
                CUresult r;                                                                                            \
                                                                                                                       \
                FGC_PASS(name, list, count, stream);                                                                   \
                r = FGC_REAL(name, list, count, stream);                                                               \
                for (unsigned i = 0; r == CUDA_SUCCESS && list && i < count; i++)                                      \
                        note(&list[i]);                                                                                \
                return r;                                                                                              \
        }

MAP_ARRAY(cuMemMapArrayAsync)
MAP_ARRAY(cuMemMapArrayAsync_ptsz)
