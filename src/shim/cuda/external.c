/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory of another API (Vulkan, OpenGL, video), imported. Whoever made it was not charged, as no hook of ours saw it,
 * so the import is: in full, from the import until it is destroyed. Buffers and arrays mapped from it cost nothing
 * more. */
#include "shim/cuda/hook.h"
#include "shim/cuda/memory.h"

CUresult fgc_cuImportExternalMemory(CUexternalMemory *memory, const CUDA_EXTERNAL_MEMORY_HANDLE_DESC *descriptor)
{
        struct fgc_vgpu *vgpu;
        struct fgc_alloc entry;
        CUresult r;

        FGC_PASS(cuImportExternalMemory, memory, descriptor);
        vgpu = descriptor ? fgc_vgpu_current() : NULL;
        if (!vgpu)
                return FGC_REAL(cuImportExternalMemory, memory, descriptor);
        entry = (struct fgc_alloc){0, vgpu, fgc_round_up(descriptor->size, FGC_UNIT), FGC_ALLOC_EXTERNAL};
        r = fgc_reserve(vgpu, fgc_round_up(descriptor->size, FGC_UNIT));
        if (r != CUDA_SUCCESS)
                return r;
        r = FGC_REAL(cuImportExternalMemory, memory, descriptor);
        if (r == CUDA_SUCCESS) {
                entry.key = (uintptr_t)*memory;
                r = fgc_commit(&fgc_handles, entry);
                if (r == CUDA_SUCCESS)
                        return r;
                FGC_REAL(cuDestroyExternalMemory, *memory);
        }
        fgc_release(&entry);
        return r;
}

CUresult fgc_cuDestroyExternalMemory(CUexternalMemory memory)
{
        struct fgc_alloc entry;
        bool known;

        FGC_PASS(cuDestroyExternalMemory, memory);
        known = fgc_alloc_take(&fgc_handles, (uintptr_t)memory, &entry);
        return fgc_settle_free(&fgc_handles, &entry, known, FGC_REAL(cuDestroyExternalMemory, memory));
}
