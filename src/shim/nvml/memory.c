/* SPDX-License-Identifier: Apache-2.0
 * Memory: the ledger's figures. Whether the device is still there is the vendor's to say. */
#include "base/atomic.h"
#include "shim/nvml/device.h"
#include "shim/nvml/hook.h"

static uint64_t memory_used(const struct fgn_vgpu *vgpu, uint64_t quota)
{
        uint64_t used = fg_ledger_used(&vgpu->session->ledger);

        return used < quota ? used : quota; /* the tenant can write the one, not the other */
}

/* Devices whose memory is the host's have no figures of their own, their vGPUs have. */
static nvmlReturn_t memory_state(nvmlReturn_t r)
{
        return r == NVML_ERROR_NOT_SUPPORTED ? NVML_SUCCESS : r;
}

nvmlReturn_t fgn_nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory)
{
        nvmlMemory_t physical;
        nvmlReturn_t r;

        FGN_PASS(nvmlDeviceGetMemoryInfo, device, memory);
        FGN_VGPU(vgpu, device);
        if (!memory)
                return NVML_ERROR_INVALID_ARGUMENT;
        r = memory_state(FGN_REAL(nvmlDeviceGetMemoryInfo, fg_load_acquire(&vgpu->real), &physical));
        if (r == NVML_SUCCESS) {
                memory->total = fg_ledger_quota(&vgpu->session->ledger);
                memory->used = memory_used(vgpu, memory->total);
                memory->free = memory->total - memory->used;
        }
        return r;
}

nvmlReturn_t fgn_nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t *memory)
{
        nvmlMemory_v2_t physical = {.version = nvmlMemory_v2};
        nvmlReturn_t r;

        FGN_PASS(nvmlDeviceGetMemoryInfo_v2, device, memory);
        FGN_VGPU(vgpu, device);
        if (!memory)
                return NVML_ERROR_INVALID_ARGUMENT;
        if (memory->version != nvmlMemory_v2)
                return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
        r = memory_state(FGN_REAL(nvmlDeviceGetMemoryInfo_v2, fg_load_acquire(&vgpu->real), &physical));
        if (r == NVML_SUCCESS) {
                memory->total = fg_ledger_quota(&vgpu->session->ledger);
                memory->used = memory_used(vgpu, memory->total);
                memory->free = memory->total - memory->used;
                memory->reserved = 0;
        }
        return r;
}
