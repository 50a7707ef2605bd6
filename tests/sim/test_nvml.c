/* SPDX-License-Identifier: Apache-2.0
 * The simulated NVML beside processes that use its GPUs: children that hold memory and device time in the shared state.
 */
#include "unit/unit.h"

#include "abi/nvml.h"
#include "sim/shared.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define MI (1024ull * 1024)

static char folder[64];

/* A script of its own for each test; the faults name nvml calls. */
static void spec(const char *faults)
{
        char path[128];
        FILE *file;
        snprintf(path, sizeof path, "%s/spec", folder);
        file = fopen(path, "we");
        assert_non_null(file);
        fprintf(file, "[gpu]\nmodel = H100\ncount = 2\nmemory = 1G\n[gpu]\nmodel = My GPU\nmemory = 512M\n%s", faults);
        fclose(file);
        setenv("FASTGPU_SIM", path, 1);
        setenv("FASTGPU_SIM_STATE", folder, 1);
}

/* Every test is a process of its own: the library reads the script once. */
static void in_child(void (*body)(void))
{
        int status;
        pid_t child = fork();
        if (child == 0) {
                alarm(60);
                body();
                _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
}

#define CHECK(condition)                                                                                               \
        do {                                                                                                           \
                if (!(condition)) {                                                                                    \
                        fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                      \
                        _exit(1);                                                                                      \
                }                                                                                                      \
        } while (0)
#define CHECK_EQ(found, expected)                                                                                      \
        do {                                                                                                           \
                long long f_ = (long long)(found), e_ = (long long)(expected);                                         \
                if (f_ != e_) {                                                                                        \
                        fprintf(stderr, "%s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #found, f_, e_);          \
                        _exit(1);                                                                                      \
                }                                                                                                      \
        } while (0)
#define CHECK_OK(call) CHECK_EQ(call, NVML_SUCCESS)

/* A process that has `bytes` of GPU `gpu` and, all the time, a device at work; it lives until it is killed. */
static pid_t holder(uint32_t gpu, uint64_t bytes, bool busy)
{
        int ready[2];
        char c;
        CHECK_EQ(pipe(ready), 0);
        pid_t child = fork();
        if (child == 0) {
                struct fg_error err;
                CHECK_EQ(fgsim_attach(&err), 0);
                CHECK_EQ(fgsim_slot_take(), 0);
                CHECK(fgsim_gpu_take(gpu, bytes));
                CHECK_EQ(write(ready[1], "", 1), 1);
                for (;;) {
                        usleep(1000);
                        if (busy) {
                                __atomic_fetch_add(&fgsim_shared->gpu[gpu].busy_ns, 5000000, __ATOMIC_RELAXED);
                                __atomic_fetch_add(&fgsim_shared->gpu[gpu].share[fgsim_slot].busy_ns, 5000000,
                                                   __ATOMIC_RELAXED);
                        }
                }
        }
        CHECK_EQ(read(ready[0], &c, 1), 1);
        close(ready[0]);
        close(ready[1]);
        return child;
}

static void end(pid_t child)
{
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
}

static nvmlDevice_t device(unsigned index)
{
        nvmlDevice_t ret;
        CHECK_OK(nvmlDeviceGetHandleByIndex_v2(index, &ret));
        return ret;
}

static void body_lifetime(void)
{
        unsigned count;
        nvmlDevice_t first;
        CHECK_EQ(nvmlDeviceGetCount_v2(&count), NVML_ERROR_UNINITIALIZED);
        CHECK_EQ(nvmlShutdown(), NVML_ERROR_UNINITIALIZED);
        CHECK_OK(nvmlInit_v2());
        CHECK_OK(nvmlInitWithFlags(0));
        CHECK_OK(nvmlDeviceGetCount_v2(&count));
        CHECK_EQ(count, 3);
        first = device(0);
        CHECK_OK(nvmlShutdown());
        CHECK_OK(nvmlDeviceGetIndex(first, &count));
        CHECK_OK(nvmlShutdown());
        CHECK_EQ(nvmlDeviceGetIndex(first, &count), NVML_ERROR_UNINITIALIZED);
        CHECK_EQ(nvmlShutdown(), NVML_ERROR_UNINITIALIZED);
        CHECK(strcmp(nvmlErrorString(NVML_ERROR_GPU_IS_LOST), "GPU is lost") == 0);
        CHECK(strcmp(nvmlErrorString((nvmlReturn_t)12345), "Unknown Error") == 0);
        unsetenv("FASTGPU_SIM");
}

static void body_no_spec(void)
{
        unsetenv("FASTGPU_SIM");
        CHECK_EQ(nvmlInit_v2(), NVML_ERROR_DRIVER_NOT_LOADED);
}

/* A device is the same by every name that it has. */
static void body_identity(void)
{
        char name[96], uuid[96], serial[32], text[96];
        nvmlPciInfo_t pci;
        nvmlDevice_t found;
        nvmlUUID_t id = {.version = nvmlUUID_v1, .type = 1};
        CHECK_OK(nvmlInit_v2());
        for (unsigned i = 0; i < 3; i++) {
                CHECK_OK(nvmlDeviceGetUUID(device(i), uuid, sizeof uuid));
                CHECK_OK(nvmlDeviceGetHandleByUUID(uuid, &found));
                CHECK(found == device(i));
                snprintf(id.value.str, sizeof id.value.str, "%s", uuid);
                CHECK_OK(nvmlDeviceGetHandleByUUIDV(&id, &found));
                CHECK(found == device(i));
                CHECK_OK(nvmlDeviceGetSerial(device(i), serial, sizeof serial));
                CHECK_OK(nvmlDeviceGetHandleBySerial(serial, &found));
                CHECK(found == device(i));
                CHECK_OK(nvmlDeviceGetPciInfo_v3(device(i), &pci));
                CHECK_EQ(pci.bus, i + 1);
                CHECK_OK(nvmlDeviceGetHandleByPciBusId_v2(pci.busId, &found));
                CHECK(found == device(i));
                CHECK_OK(nvmlDeviceGetHandleByPciBusId(pci.busIdLegacy, &found));
                CHECK(found == device(i));
        }
        CHECK_OK(nvmlDeviceGetName(device(2), name, sizeof name));
        CHECK(strcmp(name, "My GPU") == 0);
        CHECK_EQ(nvmlDeviceGetName(device(2), name, 6), NVML_ERROR_INSUFFICIENT_SIZE);
        CHECK_OK(nvmlDeviceGetName(device(2), name, 7));
        CHECK_EQ(nvmlDeviceGetHandleByIndex_v2(3, &found), NVML_ERROR_INVALID_ARGUMENT);
        CHECK_EQ(nvmlDeviceGetHandleByUUID("GPU-0", &found), NVML_ERROR_NOT_FOUND);
        CHECK_EQ(nvmlDeviceGetHandleByPciBusId_v2("0000:09:00.0", &found), NVML_ERROR_NOT_FOUND);
        CHECK_EQ(nvmlDeviceGetName(NULL, name, sizeof name), NVML_ERROR_INVALID_ARGUMENT);
        CHECK_EQ(nvmlDeviceGetName((nvmlDevice_t)text, name, sizeof name), NVML_ERROR_INVALID_ARGUMENT);
        CHECK_EQ(nvmlDeviceGetName((nvmlDevice_t)((char *)device(0) + 1), name, sizeof name),
                 NVML_ERROR_INVALID_ARGUMENT);
}

static void check_memory(unsigned index, uint64_t total, uint64_t used)
{
        nvmlMemory_t one;
        nvmlMemory_v2_t two = {.version = nvmlMemory_v2};
        CHECK_OK(nvmlDeviceGetMemoryInfo(device(index), &one));
        CHECK_OK(nvmlDeviceGetMemoryInfo_v2(device(index), &two));
        CHECK_EQ(one.total, total);
        CHECK_EQ(one.used, used);
        CHECK_EQ(one.free, total - used);
        CHECK_EQ(two.total, total);
        CHECK_EQ(two.used + two.reserved, used);
        CHECK_EQ(two.free, total - used);
}

static void body_memory(void)
{
        nvmlMemory_v2_t wrong = {.version = 1};
        nvmlProcessInfo_t list[8];
        nvmlProcessInfo_v1_t old[8];
        unsigned count = 0;
        CHECK_OK(nvmlInit_v2());
        CHECK_EQ(nvmlDeviceGetMemoryInfo_v2(device(0), &wrong), NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
        check_memory(0, 1024 * MI, 0);
        CHECK_OK(nvmlDeviceGetComputeRunningProcesses_v3(device(0), &count, NULL));
        pid_t a = holder(0, 100 * MI, false), b = holder(0, 30 * MI, false), c = holder(2, 7 * MI, false);
        check_memory(0, 1024 * MI, 130 * MI);
        check_memory(1, 1024 * MI, 0);
        check_memory(2, 512 * MI, 7 * MI);
        CHECK_EQ(nvmlDeviceGetComputeRunningProcesses_v3(device(0), &count, NULL), NVML_ERROR_INSUFFICIENT_SIZE);
        CHECK_EQ(count, 2);
        CHECK_OK(nvmlDeviceGetComputeRunningProcesses_v3(device(0), &count, list));
        CHECK_EQ(list[0].pid + list[1].pid, a + b);
        CHECK_EQ(list[0].usedGpuMemory, list[0].pid == (unsigned)a ? 100 * MI : 30 * MI);
        CHECK_EQ(list[0].gpuInstanceId, 0xffffffff);
        count = 8;
        CHECK_OK(nvmlDeviceGetComputeRunningProcesses(device(0), &count, old));
        CHECK_EQ(old[0].usedGpuMemory + old[1].usedGpuMemory, 130 * MI);
        count = 8;
        CHECK_OK(nvmlDeviceGetGraphicsRunningProcesses_v3(device(0), &count, list));
        CHECK_EQ(count, 0);
        end(a);
        check_memory(0, 1024 * MI, 30 * MI);
        count = 8;
        CHECK_OK(nvmlDeviceGetComputeRunningProcesses_v3(device(0), &count, list));
        CHECK_EQ(count, 1);
        CHECK_EQ(list[0].pid, b);
        end(b);
        end(c);
        check_memory(2, 512 * MI, 0);
}

static void body_use(void)
{
        nvmlUtilization_t rates;
        nvmlProcessUtilizationSample_t samples[8];
        nvmlProcessesUtilizationInfo_t info = {.version = nvmlProcessesUtilizationInfo_v1};
        unsigned count = 0;
        pid_t idle = holder(0, MI, false), busy = holder(0, MI, true);
        CHECK_OK(nvmlInit_v2());
        CHECK_OK(nvmlDeviceGetUtilizationRates(device(0), &rates));
        CHECK_EQ(rates.gpu, 100);
        CHECK_OK(nvmlDeviceGetUtilizationRates(device(1), &rates));
        CHECK_EQ(rates.gpu, 0);
        CHECK_EQ(nvmlDeviceGetProcessUtilization(device(0), NULL, &count, 0), NVML_ERROR_INSUFFICIENT_SIZE);
        CHECK_EQ(count, 1);
        CHECK_OK(nvmlDeviceGetProcessUtilization(device(0), samples, &count, 0));
        CHECK_EQ(samples[0].pid, busy);
        CHECK_EQ(samples[0].smUtil, 100);
        CHECK_EQ(nvmlDeviceGetProcessesUtilizationInfo(device(0), &info), NVML_ERROR_INSUFFICIENT_SIZE);
        CHECK_EQ(info.processSamplesCount, 1);
        count = 8;
        CHECK_EQ(nvmlDeviceGetProcessUtilization(device(1), samples, &count, 0), NVML_ERROR_NOT_FOUND);
        end(idle);
        end(busy);
}

/* What is not a figure of the spec is plausible; what nobody has is not supported, and says so only once started. */
static void body_board(void)
{
        unsigned value, other;
        int major, minor;
        char text[80];
        nvmlFieldValue_t fields[2] = {{.fieldId = NVML_FI_DEV_POWER_MAX_LIMIT}, {.fieldId = 9999}};
        CHECK_OK(nvmlInit_v2());
        CHECK_OK(nvmlDeviceGetCudaComputeCapability(device(0), &major, &minor));
        CHECK_EQ(major * 10 + minor, 90);
        CHECK_OK(nvmlDeviceGetTemperature(device(0), NVML_TEMPERATURE_GPU, &value));
        CHECK(value > 20 && value < 90);
        CHECK_OK(nvmlDeviceGetPowerUsage(device(0), &value));
        CHECK_OK(nvmlDeviceGetPowerManagementLimit(device(0), &other));
        CHECK(value > 0 && value <= other);
        CHECK_OK(nvmlDeviceGetMigMode(device(0), &value, &other));
        CHECK_EQ(value, NVML_DEVICE_MIG_DISABLE);
        CHECK_EQ(nvmlDeviceGetFanSpeed(device(0), &value), NVML_ERROR_NOT_SUPPORTED);
        CHECK_OK(nvmlDeviceGetFieldValues(device(0), 2, fields));
        CHECK_OK(fields[0].nvmlReturn);
        CHECK_EQ(fields[0].value.uiVal, 700000);
        CHECK_EQ(fields[1].nvmlReturn, NVML_ERROR_NOT_SUPPORTED);
        CHECK_OK(nvmlSystemGetDriverVersion(text, sizeof text));
        CHECK_OK(nvmlSystemGetNVMLVersion(text, sizeof text));
        CHECK_OK(nvmlSystemGetCudaDriverVersion_v2(&major));
        CHECK_EQ(major / 1000, atoi(text));
        CHECK_OK(nvmlSystemGetProcessName((unsigned)getpid(), text, 4));
        CHECK_EQ(strlen(text), 3);
        CHECK_EQ(nvmlSystemGetProcessName(0x7fffffff, text, sizeof text), NVML_ERROR_NOT_FOUND);
}

static void body_injected(void)
{
        unsigned value;
        nvmlMemory_t memory;
        CHECK_EQ(nvmlInit_v2(), NVML_ERROR_UNKNOWN);
        CHECK_OK(nvmlInit_v2());
        CHECK_OK(nvmlDeviceGetPowerUsage(device(0), &value));
        CHECK_EQ(nvmlDeviceGetPowerUsage(device(0), &value), NVML_ERROR_NO_PERMISSION);
        CHECK_OK(nvmlDeviceGetPowerUsage(device(0), &value));
        CHECK_OK(nvmlDeviceGetMemoryInfo(device(0), &memory));
        CHECK_EQ(nvmlDeviceGetMemoryInfo(device(1), &memory), NVML_ERROR_GPU_IS_LOST);
        CHECK_EQ(nvmlDeviceGetPowerUsage(device(0), &value), NVML_SUCCESS);
        nvmlDevice_t lost;
        CHECK_EQ(nvmlDeviceGetHandleByIndex_v2(1, &lost), NVML_ERROR_GPU_IS_LOST);
        CHECK_OK(nvmlDeviceGetCount_v2(&value));
        CHECK_EQ(value, 3);
}

static void body_events(void)
{
        nvmlEventSet_t set, other;
        nvmlEventData_t data;
        unsigned value;
        CHECK_OK(nvmlInit_v2());
        CHECK_OK(nvmlEventSetCreate(&set));
        CHECK_OK(nvmlEventSetCreate(&other));
        CHECK_OK(nvmlDeviceRegisterEvents(device(0), nvmlEventTypeXidCriticalError, set));
        CHECK_OK(nvmlDeviceRegisterEvents(device(2), nvmlEventTypeXidCriticalError, other));
        CHECK_EQ(nvmlDeviceRegisterEvents(device(0), 1ull << 60, set), NVML_ERROR_NOT_SUPPORTED);
        CHECK_EQ(nvmlEventSetWait_v2(set, &data, 0), NVML_ERROR_TIMEOUT);
        CHECK_OK(nvmlDeviceGetMinorNumber(device(0), &value)); /* the script: an Xid */
        CHECK_OK(nvmlEventSetWait_v2(set, &data, 5000));
        CHECK(data.device == device(0));
        CHECK_EQ(data.eventType, nvmlEventTypeXidCriticalError);
        CHECK_EQ(data.eventData, 31);
        CHECK_EQ(nvmlEventSetWait_v2(set, &data, 0), NVML_ERROR_TIMEOUT);
        CHECK_EQ(nvmlEventSetWait_v2(other, &data, 0), NVML_ERROR_TIMEOUT);
        CHECK_OK(nvmlEventSetFree(set));
        CHECK_EQ(nvmlEventSetWait_v2(set, &data, 0), NVML_ERROR_INVALID_ARGUMENT);
        CHECK_EQ(nvmlEventSetFree(NULL), NVML_ERROR_INVALID_ARGUMENT);
}

#define TEST(name, faults)                                                                                             \
        static void test_##name(void **state)                                                                          \
        {                                                                                                              \
                spec(faults);                                                                                          \
                in_child(body_##name);                                                                                 \
        }
TEST(lifetime, "")
TEST(no_spec, "")
TEST(identity, "")
TEST(memory, "")
TEST(use, "")
TEST(board, "")
TEST(injected, "[fault]\nat = nvmlInit_v2\ncount = 1\nresult = 999\n"
               "[fault]\nat = nvmlDeviceGetPowerUsage\nafter = 1\ncount = 1\nresult = 4\n"
               "[fault]\nat = nvmlDeviceGetMemoryInfo\nafter = 1\ncount = 1\nkind = lost\n")
TEST(events, "[fault]\nat = nvmlDeviceGetMinorNumber\nkind = xid\nxid = 31\ncount = 1\n")

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_lifetime), cmocka_unit_test(test_no_spec), cmocka_unit_test(test_identity),
                cmocka_unit_test(test_memory),   cmocka_unit_test(test_use),     cmocka_unit_test(test_board),
                cmocka_unit_test(test_injected), cmocka_unit_test(test_events),
        };
        unit_make_folder(folder);
        int failed = cmocka_run_group_tests(tests, NULL, NULL);
        unit_remove_folder(folder);
        return failed;
}
