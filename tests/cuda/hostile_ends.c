/* SPDX-License-Identifier: Apache-2.0
 * Before there is anything to work with, and after everything has been torn down. */
#include "hostile.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

static struct driver late_driver;
static CUdeviceptr late_at;

/* Registered before the driver was loaded: runs after whatever it registered itself. It may refuse; it must
 * come back. */
static void late(void)
{
        CUdeviceptr at;
        size_t left, total;

        late_driver.cuMemGetInfo_v2(&left, &total);
        if (late_driver.cuMemAlloc_v2(&at, 4096) == CUDA_SUCCESS)
                late_driver.cuMemFree_v2(at);
        late_driver.cuMemFree_v2(late_at);
        late_driver.cuDevicePrimaryCtxRelease_v2(0);
}

int verb_late(char **arguments)
{
        EXPECT(atexit(late) == 0);
        return driver_usual(&late_driver) || slice_holds(&late_driver) ||
               slice_take(&late_driver, hostile_quota / 2, &late_at);
}

static int stays_closed(const struct driver *driver)
{
        CUdeviceptr at;

        EXPECT_RESULT(CUDA_ERROR_NO_DEVICE, driver->cuInit(0));
        EXPECT_RESULT(CUDA_ERROR_NOT_INITIALIZED, driver->cuMemAlloc_v2(&at, 4096));
        return 0;
}

/* Not one descriptor to be had: no vGPU, and also none later on. */
int verb_no_descriptors(char **arguments)
{
        struct rlimit before, none;
        struct driver driver;

        EXPECT(getrlimit(RLIMIT_NOFILE, &before) == 0);
        none = before;
        none.rlim_cur = 3;
        if (driver_usual(&driver) != 0)
                return 1;
        EXPECT(setrlimit(RLIMIT_NOFILE, &none) == 0);
        if (stays_closed(&driver) != 0)
                return 1;
        EXPECT(setrlimit(RLIMIT_NOFILE, &before) == 0);
        return stays_closed(&driver);
}

/* A program that has cleared its environment does not know where the daemon is. */
int verb_no_variables(char **arguments)
{
        struct driver driver;

        if (driver_usual(&driver) != 0)
                return 1;
        EXPECT(clearenv() == 0);
        return stays_closed(&driver);
}
