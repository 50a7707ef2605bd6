/* SPDX-License-Identifier: Apache-2.0
 * Device numbers that the driver gives out about memory. Which vGPU a pointer belongs to: whoever was charged for it, else its
 * context's, else the current one if that is on the device in question, else the first there. */
#include "shim/cuda/alloc.h"
#include "shim/cuda/hook.h"
#include "shim/cuda/translate.h"

static struct fgc_vgpu *owner_of(CUdeviceptr pointer)
{
        CUcontext context = NULL;
        struct fgc_vgpu *vgpu = fgc_alloc_vgpu(pointer);
        if (!vgpu && !FGC_REAL(cuPointerGetAttribute, &context, CU_POINTER_ATTRIBUTE_CONTEXT, pointer))
                vgpu = fgc_vgpu_of_context(context);
        return vgpu ? vgpu : fgc_vgpu_current();
}

static void ordinal_out(void *data, CUdeviceptr pointer)
{
        if (data && !fgc_devices_same && *(int *)data >= 0)
                *(int *)data = fgc_device_out(*(int *)data, owner_of(pointer));
}

CUresult fgc_cuPointerGetAttribute(void *data, CUpointer_attribute attribute, CUdeviceptr pointer)
{
        FGC_PASS(cuPointerGetAttribute, data, attribute, pointer);
        CUresult r = FGC_REAL(cuPointerGetAttribute, data, attribute, pointer);
        if (!r && attribute == CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL)
                ordinal_out(data, pointer);
        return r;
}

CUresult fgc_cuPointerGetAttributes(unsigned int count, CUpointer_attribute *attributes, void **data, CUdeviceptr pointer)
{
        FGC_PASS(cuPointerGetAttributes, count, attributes, data, pointer);
        CUresult r = FGC_REAL(cuPointerGetAttributes, count, attributes, data, pointer);
        for (unsigned i = 0; !r && i < count; i++)
                if (attributes[i] == CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL)
                        ordinal_out(data[i], pointer);
        return r;
}

/* --- ranges of managed memory --- */

/* Whether an id is a device's depends on the type, which is another attribute of the range. */
static bool id_is_device(CUmem_range_attribute attribute, CUdeviceptr pointer, size_t count)
{
        int type = 0;
        CUmem_range_attribute which = attribute == CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION_ID
                                              ? CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION_TYPE
                                              : CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION_TYPE;
        return !FGC_REAL(cuMemRangeGetAttribute, &type, sizeof type, which, pointer, count) && type == CU_MEM_LOCATION_TYPE_DEVICE;
}

/* How many numbers in the answer to `attribute` are devices'. */
static size_t numbers_in(CUmem_range_attribute attribute, size_t size, CUdeviceptr pointer, size_t count)
{
        switch ((int)attribute) {
        case CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION:
        case CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION:
                return 1;
        case CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY:
                return size / sizeof(int);
        case CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION_ID:
        case CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION_ID:
                return id_is_device(attribute, pointer, count);
        default:
                return 0;
        }
}

static void range_out(void *data, size_t size, CUmem_range_attribute attribute, CUdeviceptr pointer, size_t count)
{
        size_t n = fgc_devices_same || !data ? 0 : numbers_in(attribute, size, pointer, count);
        struct fgc_vgpu *owner = n ? owner_of(pointer) : NULL;
        for (size_t i = 0; i < n; i++)
                ((int *)data)[i] = fgc_device_out(((int *)data)[i], owner);
}

CUresult fgc_cuMemRangeGetAttribute(void *data, size_t size, CUmem_range_attribute attribute, CUdeviceptr pointer, size_t count)
{
        FGC_PASS(cuMemRangeGetAttribute, data, size, attribute, pointer, count);
        CUresult r = FGC_REAL(cuMemRangeGetAttribute, data, size, attribute, pointer, count);
        if (!r)
                range_out(data, size, attribute, pointer, count);
        return r;
}

CUresult fgc_cuMemRangeGetAttributes(void **data, size_t *sizes, CUmem_range_attribute *attributes, size_t n,
                                     CUdeviceptr pointer, size_t count)
{
        FGC_PASS(cuMemRangeGetAttributes, data, sizes, attributes, n, pointer, count);
        CUresult r = FGC_REAL(cuMemRangeGetAttributes, data, sizes, attributes, n, pointer, count);
        for (size_t i = 0; !r && i < n; i++)
                range_out(data[i], sizes[i], attributes[i], pointer, count);
        return r;
}
