/* SPDX-License-Identifier: Apache-2.0
 * fork without exec, exec without fork, and many at a time. */
#include "hostile.h"

#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Parent and child use CUDA for the first time after the fork, and share the vGPU. */
int verb_fork_before(char **arguments)
{
        struct driver driver;
        CUdeviceptr at;
        int pid;

        if (driver_usual(&driver) != 0)
                return 1;
        pid = fork();
        if (driver_use(&driver, 0) != 0 || slice_take(&driver, hostile_quota / 4, &at) != 0)
                return 1;
        EXPECT_RESULT(CUDA_ERROR_OUT_OF_MEMORY, driver.cuMemAlloc_v2(&at, hostile_quota));
        if (pid == 0)
                _exit(0); /* with its memory: the account must not keep it */
        return child_is_well(pid);
}

/* The driver does not serve a child of a process that it serves. The child must hear that, and no more than that may
 * happen: what it does is not the parent's. */
static int child_after(const struct driver *driver, CUdeviceptr of_parent)
{
        CUdeviceptr at;

        EXPECT(driver->cuInit(0) != CUDA_SUCCESS);
        EXPECT(driver->cuMemAlloc_v2(&at, hostile_quota / 4) != CUDA_SUCCESS);
        EXPECT(driver->cuMemFree_v2(of_parent) != CUDA_SUCCESS);
        EXPECT(driver->cuCtxSynchronize() != CUDA_SUCCESS);
        return 0;
}

static int fork_after(pid_t (*split)(void), int (*child)(const struct driver *driver, CUdeviceptr of_parent))
{
        size_t before, after, total;
        struct driver driver;
        CUdeviceptr at;
        int pid;

        if (driver_usual(&driver) || driver_use(&driver, 0) || slice_take(&driver, hostile_quota / 4, &at))
                return 1;
        SUCCEEDS(driver.cuMemGetInfo_v2(&before, &total));
        pid = split();
        if (pid == 0)
                _exit(child(&driver, at));
        if (child_is_well(pid) != 0)
                return 1;
        SUCCEEDS(driver.cuMemGetInfo_v2(&after, &total));
        EXPECT(after == before);
        SUCCEEDS(driver.cuMemFree_v2(at));
        return slice_holds(&driver);
}

int verb_fork_after(char **arguments)
{
        return fork_after(fork, child_after);
}

/* As runtimes do that have no libc: nobody who wants to hear of a fork hears of it, perhaps not even the driver. What
 * is served is on the parent's account. */
static int child_unheard(const struct driver *driver, CUdeviceptr of_parent)
{
        CUdeviceptr at, too_much;

        EXPECT(driver->cuMemAlloc_v2(&too_much, hostile_quota) != CUDA_SUCCESS);
        if (driver->cuMemAlloc_v2(&at, hostile_quota / 4) == CUDA_SUCCESS)
                SUCCEEDS(driver->cuMemFree_v2(at));
        return 0;
}

static pid_t raw_fork(void)
{
        return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}

int verb_fork_raw(char **arguments)
{
        return fork_after(raw_fork, child_unheard);
}

static struct driver busy_driver;
static volatile bool busy_stop;

static void *busy(void *unused)
{
        CUdeviceptr at;

        if (driver_use(&busy_driver, 0) != 0)
                return (void *)"cannot begin";
        while (!busy_stop)
                if (busy_driver.cuMemAlloc_v2(&at, 4096) != CUDA_SUCCESS ||
                    busy_driver.cuMemFree_v2(at) != CUDA_SUCCESS)
                        return (void *)"cannot allocate";
        return NULL;
}

/* Threads are anywhere inside when the fork happens; the child must not find a lock that nobody will open. */
int verb_fork_threads(char **arguments)
{
        pthread_t thread[4];
        void *complaint = NULL;

        if (driver_usual(&busy_driver) || driver_use(&busy_driver, 0))
                return 1;
        for (int i = 0; i < 4; i++)
                EXPECT(pthread_create(&thread[i], NULL, busy, NULL) == 0);
        for (int i = 0; i < 50; i++) {
                int pid = fork();

                if (pid == 0) {
                        alarm(20); /* not inherited */
                        _exit(child_after(&busy_driver, 0x1000));
                }
                if (child_is_well(pid) != 0)
                        return 1;
        }
        busy_stop = true;
        for (int i = 0; i < 4; i++) {
                EXPECT(pthread_join(thread[i], &complaint) == 0);
                EXPECT(!complaint);
        }
        return slice_holds(&busy_driver);
}

/* Becomes itself again and again, each time holding most of the vGPU. What the program before held is free for the
 * next one, which may have to wait for the daemon to notice that the other is gone. */
int verb_exec(char **arguments)
{
        int left = atoi(arguments[0]);
        struct driver driver;
        char number[16];
        CUdeviceptr at;
        CUresult r;

        if (driver_usual(&driver) || driver_use(&driver, 0))
                return 1;
        for (int patience = 0; patience < 2000; patience++) {
                r = driver.cuMemAlloc_v2(&at, hostile_quota / 4 * 3);
                if (r != CUDA_ERROR_OUT_OF_MEMORY)
                        break;
                usleep(1000);
        }
        SUCCEEDS(r);
        if (left == 0)
                return 0;
        snprintf(number, sizeof(number), "%d", left - 1);
        execl("/proc/self/exe", "hostile", "exec", number, NULL);
        return 1;
}

/* Others are started while this one holds most of the vGPU, in the way that shares its memory until they are another
 * program. */
int verb_spawn(char **arguments)
{
        char *words[] = {(char *)"hostile", (char *)"one", (char *)"8", NULL};
        struct driver driver;
        CUdeviceptr at;
        pid_t pid;

        if (driver_usual(&driver) || driver_use(&driver, 0) || slice_take(&driver, hostile_quota / 4 * 3, &at))
                return 1;
        for (int i = 0; i < 8; i++) {
                EXPECT(posix_spawn(&pid, "/proc/self/exe", NULL, NULL, words, environ) == 0);
                if (child_is_well(pid) != 0)
                        return 1;
        }
        SUCCEEDS(driver.cuMemFree_v2(at));
        return slice_holds(&driver);
}

/* One of many: its part of the vGPU, which is there for all of them together. */
int verb_one(char **arguments)
{
        struct driver driver;
        CUdeviceptr at;

        if (driver_usual(&driver) || driver_use(&driver, 0))
                return 1;
        if (slice_take(&driver, hostile_quota / (uint64_t)atoi(arguments[0]), &at) != 0)
                return 1;
        SUCCEEDS(driver.cuMemFree_v2(at));
        return 0;
}

int verb_together(char **arguments)
{
        int count = atoi(arguments[0]), bad = 0, *pid = calloc((size_t)count, sizeof(*pid));

        EXPECT(pid);
        for (int i = 0; i < count; i++) {
                pid[i] = fork();
                if (pid[i] == 0) {
                        execl("/proc/self/exe", "hostile", "one", arguments[0], NULL);
                        _exit(127);
                }
        }
        for (int i = 0; i < count; i++)
                bad += child_is_well(pid[i]);
        free(pid);
        EXPECT(bad == 0);
        return 0;
}
