/* SPDX-License-Identifier: Apache-2.0
 * What an address is. */
#include "sim/pool.h"
#include "sim/vmm.h"

#include <string.h>

/* What all attributes are answered from. */
struct what {
        struct fgsim_range range; /* of a VMM mapping: made up from the mapping */
        struct fgsim_vmm *vmm;
        bool is_host;
};

static bool look(CUdeviceptr address, struct what *ret)
{
        struct fgsim_range *range = fgsim_range_find(address);
        if (!range)
                return false;
        *ret = (struct what){.range = *range};
        if (range->kind == FGSIM_MEM_VMM) {
                bool is_device;
                pthread_mutex_lock(&fgsim_vmm_lock);
                ret->vmm = fgsim_vmm_mapped(address, &ret->range.base, &ret->range.size);
                pthread_mutex_unlock(&fgsim_vmm_lock);
                if (!ret->vmm)
                        return false;
                ret->range.gpu = fgsim_vmm_gpu(ret->vmm, &is_device);
                ret->is_host = !is_device;
                return true;
        }
        ret->is_host = !range->is_device;
        return true;
}

static CUmemoryPool pool_of(const struct what *w)
{
        return w->range.kind == FGSIM_MEM_ASYNC ? (CUmemoryPool)w->range.owner : NULL;
}

static uint64_t handle_types(const struct what *w)
{
        if (w->vmm)
                return fgsim_vmm_handle_types(w->vmm);
        return w->range.kind == FGSIM_MEM_ASYNC ? (uint64_t)((struct fgsim_pool *)w->range.owner)->props.handleTypes
                                                : 0;
}

static CUresult answer_address(void *data, CUpointer_attribute attribute, CUdeviceptr address, const struct what *w)
{
        bool reached_by_host = w->is_host || w->range.kind == FGSIM_MEM_MANAGED;
        switch ((int)attribute) {
        case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
                *(CUdeviceptr *)data = address;
                return CUDA_SUCCESS;
        case CU_POINTER_ATTRIBUTE_HOST_POINTER:
                *(void **)data = reached_by_host ? (void *)address : NULL;
                return reached_by_host ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
        case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
        case CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR:
                *(CUdeviceptr *)data = w->range.base;
                return CUDA_SUCCESS;
        case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
        case CU_POINTER_ATTRIBUTE_MAPPING_SIZE:
                *(size_t *)data = w->range.size;
                return CUDA_SUCCESS;
        default:
                return CUDA_ERROR_NOT_FOUND;
        }
}

static CUresult answer(void *data, CUpointer_attribute attribute, CUdeviceptr address, const struct what *w)
{
        switch ((int)attribute) {
        case CU_POINTER_ATTRIBUTE_CONTEXT:
                *(CUcontext *)data = w->vmm ? NULL : (CUcontext)w->range.ctx;
                return CUDA_SUCCESS;
        case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
                *(CUmemorytype *)data = w->is_host ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
                return CUDA_SUCCESS;
        case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
                *(int *)data = w->range.sync_memops;
                return CUDA_SUCCESS;
        case CU_POINTER_ATTRIBUTE_BUFFER_ID:
        case CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID:
                *(unsigned long long *)data = w->range.id;
                return CUDA_SUCCESS;
        case CU_POINTER_ATTRIBUTE_IS_MANAGED:
                *(int *)data = w->range.kind == FGSIM_MEM_MANAGED;
                return CUDA_SUCCESS;
        case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
                *(int *)data = w->vmm && w->is_host ? CU_DEVICE_CPU : fgsim_ordinal_of(w->range.gpu);
                return CUDA_SUCCESS;
        case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
                *(int *)data = w->range.kind == FGSIM_MEM_DEVICE;
                return CUDA_SUCCESS;
        case CU_POINTER_ATTRIBUTE_MAPPED:
                *(int *)data = 1;
                return CUDA_SUCCESS;
        case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
                *(unsigned long long *)data = handle_types(w);
                return CUDA_SUCCESS;
        case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
        case CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE:
                *(int *)data = 0;
                return CUDA_SUCCESS;
        case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
                *(int *)data = CU_POINTER_ATTRIBUTE_ACCESS_FLAG_READWRITE;
                return CUDA_SUCCESS;
        case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
                *(CUmemoryPool *)data = pool_of(w);
                return CUDA_SUCCESS;
        case CU_POINTER_ATTRIBUTE_P2P_TOKENS:
                return CUDA_ERROR_NOT_SUPPORTED;
        default:
                return CUDA_ERROR_INVALID_VALUE;
        }
}

static CUresult get(void *data, CUpointer_attribute attribute, CUdeviceptr address)
{
        struct what w;
        if (!look(address, &w))
                return CUDA_ERROR_INVALID_VALUE;
        CUresult result = answer_address(data, attribute, address, &w);
        return result == CUDA_ERROR_NOT_FOUND ? answer(data, attribute, address, &w) : result;
}

CUresult cuPointerGetAttribute(void *data, CUpointer_attribute attribute, CUdeviceptr address)
{
        FGSIM_ENTER(cuPointerGetAttribute);
        return data ? get(data, attribute, address) : CUDA_ERROR_INVALID_VALUE;
}

static size_t size_of(CUpointer_attribute attribute)
{
        switch ((int)attribute) {
        case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
        case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
        case CU_POINTER_ATTRIBUTE_IS_MANAGED:
        case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
        case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
        case CU_POINTER_ATTRIBUTE_MAPPED:
        case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
        case CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE:
        case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
                return sizeof(int);
        default:
                return sizeof(uint64_t);
        }
}

/* Unlike the single question, an address that is nobody's is no error here: its answers are 0. */
CUresult cuPointerGetAttributes(unsigned int count, CUpointer_attribute *attributes, void **data, CUdeviceptr address)
{
        FGSIM_ENTER(cuPointerGetAttributes);
        if (!count || !attributes || !data)
                return CUDA_ERROR_INVALID_VALUE;
        for (unsigned i = 0; i < count; i++) {
                if (!data[i] || (int)attributes[i] < CU_POINTER_ATTRIBUTE_CONTEXT ||
                    (int)attributes[i] > CU_POINTER_ATTRIBUTE_LOCALITY_DOMAIN_ORDINAL)
                        return CUDA_ERROR_INVALID_VALUE;
                if (get(data[i], attributes[i], address) == CUDA_SUCCESS)
                        continue;
                memset(data[i], 0, size_of(attributes[i]));
                if (attributes[i] == CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL)
                        *(int *)data[i] = CU_DEVICE_INVALID;
        }
        return CUDA_SUCCESS;
}

CUresult cuPointerSetAttribute(const void *value, CUpointer_attribute attribute, CUdeviceptr address)
{
        FGSIM_ENTER(cuPointerSetAttribute);
        struct fgsim_range *range = fgsim_range_find(address);
        if (!value || !range || attribute != CU_POINTER_ATTRIBUTE_SYNC_MEMOPS)
                return CUDA_ERROR_INVALID_VALUE;
        range->sync_memops = *(const int *)value != 0;
        return CUDA_SUCCESS;
}
