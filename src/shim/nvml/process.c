/* SPDX-License-Identifier: Apache-2.0
 * Processes: those that hold memory of this vGPU, as the daemon names them and the ledger counts them. */
#include "base/atomic.h"
#include "shim/nvml/device.h"
#include "shim/nvml/hook.h"

#include <string.h>

#define NOT_AVAILABLE 0xffffffffu /* instance of an undivided device */

/* The entry of `pid`, who may hold more than one slot. */
static struct fgn_process *process_entry(struct fgn_process *list, unsigned *count, uint32_t pid)
{
        for (unsigned i = 0; i < *count; i++)
                if (list[i].pid == pid)
                        return &list[i];
        list[*count] = (struct fgn_process){.pid = pid};
        return &list[(*count)++];
}

/* By the ledger; a process that has only what the driver took for itself is there all the same. */
static uint64_t process_bytes(const struct fgn_vgpu *vgpu, unsigned slot)
{
        uint64_t held = fg_ledger_slot_held(vgpu->session->ledger.usage, slot),
                 quota = fg_ledger_quota(&vgpu->session->ledger);

        if (!held)
                held = fg_load_relaxed(&fgn_limits(vgpu)->owner[slot].driver_used);
        return held < quota ? held : quota;
}

unsigned fgn_processes(const struct fgn_vgpu *vgpu, struct fgn_process *ret)
{
        const struct fg_limits_page *limits = fgn_limits(vgpu);
        unsigned count = 0;

        for (unsigned slot = 0; slot < FG_SLOTS; slot++) {
                const struct fg_slot_owner *owner = &limits->owner[slot];
                uint32_t pid = fg_load_acquire(&owner->pid), here;
                uint64_t bytes = pid ? process_bytes(vgpu, slot) : 0;

                if (!bytes)
                        continue;
                here = fgn_pid_here(pid, fg_load_relaxed(&owner->start_time), limits);
                if (here && fg_load_acquire(&owner->pid) == pid) {
                        struct fgn_process *process = process_entry(ret, &count, here);
                        process->bytes += bytes;
                        process->slots[slot / 64] |= 1ull << slot % 64;
                }
        }
        return count;
}

/* `count` is the array's length and becomes the list's. */
static nvmlReturn_t process_list(const struct fgn_vgpu *vgpu, unsigned *count, void *infos, size_t size)
{
        struct fgn_process found[FG_SLOTS];
        unsigned room, n;

        if (!count || (*count && !infos))
                return NVML_ERROR_INVALID_ARGUMENT;
        room = *count;
        *count = n = fgn_processes(vgpu, found);
        if (n > room)
                return NVML_ERROR_INSUFFICIENT_SIZE;
        for (unsigned i = 0; i < n; i++) {
                nvmlProcessInfo_v2_t info = {.pid = found[i].pid,
                                             .usedGpuMemory = found[i].bytes,
                                             .gpuInstanceId = NOT_AVAILABLE,
                                             .computeInstanceId = NOT_AVAILABLE};
                memcpy((char *)infos + i * size, &info, size);
        }
        return NVML_SUCCESS;
}

_Static_assert(offsetof(nvmlProcessInfo_v2_t, gpuInstanceId) == sizeof(nvmlProcessInfo_v1_t), "v1 is the head of v2");

static nvmlReturn_t process_none(unsigned *count)
{
        if (!count)
                return NVML_ERROR_INVALID_ARGUMENT;
        *count = 0;
        return NVML_SUCCESS;
}

#define COMPUTE(name, type)                                                                                            \
        nvmlReturn_t fgn_##name(nvmlDevice_t device, unsigned *count, type *infos)                                     \
        {                                                                                                              \
                FGN_PASS(name, device, count, infos);                                                                  \
                FGN_VGPU(vgpu, device);                                                                                \
                return process_list(vgpu, count, infos, sizeof(*infos));                                               \
        }
/* A vGPU computes: what draws or comes through a server of its own is in the same list. */
#define NONE(name, type)                                                                                               \
        nvmlReturn_t fgn_##name(nvmlDevice_t device, unsigned *count, type *infos)                                     \
        {                                                                                                              \
                FGN_PASS(name, device, count, infos);                                                                  \
                FGN_VGPU(vgpu, device);                                                                                \
                return process_none(count);                                                                            \
        }

COMPUTE(nvmlDeviceGetComputeRunningProcesses, nvmlProcessInfo_v1_t)
COMPUTE(nvmlDeviceGetComputeRunningProcesses_v2, nvmlProcessInfo_v2_t)
COMPUTE(nvmlDeviceGetComputeRunningProcesses_v3, nvmlProcessInfo_t)
NONE(nvmlDeviceGetGraphicsRunningProcesses, nvmlProcessInfo_v1_t)
NONE(nvmlDeviceGetGraphicsRunningProcesses_v2, nvmlProcessInfo_v2_t)
NONE(nvmlDeviceGetGraphicsRunningProcesses_v3, nvmlProcessInfo_t)
NONE(nvmlDeviceGetMPSComputeRunningProcesses, nvmlProcessInfo_v1_t)
NONE(nvmlDeviceGetMPSComputeRunningProcesses_v2, nvmlProcessInfo_v2_t)
NONE(nvmlDeviceGetMPSComputeRunningProcesses_v3, nvmlProcessInfo_t)

nvmlReturn_t fgn_nvmlDeviceGetRunningProcessDetailList(nvmlDevice_t device, nvmlProcessDetailList_t *list)
{
        struct fgn_process found[FG_SLOTS];
        unsigned room, n;

        FGN_PASS(nvmlDeviceGetRunningProcessDetailList, device, list);
        FGN_VGPU(vgpu, device);
        if (!list || list->mode > 2 || (list->numProcArrayEntries && !list->procArray))
                return NVML_ERROR_INVALID_ARGUMENT;
        if (list->version != nvmlProcessDetailList_v1)
                return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
        room = list->numProcArrayEntries;
        list->numProcArrayEntries = n = list->mode == 0 ? fgn_processes(vgpu, found) : 0;
        if (n > room)
                return NVML_ERROR_INSUFFICIENT_SIZE;
        for (unsigned i = 0; i < n; i++)
                list->procArray[i] = (nvmlProcessDetail_v1_t){.pid = found[i].pid,
                                                              .usedGpuMemory = found[i].bytes,
                                                              .gpuInstanceId = NOT_AVAILABLE,
                                                              .computeInstanceId = NOT_AVAILABLE,
                                                              .usedGpuCcProtectedMemory =
                                                                      (unsigned long long)NVML_VALUE_NOT_AVAILABLE};
        return NVML_SUCCESS;
}
