/* SPDX-License-Identifier: Apache-2.0
 * cuMemCreate and what is done with handles. Memory on a device counts when it is made, wherever it is mapped; host
 * memory and what was imported do not. */
#include "sim/card.h"
#include "sim/vmm.h"

#include <fcntl.h>
#include <unistd.h>

pthread_mutex_t fgsim_vmm_lock = PTHREAD_MUTEX_INITIALIZER;

struct fgsim_vmm *fgsim_vmm_get(CUmemGenericAllocationHandle handle)
{
        struct fgsim_vmm *vmm = fgsim_object_get((void *)handle, FGSIM_VMM);
        return vmm && vmm->refs ? vmm : NULL;
}

void fgsim_vmm_settle(struct fgsim_vmm *vmm)
{
        if (vmm->refs || vmm->maps)
                return;
        if (vmm->range)
                fgsim_arena_free(vmm->range);
        if (vmm->owns_fd)
                close(vmm->fd);
        if (vmm->charged)
                fgsim_gpu_give(vmm->gpu, vmm->charged);
        fgsim_object_free(vmm);
}

static CUresult check_prop(const CUmemAllocationProp *prop, uint32_t *ret_gpu, bool *ret_is_device)
{
        *ret_gpu = 0;
        *ret_is_device = prop->location.type == CU_MEM_LOCATION_TYPE_DEVICE;
        if (prop->type != CU_MEM_ALLOCATION_TYPE_PINNED)
                return CUDA_ERROR_INVALID_VALUE;
        if ((int)prop->requestedHandleTypes & ~CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
                return CUDA_ERROR_NOT_SUPPORTED;
        switch ((int)prop->location.type) {
        case CU_MEM_LOCATION_TYPE_DEVICE:
                return fgsim_gpu_of(prop->location.id, ret_gpu) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
        case CU_MEM_LOCATION_TYPE_HOST:
        case CU_MEM_LOCATION_TYPE_HOST_NUMA:
        case CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT:
                return CUDA_SUCCESS;
        default:
                return CUDA_ERROR_INVALID_VALUE;
        }
}

CUresult cuMemGetAllocationGranularity(size_t *grain, const CUmemAllocationProp *prop,
                                       CUmemAllocationGranularity_flags option)
{
        FGSIM_ENTER(cuMemGetAllocationGranularity);
        uint32_t gpu;
        bool is_device;
        if (!grain || !prop || (unsigned)option > CU_MEM_ALLOC_GRANULARITY_RECOMMENDED)
                return CUDA_ERROR_INVALID_VALUE;
        CUresult result = check_prop(prop, &gpu, &is_device);
        if (result == CUDA_SUCCESS)
                *grain = FGSIM_VMM_GRAIN;
        return result;
}

/* What is to leave the process gets a file of its own; the rest lies in the arena's, as descriptors are few. */
static CUresult back(struct fgsim_vmm *vmm)
{
        if (vmm->prop.requestedHandleTypes == CU_MEM_HANDLE_TYPE_NONE) {
                vmm->range = fgsim_arena_new(vmm->bytes, FGSIM_VMM_GRAIN);
                if (!vmm->range)
                        return CUDA_ERROR_OUT_OF_MEMORY;
                vmm->range->gpu = vmm->gpu;
                fg_store_release(&vmm->range->kind, FGSIM_MEM_PHYSICAL);
                vmm->fd = fgsim_arena_file(vmm->range->base, &vmm->offset);
                return CUDA_SUCCESS;
        }
        struct fgsim_card card = {.kind = FGSIM_CARD_VMM,
                                  .bytes = vmm->bytes,
                                  .gpu = (uint16_t)vmm->gpu,
                                  .location_type = (int16_t)vmm->prop.location.type,
                                  .location_id = (int16_t)vmm->prop.location.id,
                                  .handle_types = (uint16_t)vmm->prop.requestedHandleTypes};
        vmm->fd = fgsim_card_file(&card, vmm->bytes);
        vmm->owns_fd = vmm->fd >= 0;
        return vmm->owns_fd ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

static bool charge(struct fgsim_vmm *vmm)
{
        if (!vmm->is_device)
                return true;
        if (!fgsim_gpu_take(vmm->gpu, vmm->bytes) &&
            !(fgsim_pool_squeeze(vmm->gpu) && fgsim_gpu_take(vmm->gpu, vmm->bytes)))
                return false;
        vmm->charged = vmm->bytes;
        return true;
}

CUresult cuMemCreate(CUmemGenericAllocationHandle *ret, size_t bytes, const CUmemAllocationProp *prop,
                     unsigned long long flags)
{
        FGSIM_ENTER(cuMemCreate);
        uint32_t gpu;
        bool is_device;
        if (!ret || !prop || flags || !bytes || bytes % FGSIM_VMM_GRAIN)
                return CUDA_ERROR_INVALID_VALUE;
        CUresult result = check_prop(prop, &gpu, &is_device);
        if (result != CUDA_SUCCESS)
                return result;
        struct fgsim_vmm *vmm = fgsim_object_new(FGSIM_VMM, sizeof *vmm);
        if (!vmm)
                return CUDA_ERROR_OUT_OF_MEMORY;
        vmm->prop = *prop;
        vmm->bytes = bytes;
        vmm->gpu = gpu;
        vmm->is_device = is_device;
        result = charge(vmm) ? back(vmm) : CUDA_ERROR_OUT_OF_MEMORY;
        pthread_mutex_lock(&fgsim_vmm_lock);
        if (result == CUDA_SUCCESS)
                vmm->refs = 1;
        else
                fgsim_vmm_settle(vmm);
        pthread_mutex_unlock(&fgsim_vmm_lock);
        if (result == CUDA_SUCCESS)
                *ret = (CUmemGenericAllocationHandle)vmm;
        return result;
}

CUresult cuMemRelease(CUmemGenericAllocationHandle handle)
{
        FGSIM_ENTER(cuMemRelease);
        pthread_mutex_lock(&fgsim_vmm_lock);
        struct fgsim_vmm *vmm = fgsim_vmm_get(handle);
        if (vmm) {
                vmm->refs--;
                fgsim_vmm_settle(vmm);
        }
        pthread_mutex_unlock(&fgsim_vmm_lock);
        return vmm ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemRetainAllocationHandle(CUmemGenericAllocationHandle *ret, void *address)
{
        FGSIM_ENTER(cuMemRetainAllocationHandle);
        uint64_t base, size;
        if (!ret || !address)
                return CUDA_ERROR_INVALID_VALUE;
        pthread_mutex_lock(&fgsim_vmm_lock);
        struct fgsim_vmm *vmm = fgsim_vmm_mapped((uint64_t)address, &base, &size);
        if (vmm) {
                vmm->refs++;
                *ret = (CUmemGenericAllocationHandle)vmm;
        }
        pthread_mutex_unlock(&fgsim_vmm_lock);
        return vmm ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemGetAllocationPropertiesFromHandle(CUmemAllocationProp *prop, CUmemGenericAllocationHandle handle)
{
        FGSIM_ENTER(cuMemGetAllocationPropertiesFromHandle);
        if (!prop)
                return CUDA_ERROR_INVALID_VALUE;
        pthread_mutex_lock(&fgsim_vmm_lock);
        struct fgsim_vmm *vmm = fgsim_vmm_get(handle);
        if (vmm)
                *prop = vmm->prop;
        pthread_mutex_unlock(&fgsim_vmm_lock);
        return vmm ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* ---- other processes ---- */
CUresult cuMemExportToShareableHandle(void *ret, CUmemGenericAllocationHandle handle, CUmemAllocationHandleType type,
                                      unsigned long long flags)
{
        FGSIM_ENTER(cuMemExportToShareableHandle);
        if (!ret || flags || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
                return CUDA_ERROR_INVALID_VALUE;
        CUresult result = CUDA_ERROR_INVALID_VALUE;
        pthread_mutex_lock(&fgsim_vmm_lock);
        struct fgsim_vmm *vmm = fgsim_vmm_get(handle);
        if (vmm && vmm->owns_fd) {
                int fd = fcntl(vmm->fd, F_DUPFD_CLOEXEC, 0);
                result = fd < 0 ? CUDA_ERROR_OPERATING_SYSTEM : CUDA_SUCCESS;
                if (fd >= 0)
                        *(int *)ret = fd;
        }
        pthread_mutex_unlock(&fgsim_vmm_lock);
        return result;
}

/* The handle is the descriptor itself, cast to a pointer. The program keeps it. */
CUresult cuMemImportFromShareableHandle(CUmemGenericAllocationHandle *ret, void *handle, CUmemAllocationHandleType type)
{
        FGSIM_ENTER(cuMemImportFromShareableHandle);
        struct fgsim_card card;
        if (!ret || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
                return CUDA_ERROR_INVALID_VALUE;
        if (!fgsim_card_of_file((int)(intptr_t)handle, FGSIM_CARD_VMM, &card))
                return CUDA_ERROR_INVALID_VALUE;
        int fd = fcntl((int)(intptr_t)handle, F_DUPFD_CLOEXEC, 0);
        struct fgsim_vmm *vmm = fd < 0 ? NULL : fgsim_object_new(FGSIM_VMM, sizeof *vmm);
        if (!vmm) {
                if (fd >= 0)
                        close(fd);
                return CUDA_ERROR_OUT_OF_MEMORY;
        }
        vmm->prop.type = CU_MEM_ALLOCATION_TYPE_PINNED;
        vmm->prop.location.type = (CUmemLocationType)card.location_type;
        vmm->prop.location.id =
                card.location_type == CU_MEM_LOCATION_TYPE_DEVICE ? fgsim_ordinal_of(card.gpu) : card.location_id;
        vmm->prop.requestedHandleTypes = (CUmemAllocationHandleType)card.handle_types;
        vmm->bytes = card.bytes;
        vmm->gpu = card.gpu;
        vmm->is_device = card.location_type == CU_MEM_LOCATION_TYPE_DEVICE;
        vmm->fd = fd;
        vmm->owns_fd = true;
        fg_store_release(&vmm->refs, 1);
        *ret = (CUmemGenericAllocationHandle)vmm;
        return CUDA_SUCCESS;
}

/* ---- for pointer attributes ---- */
uint32_t fgsim_vmm_gpu(const struct fgsim_vmm *vmm, bool *ret_is_device)
{
        *ret_is_device = vmm->is_device;
        return vmm->gpu;
}

uint64_t fgsim_vmm_handle_types(const struct fgsim_vmm *vmm)
{
        return (uint64_t)vmm->prop.requestedHandleTypes;
}
