/* SPDX-License-Identifier: Apache-2.0
 * The rest of the board: what the spec says, else what a healthy server card would. A row for each question with one
 * answer; in it `spec` is the GPU's and `gpu` its number. What has no row is "not supported". */
#include "sim/nvml.h"

#include "base/atomic.h"
#include "base/clock.h"

#include <string.h>

#define DISABLED NVML_FEATURE_DISABLED
#define ENABLED  NVML_FEATURE_ENABLED

#define ONE(name, type, value)                                                                                         \
        nvmlReturn_t name(nvmlDevice_t device, type *ret)                                                              \
        {                                                                                                              \
                FGSIM_NVML_ENTER_DEVICE(device);                                                                       \
                __attribute__((unused)) const struct fgsim_gpu_spec *spec = &fgsim_spec.gpu[gpu];                      \
                if (!ret)                                                                                              \
                        return NVML_ERROR_INVALID_ARGUMENT;                                                            \
                *ret = (value);                                                                                        \
                return NVML_SUCCESS;                                                                                   \
        }
#define TWO(name, first_type, first_value, second_type, second_value)                                                  \
        nvmlReturn_t name(nvmlDevice_t device, first_type *first, second_type *second)                                 \
        {                                                                                                              \
                FGSIM_NVML_ENTER_DEVICE(device);                                                                       \
                __attribute__((unused)) const struct fgsim_gpu_spec *spec = &fgsim_spec.gpu[gpu];                      \
                if (!first || !second)                                                                                 \
                        return NVML_ERROR_INVALID_ARGUMENT;                                                            \
                *first = (first_value);                                                                                \
                *second = (second_value);                                                                              \
                return NVML_SUCCESS;                                                                                   \
        }
#define TEXT(name, value)                                                                                              \
        nvmlReturn_t name(nvmlDevice_t device, char *ret, unsigned length)                                             \
        {                                                                                                              \
                FGSIM_NVML_ENTER_DEVICE(device);                                                                       \
                (void)gpu;                                                                                             \
                return fgsim_nvml_text(ret, length, value);                                                            \
        }

static nvmlDeviceArchitecture_t architecture(const struct fgsim_gpu_spec *spec)
{
        switch (spec->major) {
        case 7:
                return spec->minor >= 5 ? NVML_DEVICE_ARCH_TURING : NVML_DEVICE_ARCH_VOLTA;
        case 8:
                return spec->minor == 9 ? NVML_DEVICE_ARCH_ADA : NVML_DEVICE_ARCH_AMPERE;
        case 9:
                return NVML_DEVICE_ARCH_HOPPER;
        default:
                return spec->major >= 10 ? NVML_DEVICE_ARCH_BLACKWELL : NVML_DEVICE_ARCH_PASCAL;
        }
}

static unsigned cores(const struct fgsim_gpu_spec *spec)
{
        return spec->sms * (spec->major >= 9 || (spec->major == 8 && spec->minor) ? 128 : 64);
}

/* An eighth when idle, nearly all when busy; in milliwatts. */
static unsigned power(uint32_t gpu)
{
        struct fgsim_nvml_use use;
        fgsim_nvml_use_get(gpu, &use);
        return fgsim_spec.gpu[gpu].watts * (125 + 8 * use.gpu);
}

static unsigned temperature(uint32_t gpu)
{
        struct fgsim_nvml_use use;
        fgsim_nvml_use_get(gpu, &use);
        return 34 + use.gpu * 3u / 10;
}

/* Since the machine started, in millijoules: idle all the time, and the rest while busy. */
static unsigned long long energy(uint32_t gpu)
{
        uint64_t busy = fg_load_relaxed(&fgsim_shared->gpu[gpu].busy_ns), watts = fgsim_spec.gpu[gpu].watts;
        return watts * (fg_now() / FG_NSEC_PER_MSEC) / 8 + watts * (busy / FG_NSEC_PER_MSEC) * 8 / 10;
}

ONE(nvmlDeviceGetIndex, unsigned, gpu)
ONE(nvmlDeviceGetMinorNumber, unsigned, gpu)
ONE(nvmlDeviceGetModuleId, unsigned, gpu + 1)
ONE(nvmlDeviceGetBoardId, unsigned, fgsim_nvml_bus(gpu) << 8)
ONE(nvmlDeviceGetMultiGpuBoard, unsigned, 0)
ONE(nvmlDeviceGetIrqNum, unsigned, 100 + gpu)
ONE(nvmlDeviceGetBrand, nvmlBrandType_t, NVML_BRAND_NVIDIA)
ONE(nvmlDeviceGetArchitecture, nvmlDeviceArchitecture_t, architecture(spec))
ONE(nvmlDeviceGetNumGpuCores, unsigned, cores(spec))
ONE(nvmlDeviceGetMemoryBusWidth, unsigned, spec->bus_width)
ONE(nvmlDeviceGetBusType, nvmlBusType_t, NVML_BUS_TYPE_PCIE)
ONE(nvmlDeviceGetPowerSource, nvmlPowerSource_t, NVML_POWER_SOURCE_AC)
ONE(nvmlDeviceGetPersistenceMode, nvmlEnableState_t, ENABLED)
ONE(nvmlDeviceGetDisplayMode, nvmlEnableState_t, DISABLED)
ONE(nvmlDeviceGetDisplayActive, nvmlEnableState_t, DISABLED)
ONE(nvmlDeviceGetAccountingMode, nvmlEnableState_t, DISABLED)
ONE(nvmlDeviceGetComputeMode, nvmlComputeMode_t, NVML_COMPUTEMODE_DEFAULT)
ONE(nvmlDeviceGetPerformanceState, nvmlPstates_t, NVML_PSTATE_0)
ONE(nvmlDeviceGetPowerState, nvmlPstates_t, NVML_PSTATE_0)
ONE(nvmlDeviceGetVirtualizationMode, nvmlGpuVirtualizationMode_t, NVML_GPU_VIRTUALIZATION_MODE_NONE)
ONE(nvmlDeviceGetPowerManagementMode, nvmlEnableState_t, ENABLED)
ONE(nvmlDeviceGetPowerManagementLimit, unsigned, spec->watts * 1000)
ONE(nvmlDeviceGetPowerManagementDefaultLimit, unsigned, spec->watts * 1000)
ONE(nvmlDeviceGetEnforcedPowerLimit, unsigned, spec->watts * 1000)
ONE(nvmlDeviceGetPowerUsage, unsigned, power(gpu))
ONE(nvmlDeviceGetTotalEnergyConsumption, unsigned long long, energy(gpu))
ONE(nvmlDeviceGetNumFans, unsigned, 0)
ONE(nvmlDeviceGetCurrentClocksEventReasons, unsigned long long, nvmlClocksEventReasonNone)
ONE(nvmlDeviceGetCurrentClocksThrottleReasons, unsigned long long, nvmlClocksEventReasonNone)
ONE(nvmlDeviceGetSupportedClocksEventReasons, unsigned long long, nvmlClocksEventReasonGpuIdle)
ONE(nvmlDeviceGetSupportedClocksThrottleReasons, unsigned long long, nvmlClocksEventReasonGpuIdle)
ONE(nvmlDeviceGetMaxPcieLinkGeneration, unsigned, 5)
ONE(nvmlDeviceGetGpuMaxPcieLinkGeneration, unsigned, 5)
ONE(nvmlDeviceGetCurrPcieLinkGeneration, unsigned, 5)
ONE(nvmlDeviceGetMaxPcieLinkWidth, unsigned, 16)
ONE(nvmlDeviceGetCurrPcieLinkWidth, unsigned, 16)
ONE(nvmlDeviceGetPcieReplayCounter, unsigned, 0)
ONE(nvmlDeviceGetPcieSpeed, unsigned, 32000)
ONE(nvmlDeviceGetMaxMigDeviceCount, unsigned, 0)
ONE(nvmlDeviceIsMigDeviceHandle, unsigned, 0)
ONE(nvmlDeviceGetRetiredPagesPendingStatus, nvmlEnableState_t, DISABLED)
ONE(nvmlDeviceGetDefaultEccMode, nvmlEnableState_t, ENABLED)

TWO(nvmlDeviceGetEccMode, nvmlEnableState_t, ENABLED, nvmlEnableState_t, ENABLED)
TWO(nvmlDeviceGetMigMode, unsigned, NVML_DEVICE_MIG_DISABLE, unsigned, NVML_DEVICE_MIG_DISABLE)
TWO(nvmlDeviceGetCudaComputeCapability, int, (int)spec->major, int, (int)spec->minor)
TWO(nvmlDeviceGetPowerManagementLimitConstraints, unsigned, spec->watts * 500, unsigned, spec->watts * 1000)
TWO(nvmlDeviceGetEncoderUtilization, unsigned, 0, unsigned, 100000)
TWO(nvmlDeviceGetDecoderUtilization, unsigned, 0, unsigned, 100000)
TWO(nvmlDeviceGetJpgUtilization, unsigned, 0, unsigned, 100000)
TWO(nvmlDeviceGetOfaUtilization, unsigned, 0, unsigned, 100000)
TWO(nvmlDeviceGetGspFirmwareMode, unsigned, 1, unsigned, 1)

TEXT(nvmlDeviceGetVbiosVersion, "96.00.74.00.01")
TEXT(nvmlDeviceGetBoardPartNumber, "692-2G520-0000-000")
TEXT(nvmlDeviceGetInforomImageVersion, "G520.0200.00.05")

nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t device, nvmlTemperatureSensors_t sensor, unsigned *ret)
{
        FGSIM_NVML_ENTER_DEVICE(device);
        if (!ret || sensor != NVML_TEMPERATURE_GPU)
                return NVML_ERROR_INVALID_ARGUMENT;
        *ret = temperature(gpu);
        return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetTemperatureV(nvmlDevice_t device, nvmlTemperature_t *ret)
{
        FGSIM_NVML_ENTER_DEVICE(device);
        if (!ret || ret->sensorType != NVML_TEMPERATURE_GPU)
                return NVML_ERROR_INVALID_ARGUMENT;
        if (ret->version != nvmlTemperature_v1)
                return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
        ret->temperature = (int)temperature(gpu);
        return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetTemperatureThreshold(nvmlDevice_t device, nvmlTemperatureThresholds_t threshold,
                                               unsigned *ret)
{
        static const unsigned degrees[] = {92, 89, 95, 87};
        FGSIM_NVML_ENTER_DEVICE(device);
        (void)gpu;
        if (!ret || threshold >= NVML_TEMPERATURE_THRESHOLD_COUNT)
                return NVML_ERROR_INVALID_ARGUMENT;
        if (threshold >= sizeof degrees / sizeof degrees[0])
                return NVML_ERROR_NOT_SUPPORTED;
        *ret = degrees[threshold];
        return NVML_SUCCESS;
}

static nvmlReturn_t clock_of(uint32_t gpu, nvmlClockType_t type, unsigned *ret)
{
        const struct fgsim_gpu_spec *spec = &fgsim_spec.gpu[gpu];
        if (!ret || type >= NVML_CLOCK_COUNT)
                return NVML_ERROR_INVALID_ARGUMENT;
        *ret = type == NVML_CLOCK_MEM     ? spec->memory_clock_mhz
               : type == NVML_CLOCK_VIDEO ? spec->clock_mhz * 9 / 10
                                          : spec->clock_mhz;
        return NVML_SUCCESS;
}

#define CLOCK(name)                                                                                                    \
        nvmlReturn_t name(nvmlDevice_t device, nvmlClockType_t type, unsigned *ret)                                    \
        {                                                                                                              \
                FGSIM_NVML_ENTER_DEVICE(device);                                                                       \
                return clock_of(gpu, type, ret);                                                                       \
        }
CLOCK(nvmlDeviceGetClockInfo)
CLOCK(nvmlDeviceGetMaxClockInfo)
CLOCK(nvmlDeviceGetApplicationsClock)
CLOCK(nvmlDeviceGetDefaultApplicationsClock)
CLOCK(nvmlDeviceGetMaxCustomerBoostClock)

nvmlReturn_t nvmlDeviceGetClock(nvmlDevice_t device, nvmlClockType_t type, nvmlClockId_t id, unsigned *ret)
{
        FGSIM_NVML_ENTER_DEVICE(device);
        return id < NVML_CLOCK_ID_COUNT ? clock_of(gpu, type, ret) : NVML_ERROR_INVALID_ARGUMENT;
}

nvmlReturn_t nvmlDeviceGetTotalEccErrors(nvmlDevice_t device, nvmlMemoryErrorType_t type, nvmlEccCounterType_t counter,
                                         unsigned long long *ret)
{
        FGSIM_NVML_ENTER_DEVICE(device);
        (void)gpu;
        if (!ret || type >= NVML_MEMORY_ERROR_TYPE_COUNT || counter >= NVML_ECC_COUNTER_TYPE_COUNT)
                return NVML_ERROR_INVALID_ARGUMENT;
        *ret = 0;
        return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMemoryErrorCounter(nvmlDevice_t device, nvmlMemoryErrorType_t type,
                                             nvmlEccCounterType_t counter, nvmlMemoryLocation_t where,
                                             unsigned long long *ret)
{
        if (where >= NVML_MEMORY_LOCATION_COUNT)
                return NVML_ERROR_INVALID_ARGUMENT;
        return nvmlDeviceGetTotalEccErrors(device, type, counter, ret);
}

nvmlReturn_t nvmlDeviceGetRemappedRows(nvmlDevice_t device, unsigned *correctable, unsigned *uncorrectable,
                                       unsigned *pending, unsigned *failed)
{
        FGSIM_NVML_ENTER_DEVICE(device);
        (void)gpu;
        if (!correctable || !uncorrectable || !pending || !failed)
                return NVML_ERROR_INVALID_ARGUMENT;
        *correctable = *uncorrectable = *pending = *failed = 0;
        return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetPcieThroughput(nvmlDevice_t device, nvmlPcieUtilCounter_t counter, unsigned *ret)
{
        FGSIM_NVML_ENTER_DEVICE(device);
        (void)gpu;
        if (!ret || counter >= NVML_PCIE_UTIL_COUNT)
                return NVML_ERROR_INVALID_ARGUMENT;
        *ret = 0;
        return NVML_SUCCESS;
}

/* Fields answer one by one; those of no row say so in their own result. */
static nvmlReturn_t field(uint32_t gpu, nvmlFieldValue_t *value)
{
        value->valueType = NVML_VALUE_TYPE_UNSIGNED_INT;
        switch (value->fieldId) {
        case NVML_FI_DEV_ECC_CURRENT:
                return value->value.uiVal = 1, NVML_SUCCESS;
        case NVML_FI_DEV_RETIRED_PENDING:
        case NVML_FI_DEV_PCIE_REPLAY_COUNTER:
        case NVML_FI_DEV_REMAPPED_COR:
        case NVML_FI_DEV_REMAPPED_UNC:
        case NVML_FI_DEV_REMAPPED_PENDING:
        case NVML_FI_DEV_REMAPPED_FAILURE:
                return value->value.uiVal = 0, NVML_SUCCESS;
        case NVML_FI_DEV_MEMORY_TEMP:
                return value->value.uiVal = temperature(gpu) + 8, NVML_SUCCESS;
        case NVML_FI_DEV_POWER_AVERAGE:
        case NVML_FI_DEV_POWER_INSTANT:
                return value->value.uiVal = power(gpu), NVML_SUCCESS;
        case NVML_FI_DEV_POWER_MIN_LIMIT:
                return value->value.uiVal = fgsim_spec.gpu[gpu].watts * 500, NVML_SUCCESS;
        case NVML_FI_DEV_POWER_MAX_LIMIT:
        case NVML_FI_DEV_POWER_DEFAULT_LIMIT:
        case NVML_FI_DEV_POWER_CURRENT_LIMIT:
        case NVML_FI_DEV_POWER_REQUESTED_LIMIT:
                return value->value.uiVal = fgsim_spec.gpu[gpu].watts * 1000, NVML_SUCCESS;
        case NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION:
                value->valueType = NVML_VALUE_TYPE_UNSIGNED_LONG_LONG;
                return value->value.ullVal = energy(gpu), NVML_SUCCESS;
        default:
                return NVML_ERROR_NOT_SUPPORTED;
        }
}

nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t device, int count, nvmlFieldValue_t *values)
{
        FGSIM_NVML_ENTER_DEVICE(device);
        if (!values || count < 0)
                return NVML_ERROR_INVALID_ARGUMENT;
        for (int i = 0; i < count; i++)
                values[i].nvmlReturn = field(gpu, &values[i]);
        return NVML_SUCCESS;
}
