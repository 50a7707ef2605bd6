/* SPDX-License-Identifier: Apache-2.0
 * How busy a vGPU is: device time over the last whole window, in per cent of what its share of the device is. A vGPU
 * that gets more because nobody else wants it shows 100. Nothing runs in the background: whoever asks closes the window
 * when it is long enough.
 *
 * Device time is what the daemon charged; where that lags behind (it has nothing to settle while the device is free),
 * what the vGPU's own processes measured. */
#include "base/atomic.h"
#include "base/clock.h"
#include "shim/nvml/device.h"
#include "shim/nvml/hook.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define WINDOW (100 * FG_NSEC_PER_MSEC)
#define SHORT  (20 * FG_NSEC_PER_MSEC) /* a first question waits for that much */

struct use_counters {
        uint64_t when, charged, busy;
        uint64_t slot[FG_SLOTS];
};

struct use_rates {
        uint64_t when;   /* end of the window, microseconds since 1970; 0: none yet */
        unsigned device; /* per mille of the physical device */
        unsigned gpu;    /* per cent of the share */
        uint8_t slot[FG_SLOTS];
};

struct fgn_use {
        pthread_mutex_t lock; /* nothing is called with it held */
        struct use_counters base;
        struct use_rates last;
};

struct fgn_use *fgn_use_new(void)
{
        struct fgn_use *use = calloc(1, sizeof(*use));

        if (use)
                pthread_mutex_init(&use->lock, NULL);
        return use;
}

static void use_count(const struct fgn_vgpu *vgpu, struct use_counters *ret)
{
        *ret = (struct use_counters){.when = fg_now(), .charged = fg_load_relaxed(&fgn_limits(vgpu)->charged)};
        for (unsigned i = 0; i < FG_SLOTS; i++) {
                ret->slot[i] = fg_load_relaxed(&vgpu->session->ledger.usage->slot[i].busy);
                ret->busy += ret->slot[i];
        }
}

static unsigned use_part(uint64_t from, uint64_t to, uint64_t wall, unsigned whole)
{
        uint64_t part = to > from ? to - from : 0;

        return wall == 0 ? 0 : part >= wall ? whole : (unsigned)((unsigned __int128)part * whole / wall);
}

/* Per mille of the device as per cent of the share. */
static unsigned use_of_share(const struct fgn_vgpu *vgpu, unsigned permille)
{
        unsigned share = fg_load_relaxed(&fgn_limits(vgpu)->share_permille);

        return permille >= share ? 100 : permille * 100 / share;
}

static struct use_rates use_compare(const struct fgn_vgpu *vgpu, const struct use_counters *from,
                                    const struct use_counters *to)
{
        uint64_t wall = to->when - from->when;
        unsigned charged = use_part(from->charged, to->charged, wall, 1000),
                 busy = use_part(from->busy, to->busy, wall, 1000);
        struct use_rates rates = {.device = charged > busy ? charged : busy};
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        rates.when = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
        rates.gpu = use_of_share(vgpu, rates.device);
        for (unsigned i = 0; i < FG_SLOTS; i++)
                rates.slot[i] = (uint8_t)use_of_share(vgpu, use_part(from->slot[i], to->slot[i], wall, 1000));
        return rates;
}

void fgn_use_begin(void)
{
        for (unsigned i = 0; i < fgn_vgpu_count; i++) {
                struct fgn_use *use = fgn_vgpus[i].use;
                pthread_mutex_lock(&use->lock);
                use_count(&fgn_vgpus[i], &use->base);
                use->last.when = 0;
                pthread_mutex_unlock(&use->lock);
        }
}

static void use_wait(struct fgn_use *use)
{
        uint64_t age;
        bool must;

        pthread_mutex_lock(&use->lock);
        age = fg_now() - use->base.when;
        must = use->last.when == 0 && age < SHORT;
        pthread_mutex_unlock(&use->lock);
        if (must)
                nanosleep(&(struct timespec){.tv_nsec = (long)(SHORT - age)}, NULL);
}

static struct use_rates use_now(const struct fgn_vgpu *vgpu)
{
        struct fgn_use *use = vgpu->use;
        struct use_counters now;
        struct use_rates rates;

        use_wait(use);
        use_count(vgpu, &now);
        pthread_mutex_lock(&use->lock);
        if (now.when > use->base.when && now.when - use->base.when >= WINDOW) {
                use->last = use_compare(vgpu, &use->base, &now);
                use->base = now;
        }
        rates = use->last.when ? use->last : use_compare(vgpu, &use->base, &now);
        pthread_mutex_unlock(&use->lock);
        return rates;
}

/* The device's memory is busy with everybody's work: to the vGPU goes as much of it as of the computing. */
static unsigned use_memory(const struct fgn_vgpu *vgpu, const nvmlUtilization_t *physical,
                           const struct use_rates *rates)
{
        unsigned all = physical->gpu * 10 > rates->device ? physical->gpu * 10 : rates->device;

        return all == 0 ? 0 : use_of_share(vgpu, (unsigned)((uint64_t)physical->memory * 10 * rates->device / all));
}

nvmlReturn_t fgn_nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t *ret)
{
        nvmlUtilization_t physical = {0};
        struct use_rates rates;
        nvmlReturn_t r;

        FGN_PASS(nvmlDeviceGetUtilizationRates, device, ret);
        FGN_VGPU(vgpu, device);
        if (!ret)
                return NVML_ERROR_INVALID_ARGUMENT;
        r = FGN_REAL(nvmlDeviceGetUtilizationRates, fg_load_acquire(&vgpu->real), &physical);
        if (r != NVML_SUCCESS && r != NVML_ERROR_NOT_SUPPORTED) /* which is what devices that are divided say */
                return r;
        rates = use_now(vgpu);
        *ret = (nvmlUtilization_t){.gpu = rates.gpu, .memory = use_memory(vgpu, &physical, &rates)};
        return NVML_SUCCESS;
}

/* The processes that did anything since `seen`, and how much: per cent of the share, in `use`. */
static unsigned use_processes(const struct fgn_vgpu *vgpu, uint64_t seen, struct fgn_process *ret, unsigned *ret_use,
                              uint64_t *ret_when)
{
        struct use_rates rates = use_now(vgpu);
        unsigned n = rates.when > seen ? fgn_processes(vgpu, ret) : 0, kept = 0;

        *ret_when = rates.when;
        for (unsigned i = 0; i < n; i++) {
                unsigned sum = 0;
                for (unsigned slot = 0; slot < FG_SLOTS; slot++)
                        if (ret[i].slots[slot / 64] >> slot % 64 & 1)
                                sum += rates.slot[slot];
                if (sum == 0)
                        continue;
                ret_use[kept] = sum < 100 ? sum : 100;
                ret[kept++] = ret[i];
        }
        return kept;
}

nvmlReturn_t fgn_nvmlDeviceGetProcessUtilization(nvmlDevice_t device, nvmlProcessUtilizationSample_t *samples,
                                                 unsigned *count, unsigned long long seen)
{
        struct fgn_process found[FG_SLOTS];
        unsigned use[FG_SLOTS], room, n;
        uint64_t when;

        FGN_PASS(nvmlDeviceGetProcessUtilization, device, samples, count, seen);
        FGN_VGPU(vgpu, device);
        if (!count)
                return NVML_ERROR_INVALID_ARGUMENT;
        room = samples ? *count : 0;
        *count = n = use_processes(vgpu, seen, found, use, &when);
        if (n == 0)
                return NVML_ERROR_NOT_FOUND;
        if (n > room)
                return NVML_ERROR_INSUFFICIENT_SIZE;
        for (unsigned i = 0; i < n; i++)
                samples[i] = (nvmlProcessUtilizationSample_t){.pid = found[i].pid, .timeStamp = when, .smUtil = use[i]};
        return NVML_SUCCESS;
}

nvmlReturn_t fgn_nvmlDeviceGetProcessesUtilizationInfo(nvmlDevice_t device, nvmlProcessesUtilizationInfo_t *info)
{
        struct fgn_process found[FG_SLOTS];
        unsigned use[FG_SLOTS], room, n;
        uint64_t when;

        FGN_PASS(nvmlDeviceGetProcessesUtilizationInfo, device, info);
        FGN_VGPU(vgpu, device);
        if (!info)
                return NVML_ERROR_INVALID_ARGUMENT;
        if (info->version != nvmlProcessesUtilizationInfo_v1)
                return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
        room = info->procUtilArray ? info->processSamplesCount : 0;
        info->processSamplesCount = n = use_processes(vgpu, info->lastSeenTimeStamp, found, use, &when);
        if (n == 0)
                return NVML_ERROR_NOT_FOUND;
        if (n > room)
                return NVML_ERROR_INSUFFICIENT_SIZE;
        for (unsigned i = 0; i < n; i++)
                info->procUtilArray[i] =
                        (nvmlProcessUtilizationInfo_v1_t){.timeStamp = when, .pid = found[i].pid, .smUtil = use[i]};
        return NVML_SUCCESS;
}

/* Of the device's use there is one sample, the vGPU's own; power and clocks are the board's. */
nvmlReturn_t fgn_nvmlDeviceGetSamples(nvmlDevice_t device, nvmlSamplingType_t type, unsigned long long seen,
                                      nvmlValueType_t *value_type, unsigned *count, nvmlSample_t *samples)
{
        struct use_rates rates;

        FGN_PASS(nvmlDeviceGetSamples, device, type, seen, value_type, count, samples);
        FGN_VGPU(vgpu, device);
        if (type == NVML_MEMORY_UTILIZATION_SAMPLES)
                return NVML_ERROR_NOT_SUPPORTED;
        if (type != NVML_GPU_UTILIZATION_SAMPLES)
                return FGN_REAL(nvmlDeviceGetSamples, fg_load_acquire(&vgpu->real), type, seen, value_type, count,
                                samples);
        if (!value_type || !count || (samples && *count == 0))
                return NVML_ERROR_INVALID_ARGUMENT;
        rates = use_now(vgpu);
        *value_type = NVML_VALUE_TYPE_UNSIGNED_INT;
        *count = 1;
        if (rates.when <= seen)
                return NVML_ERROR_NOT_FOUND;
        if (samples)
                *samples = (nvmlSample_t){.timeStamp = rates.when, .sampleValue.uiVal = rates.gpu};
        return NVML_SUCCESS;
}
