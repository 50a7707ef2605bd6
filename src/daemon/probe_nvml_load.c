/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/probe_nvml.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LIBRARY "libnvidia-ml.so.1"

static void *open_library(const char *folder, char *ret_why, size_t size)
{
        char path[PATH_MAX];
        void *library = NULL;
        if (*folder) {
                snprintf(path, sizeof path, "%s/" LIBRARY, folder);
                library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
                if (library || access(path, F_OK) == 0) {
                        if (!library)
                                snprintf(ret_why, size, "%s", dlerror());
                        return library;
                }
        }
        library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
        if (!library)
                snprintf(ret_why, size, "%s", dlerror());
        return library;
}

int fgd_nvml_load(struct fgd_nvml *nvml, const char *folder, char *ret_why, size_t size)
{
        void *library = open_library(folder, ret_why, size);
        if (!library)
                return strstr(ret_why, "No such file") ? -ENOENT : -ELIBBAD;
#define X(name) nvml->name = (__typeof__(nvml->name))dlsym(library, #name);
        FGD_NVML_NEEDED(X) FGD_NVML_WISHED(X)
#undef X
#define X(name)                                                                      \
        if (!nvml->name) {                                                           \
                snprintf(ret_why, size, LIBRARY " has no " #name ": a driver older than 450?"); \
                return -ELIBBAD;                                                     \
        }
        FGD_NVML_NEEDED(X)
#undef X
        return 0;
}

typedef nvmlReturn_t (*list_t)(nvmlDevice_t, unsigned int *, nvmlProcessInfo_t *);

/* A process with a compute and a graphics context is in both lists, with all its memory in each. */
static unsigned merge(nvmlProcessInfo_t *all, unsigned count, const nvmlProcessInfo_t *more, unsigned n)
{
        for (unsigned i = 0; i < n; i++) {
                unsigned j = 0;
                while (j < count && all[j].pid != more[i].pid)
                        j++;
                if (j == count && count < FGD_NVML_PROCESSES)
                        all[count++] = more[i];
        }
        return count;
}

static int list_v1(const struct fgd_nvml *nvml, nvmlDevice_t device, nvmlProcessInfo_t *ret)
{
        nvmlProcessInfo_v1_t old[FGD_NVML_PROCESSES];
        unsigned n = FGD_NVML_PROCESSES;
        nvmlReturn_t r = nvml->nvmlDeviceGetComputeRunningProcesses ? nvml->nvmlDeviceGetComputeRunningProcesses(device, &n, old)
                                                                    : NVML_ERROR_FUNCTION_NOT_FOUND;
        if (r != NVML_SUCCESS)
                return -1 - (int)r;
        for (unsigned i = 0; i < n; i++)
                ret[i] = (nvmlProcessInfo_t){.pid = old[i].pid, .usedGpuMemory = old[i].usedGpuMemory};
        return (int)n;
}

int fgd_nvml_processes(const struct fgd_nvml *nvml, nvmlDevice_t device, nvmlProcessInfo_t ret[FGD_NVML_PROCESSES])
{
        static nvmlProcessInfo_t graphics[FGD_NVML_PROCESSES];
        list_t compute = nvml->nvmlDeviceGetComputeRunningProcesses_v3 ? nvml->nvmlDeviceGetComputeRunningProcesses_v3
                                                                       : nvml->nvmlDeviceGetComputeRunningProcesses_v2;
        list_t drawing = nvml->nvmlDeviceGetGraphicsRunningProcesses_v3 ? nvml->nvmlDeviceGetGraphicsRunningProcesses_v3
                                                                        : nvml->nvmlDeviceGetGraphicsRunningProcesses_v2;
        unsigned n = FGD_NVML_PROCESSES, m = FGD_NVML_PROCESSES;
        if (!compute)
                return list_v1(nvml, device, ret);
        nvmlReturn_t r = compute(device, &n, ret);
        if (r != NVML_SUCCESS)
                return -1 - (int)r;
        if (drawing && drawing(device, &m, graphics) == NVML_SUCCESS)
                n = merge(ret, n, graphics, m);
        return (int)n;
}

/* CUDA C++ Programming Guide, table "Arithmetic Instructions": 32-bit floating-point units of a multiprocessor. */
static unsigned cores_per_multiprocessor(int major, int minor)
{
        if (major == 7 || (major == 8 && minor == 0) || (major == 6 && minor == 0))
                return 64;
        return major >= 5 ? 128 : 0;
}

unsigned fgd_nvml_multiprocessors(const struct fgd_nvml *nvml, nvmlDevice_t device)
{
        nvmlDeviceAttributes_t attributes = {0};
        unsigned cores = 0, each;
        int major = 0, minor = 0;
        if (nvml->nvmlDeviceGetAttributes_v2 && nvml->nvmlDeviceGetAttributes_v2(device, &attributes) == NVML_SUCCESS &&
            attributes.multiprocessorCount)
                return attributes.multiprocessorCount;
        if (!nvml->nvmlDeviceGetNumGpuCores || nvml->nvmlDeviceGetNumGpuCores(device, &cores) != NVML_SUCCESS ||
            !nvml->nvmlDeviceGetCudaComputeCapability ||
            nvml->nvmlDeviceGetCudaComputeCapability(device, &major, &minor) != NVML_SUCCESS)
                return 0;
        each = cores_per_multiprocessor(major, minor);
        return each ? cores / each : 0;
}
