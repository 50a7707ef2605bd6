/* SPDX-License-Identifier: Apache-2.0
 *
 * Between the program's device numbers and the driver's. A number that the program made up becomes one that the driver does
 * not know either, so that the refusal is the driver's own; negative ones (CPU, invalid) mean the same on both sides.
 *
 * The way out is ambiguous where several vGPUs share a device: the caller names the one it believes in (`hint`, may be NULL),
 * which is the answer if it is on that device, else the first one there is. */
#ifndef FGC_TRANSLATE_H
#define FGC_TRANSLATE_H

#include "shim/cuda/device.h"

#define FGC_NO_SUCH_DEVICE 0x7ffffff0

/* Every number means the same on both sides: nothing needs to be copied. */
extern bool fgc_devices_same;

static inline CUdevice fgc_device_in(CUdevice ordinal)
{
        if (ordinal < 0)
                return ordinal;
        return (unsigned)ordinal < fgc_vgpu_count ? fgc_vgpus[ordinal].real : FGC_NO_SUCH_DEVICE;
}

CUdevice fgc_device_out(CUdevice real, const struct fgc_vgpu *hint);

CUmemLocation fgc_location_in(CUmemLocation location);
CUmemLocation fgc_location_out(CUmemLocation location, const struct fgc_vgpu *hint);

/* CUarrayMapInfo.deviceBitMask: one bit for each device number. */
unsigned fgc_device_mask_in(unsigned mask);

/* Copies of the program's structures, translated, for as long as the call lasts. */
struct fgc_scratch {
        void *heap;
        _Alignas(16) unsigned char room[1024];
};
/* `size` bytes that live as long as the scratch. NULL: out of memory. Once for each scratch. */
void *fgc_scratch_get(struct fgc_scratch *scratch, size_t size);
void fgc_scratch_done(struct fgc_scratch *scratch);
#define FGC_SCRATCH(name) __attribute__((cleanup(fgc_scratch_done))) struct fgc_scratch name = {.heap = NULL}

/* Each returns its argument where nothing is to be translated (also NULL or an empty list); NULL of a list that is neither:
 * out of memory. */
const CUmemAccessDesc *fgc_access_in(const CUmemAccessDesc *list, size_t count, struct fgc_scratch *scratch);
const CUmemLocation *fgc_locations_in(const CUmemLocation *list, size_t count, struct fgc_scratch *scratch);
/* For cuMemcpyBatchAsync and its kin: the location hints. */
CUmemcpyAttributes *fgc_copy_attributes_in(CUmemcpyAttributes *list, size_t count, struct fgc_scratch *scratch);
CUDA_MEMCPY3D_BATCH_OP *fgc_copy3d_in(CUDA_MEMCPY3D_BATCH_OP *list, size_t count, struct fgc_scratch *scratch);
CUDA_FABRIC_COPY_BATCH_OP *fgc_fabric_in(CUDA_FABRIC_COPY_BATCH_OP *list, size_t count, struct fgc_scratch *scratch);

/* A graph node's parameters as the driver wants them: `from` itself where nothing is to be translated, else `to`, a copy. What
 * the driver writes into them is then in `to`: fgc_node_wrote() takes it over. NULL: out of memory. */
CUgraphNodeParams *fgc_node_in(CUgraphNodeParams *from, CUgraphNodeParams *to, struct fgc_scratch *scratch);
void fgc_node_wrote(CUgraphNodeParams *from, const CUgraphNodeParams *passed);

#endif
