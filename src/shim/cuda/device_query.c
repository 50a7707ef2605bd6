/* SPDX-License-Identifier: Apache-2.0
 * What the program asks about its devices, as far as the answer is the vGPU's and not the driver's. */
#include "shim/cuda/context.h"
#include "shim/cuda/hook.h"
#include "shim/cuda/overhead.h"
#include "shim/cuda/translate.h"

#include <limits.h>
#include <string.h>

/* The refusal of a call that needs a device and has none: before cuInit, and after it. */
static CUresult no_such_device(void)
{
        return fgc_vgpu_count ? CUDA_ERROR_INVALID_DEVICE : CUDA_ERROR_NOT_INITIALIZED;
}

CUresult fgc_cuDeviceGetCount(int *count)
{
        FGC_PASS(cuDeviceGetCount, count);
        if (!fgc_vgpu_count)
                return CUDA_ERROR_NOT_INITIALIZED;
        if (!count)
                return CUDA_ERROR_INVALID_VALUE;
        *count = (int)fgc_vgpu_count;
        return CUDA_SUCCESS;
}

CUresult fgc_cuDeviceGet(CUdevice *device, int ordinal)
{
        FGC_PASS(cuDeviceGet, device, ordinal);
        if (!fgc_vgpu_count)
                return CUDA_ERROR_NOT_INITIALIZED;
        if (!device)
                return CUDA_ERROR_INVALID_VALUE;
        if (!fgc_vgpu_of_ordinal(ordinal))
                return CUDA_ERROR_INVALID_DEVICE;
        *device = ordinal;
        return CUDA_SUCCESS;
}

static CUresult get_uuid(CUuuid *uuid, CUdevice dev)
{
        struct fgc_vgpu *vgpu = fgc_vgpu_of_ordinal(dev);
        if (!vgpu)
                return no_such_device();
        if (!uuid)
                return CUDA_ERROR_INVALID_VALUE;
        memcpy(uuid->bytes, vgpu->ledger->limits->uuid, sizeof uuid->bytes);
        return CUDA_SUCCESS;
}

CUresult fgc_cuDeviceGetUuid(CUuuid *uuid, CUdevice dev)
{
        FGC_PASS(cuDeviceGetUuid, uuid, dev);
        return get_uuid(uuid, dev);
}

CUresult fgc_cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice dev)
{
        FGC_PASS(cuDeviceGetUuid_v2, uuid, dev);
        return get_uuid(uuid, dev);
}

CUresult fgc_cuDeviceTotalMem_v2(size_t *bytes, CUdevice dev)
{
        FGC_PASS(cuDeviceTotalMem_v2, bytes, dev);
        struct fgc_vgpu *vgpu = fgc_vgpu_of_ordinal(dev);
        if (!vgpu || !bytes) /* the driver knows its own refusal */
                return FGC_REAL(cuDeviceTotalMem_v2, bytes, fgc_device_in(dev));
        *bytes = fg_ledger_quota(vgpu->ledger);
        return CUDA_SUCCESS;
}

static unsigned clamp(uint64_t bytes)
{
        return bytes < UINT_MAX ? (unsigned)bytes : UINT_MAX;
}

/* Of the time when sizes were 32 bits. */
CUresult fgc_cuDeviceTotalMem(unsigned int *bytes, CUdevice dev)
{
        FGC_PASS(cuDeviceTotalMem, bytes, dev);
        struct fgc_vgpu *vgpu = fgc_vgpu_of_ordinal(dev);
        if (!vgpu || !bytes)
                return FGC_REAL(cuDeviceTotalMem, bytes, fgc_device_in(dev));
        *bytes = clamp(fg_ledger_quota(vgpu->ledger));
        return CUDA_SUCCESS;
}

/* The quota is read once: it may change, and free + used must not exceed what is said to be the total. */
static void memory_info(struct fgc_vgpu *vgpu, uint64_t *ret_free, uint64_t *ret_total)
{
        fgc_overhead_look(vgpu);
        uint64_t quota = fg_ledger_quota(vgpu->ledger), used = fg_ledger_used(vgpu->ledger);
        *ret_free = used < quota ? quota - used : 0;
        *ret_total = quota;
}

/* Asks the driver only where it is not certain that this thread has a living context: then for its refusal. */
CUresult fgc_cuMemGetInfo_v2(size_t *free, size_t *total)
{
        uint64_t f, t;
        FGC_PASS(cuMemGetInfo_v2, free, total);
        if (__builtin_expect(!fgc_current_known(), 0)) {
                CUresult r = FGC_REAL(cuMemGetInfo_v2, free, total);
                if (r || !fgc_vgpu_current_ask())
                        return r;
        }
        memory_info(fgc_current.vgpu, &f, &t);
        if (free)
                *free = f;
        if (total)
                *total = t;
        return CUDA_SUCCESS;
}

CUresult fgc_cuMemGetInfo(unsigned int *free, unsigned int *total)
{
        uint64_t f, t;
        FGC_PASS(cuMemGetInfo, free, total);
        if (!fgc_current_known()) {
                CUresult r = FGC_REAL(cuMemGetInfo, free, total);
                if (r || !fgc_vgpu_current_ask())
                        return r;
        }
        memory_info(fgc_current.vgpu, &f, &t);
        if (free)
                *free = clamp(f);
        if (total)
                *total = clamp(t);
        return CUDA_SUCCESS;
}

/* Several vGPUs on that bus address: the first. */
CUresult fgc_cuDeviceGetByPCIBusId(CUdevice *dev, const char *id)
{
        FGC_PASS(cuDeviceGetByPCIBusId, dev, id);
        CUdevice real;
        CUresult r = FGC_REAL(cuDeviceGetByPCIBusId, dev ? &real : NULL, id);
        if (r || !dev)
                return r;
        struct fgc_vgpu *vgpu = fgc_vgpu_of_real(real);
        if (!vgpu)
                return CUDA_ERROR_INVALID_DEVICE;
        *dev = (CUdevice)vgpu->ordinal;
        return CUDA_SUCCESS;
}

CUresult fgc_cuCtxGetDevice(CUdevice *device)
{
        FGC_PASS(cuCtxGetDevice, device);
        if (device && fgc_current_known()) {
                *device = (CUdevice)fgc_current.vgpu->ordinal;
                return CUDA_SUCCESS;
        }
        CUdevice real;
        CUresult r = FGC_REAL(cuCtxGetDevice, device ? &real : NULL);
        if (!r && device)
                *device = fgc_device_out(real, fgc_vgpu_current_ask());
        return r;
}

CUresult fgc_cuCtxGetDevice_v2(CUdevice *device, CUcontext context)
{
        FGC_PASS(cuCtxGetDevice_v2, device, context);
        CUdevice real;
        CUresult r = FGC_REAL(cuCtxGetDevice_v2, device ? &real : NULL, context);
        if (!r && device)
                *device = fgc_device_out(real, context ? fgc_vgpu_of_context(context) : fgc_vgpu_current());
        return r;
}

#define STREAM_GET_DEVICE(name) \
        CUresult fgc_##name(CUstream stream, CUdevice *device) \
        { \
                FGC_PASS(name, stream, device); \
                CUdevice real; \
                CUresult r = FGC_REAL(name, stream, device ? &real : NULL); \
                if (!r && device) \
                        *device = fgc_device_out(real, fgc_vgpu_of_stream(stream)); \
                return r; \
        }

STREAM_GET_DEVICE(cuStreamGetDevice)
STREAM_GET_DEVICE(cuStreamGetDevice_ptsz)
