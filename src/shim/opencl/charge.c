/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/opencl/charge.h"

#include "base/cleanup.h"

#include <errno.h>

#define CHARGE_TRIES 8

struct fgo_charge {
        uint32_t generation; /* of the process that was charged */
        uint32_t parts;
        struct {
                struct fgo_vgpu *vgpu;
                uint64_t bytes;
        } part[];
};

static void charge_undo(struct fgo_charge *charge, uint32_t keep)
{
        while (charge->parts > keep) {
                struct fg_ledger *ledger = fgo_vgpu_ledger(charge->part[--charge->parts].vgpu);
                if (ledger)
                        fg_ledger_refund(ledger, charge->part[charge->parts].bytes);
        }
}

void fgo_charge_refund(struct fgo_charge *charge)
{
        if (charge && charge->generation == fgo_generation)
                charge_undo(charge, 0);
        free(charge);
}

static int charge_reserve(struct fgo_charge *charge, struct fgo_vgpu *vgpu, uint64_t bytes)
{
        struct fg_ledger *ledger = fgo_vgpu_ledger(vgpu);
        int r = ledger ? fg_ledger_reserve(ledger, bytes) : -EACCES;

        if (r < 0)
                return r;
        charge->part[charge->parts].vgpu = vgpu;
        charge->part[charge->parts++].bytes = bytes;
        return 0;
}

static uint64_t charge_room(struct fgo_vgpu *vgpu)
{
        struct fg_ledger *ledger = fgo_vgpu_ledger(vgpu);
        uint64_t quota = ledger ? fg_ledger_quota(ledger) : 0;
        uint64_t used = ledger ? fg_ledger_used(ledger) : 0;

        return used < quota ? quota - used : 0;
}

static bool charge_same_device(const struct fgo_device_list *devices, cl_uint a, cl_uint b)
{
        return devices->device[a]->vgpu->root.native == devices->device[b]->vgpu->root.native;
}

/* Whether an earlier device of the list is on the same physical device or, with `vgpu`, even in the same vGPU. */
static bool charge_seen(const struct fgo_device_list *devices, cl_uint at, bool vgpu)
{
        for (cl_uint i = 0; i < at; i++)
                if (vgpu ? devices->device[i]->vgpu == devices->device[at]->vgpu : charge_same_device(devices, i, at))
                        return true;
        return false;
}

/* The whole of it to one vGPU that seems to have room. Only looks first, so that a vGPU that was passed over counts no
 * refusal. */
static int charge_whole(struct fgo_charge *charge, const struct fgo_device_list *devices, cl_uint first, uint64_t bytes)
{
        for (cl_uint i = first; i < devices->count; i++) {
                struct fgo_vgpu *vgpu = devices->device[i]->vgpu;
                if (charge_same_device(devices, first, i) && charge_room(vgpu) >= bytes &&
                    charge_reserve(charge, vgpu, bytes) == 0)
                        return 0;
        }
        return -ENOMEM;
}

static int charge_split(struct fgo_charge *charge, const struct fgo_device_list *devices, cl_uint first, uint64_t bytes)
{
        uint32_t keep = charge->parts;

        for (cl_uint i = first; i < devices->count && bytes; i++) {
                struct fgo_vgpu *vgpu = devices->device[i]->vgpu;
                uint64_t part = charge_room(vgpu);
                if (part > bytes)
                        part = bytes;
                if (part == 0 || !charge_same_device(devices, first, i) || charge_seen(devices, i, true) ||
                    charge_reserve(charge, vgpu, part) < 0)
                        continue;
                bytes -= part;
        }
        if (bytes == 0)
                return 0;
        charge_undo(charge, keep);
        return -ENOMEM;
}

/* One physical device, whose first vGPU in the list is `first`. Room seen may be gone an instant later: a few tries,
 * then the first vGPU has the last word and counts the refusal. */
static int charge_device(struct fgo_charge *charge, const struct fgo_device_list *devices, cl_uint first,
                         uint64_t bytes)
{
        cl_uint vgpus = 0;

        for (cl_uint i = first; i < devices->count; i++)
                vgpus += charge_same_device(devices, first, i) && !charge_seen(devices, i, true);
        for (int try = 0; vgpus > 1 && try < CHARGE_TRIES; try++) {
                uint64_t room = 0;
                for (cl_uint i = first; i < devices->count; i++)
                        if (charge_same_device(devices, first, i) && !charge_seen(devices, i, true))
                                room += charge_room(devices->device[i]->vgpu);
                if (charge_whole(charge, devices, first, bytes) == 0 ||
                    charge_split(charge, devices, first, bytes) == 0)
                        return 0;
                if (room < bytes)
                        break;
        }
        return charge_reserve(charge, devices->device[first]->vgpu, bytes);
}

/* Larger than the largest allocation of every vGPU because of their quotas: the driver would not know to say so. */
static bool charge_too_large(const struct fgo_device_list *devices, uint64_t bytes)
{
        for (cl_uint i = 0; i < devices->count; i++) {
                struct fg_ledger *ledger = fgo_vgpu_ledger(devices->device[i]->vgpu);
                if (!ledger || bytes <= fg_ledger_quota(ledger))
                        return false;
        }
        return true;
}

static cl_int charge_all(struct fgo_charge *charge, const struct fgo_device_list *devices, uint64_t bytes)
{
        bool too_large = charge_too_large(devices, bytes);
        int r = 0;

        if (too_large) /* the ledger refuses, and counts it */
                r = charge_reserve(charge, devices->device[0]->vgpu, bytes);
        for (cl_uint i = 0; r == 0 && !too_large && i < devices->count; i++)
                if (!charge_seen(devices, i, false))
                        r = charge_device(charge, devices, i, bytes);
        if (r == -EACCES)
                return CL_OUT_OF_RESOURCES;
        if (too_large)
                return CL_INVALID_BUFFER_SIZE;
        return r < 0 ? CL_MEM_OBJECT_ALLOCATION_FAILURE : CL_SUCCESS;
}

cl_int fgo_charge_new(const struct fgo_device_list *devices, uint64_t bytes, struct fgo_charge **ret)
{
        struct fgo_charge *charge = calloc(1, sizeof(*charge) + devices->count * sizeof(charge->part[0]));
        cl_int r;

        if (!charge)
                return CL_OUT_OF_HOST_MEMORY;
        charge->generation = fgo_generation;
        r = bytes ? charge_all(charge, devices, bytes) : CL_SUCCESS;
        if (r != CL_SUCCESS) {
                fgo_charge_refund(charge);
                return r;
        }
        *ret = charge;
        return CL_SUCCESS;
}

static void CL_CALLBACK charge_on_destroy(cl_mem memory, void *user)
{
        fgo_charge_refund(user);
}

/* Registered before the program can register its own, and callbacks run last to first: when ours runs, the program has
 * heard of the object's end and the driver is done with it. */
cl_mem fgo_charge_attach(cl_mem memory, struct fgo_charge *charge, cl_int *ret)
{
        if (memory && charge->parts == 0) {
                fgo_charge_refund(charge);
                return memory;
        }
        if (memory && fgo_driver.clSetMemObjectDestructorCallback(memory, charge_on_destroy, charge) == CL_SUCCESS)
                return memory;
        if (memory) {
                fgo_driver.clReleaseMemObject(memory);
                fgo_fail(ret, CL_OUT_OF_HOST_MEMORY);
        }
        fgo_charge_refund(charge);
        return NULL;
}
