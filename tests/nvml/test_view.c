/* SPDX-License-Identifier: Apache-2.0
 * The view: devices, memory, processes and use are the vGPUs' own. */
#include "nvml_test.h"

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

static void check_lifetime(void)
{
        unsigned count;
        CHECK_EQ(nvmlDeviceGetCount_v2(&count), NVML_ERROR_UNINITIALIZED);
        CHECK_EQ(nvmlShutdown(), NVML_ERROR_UNINITIALIZED);
        CHECK_OK(nvmlInit_v2());
        CHECK_OK(nvmlInit());
        CHECK_OK(nvmlShutdown());
        CHECK_OK(nvmlDeviceGetCount_v2(&count));
        CHECK_EQ(count, VGPUS);
        CHECK_OK(nvmlShutdown());
        CHECK_EQ(nvmlDeviceGetCount(&count), NVML_ERROR_UNINITIALIZED);
        CHECK_OK(nvmlInitWithFlags(0));
}

static void check_identity(void)
{
        char uuid[VGPUS][96], name[96];
        unsigned value, other;
        nvmlDevice_t found;
        nvmlPciInfo_t pci[VGPUS];
        nvmlUUID_t id = {.version = nvmlUUID_v1, .type = 2};
        for (unsigned i = 0; i < VGPUS; i++) {
                CHECK_OK(nvmlDeviceGetUUID(device(i), uuid[i], sizeof uuid[i]));
                CHECK_OK(nvmlDeviceGetHandleByUUID(uuid[i], &found));
                CHECK(found == device(i));
                memcpy(id.value.bytes, limits[i]->uuid, 16);
                CHECK_OK(nvmlDeviceGetHandleByUUIDV(&id, &found));
                CHECK(found == device(i));
                CHECK_OK(nvmlDeviceGetIndex(device(i), &value));
                CHECK_EQ(value, i);
                CHECK_OK(nvmlDeviceGetName(device(i), name, sizeof name));
                CHECK(strcmp(name, "NVIDIA H100 80GB HBM3") == 0);
                CHECK_OK(nvmlDeviceGetPciInfo_v3(device(i), &pci[i]));
                CHECK_OK(nvmlDeviceGetMigMode(device(i), &value, &other));
                CHECK_EQ(value, NVML_DEVICE_MIG_DISABLE);
        }
        CHECK(strcmp(uuid[0], "GPU-01010101-0101-0101-0101-010101010101") == 0);
        CHECK(strcmp(uuid[1], "GPU-02020202-0202-0202-0202-020202020202") == 0);
        CHECK(device(0) != device(1) && device(1) != device(2) && device(0) != device(2));
        CHECK_EQ(pci[0].bus, pci[1].bus);
        CHECK_EQ(pci[2].bus, pci[0].bus + 1);
        CHECK_OK(nvmlDeviceGetHandleByPciBusId_v2(pci[1].busId, &found));
        CHECK(found == device(0));
        CHECK_OK(nvmlDeviceGetHandleByPciBusId(pci[2].busId, &found));
        CHECK(found == device(2));
        CHECK_EQ(nvmlDeviceGetUUID(device(0), name, 40), NVML_ERROR_INSUFFICIENT_SIZE);
}

/* Nothing of the physical device is to be had under its own names, and nothing by handles that are not ours. */
static void check_strangers(void)
{
        nvmlDevice_t found;
        unsigned value;
        char text[96];
        CHECK_EQ(nvmlDeviceGetHandleByUUID(GPU_UUID, &found), NVML_ERROR_NOT_FOUND);
        CHECK_EQ(nvmlDeviceGetHandleByIndex_v2(VGPUS, &found), NVML_ERROR_INVALID_ARGUMENT);
        CHECK_EQ(nvmlDeviceGetHandleByPciBusId_v2("00000000:77:00.0", &found), NVML_ERROR_NOT_FOUND);
        CHECK_EQ(nvmlDeviceGetIndex(NULL, &value), NVML_ERROR_INVALID_ARGUMENT);
        CHECK_EQ(nvmlDeviceGetName((nvmlDevice_t)text, text, sizeof text), NVML_ERROR_INVALID_ARGUMENT);
        CHECK_EQ(nvmlDeviceGetPowerUsage((nvmlDevice_t)((char *)device(1) + 8), &value), NVML_ERROR_INVALID_ARGUMENT);
        CHECK_EQ(nvmlDeviceGetMemoryInfo(NULL, NULL), NVML_ERROR_INVALID_ARGUMENT);
}

static void check_memory_of(unsigned index, uint64_t total, uint64_t used)
{
        nvmlMemory_t one;
        nvmlMemory_v2_t two = {.version = nvmlMemory_v2};
        CHECK_OK(nvmlDeviceGetMemoryInfo(device(index), &one));
        CHECK_OK(nvmlDeviceGetMemoryInfo_v2(device(index), &two));
        CHECK_EQ(one.total, total);
        CHECK_EQ(one.used, used);
        CHECK_EQ(one.free, total - used);
        CHECK_EQ(two.total, total);
        CHECK_EQ(two.used, used);
        CHECK_EQ(two.free, total - used);
        CHECK_EQ(two.reserved, 0);
}

static void check_memory(void)
{
        nvmlMemory_v2_t wrong = {.version = nvmlMemory_v2 + 1};
        CHECK_EQ(nvmlDeviceGetMemoryInfo_v2(device(0), &wrong), NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
        hold(0, 40, 10 * MI + 1);
        hold(2, 40, TOTAL_2);
        check_memory_of(0, TOTAL_0, 10 * MI + 1);
        check_memory_of(1, TOTAL_1, 0);
        check_memory_of(2, TOTAL_2, TOTAL_2);
        let_go(0, 40, 10 * MI + 1);
        let_go(2, 40, TOTAL_2);
        check_memory_of(0, TOTAL_0, 0);
        /* The quota can change while a program looks. */
        __atomic_store_n(&limits[0]->quota, TOTAL_0 / 2, __ATOMIC_RELEASE);
        check_memory_of(0, TOTAL_0 / 2, 0);
        __atomic_store_n(&limits[0]->quota, TOTAL_0, __ATOMIC_RELEASE);
}

static unsigned list(unsigned index, nvmlProcessInfo_t *ret)
{
        unsigned count = 8;
        CHECK_OK(nvmlDeviceGetComputeRunningProcesses_v3(device(index), &count, ret));
        return count;
}

static void check_processes(void)
{
        nvmlProcessInfo_t found[8];
        nvmlProcessInfo_v1_t old[8];
        nvmlProcessDetail_v1_t detail[8];
        nvmlProcessDetailList_t all = {
                .version = nvmlProcessDetailList_v1, .numProcArrayEntries = 8, .procArray = detail};
        unsigned count = 0;
        pid_t one = sleeper(), other = sleeper(), neighbour = sleeper();
        CHECK_OK(nvmlDeviceGetComputeRunningProcesses_v3(device(0), &count, NULL)); /* not even we: nothing is held */
        own_slot(0, 40, one, start_of(one));
        own_slot(0, 41, other, start_of(other));
        own_slot(0, 42, one, start_of(one));             /* a process may attach twice: two slots, one process */
        own_slot(0, 43, other, start_of(other) + 12345); /* a process that is gone, whose pid another one has */
        own_slot(1, 40, neighbour, start_of(neighbour));
        hold(0, 40, 3 * MI);
        hold(0, 41, 5 * MI);
        hold(0, 42, 7 * MI);
        hold(0, 43, MI);
        hold(1, 40, 9 * MI);
        CHECK_EQ(nvmlDeviceGetComputeRunningProcesses_v3(device(0), &count, NULL), NVML_ERROR_INSUFFICIENT_SIZE);
        CHECK_EQ(count, 2);
        CHECK_EQ(list(0, found), 2);
        CHECK_EQ(found[0].pid, one);
        CHECK_EQ(found[0].usedGpuMemory, 10 * MI);
        CHECK_EQ(found[1].pid, other);
        CHECK_EQ(found[1].usedGpuMemory, 5 * MI);
        CHECK_EQ(found[1].gpuInstanceId, 0xffffffff);
        CHECK_EQ(list(1, found), 1);
        CHECK_EQ(found[0].pid, neighbour);
        CHECK_EQ(list(2, found), 0);
        count = 8;
        CHECK_OK(nvmlDeviceGetComputeRunningProcesses(device(0), &count, old));
        CHECK_EQ(old[1].usedGpuMemory, 5 * MI);
        CHECK_OK(nvmlDeviceGetRunningProcessDetailList(device(0), &all));
        CHECK_EQ(all.numProcArrayEntries, 2);
        CHECK_EQ(detail[0].usedGpuMemory, 10 * MI);
        CHECK_OK(nvmlDeviceGetGraphicsRunningProcesses_v3(device(0), &count, found));
        CHECK_EQ(count, 0);
        own_slot(0, 41, 0, 0); /* the daemon saw it die */
        let_go(0, 41, 5 * MI);
        CHECK_EQ(list(0, found), 1);
        let_go(0, 40, 3 * MI);
        let_go(0, 42, 7 * MI);
        let_go(0, 43, MI);
        let_go(1, 40, 9 * MI);
        /* What only the driver knows of. */
        limits[0]->owner[40].driver_used = 4 * MI;
        CHECK_EQ(list(0, found), 1);
        CHECK_EQ(found[0].usedGpuMemory, 4 * MI);
        limits[0]->owner[40].driver_used = 0;
        for (unsigned slot = 40; slot < 44; slot++)
                own_slot(0, slot, 0, 0);
        own_slot(1, 40, 0, 0);
        end(one);
        end(other);
        end(neighbour);
}

/* A process with nothing of ours mapped, and one that started in the same tick and has our pages. */
static pid_t twins(pid_t *ret_stranger)
{
        for (int i = 0; i < 100; i++) {
                pid_t stranger = fork();
                if (stranger == 0) {
                        execlp("sleep", "sleep", "100", (char *)NULL);
                        _exit(1);
                }
                pid_t holder = sleeper();
                if (start_of(stranger) == start_of(holder)) {
                        usleep(100000); /* until it is the other program */
                        *ret_stranger = stranger;
                        return holder;
                }
                end(stranger);
                end(holder);
        }
        fprintf(stderr, "no two processes start in the same tick\n");
        exit(1);
}

/* In a PID namespace of its own, where the daemon's numbers mean nothing. */
static void inside_namespace(void)
{
        nvmlProcessInfo_t found[8];
        CHECK_EQ(mount("proc", "/proc", "proc", 0, NULL), 0);
        usleep(50000); /* another tick than anybody else's */
        pid_t stranger, holder = twins(&stranger);
        CHECK(holder > stranger && holder < 300);
        own_slot(0, 40, 999999, start_of(holder));
        hold(0, 40, 2 * MI);
        CHECK_EQ(list(0, found), 1);
        CHECK_EQ(found[0].pid, holder);
        end(holder);
        CHECK_EQ(list(0, found), 0);                       /* not the stranger */
        own_slot(0, 40, 999999, start_of(stranger) + 777); /* somebody outside */
        CHECK_EQ(list(0, found), 0);
        own_slot(0, 40, 0, 0);
        let_go(0, 40, 2 * MI);
        end(stranger);
        exit(0);
}

static void check_namespace(void)
{
        int status;
        pid_t child = fork();
        if (child == 0) {
                if (unshare(CLONE_NEWPID | CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                        _exit(77);
                pid_t first = fork();
                if (first == 0)
                        inside_namespace();
                CHECK_EQ(waitpid(first, &status, 0), first);
                _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
        }
        CHECK_EQ(waitpid(child, &status, 0), child);
        CHECK(WIFEXITED(status));
        if (WEXITSTATUS(status) == 77)
                fprintf(stderr, "no PID namespace to be had here: not tested\n");
        else
                CHECK_EQ(WEXITSTATUS(status), 0);
}

#define MUCH (3600ull * 1000000000) /* more device time than passes here */

static void check_use(void)
{
        nvmlUtilization_t rates;
        nvmlProcessUtilizationSample_t samples[8];
        nvmlProcessesUtilizationInfo_t info = {.version = nvmlProcessesUtilizationInfo_v1};
        unsigned count = 8;
        pid_t busy = sleeper(), idle = sleeper();
        CHECK_OK(nvmlDeviceGetUtilizationRates(device(0), &rates));
        CHECK_EQ(rates.gpu, 0);
        CHECK_EQ(nvmlDeviceGetProcessUtilization(device(0), samples, &count, 0), NVML_ERROR_NOT_FOUND);
        usleep(150000); /* a window ends */
        own_slot(0, 50, busy, start_of(busy));
        own_slot(0, 51, idle, start_of(idle));
        hold(0, 50, MI);
        hold(0, 51, MI);
        __atomic_fetch_add(&limits[0]->charged, MUCH, __ATOMIC_RELAXED);
        __atomic_fetch_add(&usage[0]->slot[50].busy, MUCH, __ATOMIC_RELAXED);
        __atomic_fetch_add(&usage[2]->slot[9].busy, MUCH, __ATOMIC_RELAXED); /* measured, not yet charged */
        for (unsigned i = 0; i < VGPUS; i++) {
                CHECK_OK(nvmlDeviceGetUtilizationRates(device(i), &rates));
                CHECK_EQ(rates.gpu, i == 1 ? 0 : 100);
        }
        count = 0;
        CHECK_EQ(nvmlDeviceGetProcessUtilization(device(0), NULL, &count, 0), NVML_ERROR_INSUFFICIENT_SIZE);
        CHECK_EQ(count, 1);
        CHECK_OK(nvmlDeviceGetProcessUtilization(device(0), samples, &count, 0));
        CHECK_EQ(samples[0].pid, busy);
        CHECK_EQ(samples[0].smUtil, 100);
        count = 8;
        CHECK_EQ(nvmlDeviceGetProcessUtilization(device(0), samples, &count, ~0ull), NVML_ERROR_NOT_FOUND);
        CHECK_EQ(nvmlDeviceGetProcessesUtilizationInfo(device(0), &info), NVML_ERROR_INSUFFICIENT_SIZE);
        info.version++;
        CHECK_EQ(nvmlDeviceGetProcessesUtilizationInfo(device(0), &info), NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
        let_go(0, 50, MI);
        let_go(0, 51, MI);
        own_slot(0, 50, 0, 0);
        own_slot(0, 51, 0, 0);
        end(busy);
        end(idle);
}

/* A child sees what its parent sees. */
static void check_fork(void)
{
        int status;
        hold(1, 60, 6 * MI);
        pid_t child = fork();
        if (child == 0) {
                check_memory_of(1, TOTAL_1, 6 * MI);
                exit(0);
        }
        CHECK_EQ(waitpid(child, &status, 0), child);
        CHECK_EQ(status, 0);
        let_go(1, 60, 6 * MI);
        check_memory_of(1, TOTAL_1, 0);
}

int main(void)
{
        bench_open("");
        check_lifetime();
        check_identity();
        check_strangers();
        check_memory();
        check_processes();
        check_namespace();
        check_use();
        check_fork();
        CHECK_OK(nvmlShutdown());
        bench_close();
        return 0;
}
