/* SPDX-License-Identifier: Apache-2.0
 *
 * The driver's undocumented tables pass through, with one exception. The runtime library (11.8, 12.9 and 13.5 were looked at)
 * asks one of them at its start for the handle of each device's primary context, by device number, and makes that handle
 * current ever after. Where vGPUs share a device the driver does not know the number, and the runtime would not start: the
 * program gets a copy of that table in which the two functions with a device number are ours. Where all numbers are equal on
 * both sides, as visible.c sees to otherwise, nothing is replaced.
 *
 * The table is an array of words: its size in bytes, then functions. */
#include "shim/cuda/context.h"
#include "shim/cuda/hook.h"
#include "shim/cuda/translate.h"

#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 512u

enum { SLOT_CONTEXT = 2, SLOT_SETTINGS = 3, SLOTS_NEEDED };

struct table {
        uint64_t size;
        void *function[WORDS_MAX - 1];
};

static const unsigned char runtime_table[16] = {0x6b, 0xd5, 0xfb, 0x6c, 0x5b, 0xf4, 0xe7, 0x4a,
                                                0x89, 0x87, 0xd9, 0x39, 0x12, 0xfd, 0x9d, 0xf9};

static _Atomic(struct table *) ours;
static CUresult (*real_context)(CUcontext *, CUdevice);
static CUresult (*real_settings)(CUdevice, void *);

/* A vGPU that has no room for its context must not keep the runtime from starting: it finds out when it uses the device. */
static CUresult context_of(CUcontext *ret, CUdevice dev)
{
        struct fgc_vgpu *vgpu = fgc_vgpu_of_ordinal(dev);
        if (fgc_inside || !ret || !vgpu)
                return real_context(ret, fgc_inside ? dev : fgc_device_in(dev));
        if (!vgpu->first) {
                if (fgc_primary_pin(vgpu, ret))
                        *ret = NULL;
                return CUDA_SUCCESS;
        }
        CUresult r = FGC_INSIDE(real_context(ret, vgpu->real));
        if (!r)
                fgc_context_add(*ret, vgpu, FGC_CONTEXT_PRIMARY);
        return r;
}

static CUresult settings_of(CUdevice dev, void *list)
{
        if (!fgc_inside)
                dev = fgc_device_in(dev);
        return FGC_INSIDE(real_settings(dev, list));
}

/* NULL: not a table as described above, or out of memory. The first copy serves for good: the driver has one such table. */
static const struct table *replacement(const struct table *real)
{
        struct table *made = atomic_load_explicit(&ours, memory_order_acquire), *none = NULL;
        if (made || !real || real->size < (SLOTS_NEEDED)*sizeof(void *) || real->size > sizeof *real || real->size % 8)
                return made;
        made = calloc(1, sizeof *made);
        if (!made)
                return NULL;
        memcpy(made, real, real->size);
        real_context = (CUresult(*)(CUcontext *, CUdevice))real->function[SLOT_CONTEXT - 1];
        real_settings = (CUresult(*)(CUdevice, void *))real->function[SLOT_SETTINGS - 1];
        if (real_context)
                made->function[SLOT_CONTEXT - 1] = (void *)context_of;
        if (real_settings)
                made->function[SLOT_SETTINGS - 1] = (void *)settings_of;
        if (atomic_compare_exchange_strong_explicit(&ours, &none, made, memory_order_acq_rel, memory_order_acquire))
                return made;
        free(made);
        return none;
}

CUresult fgc_cuGetExportTable(const void **table, const CUuuid *id)
{
        FGC_PASS(cuGetExportTable, table, id);
        CUresult r = FGC_REAL(cuGetExportTable, table, id);
        if (r || fgc_devices_same || !table || !id || memcmp(id->bytes, runtime_table, sizeof runtime_table) != 0)
                return r;
        const struct table *copy = replacement(*table);
        if (copy)
                *table = copy;
        return r;
}
