/* SPDX-License-Identifier: Apache-2.0
 * How GPUs lie to one another: each on a board of its own, all of them behind one bridge of the host, near every
 * processor. */
#include "sim/nvml.h"

/* Two devices: on the same board only if they are the same, and linked by the host's bus. */
static nvmlReturn_t enter_pair(const char *name, nvmlDevice_t one, nvmlDevice_t two, uint32_t *ret_one,
                               uint32_t *ret_two)
{
        nvmlReturn_t r = fgsim_nvml_enter_device(name, one, ret_one);
        return r == NVML_SUCCESS ? fgsim_nvml_enter_device(name, two, ret_two) : r;
}

nvmlReturn_t nvmlDeviceOnSameBoard(nvmlDevice_t one, nvmlDevice_t two, int *ret)
{
        uint32_t a, b;
        nvmlReturn_t r = enter_pair(__func__, one, two, &a, &b);
        if (r == NVML_SUCCESS && !ret)
                r = NVML_ERROR_INVALID_ARGUMENT;
        if (r == NVML_SUCCESS)
                *ret = a == b;
        return r;
}

nvmlReturn_t nvmlDeviceGetTopologyCommonAncestor(nvmlDevice_t one, nvmlDevice_t two, nvmlGpuTopologyLevel_t *ret)
{
        uint32_t a, b;
        nvmlReturn_t r = enter_pair(__func__, one, two, &a, &b);
        if (r == NVML_SUCCESS && !ret)
                r = NVML_ERROR_INVALID_ARGUMENT;
        if (r == NVML_SUCCESS)
                *ret = a == b ? NVML_TOPOLOGY_INTERNAL : NVML_TOPOLOGY_HOSTBRIDGE;
        return r;
}

nvmlReturn_t nvmlDeviceGetP2PStatus(nvmlDevice_t one, nvmlDevice_t two, nvmlGpuP2PCapsIndex_t index,
                                    nvmlGpuP2PStatus_t *ret)
{
        uint32_t a, b;
        nvmlReturn_t r = enter_pair(__func__, one, two, &a, &b);
        if (r == NVML_SUCCESS && (!ret || a == b || index >= NVML_P2P_CAPS_INDEX_UNKNOWN))
                r = NVML_ERROR_INVALID_ARGUMENT;
        if (r == NVML_SUCCESS)
                *ret = index == NVML_P2P_CAPS_INDEX_NVLINK ? NVML_P2P_STATUS_NOT_SUPPORTED : NVML_P2P_STATUS_OK;
        return r;
}

/* All GPUs but one, in the caller's array of *count; with a count of 0 only how many there are. */
static nvmlReturn_t others(uint32_t but, unsigned *count, nvmlDevice_t *ret)
{
        unsigned found = 0;
        if (!count || (*count && !ret))
                return NVML_ERROR_INVALID_ARGUMENT;
        for (uint32_t gpu = 0; gpu < fgsim_spec.gpus; gpu++) {
                if (gpu == but)
                        continue;
                if (found < *count)
                        ret[found] = fgsim_nvml_handle(gpu);
                found++;
        }
        if (*count == 0 || found < *count)
                *count = found;
        return NVML_SUCCESS;
}

nvmlReturn_t nvmlSystemGetTopologyGpuSet(unsigned cpu, unsigned *count, nvmlDevice_t *devices)
{
        FGSIM_NVML_ENTER();
        return others(FGSIM_GPUS_MAX, count, devices);
}

nvmlReturn_t nvmlDeviceGetTopologyNearestGpus(nvmlDevice_t device, nvmlGpuTopologyLevel_t level, unsigned *count,
                                              nvmlDevice_t *devices)
{
        FGSIM_NVML_ENTER_DEVICE(device);
        if (level == NVML_TOPOLOGY_HOSTBRIDGE)
                return others(gpu, count, devices);
        if (!count)
                return NVML_ERROR_INVALID_ARGUMENT;
        *count = 0;
        return NVML_SUCCESS;
}
