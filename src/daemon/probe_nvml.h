/* SPDX-License-Identifier: Apache-2.0
 * fastgpu-probe-nvml's view of NVML: a library that may be any version, or lack any function. */
#ifndef FGD_PROBE_NVML_H
#define FGD_PROBE_NVML_H

#include "abi/nvml.h"
#include "daemon/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FGD_NVML_PROCESSES 1024u
#define FGD_NVML_GPUS      64u

/* One row per symbol; the second list is of those that a driver may lack. */
#define FGD_NVML_NEEDED(X)               \
        X(nvmlInit_v2)                   \
        X(nvmlDeviceGetCount_v2)         \
        X(nvmlDeviceGetHandleByIndex_v2) \
        X(nvmlDeviceGetUUID)             \
        X(nvmlDeviceGetName)             \
        X(nvmlDeviceGetMemoryInfo)       \
        X(nvmlErrorString)
#define FGD_NVML_WISHED(X)                          \
        X(nvmlSystemGetDriverVersion)               \
        X(nvmlDeviceGetNumGpuCores)                 \
        X(nvmlDeviceGetCudaComputeCapability)       \
        X(nvmlDeviceGetAttributes_v2)               \
        X(nvmlDeviceGetMigMode)                     \
        X(nvmlDeviceGetMaxMigDeviceCount)           \
        X(nvmlDeviceGetMigDeviceHandleByIndex)      \
        X(nvmlDeviceGetUtilizationRates)            \
        X(nvmlDeviceGetComputeRunningProcesses)     \
        X(nvmlDeviceGetComputeRunningProcesses_v2)  \
        X(nvmlDeviceGetComputeRunningProcesses_v3)  \
        X(nvmlDeviceGetGraphicsRunningProcesses_v2) \
        X(nvmlDeviceGetGraphicsRunningProcesses_v3) \
        X(nvmlDeviceGetMemoryInfo_v2)               \
        X(nvmlDeviceGetTemperature)                 \
        X(nvmlDeviceGetFieldValues)                 \
        X(nvmlDeviceGetPowerUsage)                  \
        X(nvmlDeviceGetEnforcedPowerLimit)          \
        X(nvmlDeviceGetTotalEnergyConsumption)      \
        X(nvmlDeviceGetEncoderUtilization)          \
        X(nvmlDeviceGetDecoderUtilization)          \
        X(nvmlDeviceGetClockInfo)                   \
        X(nvmlDeviceGetPcieReplayCounter)           \
        X(nvmlDeviceGetRemappedRows)                \
        X(nvmlEventSetCreate)                       \
        X(nvmlDeviceRegisterEvents)                 \
        X(nvmlEventSetWait_v2)

struct fgd_nvml {
#define X(name) __typeof__(name) *name;
        FGD_NVML_NEEDED(X) FGD_NVML_WISHED(X)
#undef X
};

/* Loads the library from `folder` ("": as usual). 0; -ENOENT: there is none; -ELIBBAD: `ret_why` says what is wrong. */
int fgd_nvml_load(struct fgd_nvml *nvml, const char *folder, char *ret_why, size_t size);
/* Every process on the device, each once. Memory the driver does not tell is UINT64_MAX. Returns how many, or -1 - error. */
int fgd_nvml_processes(const struct fgd_nvml *nvml, nvmlDevice_t device, nvmlProcessInfo_t ret[FGD_NVML_PROCESSES]);
/* Streaming multiprocessors; 0: not known. */
unsigned fgd_nvml_multiprocessors(const struct fgd_nvml *nvml, nvmlDevice_t device);

/* CUDA beside NVML, for the one question that NVML alone cannot answer. False: not to be had. */
bool fgd_nvml_contexts_begin(const char *folder);
/* Bytes that a context on the device of that UUID takes; 0: not known. */
uint64_t fgd_nvml_context_bytes(const struct fgd_nvml *nvml, nvmlDevice_t device, const char *uuid);

/* Errors of these GPUs are listened for from here on; taken in when they are asked for. */
void fgd_nvml_events_begin(const struct fgd_nvml *nvml, const nvmlDevice_t *gpu, unsigned count);
void fgd_nvml_events_take(const struct fgd_nvml *nvml);
/* An open line with every figure that NVML has of the device, a part of the GPU `index`. False: it is lost, and there is no line. */
bool fgd_nvml_sample(const struct fgd_nvml *nvml, unsigned index, nvmlDevice_t device, struct fgd_text *line);

#endif
