/* SPDX-License-Identifier: Apache-2.0
 * Answers with devices in them: the vendor's handles become vGPUs, and what no vGPU of ours is on is left out. */
#include "base/atomic.h"
#include "shim/nvml/device.h"
#include "shim/nvml/hook.h"

#include <string.h>

#define TOPOLOGY_MAX 256 /* devices of one machine */

/* The vGPUs on any of `n` physical devices. `count` 0: only says how many. */
static nvmlReturn_t topology_give(const nvmlDevice_t *real, unsigned n, unsigned *count, nvmlDevice_t *ret)
{
        unsigned found = 0;

        for (unsigned i = 0; i < fgn_vgpu_count; i++) {
                nvmlDevice_t handle;
                bool is_in = false;

                if (fgn_vgpu_handle(&fgn_vgpus[i], &handle) != NVML_SUCCESS)
                        continue;
                for (unsigned k = 0; k < n; k++)
                        is_in |= real[k] == fg_load_acquire(&fgn_vgpus[i].real);
                if (is_in && found < *count)
                        ret[found] = handle;
                found += is_in;
        }
        *count = *count == 0 || found < *count ? found : *count;
        return NVML_SUCCESS;
}

nvmlReturn_t fgn_nvmlSystemGetTopologyGpuSet(unsigned cpu, unsigned *count, nvmlDevice_t *devices)
{
        nvmlDevice_t real[TOPOLOGY_MAX];
        unsigned n = 0;
        nvmlReturn_t r;

        FGN_PASS(nvmlSystemGetTopologyGpuSet, cpu, count, devices);
        if (!count || (*count && !devices))
                return NVML_ERROR_INVALID_ARGUMENT;
        r = FGN_REAL(nvmlSystemGetTopologyGpuSet, cpu, &n, NULL);
        if (r == NVML_SUCCESS && n > 0 && n <= TOPOLOGY_MAX)
                r = FGN_REAL(nvmlSystemGetTopologyGpuSet, cpu, &n, real);
        return r == NVML_SUCCESS ? topology_give(real, n <= TOPOLOGY_MAX ? n : 0, count, devices) : r;
}

nvmlReturn_t fgn_nvmlDeviceGetTopologyNearestGpus(nvmlDevice_t device, nvmlGpuTopologyLevel_t level, unsigned *count,
                                                  nvmlDevice_t *devices)
{
        nvmlDevice_t real[TOPOLOGY_MAX], below;
        unsigned n = 0;
        nvmlReturn_t r;

        FGN_PASS(nvmlDeviceGetTopologyNearestGpus, device, level, count, devices);
        FGN_VGPU(vgpu, device);
        if (!count || (*count && !devices))
                return NVML_ERROR_INVALID_ARGUMENT;
        below = fg_load_acquire(&vgpu->real);
        r = FGN_REAL(nvmlDeviceGetTopologyNearestGpus, below, level, &n, NULL);
        if (r == NVML_SUCCESS && n > 0 && n <= TOPOLOGY_MAX)
                r = FGN_REAL(nvmlDeviceGetTopologyNearestGpus, below, level, &n, real);
        return r == NVML_SUCCESS ? topology_give(real, n <= TOPOLOGY_MAX ? n : 0, count, devices) : r;
}

/* Two vGPUs on one physical device are no peers, as for CUDA. */
nvmlReturn_t fgn_nvmlDeviceGetP2PStatus(nvmlDevice_t device, nvmlDevice_t peer, nvmlGpuP2PCapsIndex_t index,
                                        nvmlGpuP2PStatus_t *status)
{
        struct fgn_vgpu *one, *other;

        FGN_PASS(nvmlDeviceGetP2PStatus, device, peer, index, status);
        one = fgn_vgpu_of(device);
        other = fgn_vgpu_of(peer);
        if (!one || !other || !status)
                return NVML_ERROR_INVALID_ARGUMENT;
        if (one == other || fg_load_acquire(&one->real) != fg_load_acquire(&other->real))
                return FGN_REAL(nvmlDeviceGetP2PStatus, fg_load_acquire(&one->real), fg_load_acquire(&other->real),
                                index, status);
        *status = NVML_P2P_STATUS_NOT_SUPPORTED;
        return NVML_SUCCESS;
}

nvmlReturn_t fgn_nvmlDeviceRegisterEvents(nvmlDevice_t device, unsigned long long types, nvmlEventSet_t set)
{
        nvmlReturn_t r;

        FGN_PASS(nvmlDeviceRegisterEvents, device, types, set);
        FGN_VGPU(vgpu, device);
        r = FGN_REAL(nvmlDeviceRegisterEvents, fg_load_acquire(&vgpu->real), types, set);
        if (r == NVML_SUCCESS)
                fg_store_release(&vgpu->has_events, 1);
        return r;
}

/* The event's device as the program knows it: what happens to a physical device is told of the first vGPU on it whose
 * events were asked for. */
static nvmlReturn_t topology_event(nvmlReturn_t r, nvmlEventData_t *data)
{
        nvmlDevice_t real = r == NVML_SUCCESS ? data->device : NULL;

        for (unsigned i = 0; i < fgn_vgpu_count && real; i++)
                if (fg_load_acquire(&fgn_vgpus[i].real) == real && fg_load_acquire(&fgn_vgpus[i].has_events)) {
                        data->device = fgn_vgpus[i].is_first ? real : (nvmlDevice_t)&fgn_vgpus[i];
                        break;
                }
        return r;
}

nvmlReturn_t fgn_nvmlEventSetWait(nvmlEventSet_t set, nvmlEventData_t *data, unsigned timeout)
{
        FGN_PASS(nvmlEventSetWait, set, data, timeout);
        return topology_event(FGN_REAL(nvmlEventSetWait, set, data, timeout), data);
}

nvmlReturn_t fgn_nvmlEventSetWait_v2(nvmlEventSet_t set, nvmlEventData_t *data, unsigned timeout)
{
        FGN_PASS(nvmlEventSetWait_v2, set, data, timeout);
        return topology_event(FGN_REAL(nvmlEventSetWait_v2, set, data, timeout), data);
}
