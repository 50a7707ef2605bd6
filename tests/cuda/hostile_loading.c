/* SPDX-License-Identifier: Apache-2.0
 * Ways to come by the driver. */
#include "hostile.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

int verb_soname(char **arguments)
{
        struct driver driver;

        return driver_usual(&driver) || slice_holds(&driver);
}

static int open_with(const char *file, int flags)
{
        void *handle = dlopen(file, RTLD_NOW | flags);
        struct driver driver;

        if (!handle)
                fprintf(stderr, "hostile: %s\n", dlerror());
        EXPECT(handle);
        return driver_of(handle, &driver) || slice_holds(&driver);
}

int verb_path(char **arguments)
{
        return open_with(arguments[0], RTLD_LOCAL);
}

int verb_deepbind(char **arguments)
{
        return open_with(arguments[0], RTLD_LOCAL | RTLD_DEEPBIND);
}

/* A namespace of its own, with a libc of its own. */
int verb_dlmopen(char **arguments)
{
        void *handle = dlmopen(LM_ID_NEWLM, arguments[0], RTLD_NOW);
        struct driver driver;

        if (!handle)
                fprintf(stderr, "hostile: %s\n", dlerror());
        EXPECT(handle);
        return driver_of(handle, &driver) || slice_holds(&driver);
}

/* Preloaded: nobody opens anything. */
int verb_global(char **arguments)
{
        struct driver driver;

        return driver_of(RTLD_DEFAULT, &driver) || slice_holds(&driver);
}

/* Asked twice, and between the two for names that are not the driver's: the answers stay the same, and are the
 * slice's. */
int verb_next(char **arguments)
{
        struct driver first, second;

        if (driver_of(RTLD_NEXT, &first) != 0)
                return 1;
        EXPECT(dlsym(RTLD_NEXT, "malloc") && !dlsym(RTLD_NEXT, "cuNoSuchFunction") && dlerror());
        EXPECT(dlsym(RTLD_NEXT, "dlsym") && dlsym(RTLD_DEFAULT, "dlsym"));
        if (driver_of(RTLD_NEXT, &second) != 0)
                return 1;
        EXPECT(memcmp(&first, &second, sizeof(first)) == 0);
        return slice_holds(&first);
}

/* The vendor's own file by its path, with the drop-in preloaded: what is asked for by name is answered with the
 * hooks. */
int verb_vendor(char **arguments)
{
        return open_with(arguments[0], RTLD_LOCAL);
}

/* No vGPU: no device, in the driver's own words. With a setuid bit the dynamic linker must have seen it. */
int verb_closed(char **arguments)
{
        void *handle = dlopen(arguments[0], RTLD_NOW | RTLD_LOCAL);
        struct driver driver;
        CUdeviceptr at;
        int count;

        if (arguments[1] && !getauxval(AT_SECURE))
                return 77;
        EXPECT(handle && driver_of(handle, &driver) == 0);
        for (int again = 0; again < 2; again++)
                EXPECT_RESULT(CUDA_ERROR_NO_DEVICE, driver.cuInit(0));
        EXPECT_RESULT(CUDA_ERROR_NOT_INITIALIZED, driver.cuDeviceGetCount(&count));
        EXPECT_RESULT(CUDA_ERROR_NOT_INITIALIZED, driver.cuMemAlloc_v2(&at, 4096));
        return 0;
}

static int address(const struct driver *driver, const char *name, int version, void *ret_function)
{
        CUdriverProcAddressQueryResult status;

        SUCCEEDS(driver->cuGetProcAddress_v2(name, ret_function, version, CU_GET_PROC_ADDRESS_DEFAULT, &status));
        EXPECT(status == CU_GET_PROC_ADDRESS_SUCCESS && *(void **)ret_function);
        return 0;
}

/* As cudart does it: from the addresses that the driver gives out. */
int verb_addresses(char **arguments)
{
        struct driver driver, given;

        if (driver_usual(&driver) != 0)
                return 1;
        given = driver;
        if (address(&driver, "cuInit", 12000, &given.cuInit) ||
            address(&driver, "cuMemAlloc", 12000, &given.cuMemAlloc_v2) ||
            address(&driver, "cuMemFree", 12000, &given.cuMemFree_v2) ||
            address(&driver, "cuMemGetInfo", 12000, &given.cuMemGetInfo_v2) ||
            address(&driver, "cuDeviceTotalMem", 12000, &given.cuDeviceTotalMem_v2) ||
            address(&driver, "cuGetProcAddress", 12000, &given.cuGetProcAddress_v2))
                return 1;
        if (address(&given, "cuMemAlloc", 11000, &given.cuMemAlloc_v2) != 0)
                return 1;
        return slice_holds(&given);
}

/* Closed, and opened again: what the program holds is still its own. */
int verb_reopen(char **arguments)
{
        struct driver driver;
        CUdeviceptr at;
        void *handle;

        for (int i = 0; i < 3; i++) {
                handle = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
                EXPECT(handle && driver_of(handle, &driver) == 0 && driver_use(&driver, 0) == 0);
                if (i > 0)
                        SUCCEEDS(driver.cuMemFree_v2(at));
                if (slice_holds(&driver) || slice_take(&driver, hostile_quota / 4 * 3, &at))
                        return 1;
                EXPECT(dlclose(handle) == 0);
        }
        return 0;
}
