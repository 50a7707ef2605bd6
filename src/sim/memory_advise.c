/* SPDX-License-Identifier: Apache-2.0
 * Advice and prefetches for managed memory: checked, remembered, without effect, as the memory is the host's. */
#include "sim/internal.h"

/* A range's `reserved` word. */
#define READ_MOSTLY      1u
#define PREFERRED_SHIFT  8  /* device + 2, 1: host, 0: none */
#define PREFETCHED_SHIFT 16 /* the same */

static bool place_code(CUmemLocation location, uint32_t *ret)
{
        uint32_t gpu;
        switch ((int)location.type) {
        case CU_MEM_LOCATION_TYPE_DEVICE:
                if (location.id == CU_DEVICE_CPU)
                        return *ret = 1, true;
                return *ret = (uint32_t)location.id + 2, fgsim_gpu_of(location.id, &gpu);
        case CU_MEM_LOCATION_TYPE_HOST:
        case CU_MEM_LOCATION_TYPE_HOST_NUMA:
        case CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT:
                return *ret = 1, true;
        default:
                return false;
        }
}

static struct fgsim_range *managed(CUdeviceptr address, size_t bytes)
{
        struct fgsim_range *range = fgsim_arena_find(address);
        bool fits =
                range && range->kind == FGSIM_MEM_MANAGED && bytes && bytes <= range->size - (address - range->base);
        return fits ? range : NULL;
}

static void note(struct fgsim_range *range, unsigned shift, uint32_t code)
{
        range->reserved = (range->reserved & ~(0xffu << shift)) | code << shift;
}

static CUresult advise(CUdeviceptr address, size_t bytes, CUmem_advise advice, CUmemLocation location)
{
        struct fgsim_range *range = managed(address, bytes);
        uint32_t code = 0;
        bool needs_place = advice == CU_MEM_ADVISE_SET_PREFERRED_LOCATION || advice == CU_MEM_ADVISE_SET_ACCESSED_BY ||
                           advice == CU_MEM_ADVISE_UNSET_ACCESSED_BY;
        if (!range || (int)advice < CU_MEM_ADVISE_SET_READ_MOSTLY || (int)advice > CU_MEM_ADVISE_UNSET_ACCESSED_BY)
                return CUDA_ERROR_INVALID_VALUE;
        if (needs_place && !place_code(location, &code))
                return CUDA_ERROR_INVALID_DEVICE;
        if (advice == CU_MEM_ADVISE_SET_READ_MOSTLY)
                range->reserved |= READ_MOSTLY;
        else if (advice == CU_MEM_ADVISE_UNSET_READ_MOSTLY)
                range->reserved &= ~READ_MOSTLY;
        else if (advice == CU_MEM_ADVISE_SET_PREFERRED_LOCATION || advice == CU_MEM_ADVISE_UNSET_PREFERRED_LOCATION)
                note(range, PREFERRED_SHIFT, code);
        return CUDA_SUCCESS;
}

CUresult cuMemAdvise(CUdeviceptr address, size_t bytes, CUmem_advise advice, CUdevice device)
{
        FGSIM_ENTER_CONTEXT(cuMemAdvise, ctx);
        return advise(address, bytes, advice, (CUmemLocation){.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = device});
}

CUresult cuMemAdvise_v2(CUdeviceptr address, size_t bytes, CUmem_advise advice, CUmemLocation location)
{
        FGSIM_ENTER_CONTEXT(cuMemAdvise_v2, ctx);
        return advise(address, bytes, advice, location);
}

static CUresult prefetch(CUdeviceptr address, size_t bytes, CUmemLocation location, CUstream stream)
{
        struct fgsim_range *range = managed(address, bytes);
        struct fgsim_context *ctx;
        uint32_t code;
        if (!range)
                return CUDA_ERROR_INVALID_VALUE;
        if (!place_code(location, &code))
                return CUDA_ERROR_INVALID_DEVICE;
        CUresult result = fgsim_exec_stream_check(stream, &ctx);
        if (result == CUDA_SUCCESS)
                note(range, PREFETCHED_SHIFT, code);
        return result;
}

CUresult cuMemPrefetchAsync(CUdeviceptr address, size_t bytes, CUdevice device, CUstream stream)
{
        FGSIM_ENTER_CONTEXT(cuMemPrefetchAsync, ctx);
        return prefetch(address, bytes, (CUmemLocation){.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = device}, stream);
}

CUresult cuMemPrefetchAsync_ptsz(CUdeviceptr address, size_t bytes, CUdevice device, CUstream stream)
{
        return cuMemPrefetchAsync(address, bytes, device, stream ? stream : CU_STREAM_PER_THREAD);
}

CUresult cuMemPrefetchAsync_v2(CUdeviceptr address, size_t bytes, CUmemLocation location, unsigned int flags,
                               CUstream stream)
{
        FGSIM_ENTER_CONTEXT(cuMemPrefetchAsync_v2, ctx);
        return flags ? CUDA_ERROR_INVALID_VALUE : prefetch(address, bytes, location, stream);
}

CUresult cuMemPrefetchAsync_v2_ptsz(CUdeviceptr address, size_t bytes, CUmemLocation location, unsigned int flags,
                                    CUstream stream)
{
        return cuMemPrefetchAsync_v2(address, bytes, location, flags, stream ? stream : CU_STREAM_PER_THREAD);
}

static int place_of(const struct fgsim_range *range, unsigned shift)
{
        uint32_t code = range->reserved >> shift & 0xff;
        return code == 0 ? CU_DEVICE_INVALID : code == 1 ? CU_DEVICE_CPU : (int)code - 2;
}

static CUresult get_attribute(int *value, CUmem_range_attribute attribute, const struct fgsim_range *range)
{
        switch ((int)attribute) {
        case CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY:
                *value = range->reserved & READ_MOSTLY ? 1 : 0;
                return CUDA_SUCCESS;
        case CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION:
                *value = place_of(range, PREFERRED_SHIFT);
                return CUDA_SUCCESS;
        case CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION:
                *value = place_of(range, PREFETCHED_SHIFT);
                return CUDA_SUCCESS;
        default:
                return CUDA_ERROR_NOT_SUPPORTED;
        }
}

CUresult cuMemRangeGetAttribute(void *data, size_t size, CUmem_range_attribute attribute, CUdeviceptr address,
                                size_t bytes)
{
        FGSIM_ENTER_CONTEXT(cuMemRangeGetAttribute, ctx);
        struct fgsim_range *range = managed(address, bytes);
        return data && size == sizeof(int) && range ? get_attribute(data, attribute, range) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemRangeGetAttributes(void **data, size_t *sizes, CUmem_range_attribute *attributes, size_t count,
                                 CUdeviceptr address, size_t bytes)
{
        CUresult result = data && sizes && attributes && count ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
        for (size_t i = 0; i < count && result == CUDA_SUCCESS; i++)
                result = cuMemRangeGetAttribute(data[i], sizes[i], attributes[i], address, bytes);
        return result;
}
