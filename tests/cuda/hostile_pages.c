/* SPDX-License-Identifier: Apache-2.0
 * A tenant that lays hands on its account: a process has two vGPUs, and does it to the first. The second one, and
 * whoever else has a vGPU, must not notice. */
#include "hostile.h"

#include "fastgpu/page.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* Where /proc/self/maps says that a file whose name ends so is mapped. */
static void *mapping_of(const char *name, size_t *ret_size)
{
        FILE *maps = fopen("/proc/self/maps", "re");
        unsigned long start, end;
        void *found = NULL;
        char line[512];

        while (maps && !found && fgets(line, sizeof(line), maps)) {
                line[strcspn(line, "\n")] = 0;
                if (strlen(line) < strlen(name) || strcmp(line + strlen(line) - strlen(name), name) != 0)
                        continue;
                if (sscanf(line, "%lx-%lx", &start, &end) != 2)
                        continue;
                found = (void *)start;
                *ret_size = end - start;
        }
        if (maps)
                fclose(maps);
        return found;
}

static int second_is_well(const struct driver *driver)
{
        CUdeviceptr at, too_much;
        size_t total;

        if (driver_use(driver, 1) != 0)
                return 1;
        SUCCEEDS(driver->cuDeviceTotalMem_v2(&total, 1));
        EXPECT(total == hostile_quota);
        EXPECT_RESULT(CUDA_ERROR_OUT_OF_MEMORY, driver->cuMemAlloc_v2(&too_much, hostile_quota + 1));
        SUCCEEDS(driver->cuMemAlloc_v2(&at, hostile_quota / 2));
        EXPECT_RESULT(CUDA_ERROR_OUT_OF_MEMORY, driver->cuMemAlloc_v2(&too_much, hostile_quota / 2 + 1));
        SUCCEEDS(driver->cuMemFree_v2(at));
        return 0;
}

/* What it does on its own vGPU now is its own affair, but it ends. */
static void try_the_first(const struct driver *driver)
{
        CUdeviceptr at;

        if (driver_use(driver, 0) == 0 && driver->cuMemAlloc_v2(&at, hostile_quota / 2) == CUDA_SUCCESS)
                driver->cuMemFree_v2(at);
}

/* argument: the byte that it writes all over the page */
int verb_scribble(char **arguments)
{
        struct driver driver;
        size_t size = 0;
        void *page;

        if (driver_usual(&driver) || second_is_well(&driver) || driver_use(&driver, 0))
                return 1;
        page = mapping_of("/usage0", &size);
        EXPECT(page && size >= sizeof(struct fg_usage_page));
        memset(page, (int)strtol(arguments[0], NULL, 0), size);
        try_the_first(&driver);
        return second_is_well(&driver);
}

/* Its own calls may end it; somebody else's go on. */
int verb_unmap(char **arguments)
{
        struct driver driver;
        size_t size = 0;
        int pid = fork();

        if (pid == 0) {
                void *page;

                alarm(20);
                if (driver_usual(&driver) || driver_use(&driver, 0))
                        _exit(1);
                page = mapping_of("/usage0", &size);
                if (page && munmap(page, size) == 0)
                        try_the_first(&driver);
                _exit(0);
        }
        EXPECT(pid > 0 && waitpid(pid, NULL, 0) == pid);
        return driver_usual(&driver) || slice_holds(&driver) || second_is_well(&driver);
}

/* The limits are the daemon's: a process can look at them, and no more. */
int verb_raise(char **arguments)
{
        struct driver driver;
        size_t size = 0;
        void *page;

        if (driver_usual(&driver) || driver_use(&driver, 0))
                return 1;
        page = mapping_of("/limits0", &size);
        EXPECT(page && size >= sizeof(struct fg_limits_page));
        EXPECT(mprotect(page, size, PROT_READ | PROT_WRITE) != 0);
        return slice_holds(&driver);
}
