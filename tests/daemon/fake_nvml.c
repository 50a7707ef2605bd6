/* SPDX-License-Identifier: Apache-2.0
 * A stand-in for libnvidia-ml.so.1 of a machine with three GPUs: one cut into two MIG devices, with a gap between them, one
 * in MIG mode but not cut, and one that does not know MIG. Just what the probe asks for. */
#include "abi/nvml.h"

#include <stdio.h>

#define EXPORT __attribute__((visibility("default")))

enum { CUT, UNCUT, PLAIN, GPUS, SLICE_0 = GPUS, SLICE_1, THINGS };

static const struct thing {
        const char *uuid, *name;
        unsigned long long memory;
} things[THINGS] = {
        [CUT] = {"GPU-00000000-1111-2222-3333-000000000000", "Fake A100", 40ull << 30},
        [UNCUT] = {"GPU-00000000-1111-2222-3333-000000000001", "Fake A100", 40ull << 30},
        [PLAIN] = {"GPU-00000000-1111-2222-3333-000000000002", "Fake T4", 16ull << 30},
        [SLICE_0] = {"MIG-00000000-1111-2222-3333-000000000003", "Fake A100 MIG 1g.5gb", 5ull << 30},
        [SLICE_1] = {"MIG-00000000-1111-2222-3333-000000000004", "Fake A100 MIG 2g.10gb", 10ull << 30},
};

static nvmlDevice_t handle(int i)
{
        return (nvmlDevice_t)(void *)&things[i];
}

static const struct thing *thing(nvmlDevice_t device)
{
        return (const void *)device;
}

EXPORT nvmlReturn_t nvmlInit_v2(void)
{
        return NVML_SUCCESS;
}

EXPORT const char *nvmlErrorString(nvmlReturn_t r)
{
        return r == NVML_SUCCESS ? "Success" : "Fake Error";
}

EXPORT nvmlReturn_t nvmlDeviceGetCount_v2(unsigned *ret)
{
        *ret = GPUS;
        return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned i, nvmlDevice_t *ret)
{
        *ret = handle((int)i);
        return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *ret, unsigned size)
{
        snprintf(ret, size, "%s", thing(device)->uuid);
        return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *ret, unsigned size)
{
        snprintf(ret, size, "%s", thing(device)->name);
        return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *ret)
{
        *ret = (nvmlMemory_t){.total = thing(device)->memory, .free = thing(device)->memory};
        return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t device, unsigned *ret_now, unsigned *ret_pending)
{
        if (device == handle(PLAIN))
                return NVML_ERROR_NOT_SUPPORTED;
        *ret_now = *ret_pending = NVML_DEVICE_MIG_ENABLE;
        return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t device, unsigned *ret)
{
        *ret = 7;
        return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t device, unsigned i, nvmlDevice_t *ret)
{
        if (device != handle(CUT) || (i != 0 && i != 2))
                return NVML_ERROR_NOT_FOUND;
        *ret = handle(i ? SLICE_1 : SLICE_0);
        return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t device, unsigned *count, nvmlProcessInfo_t *ret)
{
        *count = 0;
        return NVML_SUCCESS;
}
