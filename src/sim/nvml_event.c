/* SPDX-License-Identifier: Apache-2.0
 * Event sets. The only events that happen here are the Xids of the script; who waits looks at their count. */
#include "sim/nvml.h"

#include "base/atomic.h"
#include "base/clock.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#define SETS_MAX 64
#define LOOK_NS  (2 * (long)FG_NSEC_PER_MSEC)
#define KNOWN                                                                                                          \
        (nvmlEventTypeXidCriticalError | nvmlEventTypeSingleBitEccError | nvmlEventTypeDoubleBitEccError |             \
         nvmlEventTypePState | nvmlEventTypeClock)

struct nvmlEventSet_st {
        bool in_use;
        unsigned long long types[FGSIM_GPUS_MAX];
        uint32_t seen[FGSIM_GPUS_MAX]; /* Xids delivered or before its time */
};

static pthread_mutex_t sets_lock = PTHREAD_MUTEX_INITIALIZER;
static struct nvmlEventSet_st sets[SETS_MAX];

static bool is_set(nvmlEventSet_t set)
{
        return set >= sets && set < sets + SETS_MAX && fg_load_acquire(&set->in_use);
}

nvmlReturn_t nvmlEventSetCreate(nvmlEventSet_t *set)
{
        nvmlReturn_t r = NVML_ERROR_MEMORY;
        FGSIM_NVML_ENTER();
        if (!set)
                return NVML_ERROR_INVALID_ARGUMENT;
        pthread_mutex_lock(&sets_lock);
        for (unsigned i = 0; i < SETS_MAX && r != NVML_SUCCESS; i++)
                if (!sets[i].in_use) {
                        memset(&sets[i], 0, sizeof sets[i]);
                        fg_store_release(&sets[i].in_use, true);
                        *set = &sets[i];
                        r = NVML_SUCCESS;
                }
        pthread_mutex_unlock(&sets_lock);
        return r;
}

nvmlReturn_t nvmlEventSetFree(nvmlEventSet_t set)
{
        FGSIM_NVML_ENTER();
        if (!is_set(set))
                return NVML_ERROR_INVALID_ARGUMENT;
        fg_store_release(&set->in_use, false);
        return NVML_SUCCESS;
}

void fgsim_nvml_events_end(void)
{
        for (unsigned i = 0; i < SETS_MAX; i++)
                fg_store_release(&sets[i].in_use, false);
}

nvmlReturn_t nvmlDeviceGetSupportedEventTypes(nvmlDevice_t device, unsigned long long *types)
{
        FGSIM_NVML_ENTER_DEVICE(device);
        (void)gpu;
        if (!types)
                return NVML_ERROR_INVALID_ARGUMENT;
        *types = KNOWN;
        return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceRegisterEvents(nvmlDevice_t device, unsigned long long types, nvmlEventSet_t set)
{
        FGSIM_NVML_ENTER_DEVICE(device);
        if (!is_set(set))
                return NVML_ERROR_INVALID_ARGUMENT;
        if (types & ~(unsigned long long)KNOWN)
                return NVML_ERROR_NOT_SUPPORTED;
        pthread_mutex_lock(&sets_lock);
        if (!(set->types[gpu] & nvmlEventTypeXidCriticalError))
                set->seen[gpu] = fg_load_acquire(&fgsim_shared->gpu[gpu].xid_count);
        set->types[gpu] |= types;
        pthread_mutex_unlock(&sets_lock);
        return NVML_SUCCESS;
}

/* The next Xid that the set has not delivered. Of several in a row only the last one's number is known. */
static bool next_event(nvmlEventSet_t set, nvmlEventData_t *ret)
{
        bool found = false;
        pthread_mutex_lock(&sets_lock);
        for (uint32_t gpu = 0; gpu < fgsim_spec.gpus && !found; gpu++) {
                const struct fgsim_gpu_state *state = &fgsim_shared->gpu[gpu];
                if (!(set->types[gpu] & nvmlEventTypeXidCriticalError) ||
                    set->seen[gpu] == fg_load_acquire(&state->xid_count))
                        continue;
                set->seen[gpu]++;
                *ret = (nvmlEventData_t){.device = fgsim_nvml_handle(gpu),
                                         .eventType = nvmlEventTypeXidCriticalError,
                                         .eventData = fg_load_relaxed(&state->xid),
                                         .gpuInstanceId = FGSIM_NOT_AVAILABLE,
                                         .computeInstanceId = FGSIM_NOT_AVAILABLE};
                found = true;
        }
        pthread_mutex_unlock(&sets_lock);
        return found;
}

static nvmlReturn_t wait_event(nvmlEventSet_t set, nvmlEventData_t *ret, unsigned timeout_ms)
{
        uint64_t end = fg_now() + timeout_ms * FG_NSEC_PER_MSEC;
        while (!next_event(set, ret)) {
                if (fg_now() >= end)
                        return NVML_ERROR_TIMEOUT;
                nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
                if (!is_set(set))
                        return NVML_ERROR_INVALID_ARGUMENT;
        }
        return NVML_SUCCESS;
}

nvmlReturn_t nvmlEventSetWait_v2(nvmlEventSet_t set, nvmlEventData_t *data, unsigned timeout_ms)
{
        FGSIM_NVML_ENTER();
        if (!is_set(set) || !data)
                return NVML_ERROR_INVALID_ARGUMENT;
        return wait_event(set, data, timeout_ms);
}

/* Its callers' record ends before the instances. */
nvmlReturn_t nvmlEventSetWait(nvmlEventSet_t set, nvmlEventData_t *data, unsigned timeout_ms)
{
        nvmlEventData_t event;
        FGSIM_NVML_ENTER();
        if (!is_set(set) || !data)
                return NVML_ERROR_INVALID_ARGUMENT;
        nvmlReturn_t r = wait_event(set, &event, timeout_ms);
        if (r == NVML_SUCCESS)
                memcpy(data, &event, offsetof(nvmlEventData_t, gpuInstanceId));
        return r;
}
