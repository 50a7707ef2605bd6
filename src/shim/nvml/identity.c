/* SPDX-License-Identifier: Apache-2.0
 * What a vGPU is: an undivided device with a number, a UUID and memory of its own. Its name, its bus address and its
 * board are the physical device's. */
#include "base/atomic.h"
#include "shim/nvml/device.h"
#include "shim/nvml/hook.h"

#include <string.h>

nvmlReturn_t fgn_nvmlDeviceGetIndex(nvmlDevice_t device, unsigned *index)
{
        FGN_PASS(nvmlDeviceGetIndex, device, index);
        FGN_VGPU(vgpu, device);
        if (!index)
                return NVML_ERROR_INVALID_ARGUMENT;
        *index = vgpu->index;
        return NVML_SUCCESS;
}

nvmlReturn_t fgn_nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, unsigned length)
{
        FGN_PASS(nvmlDeviceGetUUID, device, uuid, length);
        FGN_VGPU(vgpu, device);
        if (!uuid)
                return NVML_ERROR_INVALID_ARGUMENT;
        if (length < sizeof(vgpu->uuid))
                return NVML_ERROR_INSUFFICIENT_SIZE;
        memcpy(uuid, vgpu->uuid, sizeof(vgpu->uuid));
        return NVML_SUCCESS;
}

nvmlReturn_t fgn_nvmlDeviceGetMigMode(nvmlDevice_t device, unsigned *current, unsigned *pending)
{
        FGN_PASS(nvmlDeviceGetMigMode, device, current, pending);
        FGN_VGPU(vgpu, device);
        if (!current || !pending)
                return NVML_ERROR_INVALID_ARGUMENT;
        *current = *pending = NVML_DEVICE_MIG_DISABLE;
        return NVML_SUCCESS;
}

nvmlReturn_t fgn_nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t device, unsigned *count)
{
        FGN_PASS(nvmlDeviceGetMaxMigDeviceCount, device, count);
        FGN_VGPU(vgpu, device);
        if (!count)
                return NVML_ERROR_INVALID_ARGUMENT;
        *count = 0;
        return NVML_SUCCESS;
}

nvmlReturn_t fgn_nvmlDeviceIsMigDeviceHandle(nvmlDevice_t device, unsigned *is_mig)
{
        FGN_PASS(nvmlDeviceIsMigDeviceHandle, device, is_mig);
        FGN_VGPU(vgpu, device);
        if (!is_mig)
                return NVML_ERROR_INVALID_ARGUMENT;
        *is_mig = 0;
        return NVML_SUCCESS;
}

/* Where the device below is a part of a divided one, it has as much memory as the vGPU. */
static nvmlReturn_t identity_attributes(nvmlReturn_t r, const struct fgn_vgpu *vgpu, nvmlDeviceAttributes_t *attributes)
{
        if (r == NVML_SUCCESS)
                attributes->memorySizeMB = fg_ledger_quota(&vgpu->session->ledger) >> 20;
        return r;
}

nvmlReturn_t fgn_nvmlDeviceGetAttributes(nvmlDevice_t device, nvmlDeviceAttributes_t *attributes)
{
        FGN_PASS(nvmlDeviceGetAttributes, device, attributes);
        FGN_VGPU(vgpu, device);
        return identity_attributes(FGN_REAL(nvmlDeviceGetAttributes, fg_load_acquire(&vgpu->real), attributes), vgpu,
                                   attributes);
}

nvmlReturn_t fgn_nvmlDeviceGetAttributes_v2(nvmlDevice_t device, nvmlDeviceAttributes_t *attributes)
{
        FGN_PASS(nvmlDeviceGetAttributes_v2, device, attributes);
        FGN_VGPU(vgpu, device);
        return identity_attributes(FGN_REAL(nvmlDeviceGetAttributes_v2, fg_load_acquire(&vgpu->real), attributes), vgpu,
                                   attributes);
}

/* What an administrator set aside is not ours to show. */
nvmlReturn_t fgn_nvmlGetExcludedDeviceCount(unsigned *count)
{
        if (fgn_inside)
                return fgn_real.nvmlGetExcludedDeviceCount(count);
        if (!count)
                return NVML_ERROR_INVALID_ARGUMENT;
        *count = 0;
        return NVML_SUCCESS;
}
