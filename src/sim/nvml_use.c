/* SPDX-License-Identifier: Apache-2.0
 * How busy a GPU is, and with whose work: the slope of its counters over the last whole window. Nothing runs in the
 * background: whoever asks closes the window when it is long enough. */
#include "sim/nvml.h"

#include "base/atomic.h"
#include "base/clock.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#define WINDOW_NS (100 * FG_NSEC_PER_MSEC)
#define SHORT_NS  (20 * FG_NSEC_PER_MSEC) /* a first question waits for that much */

struct counters {
        uint64_t when, busy, copied;
        uint64_t slot[FGSIM_SLOTS_MAX];
};

static pthread_mutex_t use_lock = PTHREAD_MUTEX_INITIALIZER;
static struct counters base[FGSIM_GPUS_MAX];
static struct fgsim_nvml_use last[FGSIM_GPUS_MAX]; /* when 0: there was no whole window yet */

static void count_now(uint32_t gpu, struct counters *ret)
{
        const struct fgsim_gpu_state *state = &fgsim_shared->gpu[gpu];
        uint32_t slots = fg_load_acquire(&fgsim_shared->slots);
        ret->when = fg_now();
        ret->busy = fg_load_relaxed(&state->busy_ns);
        ret->copied = 0;
        for (uint32_t i = 0; i < slots && i < FGSIM_SLOTS_MAX; i++) {
                ret->slot[i] = fg_load_relaxed(&state->share[i].busy_ns);
                ret->copied += fg_load_relaxed(&state->share[i].copied);
        }
}

static uint8_t percent(uint64_t from, uint64_t to, uint64_t whole)
{
        uint64_t part = to > from ? to - from : 0; /* a slot that changed hands starts anew */
        return whole == 0 ? 0 : part >= whole ? 100 : (uint8_t)(part * 100 / whole);
}

static uint64_t microseconds(void)
{
        struct timespec ts;
        clock_gettime(CLOCK_REALTIME, &ts);
        return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void compare(uint32_t gpu, const struct counters *from, const struct counters *to, struct fgsim_nvml_use *ret)
{
        uint64_t wall = to->when - from->when;
        memset(ret, 0, sizeof *ret);
        ret->when = microseconds();
        ret->gpu = percent(from->busy, to->busy, wall);
        /* Of the bytes that could have been moved. */
        ret->memory = percent(from->copied, to->copied, fgsim_spec.gpu[gpu].d2d / FG_NSEC_PER_MSEC * (wall / 1000));
        for (uint32_t i = 0; i < FGSIM_SLOTS_MAX; i++)
                ret->slot[i] = percent(from->slot[i], to->slot[i], wall);
}

void fgsim_nvml_use_begin(void)
{
        pthread_mutex_lock(&use_lock);
        for (uint32_t gpu = 0; gpu < fgsim_spec.gpus; gpu++) {
                count_now(gpu, &base[gpu]);
                last[gpu].when = 0;
        }
        pthread_mutex_unlock(&use_lock);
}

static void wait_for_window(uint32_t gpu)
{
        pthread_mutex_lock(&use_lock);
        uint64_t age = fg_now() - base[gpu].when;
        bool must = last[gpu].when == 0 && age < SHORT_NS;
        pthread_mutex_unlock(&use_lock);
        if (must)
                nanosleep(&(struct timespec){.tv_nsec = (long)(SHORT_NS - age)}, NULL);
}

void fgsim_nvml_use_get(uint32_t gpu, struct fgsim_nvml_use *ret)
{
        static struct counters now;
        wait_for_window(gpu);
        pthread_mutex_lock(&use_lock);
        count_now(gpu, &now);
        if (now.when - base[gpu].when >= WINDOW_NS) {
                compare(gpu, &base[gpu], &now, &last[gpu]);
                base[gpu] = now;
        }
        if (last[gpu].when)
                *ret = last[gpu];
        else
                compare(gpu, &base[gpu], &now, ret);
        pthread_mutex_unlock(&use_lock);
}

nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t *rates)
{
        struct fgsim_nvml_use use;
        FGSIM_NVML_ENTER_DEVICE(device);
        if (!rates)
                return NVML_ERROR_INVALID_ARGUMENT;
        fgsim_nvml_use_get(gpu, &use);
        *rates = (nvmlUtilization_t){.gpu = use.gpu, .memory = use.memory};
        return NVML_SUCCESS;
}

/* The processes that did anything since `seen`, with their slots' use. */
static uint32_t busy_processes(uint32_t gpu, uint64_t seen, struct fgsim_nvml_use *use, struct fgsim_nvml_process *ret)
{
        uint32_t n = fgsim_nvml_processes(gpu, ret, FGSIM_SLOTS_MAX), kept = 0;
        fgsim_nvml_use_get(gpu, use);
        for (uint32_t i = 0; i < n && use->when > seen; i++)
                if (use->slot[ret[i].slot])
                        ret[kept++] = ret[i];
        return kept;
}

nvmlReturn_t nvmlDeviceGetProcessUtilization(nvmlDevice_t device, nvmlProcessUtilizationSample_t *samples,
                                             unsigned *count, unsigned long long seen)
{
        struct fgsim_nvml_process found[FGSIM_SLOTS_MAX];
        struct fgsim_nvml_use use;
        FGSIM_NVML_ENTER_DEVICE(device);
        if (!count)
                return NVML_ERROR_INVALID_ARGUMENT;
        uint32_t n = busy_processes(gpu, seen, &use, found), room = samples ? *count : 0;
        *count = n;
        if (n == 0)
                return NVML_ERROR_NOT_FOUND;
        if (n > room)
                return NVML_ERROR_INSUFFICIENT_SIZE;
        for (uint32_t i = 0; i < n; i++)
                samples[i] = (nvmlProcessUtilizationSample_t){
                        .pid = found[i].pid, .timeStamp = use.when, .smUtil = use.slot[found[i].slot]};
        return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetProcessesUtilizationInfo(nvmlDevice_t device, nvmlProcessesUtilizationInfo_t *info)
{
        struct fgsim_nvml_process found[FGSIM_SLOTS_MAX];
        struct fgsim_nvml_use use;
        FGSIM_NVML_ENTER_DEVICE(device);
        if (!info)
                return NVML_ERROR_INVALID_ARGUMENT;
        if (info->version != nvmlProcessesUtilizationInfo_v1)
                return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
        uint32_t n = busy_processes(gpu, info->lastSeenTimeStamp, &use, found),
                 room = info->procUtilArray ? info->processSamplesCount : 0;
        info->processSamplesCount = n;
        if (n == 0)
                return NVML_ERROR_NOT_FOUND;
        if (n > room)
                return NVML_ERROR_INSUFFICIENT_SIZE;
        for (uint32_t i = 0; i < n; i++)
                info->procUtilArray[i] = (nvmlProcessUtilizationInfo_v1_t){
                        .timeStamp = use.when, .pid = found[i].pid, .smUtil = use.slot[found[i].slot]};
        return NVML_SUCCESS;
}

/* One sample: the last window's. */
nvmlReturn_t nvmlDeviceGetSamples(nvmlDevice_t device, nvmlSamplingType_t type, unsigned long long seen,
                                  nvmlValueType_t *value_type, unsigned *count, nvmlSample_t *samples)
{
        struct fgsim_nvml_use use;
        FGSIM_NVML_ENTER_DEVICE(device);
        if (!value_type || !count || (samples && *count == 0))
                return NVML_ERROR_INVALID_ARGUMENT;
        if (type != NVML_GPU_UTILIZATION_SAMPLES && type != NVML_MEMORY_UTILIZATION_SAMPLES)
                return NVML_ERROR_NOT_SUPPORTED;
        fgsim_nvml_use_get(gpu, &use);
        *value_type = NVML_VALUE_TYPE_UNSIGNED_INT;
        *count = 1;
        if (use.when <= seen)
                return NVML_ERROR_NOT_FOUND;
        if (samples)
                *samples = (nvmlSample_t){.timeStamp = use.when,
                                          .sampleValue.uiVal =
                                                  type == NVML_GPU_UTILIZATION_SAMPLES ? use.gpu : use.memory};
        return NVML_SUCCESS;
}
