/* SPDX-License-Identifier: Apache-2.0
 *
 * cuMemAlloc, pitched and managed memory, cuMemFree. A managed allocation is charged in full, to the vGPU whose context
 * is current, wherever its pages are at the moment. */
#include "shim/cuda/memory.h"

#include "shim/cuda/hook.h"

/* No GPU needs rows to start at more than this; what a driver makes of it is settled after the call. */
#define PITCH_UNIT 512u

/* Reserve, call, commit. */
#define ALLOCATE(kind, bytes, call, pointer)                                                                           \
        do {                                                                                                           \
                struct fgc_vgpu *vgpu = fgc_vgpu_current();                                                            \
                uint64_t size = fgc_round_up(bytes, FGC_UNIT);                                                         \
                CUresult r = vgpu ? fgc_reserve(vgpu, size) : CUDA_SUCCESS;                                            \
                if (__builtin_expect(r != CUDA_SUCCESS, 0))                                                            \
                        return r;                                                                                      \
                r = call;                                                                                              \
                return vgpu ? commit(vgpu, kind, size, r, r == CUDA_SUCCESS ? *(pointer) : 0) : r;                     \
        } while (0)

static CUresult commit(struct fgc_vgpu *vgpu, enum fgc_alloc_kind kind, uint64_t bytes, CUresult r, CUdeviceptr pointer)
{
        struct fgc_alloc entry = {pointer, vgpu, bytes, kind};

        if (__builtin_expect(r == CUDA_SUCCESS, 1)) {
                r = fgc_commit(&fgc_pointers, entry);
                if (__builtin_expect(r == CUDA_SUCCESS, 1))
                        return r;
                FGC_REAL(cuMemFree_v2, pointer);
        }
        fgc_release(&entry);
        return r;
}

CUresult fgc_cuMemAlloc_v2(CUdeviceptr *pointer, size_t bytes)
{
        FGC_PASS(cuMemAlloc_v2, pointer, bytes);
        ALLOCATE(FGC_ALLOC_DEVICE, bytes, FGC_REAL(cuMemAlloc_v2, pointer, bytes), pointer);
}

CUresult fgc_cuMemAlloc(CUdeviceptr_v1 *pointer, unsigned int bytes)
{
        FGC_PASS(cuMemAlloc, pointer, bytes);
        ALLOCATE(FGC_ALLOC_DEVICE, bytes, FGC_REAL(cuMemAlloc, pointer, bytes), pointer);
}

CUresult fgc_cuMemAllocManaged(CUdeviceptr *pointer, size_t bytes, unsigned int flags)
{
        FGC_PASS(cuMemAllocManaged, pointer, bytes, flags);
        ALLOCATE(FGC_ALLOC_MANAGED, bytes, FGC_REAL(cuMemAllocManaged, pointer, bytes, flags), pointer);
}

/* --- pitched --- */

static uint64_t pitched(uint64_t pitch, uint64_t height)
{
        uint64_t bytes;

        return __builtin_mul_overflow(pitch, height, &bytes) ? UINT64_MAX : fgc_round_up(bytes, FGC_UNIT);
}

/* The driver's rows came out longer or shorter than was reserved for. */
static CUresult settle_pitch(struct fgc_vgpu *vgpu, uint64_t *bytes, uint64_t real, CUdeviceptr pointer)
{
        CUresult r = real > *bytes ? fgc_reserve(vgpu, real - *bytes) : CUDA_SUCCESS;

        if (r != CUDA_SUCCESS) {
                FGC_REAL(cuMemFree_v2, pointer);
                fg_ledger_refund(vgpu->ledger, *bytes);
                return r;
        }
        if (real < *bytes)
                fg_ledger_refund(vgpu->ledger, *bytes - real);
        *bytes = real;
        return CUDA_SUCCESS;
}

CUresult fgc_cuMemAllocPitch_v2(CUdeviceptr *pointer, size_t *pitch, size_t width, size_t height, unsigned int element)
{
        struct fgc_vgpu *vgpu;
        uint64_t bytes;
        CUresult r;

        FGC_PASS(cuMemAllocPitch_v2, pointer, pitch, width, height, element);
        vgpu = fgc_vgpu_current();
        bytes = pitched(fgc_round_up(width, PITCH_UNIT), height);
        r = vgpu ? fgc_reserve(vgpu, bytes) : CUDA_SUCCESS;
        if (r != CUDA_SUCCESS)
                return r;
        r = FGC_REAL(cuMemAllocPitch_v2, pointer, pitch, width, height, element);
        if (!vgpu)
                return r;
        if (r == CUDA_SUCCESS) {
                r = settle_pitch(vgpu, &bytes, pitched(*pitch, height), *pointer);
                if (r != CUDA_SUCCESS)
                        return r;
        }
        return commit(vgpu, FGC_ALLOC_DEVICE, bytes, r, r == CUDA_SUCCESS ? *pointer : 0);
}

CUresult fgc_cuMemAllocPitch(CUdeviceptr_v1 *pointer, unsigned int *pitch, unsigned int width, unsigned int height,
                             unsigned int element)
{
        CUdeviceptr wide = 0;
        size_t wide_pitch = 0;
        CUresult r;

        FGC_PASS(cuMemAllocPitch, pointer, pitch, width, height, element);
        if (!pointer || !pitch || !fgc_real.cuMemAllocPitch_v2)
                return CUDA_ERROR_INVALID_VALUE;
        r = fgc_cuMemAllocPitch_v2(&wide, &wide_pitch, width, height, element);
        if (r == CUDA_SUCCESS) {
                *pointer = (CUdeviceptr_v1)wide;
                *pitch = (unsigned int)wide_pitch;
        }
        return r;
}

/* --- freeing, whoever allocated it --- */

CUresult fgc_cuMemFree_v2(CUdeviceptr pointer)
{
        struct fgc_alloc entry;
        bool known;

        FGC_PASS(cuMemFree_v2, pointer);
        known = fgc_alloc_take(&fgc_pointers, pointer, &entry);
        return fgc_settle_free(&fgc_pointers, &entry, known, FGC_REAL(cuMemFree_v2, pointer));
}

CUresult fgc_cuMemFree(CUdeviceptr_v1 pointer)
{
        struct fgc_alloc entry;
        bool known;

        FGC_PASS(cuMemFree, pointer);
        known = fgc_alloc_take(&fgc_pointers, pointer, &entry);
        return fgc_settle_free(&fgc_pointers, &entry, known, FGC_REAL(cuMemFree, pointer));
}
