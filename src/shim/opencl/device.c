/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/opencl/device.h"

#include "base/cleanup.h"

struct fgo_map fgo_devices = FGO_MAP_INIT;
struct fgo_map fgo_sub_devices = FGO_MAP_INIT;

void fgo_devices_register(struct fgo_session *view)
{
        for (uint32_t i = 0; i < view->count; i++) {
                view->vgpu[i].root.vgpu = &view->vgpu[i];
                fgo_map_put(&fgo_devices, &view->vgpu[i].root, &view->vgpu[i].root, NULL);
        }
}

cl_int fgo_device_native_info(cl_device_id device, cl_device_info name, void *value, size_t size)
{
        return fgo_driver.clGetDeviceInfo(device->native, name, size, value, NULL);
}

uint64_t fgo_device_max_alloc(cl_device_id device)
{
        struct fg_ledger *ledger = fgo_vgpu_ledger(device->vgpu);
        uint64_t quota = ledger ? fg_ledger_quota(ledger) : 0;
        cl_ulong physical = 0;

        if (fgo_device_native_info(device, CL_DEVICE_MAX_MEM_ALLOC_SIZE, &physical, sizeof(physical)) != CL_SUCCESS)
                return 0;
        return physical < quota ? physical : quota;
}

/* Objects of sub-devices are kept for the next sub-device at the driver's same address, never freed: whatever the
 * program still holds stays readable. */
cl_device_id fgo_sub_device_get(cl_device_id parent, cl_device_id native)
{
        cl_device_id device = fgo_map_get(&fgo_sub_devices, native);

        if (!device) {
                device = calloc(1, sizeof(*device));
                if (!device || fgo_map_put(&fgo_sub_devices, native, device, NULL) < 0 ||
                    fgo_map_put(&fgo_devices, device, device, NULL) < 0)
                        return NULL;
        }
        *device = (struct _cl_device_id){
                .dispatch = &fgo_dispatch, .native = native, .vgpu = parent->vgpu, .parent = parent};
        return device;
}

static struct fgo_device_list *device_list_room(cl_uint count)
{
        struct fgo_device_list *list = calloc(1, sizeof(*list) + count * (2 * sizeof(cl_device_id) + sizeof(cl_uint)));

        if (!list)
                return NULL;
        list->device = (cl_device_id *)(list + 1);
        list->native = list->device + count;
        list->slot = (cl_uint *)(list->native + count);
        return list;
}

static void device_list_add(struct fgo_device_list *list, cl_device_id device)
{
        cl_uint slot = 0;

        if (fgo_device_list_find(list, device) >= 0)
                return;
        while (slot < list->natives && list->native[slot] != device->native)
                slot++;
        if (slot == list->natives)
                list->native[list->natives++] = device->native;
        list->slot[list->count] = slot;
        list->device[list->count++] = device;
}

cl_int fgo_device_list_new(cl_uint count, const cl_device_id *devices, struct fgo_device_list **ret)
{
        fg_autofree struct fgo_device_list *list = device_list_room(count);

        if (!list)
                return CL_OUT_OF_HOST_MEMORY;
        for (cl_uint i = 0; i < count; i++) {
                if (!fgo_device_check(devices[i]))
                        return CL_INVALID_DEVICE;
                device_list_add(list, devices[i]);
        }
        *ret = FG_TAKE_PTR(list);
        return CL_SUCCESS;
}

struct fgo_device_list *fgo_device_list_copy(const struct fgo_device_list *list)
{
        struct fgo_device_list *copy = device_list_room(list->count);

        for (cl_uint i = 0; copy && i < list->count; i++)
                device_list_add(copy, list->device[i]);
        return copy;
}

int fgo_device_list_find(const struct fgo_device_list *list, cl_device_id device)
{
        for (cl_uint i = 0; i < list->count; i++)
                if (list->device[i] == device)
                        return (int)i;
        return -1;
}
