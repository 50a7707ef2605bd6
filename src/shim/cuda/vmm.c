/* SPDX-License-Identifier: Apache-2.0
 *
 * Physical memory made, shared and let go of. Charged by where it is to be: a device's to that device's vGPU, whichever
 * is current; the host's to nobody. */
#include "shim/cuda/vmm.h"

#include "shim/cuda/hook.h"
#include "shim/cuda/memory.h"
#include "shim/cuda/translate.h"

#include <errno.h>
#include <string.h>

/* Who pays for memory at what the program calls `location`; NULL: nobody. */
static struct fgc_vgpu *payer(CUmemLocation location)
{
        if (location.type == CU_MEM_LOCATION_TYPE_DEVICE)
                return fgc_vgpu_of_ordinal(location.id);
        return location.type == CU_MEM_LOCATION_TYPE_DEVICE_LOCALITY_DOMAIN
                       ? fgc_vgpu_of_ordinal(location.localized.deviceId)
                       : NULL;
}

static CUresult commit(CUmemGenericAllocationHandle handle, struct fgc_vgpu *vgpu, uint64_t bytes)
{
        if (fgc_physical_add(handle, vgpu, bytes, false) == 0)
                return CUDA_SUCCESS;
        FGC_REAL(cuMemRelease, handle);
        fg_ledger_refund(vgpu->ledger, bytes);
        return CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult fgc_cuMemCreate(CUmemGenericAllocationHandle *handle, size_t bytes, const CUmemAllocationProp *properties,
                         unsigned long long flags)
{
        CUmemAllocationProp real;
        struct fgc_vgpu *vgpu;
        CUresult r;

        FGC_PASS(cuMemCreate, handle, bytes, properties, flags);
        if (!properties)
                return FGC_REAL(cuMemCreate, handle, bytes, properties, flags);
        real = *properties;
        real.location = fgc_location_in(real.location);
        vgpu = payer(properties->location);
        r = vgpu ? fgc_reserve(vgpu, bytes) : CUDA_SUCCESS;
        if (r != CUDA_SUCCESS)
                return r;
        r = FGC_REAL(cuMemCreate, handle, bytes, &real, flags);
        if (r != CUDA_SUCCESS && vgpu)
                fg_ledger_refund(vgpu->ledger, bytes);
        return r == CUDA_SUCCESS && vgpu ? commit(*handle, vgpu, bytes) : r;
}

CUresult fgc_cuMemRelease(CUmemGenericAllocationHandle handle)
{
        struct fgc_physical *physical;
        CUresult r;

        FGC_PASS(cuMemRelease, handle);
        physical = fgc_physical_release(handle);
        r = FGC_REAL(cuMemRelease, handle);
        if (physical && r != CUDA_SUCCESS)
                fgc_physical_again(handle, physical);
        if (physical)
                fgc_physical_drop(physical);
        return r;
}

CUresult fgc_cuMemRetainAllocationHandle(CUmemGenericAllocationHandle *handle, void *address)
{
        struct fgc_physical *physical;
        CUresult r;

        FGC_PASS(cuMemRetainAllocationHandle, handle, address);
        physical = fgc_physical_hold_at((uintptr_t)address);
        r = FGC_REAL(cuMemRetainAllocationHandle, handle, address);
        if (!physical)
                return r;
        if (r == CUDA_SUCCESS && fgc_physical_again(*handle, physical) < 0) {
                FGC_REAL(cuMemRelease, *handle);
                r = CUDA_ERROR_OUT_OF_MEMORY;
        }
        fgc_physical_drop(physical);
        return r;
}

/* --- sharing --- */

/* What a share is known by: a file descriptor's number, or the bytes of a fabric handle. False: neither. */
static bool share_key(uint8_t key[FGC_SHARE_KEY], CUmemAllocationHandleType type, const void *shared, int fd)
{
        memset(key, 0, FGC_SHARE_KEY);
        if (type == CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
                memcpy(key, &fd, sizeof(fd));
        else if (type == CU_MEM_HANDLE_TYPE_FABRIC && shared)
                memcpy(key, shared, FGC_SHARE_KEY);
        else
                return false;
        return true;
}

CUresult fgc_cuMemExportToShareableHandle(void *shared, CUmemGenericAllocationHandle handle,
                                          CUmemAllocationHandleType type, unsigned long long flags)
{
        struct fgc_physical *physical;
        uint8_t key[FGC_SHARE_KEY];
        CUresult r;

        FGC_PASS(cuMemExportToShareableHandle, shared, handle, type, flags);
        r = FGC_REAL(cuMemExportToShareableHandle, shared, handle, type, flags);
        physical = r == CUDA_SUCCESS ? fgc_physical_hold(handle) : NULL;
        if (!physical)
                return r;
        if (share_key(key, type, shared, type == CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR ? *(int *)shared : -1))
                fgc_physical_exported(physical, type, key);
        fgc_physical_drop(physical);
        return r;
}

/* Another process's memory: charged as it is mapped. Host memory is nobody's. */
static int adopt(CUmemGenericAllocationHandle handle)
{
        struct fgc_vgpu *vgpu = fgc_vgpu_current();
        CUmemAllocationProp properties;

        if (FGC_REAL(cuMemGetAllocationPropertiesFromHandle, &properties, handle) == CUDA_SUCCESS) {
                if (properties.location.type != CU_MEM_LOCATION_TYPE_DEVICE)
                        return 0;
                if (!vgpu || vgpu->real != properties.location.id)
                        vgpu = fgc_vgpu_of_real(properties.location.id);
        }
        return vgpu ? fgc_physical_add(handle, vgpu, 0, true) : 0;
}

CUresult fgc_cuMemImportFromShareableHandle(CUmemGenericAllocationHandle *handle, void *shared,
                                            CUmemAllocationHandleType type)
{
        struct fgc_physical *own = NULL;
        uint8_t key[FGC_SHARE_KEY];
        CUresult r;
        int error;

        FGC_PASS(cuMemImportFromShareableHandle, handle, shared, type);
        if (share_key(key, type, shared, (int)(intptr_t)shared))
                own = fgc_physical_hold_exported(type, key);
        r = FGC_REAL(cuMemImportFromShareableHandle, handle, shared, type);
        error = r != CUDA_SUCCESS ? 0 : own ? fgc_physical_again(*handle, own) : adopt(*handle);
        if (error < 0) {
                FGC_REAL(cuMemRelease, *handle);
                r = CUDA_ERROR_OUT_OF_MEMORY;
        }
        if (own)
                fgc_physical_drop(own);
        return r;
}
