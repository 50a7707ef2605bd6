/* SPDX-License-Identifier: Apache-2.0
 * Memory: what the spec gives is what programs can have, so nothing of it is reserved for the driver. */
#include "sim/nvml.h"

#include <string.h>

#define MI (1ull << 20)

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory)
{
        FGSIM_NVML_ENTER_DEVICE(device);
        if (!memory)
                return NVML_ERROR_INVALID_ARGUMENT;
        uint64_t total = fgsim_spec.gpu[gpu].memory, used = fgsim_gpu_used(gpu);
        *memory = (nvmlMemory_t){.total = total, .free = total - used, .used = used};
        return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t *memory)
{
        FGSIM_NVML_ENTER_DEVICE(device);
        if (!memory)
                return NVML_ERROR_INVALID_ARGUMENT;
        if (memory->version != nvmlMemory_v2)
                return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
        uint64_t total = fgsim_spec.gpu[gpu].memory, used = fgsim_gpu_used(gpu);
        *memory = (nvmlMemory_v2_t){.version = nvmlMemory_v2, .total = total, .free = total - used, .used = used};
        return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetBAR1MemoryInfo(nvmlDevice_t device, nvmlBAR1Memory_t *memory)
{
        FGSIM_NVML_ENTER_DEVICE(device);
        if (!memory)
                return NVML_ERROR_INVALID_ARGUMENT;
        uint64_t total = 256 * MI;
        while (total < fgsim_spec.gpu[gpu].memory)
                total *= 2;
        *memory = (nvmlBAR1Memory_t){.bar1Total = total, .bar1Free = total - MI, .bar1Used = MI};
        return NVML_SUCCESS;
}

/* The list in the caller's form. `count` is the array's length and becomes the list's; 0 asks how long it must be. */
static nvmlReturn_t list(uint32_t gpu, unsigned *count, void *infos, size_t size)
{
        struct fgsim_nvml_process found[FGSIM_SLOTS_MAX];
        if (!count || (*count && !infos))
                return NVML_ERROR_INVALID_ARGUMENT;
        uint32_t n = fgsim_nvml_processes(gpu, found, FGSIM_SLOTS_MAX);
        unsigned room = *count;
        *count = n;
        if (n > room)
                return NVML_ERROR_INSUFFICIENT_SIZE;
        for (uint32_t i = 0; i < n; i++) {
                nvmlProcessInfo_v2_t info = {.pid = found[i].pid,
                                             .usedGpuMemory = found[i].bytes,
                                             .gpuInstanceId = FGSIM_NOT_AVAILABLE,
                                             .computeInstanceId = FGSIM_NOT_AVAILABLE};
                memcpy((char *)infos + i * size, &info, size);
        }
        return NVML_SUCCESS;
}

_Static_assert(offsetof(nvmlProcessInfo_v2_t, gpuInstanceId) == sizeof(nvmlProcessInfo_v1_t),
               "the first form is the head of the second");

/* Programs of the simulator compute; there are no graphics, and no server between them and the GPU. */
static nvmlReturn_t list_none(unsigned *count)
{
        if (!count)
                return NVML_ERROR_INVALID_ARGUMENT;
        *count = 0;
        return NVML_SUCCESS;
}

#define COMPUTE(name, type)                                                                                            \
        nvmlReturn_t name(nvmlDevice_t device, unsigned *count, type *infos)                                           \
        {                                                                                                              \
                FGSIM_NVML_ENTER_DEVICE(device);                                                                       \
                return list(gpu, count, infos, sizeof *infos);                                                         \
        }
#define NONE(name, type)                                                                                               \
        nvmlReturn_t name(nvmlDevice_t device, unsigned *count, type *infos)                                           \
        {                                                                                                              \
                FGSIM_NVML_ENTER_DEVICE(device);                                                                       \
                (void)gpu;                                                                                             \
                return list_none(count);                                                                               \
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

nvmlReturn_t nvmlDeviceGetRunningProcessDetailList(nvmlDevice_t device, nvmlProcessDetailList_t *all)
{
        struct fgsim_nvml_process found[FGSIM_SLOTS_MAX];
        FGSIM_NVML_ENTER_DEVICE(device);
        if (!all || all->mode > 2 || (all->numProcArrayEntries && !all->procArray))
                return NVML_ERROR_INVALID_ARGUMENT;
        if (all->version != nvmlProcessDetailList_v1)
                return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
        uint32_t room = all->numProcArrayEntries,
                 n = all->mode == 0 ? fgsim_nvml_processes(gpu, found, FGSIM_SLOTS_MAX) : 0;
        all->numProcArrayEntries = n;
        if (n > room)
                return NVML_ERROR_INSUFFICIENT_SIZE;
        for (uint32_t i = 0; i < n; i++)
                all->procArray[i] = (nvmlProcessDetail_v1_t){.pid = found[i].pid,
                                                             .usedGpuMemory = found[i].bytes,
                                                             .gpuInstanceId = FGSIM_NOT_AVAILABLE,
                                                             .computeInstanceId = FGSIM_NOT_AVAILABLE,
                                                             .usedGpuCcProtectedMemory =
                                                                     (unsigned long long)NVML_VALUE_NOT_AVAILABLE};
        return NVML_SUCCESS;
}
