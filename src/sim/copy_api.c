/* SPDX-License-Identifier: Apache-2.0
 * Copies of a run of bytes, in every form. */
#include "sim/copy.h"

#include "sim/stream.h"

#define ANY(p)           ((struct fgsim_place){FGSIM_END_ANY, (p), 0})
#define DEVICE(p)        ((struct fgsim_place){FGSIM_END_DEVICE, (p), 0})
#define HOST(p)          ((struct fgsim_place){FGSIM_END_HOST, (uintptr_t)(p), 0})
#define ARRAY(a, offset) ((struct fgsim_place){FGSIM_END_ARRAY, (uintptr_t)(a), (offset)})

static CUresult line_sync(struct fgsim_place to, struct fgsim_place from, size_t bytes, CUstream stream)
{
        CUDA_MEMCPY3D asked = fgsim_copy_line(to, from, bytes);

        return fgsim_copy_sync(&asked, stream);
}

static CUresult line_async(struct fgsim_place to, struct fgsim_place from, size_t bytes, CUstream stream)
{
        CUDA_MEMCPY3D asked = fgsim_copy_line(to, from, bytes);

        return fgsim_copy_async(&asked, stream);
}

/* A function and its _ptds form, which means the calling thread's stream where the first means the legacy one. */
#define SYNC(name, params, to, from, bytes)                                                                            \
        CUresult name params                                                                                           \
        {                                                                                                              \
                FGSIM_ENTER(name);                                                                                     \
                return line_sync(to, from, bytes, NULL);                                                               \
        }                                                                                                              \
        CUresult name##_ptds params                                                                                    \
        {                                                                                                              \
                FGSIM_ENTER(name##_ptds);                                                                              \
                return line_sync(to, from, bytes, CU_STREAM_PER_THREAD);                                               \
        }

#define ASYNC(name, params, to, from, bytes)                                                                           \
        CUresult name params                                                                                           \
        {                                                                                                              \
                FGSIM_ENTER(name);                                                                                     \
                return line_async(to, from, bytes, stream);                                                            \
        }                                                                                                              \
        CUresult name##_ptsz params                                                                                    \
        {                                                                                                              \
                FGSIM_ENTER(name##_ptsz);                                                                              \
                return line_async(to, from, bytes, fgsim_own_stream(stream));                                          \
        }

SYNC(cuMemcpy, (CUdeviceptr to, CUdeviceptr from, size_t n), ANY(to), ANY(from), n)
SYNC(cuMemcpyHtoD_v2, (CUdeviceptr to, const void *from, size_t n), DEVICE(to), HOST(from), n)
SYNC(cuMemcpyDtoH_v2, (void *to, CUdeviceptr from, size_t n), HOST(to), DEVICE(from), n)
SYNC(cuMemcpyDtoD_v2, (CUdeviceptr to, CUdeviceptr from, size_t n), DEVICE(to), DEVICE(from), n)
SYNC(cuMemcpyDtoA_v2, (CUarray to, size_t at, CUdeviceptr from, size_t n), ARRAY(to, at), DEVICE(from), n)
SYNC(cuMemcpyAtoD_v2, (CUdeviceptr to, CUarray from, size_t at, size_t n), DEVICE(to), ARRAY(from, at), n)
SYNC(cuMemcpyHtoA_v2, (CUarray to, size_t at, const void *from, size_t n), ARRAY(to, at), HOST(from), n)
SYNC(cuMemcpyAtoH_v2, (void *to, CUarray from, size_t at, size_t n), HOST(to), ARRAY(from, at), n)
SYNC(cuMemcpyAtoA_v2, (CUarray to, size_t to_at, CUarray from, size_t at, size_t n), ARRAY(to, to_at), ARRAY(from, at),
     n)
SYNC(cuMemcpyPeer, (CUdeviceptr to, CUcontext to_ctx, CUdeviceptr from, CUcontext from_ctx, size_t n), DEVICE(to),
     DEVICE(from), n)

ASYNC(cuMemcpyAsync, (CUdeviceptr to, CUdeviceptr from, size_t n, CUstream stream), ANY(to), ANY(from), n)
ASYNC(cuMemcpyHtoDAsync_v2, (CUdeviceptr to, const void *from, size_t n, CUstream stream), DEVICE(to), HOST(from), n)
ASYNC(cuMemcpyDtoHAsync_v2, (void *to, CUdeviceptr from, size_t n, CUstream stream), HOST(to), DEVICE(from), n)
ASYNC(cuMemcpyDtoDAsync_v2, (CUdeviceptr to, CUdeviceptr from, size_t n, CUstream stream), DEVICE(to), DEVICE(from), n)
ASYNC(cuMemcpyHtoAAsync_v2, (CUarray to, size_t at, const void *from, size_t n, CUstream stream), ARRAY(to, at),
      HOST(from), n)
ASYNC(cuMemcpyAtoHAsync_v2, (void *to, CUarray from, size_t at, size_t n, CUstream stream), HOST(to), ARRAY(from, at),
      n)
ASYNC(cuMemcpyPeerAsync,
      (CUdeviceptr to, CUcontext to_ctx, CUdeviceptr from, CUcontext from_ctx, size_t n, CUstream stream), DEVICE(to),
      DEVICE(from), n)
ASYNC(cuMemcpyWithAttributesAsync,
      (CUdeviceptr to, CUdeviceptr from, size_t n, CUmemcpyAttributes *attributes, CUstream stream), ANY(to), ANY(from),
      n)

/* Entries of drivers before 3.2, with 32-bit sizes. */
#define OLD(name, params, to, from, bytes)                                                                             \
        CUresult name params                                                                                           \
        {                                                                                                              \
                FGSIM_ENTER(name);                                                                                     \
                return line_sync(to, from, bytes, NULL);                                                               \
        }

OLD(cuMemcpyHtoA, (CUarray to, unsigned at, const void *from, unsigned n), ARRAY(to, at), HOST(from), n)
OLD(cuMemcpyAtoH, (void *to, CUarray from, unsigned at, unsigned n), HOST(to), ARRAY(from, at), n)
OLD(cuMemcpyAtoA, (CUarray to, unsigned to_at, CUarray from, unsigned at, unsigned n), ARRAY(to, to_at),
    ARRAY(from, at), n)

/* Batches: in order here, which their rules allow. */
static CUresult batch(CUdeviceptr *to, CUdeviceptr *from, size_t *bytes, size_t count, size_t *ret_failed,
                      CUstream stream)
{
        CUresult r = count && to && from && bytes && stream && stream != CU_STREAM_LEGACY ? CUDA_SUCCESS
                                                                                          : CUDA_ERROR_INVALID_VALUE;

        if (ret_failed)
                *ret_failed = SIZE_MAX;
        for (size_t i = 0; i < count && r == CUDA_SUCCESS; i++) {
                r = line_async(ANY(to[i]), ANY(from[i]), bytes[i], stream);
                if (r != CUDA_SUCCESS && ret_failed)
                        *ret_failed = i;
        }
        return r;
}

CUresult cuMemcpyBatchAsync(CUdeviceptr *to, CUdeviceptr *from, size_t *bytes, size_t count,
                            CUmemcpyAttributes *attributes, size_t *indices, size_t attribute_count, size_t *ret_failed,
                            CUstream stream)
{
        FGSIM_ENTER(cuMemcpyBatchAsync);
        return batch(to, from, bytes, count, ret_failed, stream);
}

CUresult cuMemcpyBatchAsync_ptsz(CUdeviceptr *to, CUdeviceptr *from, size_t *bytes, size_t count,
                                 CUmemcpyAttributes *attributes, size_t *indices, size_t attribute_count,
                                 size_t *ret_failed, CUstream stream)
{
        FGSIM_ENTER(cuMemcpyBatchAsync_ptsz);
        return batch(to, from, bytes, count, ret_failed, fgsim_own_stream(stream));
}

CUresult cuMemcpyBatchAsync_v2(CUdeviceptr *to, CUdeviceptr *from, size_t *bytes, size_t count,
                               CUmemcpyAttributes *attributes, size_t *indices, size_t attribute_count, CUstream stream)
{
        FGSIM_ENTER(cuMemcpyBatchAsync_v2);
        return batch(to, from, bytes, count, NULL, stream);
}

CUresult cuMemcpyBatchAsync_v2_ptsz(CUdeviceptr *to, CUdeviceptr *from, size_t *bytes, size_t count,
                                    CUmemcpyAttributes *attributes, size_t *indices, size_t attribute_count,
                                    CUstream stream)
{
        FGSIM_ENTER(cuMemcpyBatchAsync_v2_ptsz);
        return batch(to, from, bytes, count, NULL, fgsim_own_stream(stream));
}
