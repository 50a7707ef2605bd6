/* SPDX-License-Identifier: Apache-2.0
 * Devices: count, names, identities, memory, peers. */
#include "sim/internal.h"

#include <stdio.h>
#include <string.h>

CUresult cuDeviceGetCount(int *count)
{
        FGSIM_ENTER_FREE(cuDeviceGetCount);
        if (!count)
                return CUDA_ERROR_INVALID_VALUE;
        uint32_t gpu;
        for (*count = 0; fgsim_gpu_of(*count, &gpu); ++*count)
                ;
        return CUDA_SUCCESS;
}

CUresult cuDeviceGet(CUdevice *device, int ordinal)
{
        FGSIM_ENTER_FREE(cuDeviceGet);
        uint32_t gpu;
        if (!device)
                return CUDA_ERROR_INVALID_VALUE;
        if (!fgsim_gpu_of(ordinal, &gpu))
                return CUDA_ERROR_INVALID_DEVICE;
        *device = ordinal;
        return CUDA_SUCCESS;
}

CUresult cuDeviceGetName(char *name, int len, CUdevice device)
{
        FGSIM_ENTER_FREE(cuDeviceGetName);
        uint32_t gpu;
        if (!name || len <= 0)
                return CUDA_ERROR_INVALID_VALUE;
        if (!fgsim_gpu_of(device, &gpu))
                return CUDA_ERROR_INVALID_DEVICE;
        snprintf(name, (size_t)len, "%s", fgsim_spec.gpu[gpu].model);
        return CUDA_SUCCESS;
}

/* The 16 bytes of "GPU-xxxxxxxx-…", whose digits the parser has checked. */
static void uuid_bytes(const char *text, CUuuid *ret)
{
        size_t n = 0;
        for (text += 4; *text && n < sizeof ret->bytes; text++) {
                unsigned byte;
                if (*text == '-' || sscanf(text, "%2x", &byte) != 1)
                        continue;
                ret->bytes[n++] = (char)byte;
                text++;
        }
}

static CUresult get_uuid(CUuuid *uuid, CUdevice device)
{
        uint32_t gpu;
        if (!uuid)
                return CUDA_ERROR_INVALID_VALUE;
        if (!fgsim_gpu_of(device, &gpu))
                return CUDA_ERROR_INVALID_DEVICE;
        uuid_bytes(fgsim_spec.gpu[gpu].uuid, uuid);
        return CUDA_SUCCESS;
}

CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice device)
{
        FGSIM_ENTER_FREE(cuDeviceGetUuid);
        return get_uuid(uuid, device);
}

CUresult cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice device)
{
        FGSIM_ENTER_FREE(cuDeviceGetUuid_v2);
        return get_uuid(uuid, device);
}

CUresult cuDeviceGetLuid(char *luid, unsigned int *mask, CUdevice device)
{
        FGSIM_ENTER_FREE(cuDeviceGetLuid);
        return CUDA_ERROR_NOT_SUPPORTED;
}

CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device)
{
        FGSIM_ENTER_FREE(cuDeviceTotalMem_v2);
        uint32_t gpu;
        if (!bytes)
                return CUDA_ERROR_INVALID_VALUE;
        if (!fgsim_gpu_of(device, &gpu))
                return CUDA_ERROR_INVALID_DEVICE;
        *bytes = fgsim_spec.gpu[gpu].memory;
        return CUDA_SUCCESS;
}

CUresult cuDeviceTotalMem(unsigned int *bytes, CUdevice device)
{
        size_t all;
        CUresult result = bytes ? cuDeviceTotalMem_v2(&all, device) : CUDA_ERROR_INVALID_VALUE;
        if (result == CUDA_SUCCESS)
                *bytes = all < UINT32_MAX ? (unsigned)all : UINT32_MAX;
        return result;
}

CUresult cuDeviceComputeCapability(int *major, int *minor, CUdevice device)
{
        FGSIM_ENTER_FREE(cuDeviceComputeCapability);
        uint32_t gpu;
        if (!major || !minor)
                return CUDA_ERROR_INVALID_VALUE;
        if (!fgsim_gpu_of(device, &gpu))
                return CUDA_ERROR_INVALID_DEVICE;
        *major = (int)fgsim_spec.gpu[gpu].major;
        *minor = (int)fgsim_spec.gpu[gpu].minor;
        return CUDA_SUCCESS;
}

/* Bus addresses: 0000:01:00.0, 0000:02:00.0, … by position in the spec. */
CUresult cuDeviceGetPCIBusId(char *id, int len, CUdevice device)
{
        FGSIM_ENTER_FREE(cuDeviceGetPCIBusId);
        uint32_t gpu;
        if (!id || len < 13)
                return CUDA_ERROR_INVALID_VALUE;
        if (!fgsim_gpu_of(device, &gpu))
                return CUDA_ERROR_INVALID_DEVICE;
        snprintf(id, (size_t)len, "0000:%02X:00.0", gpu + 1);
        return CUDA_SUCCESS;
}

CUresult cuDeviceGetByPCIBusId(CUdevice *device, const char *id)
{
        FGSIM_ENTER_FREE(cuDeviceGetByPCIBusId);
        unsigned domain = 0, bus, slot;
        if (!device || !id)
                return CUDA_ERROR_INVALID_VALUE;
        if (sscanf(id, "%x:%x:%x", &domain, &bus, &slot) != 3 && sscanf(id, "%x:%x", &bus, &slot) != 2)
                return CUDA_ERROR_INVALID_VALUE;
        CUdevice found = domain == 0 && bus > 0 && slot == 0 ? fgsim_ordinal_of(bus - 1) : CU_DEVICE_INVALID;
        if (found < 0)
                return CUDA_ERROR_INVALID_DEVICE;
        *device = found;
        return CUDA_SUCCESS;
}

CUresult cuDeviceGetTexture1DLinearMaxWidth(size_t *elements, CUarray_format format, unsigned channels, CUdevice device)
{
        FGSIM_ENTER_FREE(cuDeviceGetTexture1DLinearMaxWidth);
        uint32_t gpu;
        if (!elements || channels == 0 || channels > 4)
                return CUDA_ERROR_INVALID_VALUE;
        if (!fgsim_gpu_of(device, &gpu))
                return CUDA_ERROR_INVALID_DEVICE;
        *elements = 1u << 28;
        return CUDA_SUCCESS;
}

CUresult cuDeviceGetExecAffinitySupport(int *supported, CUexecAffinityType type, CUdevice device)
{
        FGSIM_ENTER_FREE(cuDeviceGetExecAffinitySupport);
        uint32_t gpu;
        if (!supported)
                return CUDA_ERROR_INVALID_VALUE;
        if (!fgsim_gpu_of(device, &gpu))
                return CUDA_ERROR_INVALID_DEVICE;
        *supported = 0;
        return CUDA_SUCCESS;
}

/* ---- peers: every GPU reaches every other ---- */
CUresult cuDeviceCanAccessPeer(int *can, CUdevice device, CUdevice peer)
{
        FGSIM_ENTER_FREE(cuDeviceCanAccessPeer);
        uint32_t a, b;
        if (!can)
                return CUDA_ERROR_INVALID_VALUE;
        if (!fgsim_gpu_of(device, &a) || !fgsim_gpu_of(peer, &b))
                return CUDA_ERROR_INVALID_DEVICE;
        *can = a != b;
        return CUDA_SUCCESS;
}

CUresult cuDeviceGetP2PAttribute(int *value, CUdevice_P2PAttribute attribute, CUdevice device, CUdevice peer)
{
        FGSIM_ENTER_FREE(cuDeviceGetP2PAttribute);
        uint32_t a, b;
        if (!value)
                return CUDA_ERROR_INVALID_VALUE;
        if (!fgsim_gpu_of(device, &a) || !fgsim_gpu_of(peer, &b) || a == b)
                return CUDA_ERROR_INVALID_DEVICE;
        *value = attribute == CU_DEVICE_P2P_ATTRIBUTE_PERFORMANCE_RANK ? 0 : 1;
        return CUDA_SUCCESS;
}

CUresult cuCtxEnablePeerAccess(CUcontext peer, unsigned int flags)
{
        FGSIM_ENTER_CONTEXT(cuCtxEnablePeerAccess, ctx);
        struct fgsim_context *other = peer ? fgsim_context_get(peer) : NULL;
        if (flags)
                return CUDA_ERROR_INVALID_VALUE;
        if (!other)
                return CUDA_ERROR_INVALID_CONTEXT;
        if (other->gpu == ctx->gpu)
                return CUDA_ERROR_INVALID_DEVICE;
        if (__atomic_fetch_or(&ctx->peers, 1ull << other->gpu, __ATOMIC_ACQ_REL) >> other->gpu & 1)
                return CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED;
        return CUDA_SUCCESS;
}

CUresult cuCtxDisablePeerAccess(CUcontext peer)
{
        FGSIM_ENTER_CONTEXT(cuCtxDisablePeerAccess, ctx);
        struct fgsim_context *other = peer ? fgsim_context_get(peer) : NULL;
        if (!other)
                return CUDA_ERROR_INVALID_CONTEXT;
        if (!(__atomic_fetch_and(&ctx->peers, ~(1ull << other->gpu), __ATOMIC_ACQ_REL) >> other->gpu & 1))
                return CUDA_ERROR_PEER_ACCESS_NOT_ENABLED;
        return CUDA_SUCCESS;
}
