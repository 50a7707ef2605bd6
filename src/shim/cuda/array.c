/* SPDX-License-Identifier: Apache-2.0
 *
 * Arrays and mipmapped arrays: charged by format and extent. A sparse one, or one whose memory is mapped later, is
 * charged nothing: what is mapped into it was paid for when it was made (vmm.c). */
#include "shim/cuda/array.h"

#include "shim/cuda/hook.h"
#include "shim/cuda/memory.h"
#include "shim/cuda/vmm.h"

#define NO_MEMORY_OF_ITS_OWN (CUDA_ARRAY3D_SPARSE | CUDA_ARRAY3D_DEFERRED_MAPPING)

/* A reservation on its way to an array. */
struct claim {
        struct fgc_home *home; /* NULL: nothing is charged */
        uint64_t bytes;
};

static CUresult claim(struct claim *claim, const CUDA_ARRAY3D_DESCRIPTOR *descriptor, unsigned int levels)
{
        struct fgc_vgpu *vgpu = descriptor ? fgc_vgpu_current() : NULL;

        *claim = (struct claim){0};
        if (!vgpu || descriptor->Flags & NO_MEMORY_OF_ITS_OWN)
                return CUDA_SUCCESS;
        claim->home = fgc_home_current(vgpu);
        claim->bytes = fgc_round_up(fgc_array_bytes(descriptor, levels), FGC_UNIT);
        return claim->home ? fgc_reserve(vgpu, claim->bytes) : CUDA_ERROR_OUT_OF_MEMORY;
}

/* What the driver said, `made` what it made: an array, or with `mipmap` a mipmapped one. */
static CUresult settle(const struct claim *claim, CUresult r, const void *made, bool mipmap)
{
        struct fgc_alloc entry = {(uintptr_t)made, claim->home, claim->bytes, FGC_ALLOC_ARRAY};

        if (!claim->home)
                return r;
        if (r == CUDA_SUCCESS) {
                r = fgc_commit(&fgc_handles, entry);
                if (r == CUDA_SUCCESS)
                        return r;
                if (mipmap)
                        FGC_REAL(cuMipmappedArrayDestroy, (CUmipmappedArray)made);
                else
                        FGC_REAL(cuArrayDestroy, (CUarray)made);
        }
        fgc_release(&entry);
        return r;
}

static CUDA_ARRAY3D_DESCRIPTOR widen(const CUDA_ARRAY_DESCRIPTOR *d)
{
        return (CUDA_ARRAY3D_DESCRIPTOR){
                .Width = d->Width, .Height = d->Height, .Format = d->Format, .NumChannels = d->NumChannels};
}

static CUDA_ARRAY3D_DESCRIPTOR widen_v1(const CUDA_ARRAY_DESCRIPTOR_v1 *d)
{
        return (CUDA_ARRAY3D_DESCRIPTOR){
                .Width = d->Width, .Height = d->Height, .Format = d->Format, .NumChannels = d->NumChannels};
}

static CUDA_ARRAY3D_DESCRIPTOR widen_3d_v1(const CUDA_ARRAY3D_DESCRIPTOR_v1 *d)
{
        return (CUDA_ARRAY3D_DESCRIPTOR){.Width = d->Width,
                                         .Height = d->Height,
                                         .Depth = d->Depth,
                                         .Format = d->Format,
                                         .NumChannels = d->NumChannels,
                                         .Flags = d->Flags};
}

static CUDA_ARRAY3D_DESCRIPTOR same(const CUDA_ARRAY3D_DESCRIPTOR *d)
{
        return *d;
}

#define CREATE(name, type, convert)                                                                                    \
        CUresult fgc_##name(CUarray *array, const type *descriptor)                                                    \
        {                                                                                                              \
                CUDA_ARRAY3D_DESCRIPTOR wide;                                                                          \
                struct claim taken;                                                                                    \
                CUresult r;                                                                                            \
                                                                                                                       \
                FGC_PASS(name, array, descriptor);                                                                     \
                if (descriptor)                                                                                        \
                        wide = convert(descriptor);                                                                    \
                r = claim(&taken, descriptor ? &wide : NULL, 1);                                                       \
                if (r != CUDA_SUCCESS)                                                                                 \
                        return r;                                                                                      \
                r = FGC_REAL(name, array, descriptor);                                                                 \
                return settle(&taken, r, r == CUDA_SUCCESS ? *array : NULL, false);                                    \
        }

CREATE(cuArrayCreate, CUDA_ARRAY_DESCRIPTOR_v1, widen_v1)
CREATE(cuArrayCreate_v2, CUDA_ARRAY_DESCRIPTOR, widen)
CREATE(cuArray3DCreate, CUDA_ARRAY3D_DESCRIPTOR_v1, widen_3d_v1)
CREATE(cuArray3DCreate_v2, CUDA_ARRAY3D_DESCRIPTOR, same)

CUresult fgc_cuMipmappedArrayCreate(CUmipmappedArray *array, const CUDA_ARRAY3D_DESCRIPTOR *descriptor,
                                    unsigned int levels)
{
        struct claim taken;
        CUresult r;

        FGC_PASS(cuMipmappedArrayCreate, array, descriptor, levels);
        r = claim(&taken, descriptor, levels);
        if (r != CUDA_SUCCESS)
                return r;
        r = FGC_REAL(cuMipmappedArrayCreate, array, descriptor, levels);
        return settle(&taken, r, r == CUDA_SUCCESS ? *array : NULL, true);
}

#define DESTROY(name, type)                                                                                            \
        CUresult fgc_##name(type array)                                                                                \
        {                                                                                                              \
                struct fgc_alloc entry;                                                                                \
                CUresult r;                                                                                            \
                bool known;                                                                                            \
                                                                                                                       \
                FGC_PASS(name, array);                                                                                 \
                known = fgc_alloc_take(&fgc_handles, (uintptr_t)array, &entry);                                        \
                r = fgc_settle_free(&fgc_handles, &entry, known, FGC_REAL(name, array));                               \
                if (r == CUDA_SUCCESS)                                                                                 \
                        fgc_physical_array_gone(array);                                                                \
                return r;                                                                                              \
        }

DESTROY(cuArrayDestroy, CUarray)
DESTROY(cuMipmappedArrayDestroy, CUmipmappedArray)
