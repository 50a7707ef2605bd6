/* SPDX-License-Identifier: Apache-2.0
 * Which GPUs there are, and what identifies them. */
#include "sim/nvml.h"

#include "base/atomic.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned *count)
{
        FGSIM_NVML_ENTER();
        if (!count)
                return NVML_ERROR_INVALID_ARGUMENT;
        *count = fgsim_spec.gpus;
        return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetCount(unsigned *count)
{
        return nvmlDeviceGetCount_v2(count);
}

static nvmlReturn_t give(uint32_t gpu, nvmlDevice_t *ret)
{
        if (fg_load_acquire(&fgsim_shared->gpu[gpu].lost))
                return NVML_ERROR_GPU_IS_LOST;
        *ret = fgsim_nvml_handle(gpu);
        return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t *device)
{
        FGSIM_NVML_ENTER();
        if (!device || index >= fgsim_spec.gpus)
                return NVML_ERROR_INVALID_ARGUMENT;
        return give(index, device);
}

nvmlReturn_t nvmlDeviceGetHandleByIndex(unsigned index, nvmlDevice_t *device)
{
        return nvmlDeviceGetHandleByIndex_v2(index, device);
}

/* GPU-xxxxxxxx-xxxx-…: what the dashes hold together. */
static void uuid_bytes(const char *text, unsigned char ret[16])
{
        unsigned byte;
        const char *s = strchr(text, '-');
        memset(ret, 0, 16);
        for (int i = 0; s && i < 16; i++) {
                while (*s == '-')
                        s++;
                if (sscanf(s, "%2x", &byte) != 1)
                        return;
                ret[i] = (unsigned char)byte;
                s += 2;
        }
}

nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *device)
{
        FGSIM_NVML_ENTER();
        if (!uuid || !device)
                return NVML_ERROR_INVALID_ARGUMENT;
        for (uint32_t gpu = 0; gpu < fgsim_spec.gpus; gpu++)
                if (strcasecmp(uuid, fgsim_spec.gpu[gpu].uuid) == 0)
                        return give(gpu, device);
        return NVML_ERROR_NOT_FOUND;
}

nvmlReturn_t nvmlDeviceGetHandleByUUIDV(const nvmlUUID_t *uuid, nvmlDevice_t *device)
{
        unsigned char bytes[16];
        if (!uuid || !device || uuid->type < 1 || uuid->type > 2)
                return NVML_ERROR_INVALID_ARGUMENT;
        if (uuid->version != nvmlUUID_v1)
                return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
        if (uuid->type == 1)
                return nvmlDeviceGetHandleByUUID(uuid->value.str, device);
        FGSIM_NVML_ENTER();
        for (uint32_t gpu = 0; gpu < fgsim_spec.gpus; gpu++) {
                uuid_bytes(fgsim_spec.gpu[gpu].uuid, bytes);
                if (memcmp(bytes, uuid->value.bytes, sizeof bytes) == 0)
                        return give(gpu, device);
        }
        return NVML_ERROR_NOT_FOUND;
}

/* With a domain or without, as nvidia-smi and lspci write it. */
nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char *id, nvmlDevice_t *device)
{
        unsigned domain = 0, bus, slot, function = 0;
        FGSIM_NVML_ENTER();
        if (!id || !device)
                return NVML_ERROR_INVALID_ARGUMENT;
        if (sscanf(id, "%x:%x:%x.%x", &domain, &bus, &slot, &function) < 3 &&
            sscanf(id, "%x:%x.%x", &bus, &slot, &function) < 2)
                return NVML_ERROR_INVALID_ARGUMENT;
        for (uint32_t gpu = 0; gpu < fgsim_spec.gpus; gpu++)
                if (domain == 0 && bus == fgsim_nvml_bus(gpu) && slot == 0 && function == 0)
                        return give(gpu, device);
        return NVML_ERROR_NOT_FOUND;
}

nvmlReturn_t nvmlDeviceGetHandleByPciBusId(const char *id, nvmlDevice_t *device)
{
        return nvmlDeviceGetHandleByPciBusId_v2(id, device);
}

static void serial_of(uint32_t gpu, char ret[32])
{
        unsigned char bytes[16];
        unsigned number = 0;
        uuid_bytes(fgsim_spec.gpu[gpu].uuid, bytes);
        for (size_t i = 0; i < sizeof bytes; i++)
                number = number * 31 + bytes[i];
        snprintf(ret, 32, "16530%08u", number % 100000000u);
}

nvmlReturn_t nvmlDeviceGetHandleBySerial(const char *serial, nvmlDevice_t *device)
{
        char text[32];
        FGSIM_NVML_ENTER();
        if (!serial || !device)
                return NVML_ERROR_INVALID_ARGUMENT;
        for (uint32_t gpu = 0; gpu < fgsim_spec.gpus; gpu++) {
                serial_of(gpu, text);
                if (strcmp(text, serial) == 0)
                        return give(gpu, device);
        }
        return NVML_ERROR_NOT_FOUND;
}

nvmlReturn_t nvmlDeviceGetSerial(nvmlDevice_t device, char *serial, unsigned length)
{
        char text[32];
        FGSIM_NVML_ENTER_DEVICE(device);
        serial_of(gpu, text);
        return fgsim_nvml_text(serial, length, text);
}

nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *name, unsigned length)
{
        FGSIM_NVML_ENTER_DEVICE(device);
        return fgsim_nvml_text(name, length, fgsim_spec.gpu[gpu].model);
}

nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, unsigned length)
{
        FGSIM_NVML_ENTER_DEVICE(device);
        return fgsim_nvml_text(uuid, length, fgsim_spec.gpu[gpu].uuid);
}

static void pci_fill(uint32_t gpu, char *ret_legacy, nvmlPciInfo_t *ret)
{
        unsigned bus = fgsim_nvml_bus(gpu);
        ret->domain = 0;
        ret->bus = bus;
        ret->device = 0;
        ret->pciDeviceId = 0x233010deu; /* the vendor's number in the low half */
        ret->pciSubSystemId = 0x16c110deu;
        snprintf(ret_legacy, NVML_DEVICE_PCI_BUS_ID_BUFFER_V2_SIZE, NVML_DEVICE_PCI_BUS_ID_LEGACY_FMT, 0u, bus, 0u);
}

nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t *pci)
{
        FGSIM_NVML_ENTER_DEVICE(device);
        if (!pci)
                return NVML_ERROR_INVALID_ARGUMENT;
        pci_fill(gpu, pci->busIdLegacy, pci);
        snprintf(pci->busId, sizeof pci->busId, NVML_DEVICE_PCI_BUS_ID_FMT, 0u, fgsim_nvml_bus(gpu), 0u);
        return NVML_SUCCESS;
}

/* Callers of the first two forms have a shorter record: without the long text, after it four words that are no longer
 * used. */
static nvmlReturn_t pci_old(nvmlDevice_t device, nvmlPciInfo_t *pci)
{
        nvmlPciInfo_t now;
        nvmlReturn_t r = nvmlDeviceGetPciInfo_v3(device, &now);
        if (r == NVML_SUCCESS && !pci)
                r = NVML_ERROR_INVALID_ARGUMENT;
        if (r == NVML_SUCCESS)
                memcpy(pci, &now, offsetof(nvmlPciInfo_t, busId));
        return r;
}

nvmlReturn_t nvmlDeviceGetPciInfo_v2(nvmlDevice_t device, nvmlPciInfo_t *pci)
{
        return pci_old(device, pci);
}

nvmlReturn_t nvmlDeviceGetPciInfo(nvmlDevice_t device, nvmlPciInfo_t *pci)
{
        return pci_old(device, pci);
}

nvmlReturn_t nvmlDeviceGetPciInfoExt(nvmlDevice_t device, nvmlPciInfoExt_t *pci)
{
        FGSIM_NVML_ENTER_DEVICE(device);
        if (!pci)
                return NVML_ERROR_INVALID_ARGUMENT;
        if (pci->version != nvmlPciInfoExt_v1)
                return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
        nvmlPciInfo_t plain;
        pci_fill(gpu, plain.busIdLegacy, &plain);
        *pci = (nvmlPciInfoExt_t){.version = nvmlPciInfoExt_v1,
                                  .bus = plain.bus,
                                  .pciDeviceId = plain.pciDeviceId,
                                  .pciSubSystemId = plain.pciSubSystemId,
                                  .baseClass = 3,
                                  .subClass = 2};
        snprintf(pci->busId, sizeof pci->busId, NVML_DEVICE_PCI_BUS_ID_FMT, 0u, plain.bus, 0u);
        return NVML_SUCCESS;
}
