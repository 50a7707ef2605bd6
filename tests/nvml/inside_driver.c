/* SPDX-License-Identifier: Apache-2.0
 * A vendor's library that calls its own exports by name, through the dynamic linker: they must be its own although a
 * drop-in stands in front of them. It also has a function that nobody has heard of, and lacks most others. */
#include "abi/nvml.h"

#define PHYSICAL (80ull << 30)

static int one_device;

nvmlReturn_t nvmlInit_v2(void)
{
        return NVML_SUCCESS;
}

nvmlReturn_t nvmlShutdown(void)
{
        return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned *count)
{
        *count = 8;
        return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *device)
{
        *device = (nvmlDevice_t)&one_device;
        return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t *device)
{
        return nvmlDeviceGetHandleByUUID("", device);
}

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory)
{
        *memory = (nvmlMemory_t){.total = PHYSICAL, .free = PHYSICAL};
        return device == (nvmlDevice_t)&one_device ? NVML_SUCCESS : NVML_ERROR_INVALID_ARGUMENT;
}

nvmlReturn_t nvmlDeviceSetPersistenceMode(nvmlDevice_t device, nvmlEnableState_t mode)
{
        return NVML_SUCCESS;
}

/* Answers with the memory in MiB, if everything that it calls is its own. */
nvmlReturn_t nvmlDeviceGetPowerUsage(nvmlDevice_t device, unsigned *ret)
{
        nvmlMemory_t memory;
        unsigned count;
        nvmlReturn_t r = nvmlDeviceGetCount_v2(&count);
        if (r == NVML_SUCCESS)
                r = nvmlDeviceSetPersistenceMode(device, NVML_FEATURE_ENABLED);
        if (r == NVML_SUCCESS)
                r = nvmlDeviceGetMemoryInfo(device, &memory);
        if (r == NVML_SUCCESS)
                *ret = count == 8 ? (unsigned)(memory.total >> 20) : 0;
        return r;
}

__attribute__((visibility("default"))) int nvmlDeviceGetSomethingNew(nvmlDevice_t device);
int nvmlDeviceGetSomethingNew(nvmlDevice_t device)
{
        return device == (nvmlDevice_t)&one_device ? 4711 : -1;
}
