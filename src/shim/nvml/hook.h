/* SPDX-License-Identifier: Apache-2.0
 *
 * The drop-in NVML: the view of this process's vGPUs. Every name of FG_NVML_NAMES is exported as a jump through a slot
 * (entry.S). A name of FGN_HOOKS is answered here, by fgn_NAME; what becomes of every other one is said by the rules in
 * names.c. The types come from the prototypes in abi/nvml.h, so that a hook with a wrong signature does not compile.
 * docs/design/nvml.md. */
#ifndef FGN_HOOK_H
#define FGN_HOOK_H

#include "abi/nvml.h"

/* clang-format off */
#define FGN_HOOKS(X) \
        X(nvmlInit) X(nvmlInit_v2) X(nvmlInitWithFlags) X(nvmlShutdown) X(nvmlDeviceGetCount) \
        X(nvmlDeviceGetCount_v2) X(nvmlDeviceGetHandleByIndex) X(nvmlDeviceGetHandleByIndex_v2) \
        X(nvmlDeviceGetHandleByUUID) X(nvmlDeviceGetHandleByUUIDV) X(nvmlDeviceGetHandleByPciBusId) \
        X(nvmlDeviceGetHandleByPciBusId_v2) X(nvmlDeviceGetHandleBySerial) X(nvmlDeviceGetIndex) \
        X(nvmlDeviceGetUUID) X(nvmlDeviceGetMigMode) X(nvmlDeviceGetMaxMigDeviceCount) \
        X(nvmlDeviceIsMigDeviceHandle) X(nvmlDeviceGetAttributes) X(nvmlDeviceGetAttributes_v2) \
        X(nvmlGetExcludedDeviceCount) X(nvmlDeviceGetMemoryInfo) X(nvmlDeviceGetMemoryInfo_v2) \
        X(nvmlDeviceGetComputeRunningProcesses) X(nvmlDeviceGetComputeRunningProcesses_v2) \
        X(nvmlDeviceGetComputeRunningProcesses_v3) X(nvmlDeviceGetGraphicsRunningProcesses) \
        X(nvmlDeviceGetGraphicsRunningProcesses_v2) X(nvmlDeviceGetGraphicsRunningProcesses_v3) \
        X(nvmlDeviceGetMPSComputeRunningProcesses) X(nvmlDeviceGetMPSComputeRunningProcesses_v2) \
        X(nvmlDeviceGetMPSComputeRunningProcesses_v3) X(nvmlDeviceGetRunningProcessDetailList) \
        X(nvmlDeviceGetUtilizationRates) X(nvmlDeviceGetProcessUtilization) \
        X(nvmlDeviceGetProcessesUtilizationInfo) X(nvmlDeviceGetSamples) X(nvmlDeviceGetP2PStatus) \
        X(nvmlSystemGetTopologyGpuSet) X(nvmlDeviceGetTopologyNearestGpus) X(nvmlDeviceRegisterEvents) \
        X(nvmlEventSetWait) X(nvmlEventSetWait_v2)
/* clang-format on */

/* The vendor's functions, NULL where it has none of that name. Filled before the first hook runs, then only read. */
struct fgn_driver {
#define FGN_FIELD(name) __typeof__(&name) name;
        FGN_HOOKS(FGN_FIELD)
#undef FGN_FIELD
};
extern struct fgn_driver fgn_real;

#define FGN_DECLARE(name) extern __typeof__(name) fgn_##name;
FGN_HOOKS(FGN_DECLARE)
#undef FGN_DECLARE

/* How many of our calls into the vendor's library the calling thread is inside of: what that calls of our exports
 * meanwhile means its own. */
extern __thread unsigned fgn_inside __attribute__((tls_model("initial-exec")));

static inline nvmlReturn_t fgn_leave(nvmlReturn_t r)
{
        fgn_inside--;
        return r;
}

/* A call of the vendor's function; one that it does not have is not found. */
#define FGN_REAL(name, ...)                                                                                            \
        (fgn_real.name ? (fgn_inside++, fgn_leave(fgn_real.name(__VA_ARGS__))) : NVML_ERROR_FUNCTION_NOT_FOUND)

/* First in every hook: the vendor's library calls itself, or nobody has called nvmlInit. */
#define FGN_PASS(name, ...)                                                                                            \
        do {                                                                                                           \
                if (__builtin_expect(fgn_inside != 0, 0))                                                              \
                        return fgn_real.name(__VA_ARGS__);                                                             \
                if (__builtin_expect(!fgn_in_use(), 0))                                                                \
                        return NVML_ERROR_UNINITIALIZED;                                                               \
        } while (0)

/* nvmlInit was called more often than nvmlShutdown. */
int fgn_in_use(void);

#endif
