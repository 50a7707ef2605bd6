/* SPDX-License-Identifier: Apache-2.0
 * External memory: a descriptor from another interface, mapped as far as it is asked for. It was paid for there and
 * counts nothing. */
#include "sim/array.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct external {
        struct fgsim_object object;
        struct fgsim_context *ctx;
        uint64_t bytes;
        unsigned char *data; /* all of it, mapped at import */
};

CUresult cuImportExternalMemory(CUexternalMemory *ret, const CUDA_EXTERNAL_MEMORY_HANDLE_DESC *desc)
{
        FGSIM_ENTER_CONTEXT(cuImportExternalMemory, ctx);
        struct stat st;
        if (!ret || !desc || !desc->size || (desc->flags & ~1u))
                return CUDA_ERROR_INVALID_VALUE;
        if (desc->type != CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD &&
            desc->type != CU_EXTERNAL_MEMORY_HANDLE_TYPE_DMABUF_FD)
                return CUDA_ERROR_NOT_SUPPORTED;
        if (fstat(desc->handle.fd, &st) < 0 || (uint64_t)st.st_size < desc->size)
                return CUDA_ERROR_INVALID_HANDLE;
        void *data = mmap(NULL, desc->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, desc->handle.fd, 0);
        if (data == MAP_FAILED)
                return CUDA_ERROR_INVALID_HANDLE;
        struct external *e = fgsim_object_new(FGSIM_EXTERNAL, sizeof *e);
        if (!e) {
                munmap(data, desc->size);
                return CUDA_ERROR_OUT_OF_MEMORY;
        }
        e->ctx = ctx;
        e->bytes = desc->size;
        e->data = data;
        /* The descriptor is the driver's now. */
        close(desc->handle.fd);
        *ret = (CUexternalMemory)e;
        return CUDA_SUCCESS;
}

/* Each buffer is a mapping of its own, which cuMemFree takes away again. */
CUresult cuExternalMemoryGetMappedBuffer(CUdeviceptr *ret, CUexternalMemory handle,
                                         const CUDA_EXTERNAL_MEMORY_BUFFER_DESC *desc)
{
        FGSIM_ENTER_CONTEXT(cuExternalMemoryGetMappedBuffer, ctx);
        struct external *e = fgsim_object_get(handle, FGSIM_EXTERNAL);
        if (!e)
                return CUDA_ERROR_INVALID_HANDLE;
        if (!ret || !desc || desc->flags || !desc->size || desc->offset % 4096 || desc->offset > e->bytes ||
            desc->size > e->bytes - desc->offset)
                return CUDA_ERROR_INVALID_VALUE;
        void *map = mremap(e->data + desc->offset, 0, fgsim_round(desc->size, 4096), MREMAP_MAYMOVE);
        if (map == MAP_FAILED)
                return CUDA_ERROR_MAP_FAILED;
        struct fgsim_range *made, range = {.base = (uint64_t)map,
                                           .size = desc->size,
                                           .ctx = ctx,
                                           .gpu = ctx->gpu,
                                           .kind = FGSIM_MEM_EXTERNAL,
                                           .is_device = true};
        if (fgsim_place_add(&range, &made) < 0) {
                munmap(map, desc->size);
                return CUDA_ERROR_OUT_OF_MEMORY;
        }
        *ret = range.base;
        return CUDA_SUCCESS;
}

void fgsim_external_unmap(struct fgsim_range *range)
{
        void *map = (void *)range->base;
        size_t bytes = fgsim_round(range->size, 4096);
        fgsim_place_remove(range);
        munmap(map, bytes);
}

CUresult cuExternalMemoryGetMappedMipmappedArray(CUmipmappedArray *ret, CUexternalMemory handle,
                                                 const CUDA_EXTERNAL_MEMORY_MIPMAPPED_ARRAY_DESC *desc)
{
        FGSIM_ENTER_CONTEXT(cuExternalMemoryGetMappedMipmappedArray, ctx);
        struct external *e = fgsim_object_get(handle, FGSIM_EXTERNAL);
        if (!e)
                return CUDA_ERROR_INVALID_HANDLE;
        if (!ret || !desc || desc->offset > e->bytes)
                return CUDA_ERROR_INVALID_VALUE;
        return fgsim_mipmap_new(ctx, &desc->arrayDesc, desc->numLevels, e->data + desc->offset, e->bytes - desc->offset,
                                ret);
}

CUresult cuDestroyExternalMemory(CUexternalMemory handle)
{
        FGSIM_ENTER_CONTEXT(cuDestroyExternalMemory, ctx);
        struct external *e = fgsim_object_get(handle, FGSIM_EXTERNAL);
        if (!e)
                return CUDA_ERROR_INVALID_HANDLE;
        fgsim_exec_drain(e->ctx);
        munmap(e->data, e->bytes);
        fgsim_object_free(e);
        return CUDA_SUCCESS;
}
