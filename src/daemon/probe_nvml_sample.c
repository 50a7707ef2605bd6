/* SPDX-License-Identifier: Apache-2.0
 * What a GPU's sensors say. Boards lack some of them, and MIG devices most: what NVML does not answer is not said. */
#include "daemon/probe_nvml.h"

/* Of the last error, by the GPU's number; events is NULL where the driver tells of none. */
static nvmlEventSet_t events;
static nvmlDevice_t listened[FGD_NVML_GPUS];
static uint32_t xid[FGD_NVML_GPUS];
static bool is_heard[FGD_NVML_GPUS];

void fgd_nvml_events_begin(const struct fgd_nvml *n, const nvmlDevice_t *gpu, unsigned count)
{
        if (!n->nvmlEventSetCreate || !n->nvmlDeviceRegisterEvents || !n->nvmlEventSetWait_v2 || n->nvmlEventSetCreate(&events) != NVML_SUCCESS)
                return;
        for (unsigned i = 0; i < count; i++) {
                listened[i] = gpu[i];
                is_heard[i] = n->nvmlDeviceRegisterEvents(gpu[i], nvmlEventTypeXidCriticalError, events) == NVML_SUCCESS;
        }
}

void fgd_nvml_events_take(const struct fgd_nvml *n)
{
        nvmlEventData_t data;
        for (unsigned taken = 0; events && taken < 1000 && n->nvmlEventSetWait_v2(events, &data, 0) == NVML_SUCCESS; taken++)
                for (unsigned i = 0; i < FGD_NVML_GPUS && data.eventType == nvmlEventTypeXidCriticalError; i++)
                        if (is_heard[i] && listened[i] == data.device)
                                xid[i] = (uint32_t)data.eventData;
}

#define ASK(function, ...) (n->function && n->function(device, __VA_ARGS__) == NVML_SUCCESS)

static void add_memory(const struct fgd_nvml *n, nvmlDevice_t device, struct fgd_text *line)
{
        nvmlMemory_v2_t v2 = {.version = nvmlMemory_v2};
        nvmlMemory_t v1 = {0};
        bool is_v2 = ASK(nvmlDeviceGetMemoryInfo_v2, &v2);
        if (!is_v2 && n->nvmlDeviceGetMemoryInfo(device, &v1) != NVML_SUCCESS)
                return;
        fgd_text_number(line, "memory_used", is_v2 ? v2.used : v1.used);
        fgd_text_number(line, "memory_free", is_v2 ? v2.free : v1.free);
        if (is_v2)
                fgd_text_number(line, "memory_reserved", v2.reserved);
}

static void add_power(const struct fgd_nvml *n, nvmlDevice_t device, struct fgd_text *line)
{
        nvmlFieldValue_t field = {.fieldId = NVML_FI_DEV_MEMORY_TEMP};
        unsigned value;
        unsigned long long energy;
        if (ASK(nvmlDeviceGetTemperature, NVML_TEMPERATURE_GPU, &value))
                fgd_text_number(line, "temperature_c", value);
        if (ASK(nvmlDeviceGetFieldValues, 1, &field) && field.nvmlReturn == NVML_SUCCESS && field.valueType == NVML_VALUE_TYPE_UNSIGNED_INT &&
            field.value.uiVal)
                fgd_text_number(line, "memory_temperature_c", field.value.uiVal);
        if (ASK(nvmlDeviceGetPowerUsage, &value))
                fgd_text_number(line, "power_mw", value);
        if (ASK(nvmlDeviceGetEnforcedPowerLimit, &value))
                fgd_text_number(line, "power_limit_mw", value);
        if (ASK(nvmlDeviceGetTotalEnergyConsumption, &energy))
                fgd_text_number(line, "energy_mj", energy);
}

static void add_load(const struct fgd_nvml *n, nvmlDevice_t device, struct fgd_text *line)
{
        nvmlUtilization_t use;
        unsigned value, period;
        if (ASK(nvmlDeviceGetUtilizationRates, &use)) {
                fgd_text_number(line, "utilization", use.gpu);
                fgd_text_number(line, "memory_utilization", use.memory);
        }
        if (ASK(nvmlDeviceGetEncoderUtilization, &value, &period))
                fgd_text_number(line, "encoder_utilization", value);
        if (ASK(nvmlDeviceGetDecoderUtilization, &value, &period))
                fgd_text_number(line, "decoder_utilization", value);
        if (ASK(nvmlDeviceGetClockInfo, NVML_CLOCK_SM, &value))
                fgd_text_number(line, "sm_clock_mhz", value);
        if (ASK(nvmlDeviceGetClockInfo, NVML_CLOCK_MEM, &value))
                fgd_text_number(line, "memory_clock_mhz", value);
}

static void add_faults(const struct fgd_nvml *n, nvmlDevice_t device, struct fgd_text *line)
{
        unsigned correctable, uncorrectable, pending, failed, value;
        if (ASK(nvmlDeviceGetPcieReplayCounter, &value))
                fgd_text_number(line, "pcie_replays", value);
        if (!ASK(nvmlDeviceGetRemappedRows, &correctable, &uncorrectable, &pending, &failed))
                return;
        fgd_text_number(line, "remapped_correctable", correctable);
        fgd_text_number(line, "remapped_uncorrectable", uncorrectable);
        fgd_text_number(line, "remap_failed", failed != 0);
}

bool fgd_nvml_sample(const struct fgd_nvml *n, unsigned index, nvmlDevice_t device, struct fgd_text *line)
{
        char uuid[96] = "";
        if (n->nvmlDeviceGetUUID(device, uuid, sizeof uuid) != NVML_SUCCESS)
                return false; /* a lost GPU does not even know its name: its figures turn stale */
        fgd_text_add(line, "{");
        fgd_text_field(line, "sample", uuid);
        fgd_text_number(line, "index", index);
        add_memory(n, device, line);
        add_power(n, device, line);
        add_load(n, device, line);
        add_faults(n, device, line);
        if (is_heard[index])
                fgd_text_number(line, "xid", xid[index]);
        return true;
}
