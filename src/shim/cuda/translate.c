/* SPDX-License-Identifier: Apache-2.0
 * Device numbers inside structures. */
#include "shim/cuda/translate.h"

#include <stdlib.h>
#include <string.h>

/* Newer than some headers: `id` begins with an eight-bit device number. */
#define LOCATION_LOCALITY_DOMAIN 6

CUdevice fgc_device_out(CUdevice real, const struct fgc_vgpu *hint)
{
        if (real < 0 || fgc_devices_same)
                return real;
        const struct fgc_vgpu *v = hint && hint->real == real ? hint : fgc_vgpu_of_real(real);
        return v ? (CUdevice)v->ordinal : CU_DEVICE_INVALID;
}

CUmemLocation fgc_location_in(CUmemLocation location)
{
        if (location.type == CU_MEM_LOCATION_TYPE_DEVICE) {
                location.id = fgc_device_in(location.id);
        } else if ((int)location.type == LOCATION_LOCALITY_DOMAIN) {
                CUdevice real = fgc_device_in(location.id & 0xff);
                location.id = (location.id & ~0xff) | (real < 0xff ? real : 0xff);
        }
        return location;
}

CUmemLocation fgc_location_out(CUmemLocation location, const struct fgc_vgpu *hint)
{
        if (location.type == CU_MEM_LOCATION_TYPE_DEVICE)
                location.id = fgc_device_out(location.id, hint);
        else if ((int)location.type == LOCATION_LOCALITY_DOMAIN)
                location.id = (location.id & ~0xff) | (fgc_device_out(location.id & 0xff, hint) & 0xff);
        return location;
}

unsigned fgc_device_mask_in(unsigned mask)
{
        unsigned real = 0;
        for (unsigned i = 0; i < 32; i++) {
                CUdevice device = mask >> i & 1 ? fgc_device_in((CUdevice)i) : -1;
                if (device >= 0)
                        real |= device < 31 ? 1u << device : 1u << 31; /* no machine has a device 31: the driver refuses it */
        }
        return fgc_devices_same ? mask : real;
}

void *fgc_scratch_get(struct fgc_scratch *scratch, size_t size)
{
        if (size <= sizeof scratch->room)
                return scratch->room;
        scratch->heap = malloc(size);
        return scratch->heap;
}

void fgc_scratch_done(struct fgc_scratch *scratch)
{
        free(scratch->heap);
}

/* A copy of the program's list; NULL: out of memory, or a length that no list in this address space has. */
static void *copy_list(const void *list, size_t count, size_t size, struct fgc_scratch *scratch)
{
        size_t bytes;
        void *copy = __builtin_mul_overflow(count, size, &bytes) ? NULL : fgc_scratch_get(scratch, bytes);
        return copy ? memcpy(copy, list, bytes) : NULL;
}

const CUmemAccessDesc *fgc_access_in(const CUmemAccessDesc *list, size_t count, struct fgc_scratch *scratch)
{
        if (fgc_devices_same || !list || !count)
                return list;
        CUmemAccessDesc *copy = copy_list(list, count, sizeof *list, scratch);
        for (size_t i = 0; copy && i < count; i++)
                copy[i].location = fgc_location_in(copy[i].location);
        return copy;
}

const CUmemLocation *fgc_locations_in(const CUmemLocation *list, size_t count, struct fgc_scratch *scratch)
{
        if (fgc_devices_same || !list || !count)
                return list;
        CUmemLocation *copy = copy_list(list, count, sizeof *list, scratch);
        for (size_t i = 0; copy && i < count; i++)
                copy[i] = fgc_location_in(copy[i]);
        return copy;
}

CUmemcpyAttributes *fgc_copy_attributes_in(CUmemcpyAttributes *list, size_t count, struct fgc_scratch *scratch)
{
        if (fgc_devices_same || !list || !count)
                return list;
        CUmemcpyAttributes *copy = copy_list(list, count, sizeof *list, scratch);
        for (size_t i = 0; copy && i < count; i++) {
                copy[i].srcLocHint = fgc_location_in(copy[i].srcLocHint);
                copy[i].dstLocHint = fgc_location_in(copy[i].dstLocHint);
        }
        return copy;
}

static void operand_in(CUmemcpy3DOperand *operand)
{
        if (operand->type == CU_MEMCPY_OPERAND_TYPE_POINTER)
                operand->op.ptr.locHint = fgc_location_in(operand->op.ptr.locHint);
}

CUDA_MEMCPY3D_BATCH_OP *fgc_copy3d_in(CUDA_MEMCPY3D_BATCH_OP *list, size_t count, struct fgc_scratch *scratch)
{
        if (fgc_devices_same || !list || !count)
                return list;
        CUDA_MEMCPY3D_BATCH_OP *copy = copy_list(list, count, sizeof *list, scratch);
        for (size_t i = 0; copy && i < count; i++) {
                operand_in(&copy[i].src);
                operand_in(&copy[i].dst);
        }
        return copy;
}

static void fabric_operand_in(CUfabricCpyOperand *operand)
{
        if (operand->type == CU_FABRIC_COPY_OPERAND_TYPE_POINTER)
                operand->op.ptr.locHint = fgc_location_in(operand->op.ptr.locHint);
}

CUDA_FABRIC_COPY_BATCH_OP *fgc_fabric_in(CUDA_FABRIC_COPY_BATCH_OP *list, size_t count, struct fgc_scratch *scratch)
{
        if (fgc_devices_same || !list || !count)
                return list;
        CUDA_FABRIC_COPY_BATCH_OP *copy = copy_list(list, count, sizeof *list, scratch);
        for (size_t i = 0; copy && i < count; i++) {
                fabric_operand_in(&copy[i].src);
                fabric_operand_in(&copy[i].dst);
        }
        return copy;
}

/* Replaces the list in a node's parameters by a translated one; false: out of memory. */
static bool node_list_in(CUgraphNodeParams *to, struct fgc_scratch *scratch)
{
        switch ((int)to->type) {
        case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
                to->alloc.poolProps.location = fgc_location_in(to->alloc.poolProps.location);
                if (!to->alloc.accessDescs)
                        return true;
                to->alloc.accessDescs = fgc_access_in(to->alloc.accessDescs, to->alloc.accessDescCount, scratch);
                return to->alloc.accessDescs;
        case CU_GRAPH_NODE_TYPE_MEMCPY_BATCH:
                if (!to->memcpyBatch.attrs)
                        return true;
                to->memcpyBatch.attrs = fgc_copy_attributes_in(to->memcpyBatch.attrs, to->memcpyBatch.numAttrs, scratch);
                return to->memcpyBatch.attrs;
        case CU_GRAPH_NODE_TYPE_FABRIC_CPY_BATCH:
                if (!to->fabricCpyBatch.opList)
                        return true;
                to->fabricCpyBatch.opList = fgc_fabric_in(to->fabricCpyBatch.opList, to->fabricCpyBatch.numOps, scratch);
                return to->fabricCpyBatch.opList;
        default:
                return true;
        }
}

CUgraphNodeParams *fgc_node_in(CUgraphNodeParams *from, CUgraphNodeParams *to, struct fgc_scratch *scratch)
{
        if (fgc_devices_same || !from)
                return from;
        int type = (int)from->type;
        if (type != CU_GRAPH_NODE_TYPE_MEM_ALLOC && type != CU_GRAPH_NODE_TYPE_MEMCPY_BATCH &&
            type != CU_GRAPH_NODE_TYPE_FABRIC_CPY_BATCH)
                return from;
        *to = *from;
        return node_list_in(to, scratch) ? to : NULL;
}

void fgc_node_wrote(CUgraphNodeParams *from, const CUgraphNodeParams *passed)
{
        if (passed != from && from && passed && (int)from->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC)
                from->alloc.dptr = passed->alloc.dptr;
}
