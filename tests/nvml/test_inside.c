/* SPDX-License-Identifier: Apache-2.0
 * In front of inside_driver.c: what the vendor's library calls of itself, what it has more than we know of, and what it
 * lacks. */
#include "nvml_test.h"

#include <dlfcn.h>

int main(void)
{
        nvmlMemory_t memory;
        unsigned value;
        bench_open("");
        CHECK_OK(nvmlInit_v2());
        for (unsigned i = 0; i < 2; i++) {
                CHECK_OK(nvmlDeviceGetPowerUsage(device(i), &value));
                CHECK_EQ(value, 80 * 1024);
                CHECK_OK(nvmlDeviceGetMemoryInfo(device(i), &memory));
                CHECK_EQ(memory.total, i ? TOTAL_1 : TOTAL_0);
                CHECK_EQ(nvmlDeviceSetPersistenceMode(device(i), NVML_FEATURE_DISABLED), NVML_ERROR_NO_PERMISSION);
                CHECK_EQ(nvmlDeviceGetTemperature(device(i), NVML_TEMPERATURE_GPU, &value),
                         NVML_ERROR_FUNCTION_NOT_FOUND);
        }
        CHECK_OK(nvmlDeviceGetCount_v2(&value));
        CHECK_EQ(value, VGPUS);
        int (*unheard_of)(nvmlDevice_t) = (int (*)(nvmlDevice_t))dlsym(RTLD_DEFAULT, "nvmlDeviceGetSomethingNew");
        CHECK(unheard_of);
        CHECK_EQ(unheard_of(device(0)), 4711);
        CHECK_EQ(unheard_of(device(1)), -1);
        CHECK(!dlsym(RTLD_DEFAULT, "nvmlDeviceGetTemperature") && dlerror());
        CHECK(!dlsym(RTLD_DEFAULT, "nvmlDeviceGetSomethingNewer") && dlerror());
        CHECK_OK(nvmlShutdown());
        bench_close();
        return 0;
}
