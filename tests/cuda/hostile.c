/* SPDX-License-Identifier: Apache-2.0
 * usage: hostile VERB [ARGUMENT…], with the quota of each vGPU in HOSTILE_QUOTA.
 * Says "well" if all was as it should be. */
#include "hostile.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE 60 /* seconds; only a verb that hangs needs them */

uint64_t hostile_quota;

static const struct {
        const char *name;
        verb_fn *run;
} verbs[] = {
        {"soname", verb_soname},
        {"path", verb_path},
        {"deepbind", verb_deepbind},
        {"dlmopen", verb_dlmopen},
        {"global", verb_global},
        {"next", verb_next},
        {"vendor", verb_vendor},
        {"closed", verb_closed},
        {"addresses", verb_addresses},
        {"fork-before", verb_fork_before},
        {"fork-after", verb_fork_after},
        {"fork-threads", verb_fork_threads},
        {"exec", verb_exec},
        {"together", verb_together},
        {"one", verb_one},
        {"threads", verb_threads},
        {"cancel", verb_cancel},
        {"exit-inside", verb_exit_inside},
        {"signals", verb_signals},
        {"scribble", verb_scribble},
        {"unmap", verb_unmap},
        {"raise", verb_raise},
        {"reopen", verb_reopen},
        {"fork-raw", verb_fork_raw},
        {"spawn", verb_spawn},
        {"small-stack", verb_small_stack},
        {"late", verb_late},
        {"no-variables", verb_no_variables},
        {"no-descriptors", verb_no_descriptors},
};

int driver_of(void *handle, struct driver *ret_driver)
{
#define HOSTILE_FIND(name) \
        ret_driver->name = (__typeof__(&name))dlsym(handle, #name); \
        EXPECT(ret_driver->name);
        HOSTILE_USES(HOSTILE_FIND)
#undef HOSTILE_FIND
        return 0;
}

int driver_usual(struct driver *ret_driver)
{
        void *handle = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);

        EXPECT(handle);
        return driver_of(handle, ret_driver);
}

int driver_use(const struct driver *driver, int ordinal)
{
        CUcontext context;
        CUdevice device;

        SUCCEEDS(driver->cuInit(0));
        SUCCEEDS(driver->cuDeviceGet(&device, ordinal));
        SUCCEEDS(driver->cuDevicePrimaryCtxRetain(&context, device));
        SUCCEEDS(driver->cuCtxSetCurrent(context));
        return 0;
}

int slice_holds(const struct driver *driver)
{
        size_t total = 0, free_before = 0, free_after = 0;
        CUdeviceptr at, too_much;

        if (driver_use(driver, 0) != 0)
                return 1;
        SUCCEEDS(driver->cuDeviceTotalMem_v2(&total, 0));
        EXPECT(total == hostile_quota);
        /* Before anything is refused, pools give back what they only keep. */
        EXPECT_RESULT(CUDA_ERROR_OUT_OF_MEMORY, driver->cuMemAlloc_v2(&too_much, hostile_quota + 1));
        SUCCEEDS(driver->cuMemGetInfo_v2(&free_before, &total));
        EXPECT(total == hostile_quota && free_before <= hostile_quota);
        SUCCEEDS(driver->cuMemAlloc_v2(&at, hostile_quota / 8));
        SUCCEEDS(driver->cuMemGetInfo_v2(&free_after, &total));
        EXPECT(free_after <= free_before && free_before - free_after >= hostile_quota / 8);
        EXPECT_RESULT(CUDA_ERROR_OUT_OF_MEMORY, driver->cuMemAlloc_v2(&too_much, hostile_quota));
        SUCCEEDS(driver->cuMemFree_v2(at));
        SUCCEEDS(driver->cuMemGetInfo_v2(&free_after, &total));
        EXPECT(free_after == free_before);
        return 0;
}

int slice_take(const struct driver *driver, uint64_t bytes, CUdeviceptr *ret_at)
{
        SUCCEEDS(driver->cuMemAlloc_v2(ret_at, bytes));
        return 0;
}

int child_is_well(int pid)
{
        int status;

        EXPECT(pid > 0 && waitpid(pid, &status, 0) == pid);
        if (WIFSIGNALED(status))
                fprintf(stderr, "hostile: a child died of signal %d\n", WTERMSIG(status));
        return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
        const char *quota = getenv("HOSTILE_QUOTA");

        hostile_quota = quota ? strtoull(quota, NULL, 0) : 0;
        alarm(PATIENCE);
        for (size_t i = 0; argc > 1 && i < sizeof(verbs) / sizeof(verbs[0]); i++)
                if (strcmp(argv[1], verbs[i].name) == 0) {
                        int status = verbs[i].run(argv + 2);

                        if (status == 0)
                                puts("well");
                        return status;
                }
        fprintf(stderr, "usage: hostile VERB [ARGUMENT…]\n");
        return 2;
}
