/* SPDX-License-Identifier: Apache-2.0
 * Functions that name a device inside a location: advice, prefetch, access rights. */
#include "shim/cuda/alloc.h"
#include "shim/cuda/hook.h"
#include "shim/cuda/translate.h"

/* --- managed memory --- */

CUresult fgc_cuMemAdvise(CUdeviceptr pointer, size_t count, CUmem_advise advice, CUdevice dev)
{
        if (!fgc_inside)
                dev = fgc_device_in(dev);
        return FGC_REAL(cuMemAdvise, pointer, count, advice, dev);
}

CUresult fgc_cuMemAdvise_v2(CUdeviceptr pointer, size_t count, CUmem_advise advice, CUmemLocation location)
{
        if (!fgc_inside)
                location = fgc_location_in(location);
        return FGC_REAL(cuMemAdvise_v2, pointer, count, advice, location);
}

#define PREFETCH(name) \
        CUresult fgc_##name(CUdeviceptr pointer, size_t count, CUdevice dev, CUstream stream) \
        { \
                if (!fgc_inside) \
                        dev = fgc_device_in(dev); \
                return FGC_REAL(name, pointer, count, dev, stream); \
        }

#define PREFETCH_V2(name) \
        CUresult fgc_##name(CUdeviceptr pointer, size_t count, CUmemLocation location, unsigned int flags, CUstream stream) \
        { \
                if (!fgc_inside) \
                        location = fgc_location_in(location); \
                return FGC_REAL(name, pointer, count, location, flags, stream); \
        }

#define PREFETCH_BATCH(name) \
        CUresult fgc_##name(CUdeviceptr *pointers, size_t *sizes, size_t count, CUmemLocation *locations, size_t *indices, \
                            size_t location_count, unsigned long long flags, CUstream stream) \
        { \
                FGC_PASS(name, pointers, sizes, count, locations, indices, location_count, flags, stream); \
                FGC_SCRATCH(scratch); \
                const CUmemLocation *in = fgc_locations_in(locations, location_count, &scratch); \
                if (locations && !in) \
                        return CUDA_ERROR_OUT_OF_MEMORY; \
                return FGC_REAL(name, pointers, sizes, count, (CUmemLocation *)in, indices, location_count, flags, stream); \
        }

PREFETCH(cuMemPrefetchAsync)
PREFETCH(cuMemPrefetchAsync_ptsz)
PREFETCH_V2(cuMemPrefetchAsync_v2)
PREFETCH_V2(cuMemPrefetchAsync_v2_ptsz)
PREFETCH_BATCH(cuMemPrefetchBatchAsync)
PREFETCH_BATCH(cuMemPrefetchBatchAsync_ptsz)
PREFETCH_BATCH(cuMemDiscardAndPrefetchBatchAsync)
PREFETCH_BATCH(cuMemDiscardAndPrefetchBatchAsync_ptsz)

/* --- who may touch what --- */

CUresult fgc_cuMemSetAccess(CUdeviceptr pointer, size_t size, const CUmemAccessDesc *list, size_t count)
{
        FGC_PASS(cuMemSetAccess, pointer, size, list, count);
        FGC_SCRATCH(scratch);
        const CUmemAccessDesc *in = fgc_access_in(list, count, &scratch);
        if (list && !in)
                return CUDA_ERROR_OUT_OF_MEMORY;
        return FGC_REAL(cuMemSetAccess, pointer, size, in, count);
}

CUresult fgc_cuMemGetAccess(unsigned long long *flags, const CUmemLocation *location, CUdeviceptr pointer)
{
        FGC_PASS(cuMemGetAccess, flags, location, pointer);
        CUmemLocation real = location ? fgc_location_in(*location) : (CUmemLocation){0};
        return FGC_REAL(cuMemGetAccess, flags, location ? &real : NULL, pointer);
}

CUresult fgc_cuMemPoolSetAccess(CUmemoryPool pool, const CUmemAccessDesc *list, size_t count)
{
        FGC_PASS(cuMemPoolSetAccess, pool, list, count);
        FGC_SCRATCH(scratch);
        const CUmemAccessDesc *in = fgc_access_in(list, count, &scratch);
        if (list && !in)
                return CUDA_ERROR_OUT_OF_MEMORY;
        return FGC_REAL(cuMemPoolSetAccess, pool, in, count);
}

CUresult fgc_cuMemPoolGetAccess(CUmemAccess_flags *flags, CUmemoryPool pool, CUmemLocation *location)
{
        FGC_PASS(cuMemPoolGetAccess, flags, pool, location);
        CUmemLocation real = location ? fgc_location_in(*location) : (CUmemLocation){0};
        return FGC_REAL(cuMemPoolGetAccess, flags, pool, location ? &real : NULL);
}

CUresult fgc_cuMemGetAllocationGranularity(size_t *granularity, const CUmemAllocationProp *properties,
                                           CUmemAllocationGranularity_flags option)
{
        FGC_PASS(cuMemGetAllocationGranularity, granularity, properties, option);
        CUmemAllocationProp copy;
        if (properties) {
                copy = *properties;
                copy.location = fgc_location_in(copy.location);
                properties = &copy;
        }
        return FGC_REAL(cuMemGetAllocationGranularity, granularity, properties, option);
}

/* One location for each `granularity` bytes of `size`. */
CUresult fgc_cuMemGetLocationInfo(CUdeviceptr pointer, size_t size, size_t granularity, size_t sampling, CUmemLocation *list)
{
        FGC_PASS(cuMemGetLocationInfo, pointer, size, granularity, sampling, list);
        CUresult r = FGC_REAL(cuMemGetLocationInfo, pointer, size, granularity, sampling, list);
        for (size_t i = 0; !r && list && granularity && i < size / granularity + (size % granularity != 0); i++)
                list[i] = fgc_location_out(list[i], fgc_vgpu_current());
        return r;
}

/* --- where memory was asked to be --- */

CUresult fgc_cuMemGetAllocationPropertiesFromHandle(CUmemAllocationProp *properties, CUmemGenericAllocationHandle handle)
{
        FGC_PASS(cuMemGetAllocationPropertiesFromHandle, properties, handle);
        CUresult r = FGC_REAL(cuMemGetAllocationPropertiesFromHandle, properties, handle);
        if (!r && properties)
                properties->location = fgc_location_out(properties->location, fgc_alloc_vgpu_of_handle(handle));
        return r;
}
