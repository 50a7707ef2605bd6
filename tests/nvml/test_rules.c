/* SPDX-License-Identifier: Apache-2.0
 * What is not answered from the pages: passed on with the device translated, refused or hidden; events; accidents;
 * names. */
#include "nvml_test.h"

#include "abi/nvml_names.h"

#include <dlfcn.h>

/* Power, temperature, clocks … are the board's, for each vGPU on it. */
static void check_passed(void)
{
        unsigned value, other;
        int major, minor;
        char serial[VGPUS][32];
        for (unsigned i = 0; i < VGPUS; i++) {
                CHECK_OK(nvmlDeviceGetPowerUsage(device(i), &value));
                CHECK(value > 0);
                CHECK_OK(nvmlDeviceGetTemperature(device(i), NVML_TEMPERATURE_GPU, &value));
                CHECK_OK(nvmlDeviceGetClock(device(i), NVML_CLOCK_SM, NVML_CLOCK_ID_CURRENT, &value));
                CHECK_EQ(value, 1980);
                CHECK_OK(nvmlDeviceGetCudaComputeCapability(device(i), &major, &minor));
                CHECK_EQ(major, 9);
                CHECK_OK(nvmlDeviceGetSerial(device(i), serial[i], sizeof serial[i]));
                CHECK_OK(nvmlDeviceGetMinorNumber(device(i), &value));
                CHECK_EQ(value, i == 2);
                CHECK_EQ(nvmlDeviceGetFanSpeed(device(i), &other), NVML_ERROR_NOT_SUPPORTED);
        }
        CHECK(strcmp(serial[0], serial[1]) == 0 && strcmp(serial[0], serial[2]) != 0);
}

static void check_refused(void)
{
        unsigned value, number = 4;
        nvmlAccountingStats_t stats;
        nvmlGpuDynamicPstatesInfo_t dynamic;
        nvmlDevice_t found;
        nvmlReturn_t status;
        nvmlEnableState_t is_on;
        CHECK_EQ(nvmlDeviceGetAccountingMode(device(0), &is_on), NVML_ERROR_NOT_SUPPORTED);
        CHECK_EQ(nvmlDeviceSetComputeMode(device(0), NVML_COMPUTEMODE_PROHIBITED), NVML_ERROR_NO_PERMISSION);
        CHECK_EQ(nvmlDeviceSetPersistenceMode(device(1), NVML_FEATURE_DISABLED), NVML_ERROR_NO_PERMISSION);
        CHECK_EQ(nvmlDeviceSetMigMode(device(0), 1, &status), NVML_ERROR_NO_PERMISSION);
        CHECK_EQ(nvmlDeviceGetAccountingStats(device(0), 1, &stats), NVML_ERROR_NOT_SUPPORTED);
        CHECK_EQ(nvmlDeviceGetAccountingPids(device(0), &number, &value), NVML_ERROR_NOT_SUPPORTED);
        CHECK_EQ(nvmlDeviceGetDynamicPstatesInfo(device(0), &dynamic), NVML_ERROR_NOT_SUPPORTED);
        CHECK_EQ(nvmlDeviceGetMigDeviceHandleByIndex(device(0), 0, &found), NVML_ERROR_NOT_SUPPORTED);
        CHECK_OK(nvmlGetExcludedDeviceCount(&value));
        CHECK_EQ(value, 0);
}

/* Two vGPUs on one GPU are on one board but no peers; the third is somewhere else. */
static void check_pairs(void)
{
        int same;
        nvmlGpuTopologyLevel_t level;
        nvmlGpuP2PStatus_t status;
        CHECK_OK(nvmlDeviceOnSameBoard(device(0), device(1), &same));
        CHECK_EQ(same, 1);
        CHECK_OK(nvmlDeviceOnSameBoard(device(1), device(2), &same));
        CHECK_EQ(same, 0);
        CHECK_EQ(nvmlDeviceOnSameBoard(device(0), NULL, &same), NVML_ERROR_INVALID_ARGUMENT);
        CHECK_OK(nvmlDeviceGetTopologyCommonAncestor(device(1), device(0), &level));
        CHECK_EQ(level, NVML_TOPOLOGY_INTERNAL);
        CHECK_OK(nvmlDeviceGetTopologyCommonAncestor(device(1), device(2), &level));
        CHECK_EQ(level, NVML_TOPOLOGY_HOSTBRIDGE);
        CHECK_OK(nvmlDeviceGetP2PStatus(device(0), device(1), NVML_P2P_CAPS_INDEX_READ, &status));
        CHECK_EQ(status, NVML_P2P_STATUS_NOT_SUPPORTED);
        CHECK_OK(nvmlDeviceGetP2PStatus(device(1), device(2), NVML_P2P_CAPS_INDEX_READ, &status));
        CHECK_EQ(status, NVML_P2P_STATUS_OK);
}

/* Lists of devices hold vGPUs: every one of a physical device, none of a device that is not ours. */
static void check_lists(void)
{
        nvmlDevice_t found[8] = {NULL};
        unsigned count = 0;
        CHECK_OK(nvmlSystemGetTopologyGpuSet(0, &count, NULL));
        CHECK_EQ(count, 3);
        count = 8;
        CHECK_OK(nvmlSystemGetTopologyGpuSet(0, &count, found));
        CHECK_EQ(count, 3);
        CHECK(found[0] == device(0) && found[1] == device(1) && found[2] == device(2));
        count = 2;
        found[2] = NULL;
        CHECK_OK(nvmlSystemGetTopologyGpuSet(0, &count, found));
        CHECK_EQ(count, 2);
        CHECK(!found[2]);
        count = 8;
        CHECK_OK(nvmlDeviceGetTopologyNearestGpus(device(2), NVML_TOPOLOGY_HOSTBRIDGE, &count, found));
        CHECK_EQ(count, 2);
        CHECK(found[0] == device(0) && found[1] == device(1));
        count = 8;
        CHECK_OK(nvmlDeviceGetTopologyNearestGpus(device(1), NVML_TOPOLOGY_HOSTBRIDGE, &count, found));
        CHECK_EQ(count, 1);
        CHECK(found[0] == device(2));
        count = 0;
        CHECK_OK(nvmlDeviceGetTopologyNearestGpus(device(1), NVML_TOPOLOGY_SINGLE, &count, NULL));
        CHECK_EQ(count, 0);
}

static void check_events(void)
{
        nvmlEventSet_t set;
        nvmlEventData_t data;
        unsigned long long energy;
        CHECK_OK(nvmlEventSetCreate(&set));
        CHECK_OK(nvmlDeviceRegisterEvents(device(1), nvmlEventTypeXidCriticalError, set));
        CHECK_EQ(nvmlEventSetWait_v2(set, &data, 0), NVML_ERROR_TIMEOUT);
        CHECK_OK(nvmlDeviceGetTotalEnergyConsumption(device(1), &energy)); /* the script: an Xid */
        CHECK_OK(nvmlEventSetWait_v2(set, &data, 10000));
        CHECK(data.device == device(1));
        CHECK_EQ(data.eventData, 43);
        CHECK_OK(nvmlEventSetFree(set));
}

/* Each exported name is found, and survives arguments that are all zero. */
static void check_names(void)
{
        static const char *const names[] = {
#define NAME(name) #name,
                FG_NVML_NAMES(NAME)
#undef NAME
        };
        void *library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_NOLOAD);
        CHECK(library);
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
                long (*function)(long, long, long, long, long, long) =
                        (long (*)(long, long, long, long, long, long))dlsym(library, names[i]);
                CHECK(function);
                CHECK((void *)function == dlsym(RTLD_DEFAULT, names[i]));
                if (strncmp(names[i], "nvmlInit", 8) == 0 || strcmp(names[i], "nvmlShutdown") == 0)
                        continue;
                if (strncmp(names[i], "nvmlDevice", 10) == 0)
                        CHECK(function(0, 0, 0, 0, 0, 0) != NVML_SUCCESS);
                else
                        function(0, 0, 0, 0, 0, 0);
        }
        CHECK(dlsym(library, "nvmlNoSuchFunction") == NULL && dlerror());
        CHECK(dlsym(RTLD_DEFAULT, "nvmlNoSuchFunction") == NULL && dlerror());
        CHECK(dlsym(RTLD_DEFAULT, "malloc") == (void *)malloc);
        dlclose(library);
}

/* The vendor's library decides whether the device is still there. */
static void check_lost(void)
{
        nvmlMemory_t memory;
        nvmlDevice_t was = device(1), found;
        char text[32];
        CHECK_EQ(nvmlDeviceGetVbiosVersion(was, text, sizeof text), NVML_ERROR_GPU_IS_LOST); /* the script */
        CHECK_EQ(nvmlDeviceGetMemoryInfo(was, &memory), NVML_ERROR_GPU_IS_LOST);
        CHECK_EQ(nvmlDeviceGetMemoryInfo(device(2), &memory), NVML_SUCCESS);
        CHECK_EQ(nvmlDeviceGetHandleByIndex_v2(0, &found), NVML_ERROR_GPU_IS_LOST);
}

int main(void)
{
        bench_open("[gpu]\nmodel = L4\n"
                   "[fault]\nat = nvmlDeviceGetTotalEnergyConsumption\nkind = xid\nxid = 43\ncount = 1\n"
                   "[fault]\nat = nvmlDeviceGetVbiosVersion\nafter = 1\nkind = lost\ncount = 1\n"
                   "[fault]\nat = nvmlDeviceGetPowerUsage\nkind = slow\ndelay = 400us\n");
        CHECK_OK(nvmlInit_v2());
        check_passed();
        check_refused();
        check_pairs();
        check_lists();
        check_events();
        char text[32];
        CHECK_OK(nvmlDeviceGetVbiosVersion(device(0), text, sizeof text));
        check_names();
        check_lost();
        CHECK_OK(nvmlShutdown());
        bench_close();
        return 0;
}
