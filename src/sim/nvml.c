/* SPDX-License-Identifier: Apache-2.0
 * The library itself: start and end, faults, versions, texts. */
#include "sim/nvml.h"

#include "base/atomic.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a handle points to: one for each GPU that a spec can have. */
struct nvmlDevice_st {
        uint32_t gpu;
};
static struct nvmlDevice_st devices[FGSIM_GPUS_MAX];

static uint32_t users; /* nvmlInit less nvmlShutdown */
static pthread_mutex_t users_lock = PTHREAD_MUTEX_INITIALIZER;

nvmlDevice_t fgsim_nvml_handle(uint32_t gpu)
{
        devices[gpu].gpu = gpu;
        return &devices[gpu];
}

static nvmlReturn_t scripted(const char *name, int gpu)
{
        int result = NVML_SUCCESS;
        if (fgsim_spec.faults && fgsim_fault(name, gpu, &result))
                return (nvmlReturn_t)result;
        return NVML_SUCCESS;
}

nvmlReturn_t fgsim_nvml_enter(const char *name)
{
        if (fg_load_acquire(&users) == 0)
                return NVML_ERROR_UNINITIALIZED;
        return scripted(name, -1);
}

nvmlReturn_t fgsim_nvml_enter_device(const char *name, nvmlDevice_t device, uint32_t *ret_gpu)
{
        uintptr_t offset = (uintptr_t)device - (uintptr_t)devices;
        if (fg_load_acquire(&users) == 0)
                return NVML_ERROR_UNINITIALIZED;
        if (offset % sizeof devices[0] != 0 || offset / sizeof devices[0] >= fgsim_spec.gpus)
                return NVML_ERROR_INVALID_ARGUMENT;
        uint32_t gpu = (uint32_t)(offset / sizeof devices[0]);
        nvmlReturn_t r = scripted(name, (int)gpu);
        if (r != NVML_SUCCESS)
                return r;
        *ret_gpu = gpu;
        return fg_load_acquire(&fgsim_shared->gpu[gpu].lost) ? NVML_ERROR_GPU_IS_LOST : NVML_SUCCESS;
}

/* Several may come at once; the sampler starts with the first. */
static nvmlReturn_t start(const char *name)
{
        struct fg_error err = {0};
        int r = fgsim_attach(&err);
        if (r == -ENODEV)
                return NVML_ERROR_DRIVER_NOT_LOADED;
        if (r < 0) {
                fprintf(stderr, "fastgpu simulator: %s\n", err.text);
                return NVML_ERROR_DRIVER_NOT_LOADED;
        }
        nvmlReturn_t scripted_result = scripted(name, -1);
        if (scripted_result != NVML_SUCCESS)
                return scripted_result;
        pthread_mutex_lock(&users_lock);
        if (users == 0)
                fgsim_nvml_use_begin();
        fg_store_release(&users, users + 1);
        pthread_mutex_unlock(&users_lock);
        return NVML_SUCCESS;
}

nvmlReturn_t nvmlInit(void)
{
        return start("nvmlInit");
}

nvmlReturn_t nvmlInit_v2(void)
{
        return start("nvmlInit_v2");
}

nvmlReturn_t nvmlInitWithFlags(unsigned flags)
{
        return start("nvmlInitWithFlags");
}

nvmlReturn_t nvmlShutdown(void)
{
        nvmlReturn_t r = NVML_SUCCESS;
        pthread_mutex_lock(&users_lock);
        if (users == 0) {
                r = NVML_ERROR_UNINITIALIZED;
        } else {
                fg_store_release(&users, users - 1);
                if (users == 0)
                        fgsim_nvml_events_end();
        }
        pthread_mutex_unlock(&users_lock);
        return r;
}

const char *nvmlErrorString(nvmlReturn_t result)
{
        static const char *const texts[] = {"Success",
                                            "Uninitialized",
                                            "Invalid Argument",
                                            "Not Supported",
                                            "Insufficient Permissions",
                                            "Already Initialized",
                                            "Not Found",
                                            "Insufficient Size",
                                            "Insufficient External Power",
                                            "Driver Not Loaded",
                                            "Timeout",
                                            "Interrupt Request Issue",
                                            "NVML Shared Library Not Found",
                                            "Function Not Found",
                                            "Corrupted infoROM",
                                            "GPU is lost",
                                            "GPU requires reset",
                                            "The operating system has blocked the request.",
                                            "RM has detected an NVML/RM version mismatch.",
                                            "In use by another client",
                                            "Insufficient Memory",
                                            "No data",
                                            "vGPU operations are not supported with ECC enabled",
                                            "Ran out of critical resources, other than memory",
                                            "Frequency not supported",
                                            "Argument version mismatch",
                                            "The requested functionality has been deprecated",
                                            "System is not ready for the request",
                                            "No GPUs found",
                                            "Invalid state",
                                            "Reset type is not supported"};
        return (unsigned)result < sizeof texts / sizeof texts[0] ? texts[result] : "Unknown Error";
}

nvmlReturn_t fgsim_nvml_text(char *ret, unsigned size, const char *text)
{
        if (!ret)
                return NVML_ERROR_INVALID_ARGUMENT;
        if (strlen(text) >= size)
                return NVML_ERROR_INSUFFICIENT_SIZE;
        strcpy(ret, text);
        return NVML_SUCCESS;
}

nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned length)
{
        FGSIM_NVML_ENTER();
        return fgsim_nvml_text(version, length, fgsim_spec.driver_text);
}

/* CUDA's major number and the driver's. */
nvmlReturn_t nvmlSystemGetNVMLVersion(char *version, unsigned length)
{
        char text[64];
        FGSIM_NVML_ENTER();
        snprintf(text, sizeof text, "%u.%s", fgsim_spec.driver / 1000, fgsim_spec.driver_text);
        return fgsim_nvml_text(version, length, text);
}

nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *version)
{
        FGSIM_NVML_ENTER();
        if (!version)
                return NVML_ERROR_INVALID_ARGUMENT;
        *version = (int)fgsim_spec.driver;
        return NVML_SUCCESS;
}

nvmlReturn_t nvmlSystemGetCudaDriverVersion(int *version)
{
        return nvmlSystemGetCudaDriverVersion_v2(version);
}

nvmlReturn_t nvmlSystemGetDriverBranch(nvmlSystemDriverBranchInfo_t *info, unsigned length)
{
        char text[64];
        FGSIM_NVML_ENTER();
        if (!info)
                return NVML_ERROR_INVALID_ARGUMENT;
        if (info->version != nvmlSystemDriverBranchInfo_v1)
                return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
        snprintf(text, sizeof text, "r%.*s_00", (int)strcspn(fgsim_spec.driver_text, "."), fgsim_spec.driver_text);
        return fgsim_nvml_text(info->branch, length < sizeof info->branch ? length : sizeof info->branch, text);
}

/* The program as it was called, cut where the buffer ends. */
nvmlReturn_t nvmlSystemGetProcessName(unsigned pid, char *name, unsigned length)
{
        char path[32], text[4096];
        FGSIM_NVML_ENTER();
        if (!name || length == 0)
                return NVML_ERROR_INVALID_ARGUMENT;
        snprintf(path, sizeof path, "/proc/%u/cmdline", pid);
        int fd fg_autoclose = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
        if (n < 0)
                return fd < 0 && errno == EACCES ? NVML_ERROR_NO_PERMISSION : NVML_ERROR_NOT_FOUND;
        text[n] = '\0';
        snprintf(name, length, "%s", text);
        return NVML_SUCCESS;
}

nvmlReturn_t nvmlGetExcludedDeviceCount(unsigned *count)
{
        if (!count)
                return NVML_ERROR_INVALID_ARGUMENT;
        *count = 0;
        return NVML_SUCCESS;
}
