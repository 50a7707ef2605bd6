/* SPDX-License-Identifier: Apache-2.0
 *
 * Shows what NVML shows, in the shape that people know from the vendor's tool. Through dlopen("libnvidia-ml.so.1")
 * only, so that LD_LIBRARY_PATH decides who answers.
 *
 *      smi                     the table
 *      smi -L                  one line for each GPU
 *      smi --query KEYS        one line for each GPU: the figures, separated by commas, in bytes, per cent, watts …
 *      smi --apps              one line for each process: GPU, pid, bytes, per cent
 *
 * Exits with NVML's own code where a call that it cannot do without fails. */
#include "abi/nvml.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off */
#define FUNCTIONS(X) \
        X(nvmlInit_v2) X(nvmlShutdown) X(nvmlErrorString) X(nvmlSystemGetDriverVersion) \
        X(nvmlSystemGetCudaDriverVersion_v2) X(nvmlDeviceGetCount_v2) X(nvmlDeviceGetHandleByIndex_v2) \
        X(nvmlDeviceGetName) X(nvmlDeviceGetUUID) X(nvmlDeviceGetIndex) X(nvmlDeviceGetMinorNumber) \
        X(nvmlDeviceGetSerial) X(nvmlDeviceGetPciInfo_v3) X(nvmlDeviceGetMemoryInfo_v2) \
        X(nvmlDeviceGetUtilizationRates) X(nvmlDeviceGetTemperature) X(nvmlDeviceGetPowerUsage) \
        X(nvmlDeviceGetEnforcedPowerLimit) X(nvmlDeviceGetFanSpeed) X(nvmlDeviceGetPerformanceState) \
        X(nvmlDeviceGetPersistenceMode) X(nvmlDeviceGetDisplayActive) X(nvmlDeviceGetTotalEccErrors) \
        X(nvmlDeviceGetComputeMode) X(nvmlDeviceGetMigMode) X(nvmlDeviceGetComputeRunningProcesses_v3) \
        X(nvmlDeviceGetProcessUtilization) X(nvmlSystemGetProcessName)
/* clang-format on */

static struct {
#define FIELD(name) __typeof__(&name) name;
        FUNCTIONS(FIELD)
#undef FIELD
} nv;

#define PROCESSES_MAX 256
#define MI            (1024ull * 1024)

static void check(nvmlReturn_t r, const char *what)
{
        if (r == NVML_SUCCESS)
                return;
        fprintf(stderr, "smi: %s: %s (%d)\n", what, nv.nvmlErrorString(r), r);
        exit(r < 125 ? (int)r : 125);
}

static void load(void)
{
        void *library = dlopen("libnvidia-ml.so.1", RTLD_NOW);
        if (!library) {
                fprintf(stderr, "smi: %s\n", dlerror());
                exit(NVML_ERROR_LIBRARY_NOT_FOUND);
        }
#define LOAD(name) nv.name = (__typeof__(&name))dlsym(library, #name);
        FUNCTIONS(LOAD)
#undef LOAD
}

/* What is asked of each GPU. Text, so that "not supported" has one, too. */
struct figures {
        char name[96], uuid[96], serial[32], bus[32], fan[16], temperature[16], performance[16], power[16], limit[16],
                gpu[16], memory[16], ecc[24], mig[16], persistence[8], display[8];
        unsigned index, minor;
        nvmlMemory_v2_t bytes;
};

#define NUMBER(to, call, format, value)                                                                                \
        do {                                                                                                           \
                if ((call) == NVML_SUCCESS)                                                                            \
                        snprintf(to, sizeof to, format, value);                                                        \
                else                                                                                                   \
                        snprintf(to, sizeof to, "N/A");                                                                \
        } while (0)

static void identify(nvmlDevice_t device, struct figures *f)
{
        nvmlPciInfo_t pci = {0};
        check(nv.nvmlDeviceGetName(device, f->name, sizeof f->name), "name");
        check(nv.nvmlDeviceGetUUID(device, f->uuid, sizeof f->uuid), "UUID");
        check(nv.nvmlDeviceGetIndex(device, &f->index), "index");
        check(nv.nvmlDeviceGetMinorNumber(device, &f->minor), "minor number");
        check(nv.nvmlDeviceGetPciInfo_v3(device, &pci), "PCI");
        snprintf(f->bus, sizeof f->bus, "%s", pci.busId);
        if (nv.nvmlDeviceGetSerial(device, f->serial, sizeof f->serial) != NVML_SUCCESS)
                snprintf(f->serial, sizeof f->serial, "N/A");
}

static struct figures look(nvmlDevice_t device)
{
        struct figures f = {.bytes.version = nvmlMemory_v2};
        unsigned value, other;
        unsigned long long count;
        nvmlPstates_t state;
        nvmlEnableState_t is_on;
        nvmlUtilization_t use;
        identify(device, &f);
        check(nv.nvmlDeviceGetMemoryInfo_v2(device, &f.bytes), "memory");
        NUMBER(f.gpu, nv.nvmlDeviceGetUtilizationRates(device, &use), "%u", use.gpu);
        NUMBER(f.memory, nv.nvmlDeviceGetUtilizationRates(device, &use), "%u", use.memory);
        NUMBER(f.fan, nv.nvmlDeviceGetFanSpeed(device, &value), "%u%%", value);
        NUMBER(f.temperature, nv.nvmlDeviceGetTemperature(device, NVML_TEMPERATURE_GPU, &value), "%u", value);
        NUMBER(f.performance, nv.nvmlDeviceGetPerformanceState(device, &state), "P%u", (unsigned)state);
        NUMBER(f.power, nv.nvmlDeviceGetPowerUsage(device, &value), "%u", value / 1000);
        NUMBER(f.limit, nv.nvmlDeviceGetEnforcedPowerLimit(device, &value), "%u", value / 1000);
        NUMBER(f.persistence, nv.nvmlDeviceGetPersistenceMode(device, &is_on), "%s", is_on ? "On" : "Off");
        NUMBER(f.display, nv.nvmlDeviceGetDisplayActive(device, &is_on), "%s", is_on ? "On" : "Off");
        NUMBER(f.mig, nv.nvmlDeviceGetMigMode(device, &value, &other), "%s", value ? "Enabled" : "Disabled");
        NUMBER(f.ecc,
               nv.nvmlDeviceGetTotalEccErrors(device, NVML_MEMORY_ERROR_TYPE_UNCORRECTED, NVML_VOLATILE_ECC, &count),
               "%llu", count);
        return f;
}

static void show_key(const struct figures *f, const char *key)
{
        const struct {
                const char *key, *text;
        } texts[] = {{"name", f->name},
                     {"uuid", f->uuid},
                     {"serial", f->serial},
                     {"pci.bus_id", f->bus},
                     {"utilization.gpu", f->gpu},
                     {"utilization.memory", f->memory},
                     {"temperature.gpu", f->temperature},
                     {"power.draw", f->power},
                     {"mig.mode", f->mig}};
        for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
                if (strcmp(key, texts[i].key) == 0) {
                        printf("%s", texts[i].text);
                        return;
                }
        if (strcmp(key, "index") == 0)
                printf("%u", f->index);
        else if (strcmp(key, "minor") == 0)
                printf("%u", f->minor);
        else if (strncmp(key, "memory.", 7) == 0)
                printf("%llu", strcmp(key, "memory.total") == 0  ? f->bytes.total
                               : strcmp(key, "memory.used") == 0 ? f->bytes.used
                               : strcmp(key, "memory.free") == 0 ? f->bytes.free
                                                                 : f->bytes.reserved);
        else
                printf("?");
}

static void show_query(nvmlDevice_t device, const char *keys)
{
        struct figures f = look(device);
        char text[512];
        snprintf(text, sizeof text, "%s", keys);
        for (char *key = strtok(text, ","); key; key = strtok(NULL, ",")) {
                if (key != text)
                        putchar(',');
                show_key(&f, key);
        }
        putchar('\n');
}

static unsigned processes(nvmlDevice_t device, nvmlProcessInfo_t *ret)
{
        unsigned count = PROCESSES_MAX;
        check(nv.nvmlDeviceGetComputeRunningProcesses_v3(device, &count, ret), "processes");
        return count;
}

static unsigned use_of(nvmlDevice_t device, unsigned pid)
{
        nvmlProcessUtilizationSample_t samples[PROCESSES_MAX];
        unsigned count = PROCESSES_MAX;
        if (nv.nvmlDeviceGetProcessUtilization(device, samples, &count, 0) != NVML_SUCCESS)
                return 0;
        for (unsigned i = 0; i < count; i++)
                if (samples[i].pid == pid)
                        return samples[i].smUtil;
        return 0;
}

static void show_apps(unsigned index, nvmlDevice_t device)
{
        nvmlProcessInfo_t found[PROCESSES_MAX];
        unsigned count = processes(device, found);
        for (unsigned i = 0; i < count; i++)
                printf("%u,%u,%llu,%u\n", index, found[i].pid, found[i].usedGpuMemory, use_of(device, found[i].pid));
}

static void show_head(void)
{
        char driver[80];
        int cuda;
        check(nv.nvmlSystemGetDriverVersion(driver, sizeof driver), "driver version");
        check(nv.nvmlSystemGetCudaDriverVersion_v2(&cuda), "CUDA version");
        printf("+-----------------------------------------------------------------------------------------+\n"
               "| Driver Version: %-24s       CUDA Version: %2d.%-24d |\n"
               "|-----------------------------------------+------------------------+----------------------+\n"
               "| GPU  Name                 Persistence-M | Bus-Id          Disp.A | Volatile Uncorr. ECC |\n"
               "| Fan  Temp   Perf          Pwr:Usage/Cap |           Memory-Usage | GPU-Util  Compute M. |\n"
               "|                                         |                        |               MIG M. |\n"
               "|=========================================+========================+======================|\n",
               driver, cuda / 1000, cuda % 1000 / 10);
}

static void show_gpu(nvmlDevice_t device)
{
        struct figures f = look(device);
        printf("| %3u  %-26.26s     %3s | %-16s   %3s | %20s |\n"
               "| %4s  %3sC  %4s           %4sW / %4sW | %7lluMiB / %7lluMiB | %7s%%   %10s |\n"
               "|                                         |                        | %20s |\n"
               "+-----------------------------------------+------------------------+----------------------+\n",
               f.index, f.name, f.persistence, f.bus, f.display, f.ecc, f.fan, f.temperature, f.performance, f.power,
               f.limit, f.bytes.used / MI, f.bytes.total / MI, f.gpu, "Default", f.mig);
}

static unsigned show_gpu_processes(unsigned index, nvmlDevice_t device)
{
        nvmlProcessInfo_t found[PROCESSES_MAX];
        unsigned count = processes(device, found);
        for (unsigned i = 0; i < count; i++) {
                char name[64] = "-";
                nv.nvmlSystemGetProcessName(found[i].pid, name, sizeof name);
                printf("| %4u   N/A  N/A %10u      C   %-38.38s  %7lluMiB |\n", index, found[i].pid, name,
                       found[i].usedGpuMemory / MI);
        }
        return count;
}

static void show_table(unsigned count, nvmlDevice_t *devices)
{
        unsigned found = 0;
        show_head();
        for (unsigned i = 0; i < count; i++)
                show_gpu(devices[i]);
        printf("| Processes:                                                                              |\n"
               "|  GPU   GI   CI        PID   Type   Process name                              GPU Memory |\n"
               "|=========================================================================================|\n");
        for (unsigned i = 0; i < count; i++)
                found += show_gpu_processes(i, devices[i]);
        if (!found)
                printf("|  No running processes found                                                             |\n");
        printf("+-----------------------------------------------------------------------------------------+\n");
}

int main(int argc, char **argv)
{
        nvmlDevice_t devices[64];
        const char *what = argc > 1 ? argv[1] : "";
        unsigned count;
        load();
        check(nv.nvmlInit_v2(), "cannot start NVML");
        check(nv.nvmlDeviceGetCount_v2(&count), "count");
        for (unsigned i = 0; i < count; i++)
                check(nv.nvmlDeviceGetHandleByIndex_v2(i, &devices[i]), "handle");
        for (unsigned i = 0; i < count && *what; i++)
                if (strcmp(what, "-L") == 0) {
                        struct figures f = {.index = i};
                        identify(devices[i], &f);
                        printf("GPU %u: %s (UUID: %s)\n", i, f.name, f.uuid);
                } else if (strcmp(what, "--apps") == 0) {
                        show_apps(i, devices[i]);
                } else {
                        show_query(devices[i], argc > 2 ? argv[2] : "index,name");
                }
        if (!*what)
                show_table(count, devices);
        check(nv.nvmlShutdown(), "shutdown");
        return 0;
}
