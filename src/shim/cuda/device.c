/* SPDX-License-Identifier: Apache-2.0
 * The table of vGPUs: which physical device each is on, by UUID. Made once, after the driver's cuInit. */
#include "shim/cuda/context.h"
#include "shim/cuda/gate.h"
#include "shim/cuda/hook.h"
#include "shim/cuda/translate.h"
#include "shim/cuda/visible.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

unsigned fgc_vgpu_count;
struct fgc_vgpu *fgc_vgpus;
bool fgc_devices_same;

static pthread_mutex_t publish_lock = PTHREAD_MUTEX_INITIALIZER; /* no driver call is made under it */

struct physical {
        int count;
        CUuuid *uuid;
};

static CUresult uuid_of(CUdevice real, CUuuid *ret)
{
        /* On a MIG instance the first version tells the whole GPU's. */
        return fgc_real.cuDeviceGetUuid_v2 ? fgc_real.cuDeviceGetUuid_v2(ret, real) : fgc_real.cuDeviceGetUuid(ret, real);
}

static CUresult list_physical(struct physical *ret)
{
        CUresult r = fgc_real.cuDeviceGetCount(&ret->count);
        if (r)
                return r;
        ret->uuid = calloc(ret->count + 1, sizeof *ret->uuid);
        if (!ret->uuid)
                return CUDA_ERROR_OUT_OF_MEMORY;
        for (int i = 0; i < ret->count && !r; i++)
                r = uuid_of(i, &ret->uuid[i]);
        return r;
}

/* Its number, or -1. */
static CUdevice find_physical(const struct physical *physical, const char *key)
{
        char gpu[FGC_UUID_TEXT], mig[FGC_UUID_TEXT];
        for (int i = 0; i < physical->count; i++) {
                fgc_uuid_text("cuda/GPU-", (const uint8_t *)physical->uuid[i].bytes, gpu);
                fgc_uuid_text("cuda/MIG-", (const uint8_t *)physical->uuid[i].bytes, mig);
                if (strcasecmp(key, gpu) == 0 || strcasecmp(key, mig) == 0)
                        return i;
        }
        return -1;
}

static void say_gone(const struct fg_limits_page *limits)
{
        dprintf(STDERR_FILENO, "fastgpu: vGPU %s: the driver has no device %s: no CUDA devices\n", limits->name,
                limits->device_key);
}

void fgc_devices_gone(const struct fg_session *session)
{
        if (fgc_visible_count())
                say_gone(session->vgpu[fgc_visible_at(0)].ledger.limits);
}

static CUresult fill(struct fgc_vgpu *list, unsigned count, struct fg_session *session, const struct physical *physical)
{
        for (unsigned i = 0; i < count; i++) {
                struct fgc_vgpu *v = &list[i];
                v->ordinal = i;
                v->session = &session->vgpu[fgc_visible_at(i)];
                v->ledger = &v->session->ledger;
                v->real = find_physical(physical, v->ledger->limits->device_key);
                if (v->real < 0) {
                        say_gone(v->ledger->limits);
                        return CUDA_ERROR_NO_DEVICE;
                }
                v->first = true;
                for (unsigned k = 0; k < i; k++)
                        v->first &= list[k].real != v->real;
        }
        return CUDA_SUCCESS;
}

/* Takes the list over unless another thread was faster. The gates are made here, so that only one set of them exists. */
static CUresult publish(struct fgc_vgpu *list, unsigned count, int physical)
{
        bool same = physical == (int)count;
        CUresult r = CUDA_SUCCESS;
        pthread_mutex_lock(&publish_lock);
        if (fgc_vgpu_count == 0) {
                for (unsigned i = 0; i < count && !r; i++) {
                        same &= list[i].real == (CUdevice)i;
                        list[i].gate = fgc_gate_new(&list[i]);
                        r = list[i].gate ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
                }
                if (!r) {
                        fgc_devices_same = same;
                        fgc_vgpus = list;
                        __atomic_store_n(&fgc_vgpu_count, count, __ATOMIC_RELEASE);
                        list = NULL;
                }
        }
        pthread_mutex_unlock(&publish_lock);
        free(list);
        return r;
}

CUresult fgc_devices_init(struct fg_session *session)
{
        struct physical physical = {0};
        unsigned count = fgc_visible_count();
        if (__atomic_load_n(&fgc_vgpu_count, __ATOMIC_ACQUIRE))
                return CUDA_SUCCESS;
        if (count == 0)
                return CUDA_ERROR_NO_DEVICE;
        struct fgc_vgpu *list = calloc(count, sizeof *list);
        CUresult r = list ? list_physical(&physical) : CUDA_ERROR_OUT_OF_MEMORY;
        if (!r)
                r = fill(list, count, session, &physical);
        if (!r)
                r = publish(list, count, physical.count);
        else
                free(list);
        free(physical.uuid);
        return r;
}

void fgc_devices_forget(void)
{
        publish_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
        fgc_vgpu_count = 0;
        fgc_vgpus = NULL;
        fgc_contexts_forget();
        fgc_primaries_forget();
}

struct fgc_vgpu *fgc_vgpu_of_real(CUdevice real)
{
        for (unsigned i = 0; i < fgc_vgpu_count; i++)
                if (fgc_vgpus[i].real == real)
                        return &fgc_vgpus[i];
        return NULL;
}
