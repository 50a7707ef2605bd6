/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/nvml/device.h"

#include "base/atomic.h"
#include "shim/nvml/hook.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define KEY_HEAD "cuda/"

unsigned fgn_vgpu_count;
struct fgn_vgpu *fgn_vgpus;

/* Those of an interface that NVML does not know are not shown. */
static bool device_is_ours(const struct fg_session_vgpu *vgpu)
{
        return strncmp(vgpu->ledger.limits->device_key, KEY_HEAD, strlen(KEY_HEAD)) == 0;
}

static void device_write_uuid(const uint8_t b[16], char ret[NVML_DEVICE_UUID_ASCII_LEN])
{
        snprintf(ret, NVML_DEVICE_UUID_ASCII_LEN,
                 "GPU-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3],
                 b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

static int device_add(const struct fg_session_vgpu *session)
{
        struct fgn_vgpu *vgpu = &fgn_vgpus[fgn_vgpu_count];

        *vgpu = (struct fgn_vgpu){.index = fgn_vgpu_count, .is_first = true, .session = session, .use = fgn_use_new()};
        if (!vgpu->use)
                return -ENOMEM;
        device_write_uuid(fgn_limits(vgpu)->uuid, vgpu->uuid);
        for (unsigned i = 0; i < fgn_vgpu_count; i++)
                vgpu->is_first &= strcmp(fgn_limits(&fgn_vgpus[i])->device_key, fgn_limits(vgpu)->device_key) != 0;
        fgn_vgpu_count++;
        return 0;
}

int fgn_devices_init(const struct fg_session *session)
{
        int r = 0;

        fgn_vgpus = calloc(session->count ? session->count : 1, sizeof(*fgn_vgpus));
        if (!fgn_vgpus)
                return -ENOMEM;
        for (uint32_t i = 0; i < session->count && r == 0; i++)
                if (device_is_ours(&session->vgpu[i]))
                        r = device_add(&session->vgpu[i]);
        return r;
}

static nvmlDevice_t device_handle(const struct fgn_vgpu *vgpu)
{
        return vgpu->is_first ? fg_load_acquire(&vgpu->real) : (nvmlDevice_t)vgpu;
}

struct fgn_vgpu *fgn_vgpu_of(nvmlDevice_t device)
{
        for (unsigned i = 0; i < fgn_vgpu_count && device; i++)
                if (device_handle(&fgn_vgpus[i]) == device)
                        return fg_load_acquire(&fgn_vgpus[i].real) ? &fgn_vgpus[i] : NULL;
        return NULL;
}

nvmlReturn_t fgn_vgpu_handle(struct fgn_vgpu *vgpu, nvmlDevice_t *ret)
{
        nvmlDevice_t real = NULL;
        nvmlReturn_t r = FGN_REAL(nvmlDeviceGetHandleByUUID, fgn_limits(vgpu)->device_key + strlen(KEY_HEAD), &real);

        if (r != NVML_SUCCESS)
                return r;
        fg_store_release(&vgpu->real, real);
        *ret = device_handle(vgpu);
        return r;
}

nvmlReturn_t fgn_nvmlDeviceGetCount_v2(unsigned *count)
{
        FGN_PASS(nvmlDeviceGetCount_v2, count);
        if (!count)
                return NVML_ERROR_INVALID_ARGUMENT;
        *count = fgn_vgpu_count;
        return NVML_SUCCESS;
}

nvmlReturn_t fgn_nvmlDeviceGetCount(unsigned *count)
{
        FGN_PASS(nvmlDeviceGetCount, count);
        return fgn_nvmlDeviceGetCount_v2(count);
}

nvmlReturn_t fgn_nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t *device)
{
        FGN_PASS(nvmlDeviceGetHandleByIndex_v2, index, device);
        if (!device || index >= fgn_vgpu_count)
                return NVML_ERROR_INVALID_ARGUMENT;
        return fgn_vgpu_handle(&fgn_vgpus[index], device);
}

nvmlReturn_t fgn_nvmlDeviceGetHandleByIndex(unsigned index, nvmlDevice_t *device)
{
        FGN_PASS(nvmlDeviceGetHandleByIndex, index, device);
        return fgn_nvmlDeviceGetHandleByIndex_v2(index, device);
}

nvmlReturn_t fgn_nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *device)
{
        FGN_PASS(nvmlDeviceGetHandleByUUID, uuid, device);
        if (!uuid || !device)
                return NVML_ERROR_INVALID_ARGUMENT;
        for (unsigned i = 0; i < fgn_vgpu_count; i++)
                if (strcasecmp(uuid, fgn_vgpus[i].uuid) == 0)
                        return fgn_vgpu_handle(&fgn_vgpus[i], device);
        return NVML_ERROR_NOT_FOUND;
}

nvmlReturn_t fgn_nvmlDeviceGetHandleByUUIDV(const nvmlUUID_t *uuid, nvmlDevice_t *device)
{
        enum { UUID_TEXT = 1, UUID_BYTES = 2 };

        FGN_PASS(nvmlDeviceGetHandleByUUIDV, uuid, device);
        if (!uuid || !device || (uuid->type != UUID_TEXT && uuid->type != UUID_BYTES))
                return NVML_ERROR_INVALID_ARGUMENT;
        if (uuid->version != nvmlUUID_v1)
                return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
        for (unsigned i = 0; i < fgn_vgpu_count; i++)
                if (uuid->type == UUID_TEXT
                            ? strncasecmp(uuid->value.str, fgn_vgpus[i].uuid, sizeof(fgn_vgpus[i].uuid)) == 0
                            : memcmp(uuid->value.bytes, fgn_limits(&fgn_vgpus[i])->uuid, 16) == 0)
                        return fgn_vgpu_handle(&fgn_vgpus[i], device);
        return NVML_ERROR_NOT_FOUND;
}

/* By a property of the physical device: the first vGPU on it, if there is one. */
static nvmlReturn_t device_give_first(nvmlReturn_t r, nvmlDevice_t real, nvmlDevice_t *device)
{
        nvmlDevice_t ignored;

        for (unsigned i = 0; r == NVML_SUCCESS && i < fgn_vgpu_count; i++)
                if (fgn_vgpu_handle(&fgn_vgpus[i], &ignored) == NVML_SUCCESS &&
                    fg_load_acquire(&fgn_vgpus[i].real) == real)
                        return *device = ignored, NVML_SUCCESS;
        return r == NVML_SUCCESS ? NVML_ERROR_NOT_FOUND : r;
}

#define BY_PROPERTY(name)                                                                                              \
        nvmlReturn_t fgn_##name(const char *property, nvmlDevice_t *device)                                            \
        {                                                                                                              \
                nvmlDevice_t real = NULL;                                                                              \
                nvmlReturn_t r;                                                                                        \
                FGN_PASS(name, property, device);                                                                      \
                if (!device)                                                                                           \
                        return NVML_ERROR_INVALID_ARGUMENT;                                                            \
                r = FGN_REAL(name, property, &real);                                                                   \
                return device_give_first(r, real, device);                                                             \
        }
BY_PROPERTY(nvmlDeviceGetHandleByPciBusId)
BY_PROPERTY(nvmlDeviceGetHandleByPciBusId_v2)
BY_PROPERTY(nvmlDeviceGetHandleBySerial)
