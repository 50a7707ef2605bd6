/* SPDX-License-Identifier: Apache-2.0
 * Which names do what. The first row that fits decides; a * at the end stands for any ending. */
#include "shim/nvml/core.h"

#include <stdbool.h>
#include <string.h>

static const struct {
        const char *name;
        enum fgn_kind kind;
} rules[] = {
        /* The calling thread's own affinity. */
        {"nvmlDeviceSetCpuAffinity", FGN_DEVICE},
        {"nvmlDeviceClearCpuAffinity", FGN_DEVICE},
        {"nvmlDeviceWorkloadPowerProfileGet*", FGN_DEVICE},
        /* The physical device belongs to everybody on it. */
        {"nvmlDeviceSet*", FGN_DENIED},
        {"nvmlDeviceClear*", FGN_DENIED},
        {"nvmlDeviceReset*", FGN_DENIED},
        {"nvmlDeviceCreate*", FGN_DENIED},
        {"nvmlDeviceFreeze*", FGN_DENIED},
        {"nvmlDeviceLock*", FGN_DENIED},
        {"nvmlDeviceModifyDrainState", FGN_DENIED},
        {"nvmlDeviceRemoveGpu*", FGN_DENIED},
        {"nvmlDeviceDiscoverGpus", FGN_DENIED},
        {"nvmlDevicePowerSmoothing*", FGN_DENIED},
        {"nvmlDeviceWorkloadPowerProfile*", FGN_DENIED},
        {"nvmlDeviceVgpuForceGspUnload", FGN_DENIED},
        {"nvmlDeviceRead*", FGN_DENIED},
        {"nvmlSystemSet*", FGN_DENIED},
        {"nvmlSetVgpuVersion", FGN_DENIED},
        {"nvmlUnitSetLedState", FGN_DENIED},
        {"nvmlGpmSetStreamingEnabled", FGN_DENIED},
        /* Use of the whole device, and other people's processes. */
        {"nvmlGpm*", FGN_HIDDEN},
        {"nvmlDeviceGetAccounting*", FGN_HIDDEN},
        {"nvmlDeviceGetEncoderSessions", FGN_HIDDEN},
        {"nvmlDeviceGetFBCSessions", FGN_HIDDEN},
        {"nvmlDeviceGetDynamicPstatesInfo", FGN_HIDDEN},
        {"nvmlDevicePerfMetrics*", FGN_HIDDEN},
        {"nvmlDeviceGetConfComputeMemSizeInfo", FGN_HIDDEN},
        {"nvmlDeviceGetConfComputeProtectedMemoryUsage", FGN_HIDDEN},
        {"nvmlDeviceGetMemoryLimits*", FGN_HIDDEN},
        /* The parts of a divided device, the vendor's own virtual devices, boxes of several devices, devices set aside.
         */
        {"nvmlDeviceGetGpuInstance*", FGN_HIDDEN},
        {"nvmlDeviceGetComputeInstanceId", FGN_HIDDEN},
        {"nvmlDeviceGetMigDeviceHandleByIndex", FGN_HIDDEN},
        {"nvmlDeviceGetDeviceHandleFromMigDeviceHandle", FGN_HIDDEN},
        {"nvmlGpuInstance*", FGN_HIDDEN},
        {"nvmlComputeInstance*", FGN_HIDDEN},
        {"nvmlDeviceGetVgpu*", FGN_HIDDEN},
        {"nvmlDeviceGetActiveVgpus", FGN_HIDDEN},
        {"nvmlDeviceGetSupportedVgpus", FGN_HIDDEN},
        {"nvmlDeviceGetCreatableVgpus", FGN_HIDDEN},
        {"nvmlVgpu*", FGN_HIDDEN},
        {"nvmlGetVgpu*", FGN_HIDDEN},
        {"nvmlUnit*", FGN_HIDDEN},
        {"nvmlGetExcluded*", FGN_HIDDEN},
        {"nvmlGetBlacklist*", FGN_HIDDEN},
        {"nvmlDeviceQueryDrainState", FGN_HIDDEN},
        /* Events that name devices in other ways than by handle. */
        {"nvmlEventSetWait_v3", FGN_HIDDEN},
        {"nvmlEventSetGet*", FGN_HIDDEN},
        {"nvmlEventSetRegister*", FGN_HIDDEN},
        {"nvmlSystemEventSet*", FGN_HIDDEN},
        {"nvmlSystemRegisterEvents", FGN_HIDDEN},
        {"nvmlDeviceOnSameBoard", FGN_DEVICES},
        {"nvmlDeviceGetTopologyCommonAncestor", FGN_DEVICES},
        {"nvmlDevice*", FGN_DEVICE},
};

enum fgn_kind fgn_kind_of(const char *name)
{
        for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
                size_t length = strlen(rules[i].name);
                bool open = rules[i].name[length - 1] == '*';

                if (open ? strncmp(name, rules[i].name, length - 1) == 0 : strcmp(name, rules[i].name) == 0)
                        return rules[i].kind;
        }
        return FGN_PASSES;
}
