/* SPDX-License-Identifier: Apache-2.0
 *
 * Peer access between devices. Two vGPUs on one physical device are no peers: the driver knows no peer access from a device to
 * itself and refuses cuCtxEnablePeerAccess() between its contexts, so a program must not be told that it may try. Copies between
 * them (cuMemcpyPeer and kin, cuMemcpy under unified addressing) work, which is what programs do between devices that are
 * no peers. */
#include "shim/cuda/hook.h"
#include "shim/cuda/translate.h"

#include <string.h>

/* Different vGPUs, same physical device. */
static bool same_below(CUdevice a, CUdevice b)
{
        struct fgc_vgpu *x = fgc_vgpu_of_ordinal(a), *y = fgc_vgpu_of_ordinal(b);
        return !fgc_devices_same && x && y && x != y && x->real == y->real;
}

CUresult fgc_cuDeviceCanAccessPeer(int *can, CUdevice dev, CUdevice peer)
{
        FGC_PASS(cuDeviceCanAccessPeer, can, dev, peer);
        if (!can || !same_below(dev, peer))
                return FGC_REAL(cuDeviceCanAccessPeer, can, fgc_device_in(dev), fgc_device_in(peer));
        *can = 0;
        return CUDA_SUCCESS;
}

/* All of them are about the way from one to the other: there is none. */
CUresult fgc_cuDeviceGetP2PAttribute(int *value, CUdevice_P2PAttribute attribute, CUdevice from, CUdevice to)
{
        FGC_PASS(cuDeviceGetP2PAttribute, value, attribute, from, to);
        if (!value || !same_below(from, to))
                return FGC_REAL(cuDeviceGetP2PAttribute, value, attribute, fgc_device_in(from), fgc_device_in(to));
        if ((int)attribute < CU_DEVICE_P2P_ATTRIBUTE_PERFORMANCE_RANK)
                return CUDA_ERROR_INVALID_VALUE;
        *value = 0;
        return CUDA_SUCCESS;
}

CUresult fgc_cuDeviceGetP2PAtomicCapabilities(unsigned int *capabilities, const CUatomicOperation *operations,
                                              unsigned int count, CUdevice from, CUdevice to)
{
        FGC_PASS(cuDeviceGetP2PAtomicCapabilities, capabilities, operations, count, from, to);
        if (!capabilities || !operations || !count || !same_below(from, to))
                return FGC_REAL(cuDeviceGetP2PAtomicCapabilities, capabilities, operations, count, fgc_device_in(from),
                                fgc_device_in(to));
        memset(capabilities, 0, count * sizeof *capabilities);
        return CUDA_SUCCESS;
}
