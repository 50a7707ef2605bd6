/* SPDX-License-Identifier: Apache-2.0
 * What a CUDA context takes beyond what a program asks for: made once, looked at through NVML, thrown away. Known before the
 * first program, it is charged before that program's context is made. */
#include "daemon/probe_nvml.h"

#include "abi/cuda.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LIBRARY "libcuda.so.1"

#define SYMBOLS(X) X(cuInit) X(cuDeviceGetCount) X(cuDeviceGetUuid) X(cuDevicePrimaryCtxRetain) X(cuDevicePrimaryCtxRelease_v2)
static struct {
#define X(name) __typeof__(name) *name;
        SYMBOLS(X)
#undef X
} cuda;

bool fgd_nvml_contexts_begin(const char *folder)
{
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s%s" LIBRARY, folder, *folder ? "/" : "");
        void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (!library && *folder)
                library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
        if (!library)
                return false;
#define X(name) cuda.name = (__typeof__(cuda.name))dlsym(library, #name);
        SYMBOLS(X)
#undef X
#define X(name) && cuda.name
        return true SYMBOLS(X) && cuda.cuInit(0) == CUDA_SUCCESS;
#undef X
}

/* The one whose UUID NVML writes as `uuid`; -1: CUDA does not show it. */
static int ordinal_of(const char *uuid)
{
        int count = 0;
        const char *dash = strchr(uuid, '-');
        if (!dash || cuda.cuDeviceGetCount(&count) != CUDA_SUCCESS)
                return -1;
        for (int i = 0; i < count; i++) {
                CUuuid bytes;
                char text[40], *at = text;
                if (cuda.cuDeviceGetUuid(&bytes, i) != CUDA_SUCCESS)
                        continue;
                for (int b = 0; b < 16; b++)
                        at += sprintf(at, "%s%02x", b == 4 || b == 6 || b == 8 || b == 10 ? "-" : "", (unsigned char)bytes.bytes[b]);
                if (strcmp(text, dash + 1) == 0)
                        return i;
        }
        return -1;
}

static uint64_t own_memory(const struct fgd_nvml *nvml, nvmlDevice_t device)
{
        static nvmlProcessInfo_t process[FGD_NVML_PROCESSES];
        int n = fgd_nvml_processes(nvml, device, process);
        for (int i = 0; i < n; i++)
                if (process[i].pid == (unsigned)getpid() && process[i].usedGpuMemory <= INT64_MAX)
                        return process[i].usedGpuMemory;
        return 0;
}

uint64_t fgd_nvml_context_bytes(const struct fgd_nvml *nvml, nvmlDevice_t device, const char *uuid)
{
        CUcontext context;
        int ordinal = ordinal_of(uuid);
        if (ordinal < 0 || cuda.cuDevicePrimaryCtxRetain(&context, ordinal) != CUDA_SUCCESS)
                return 0;
        uint64_t bytes = own_memory(nvml, device);
        cuda.cuDevicePrimaryCtxRelease_v2(ordinal);
        return bytes;
}
