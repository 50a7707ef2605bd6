/* SPDX-License-Identifier: Apache-2.0
 * Copies of rectangles and boxes. */
#include "sim/copy.h"

#include "sim/stream.h"

CUDA_MEMCPY3D fgsim_copy_from_2d(const CUDA_MEMCPY2D *a)
{
        return (CUDA_MEMCPY3D){
                .srcXInBytes = a->srcXInBytes,
                .srcY = a->srcY,
                .srcMemoryType = a->srcMemoryType,
                .srcHost = a->srcHost,
                .srcDevice = a->srcDevice,
                .srcArray = a->srcArray,
                .srcPitch = a->srcPitch,
                .dstXInBytes = a->dstXInBytes,
                .dstY = a->dstY,
                .dstMemoryType = a->dstMemoryType,
                .dstHost = a->dstHost,
                .dstDevice = a->dstDevice,
                .dstArray = a->dstArray,
                .dstPitch = a->dstPitch,
                .WidthInBytes = a->WidthInBytes,
                .Height = a->Height,
                .Depth = 1,
        };
}

/* Addresses are the same in all contexts, so whose a side is need not be known. */
static CUDA_MEMCPY3D from_peer(const CUDA_MEMCPY3D_PEER *a)
{
        return (CUDA_MEMCPY3D){
                .srcXInBytes = a->srcXInBytes,
                .srcY = a->srcY,
                .srcZ = a->srcZ,
                .srcLOD = a->srcLOD,
                .srcMemoryType = a->srcMemoryType,
                .srcHost = a->srcHost,
                .srcDevice = a->srcDevice,
                .srcArray = a->srcArray,
                .srcPitch = a->srcPitch,
                .srcHeight = a->srcHeight,
                .dstXInBytes = a->dstXInBytes,
                .dstY = a->dstY,
                .dstZ = a->dstZ,
                .dstLOD = a->dstLOD,
                .dstMemoryType = a->dstMemoryType,
                .dstHost = a->dstHost,
                .dstDevice = a->dstDevice,
                .dstArray = a->dstArray,
                .dstPitch = a->dstPitch,
                .dstHeight = a->dstHeight,
                .WidthInBytes = a->WidthInBytes,
                .Height = a->Height,
                .Depth = a->Depth,
        };
}

static CUDA_MEMCPY3D from_3d(const CUDA_MEMCPY3D *a)
{
        return *a;
}

#define SYNC(name, full, type, convert, stream)                                                                        \
        CUresult full(const type *asked)                                                                               \
        {                                                                                                              \
                CUDA_MEMCPY3D box;                                                                                     \
                FGSIM_ENTER(full);                                                                                     \
                if (!asked)                                                                                            \
                        return CUDA_ERROR_INVALID_VALUE;                                                               \
                box = convert(asked);                                                                                  \
                return fgsim_copy_sync(&box, stream);                                                                  \
        }

#define ASYNC(full, type, convert, chosen)                                                                             \
        CUresult full(const type *asked, CUstream stream)                                                              \
        {                                                                                                              \
                CUDA_MEMCPY3D box;                                                                                     \
                FGSIM_ENTER(full);                                                                                     \
                if (!asked)                                                                                            \
                        return CUDA_ERROR_INVALID_VALUE;                                                               \
                box = convert(asked);                                                                                  \
                return fgsim_copy_async(&box, chosen);                                                                 \
        }

#define BOTH_SYNC(name, type, convert)                                                                                 \
        SYNC(name, name, type, convert, NULL)                                                                          \
        SYNC(name, name##_ptds, type, convert, CU_STREAM_PER_THREAD)

#define BOTH_ASYNC(name, type, convert)                                                                                \
        ASYNC(name, type, convert, stream)                                                                             \
        ASYNC(name##_ptsz, type, convert, fgsim_own_stream(stream))

BOTH_SYNC(cuMemcpy2D_v2, CUDA_MEMCPY2D, fgsim_copy_from_2d)
BOTH_SYNC(cuMemcpy2DUnaligned_v2, CUDA_MEMCPY2D, fgsim_copy_from_2d)
BOTH_SYNC(cuMemcpy3D_v2, CUDA_MEMCPY3D, from_3d)
BOTH_SYNC(cuMemcpy3DPeer, CUDA_MEMCPY3D_PEER, from_peer)
BOTH_ASYNC(cuMemcpy2DAsync_v2, CUDA_MEMCPY2D, fgsim_copy_from_2d)
BOTH_ASYNC(cuMemcpy3DAsync_v2, CUDA_MEMCPY3D, from_3d)
BOTH_ASYNC(cuMemcpy3DPeerAsync, CUDA_MEMCPY3D_PEER, from_peer)

/* The batch form counts an array in elements and rows in bytes. */
static bool side_of(const CUmemcpy3DOperand *operand, size_t *x, size_t *y, size_t *z, CUmemorytype *type,
                    CUdeviceptr *device, CUarray *array, size_t *pitch, size_t *height)
{
        const struct fgsim_array *found;

        if (operand->type == CU_MEMCPY_OPERAND_TYPE_POINTER) {
                *type = CU_MEMORYTYPE_UNIFIED;
                *device = operand->op.ptr.ptr;
                *pitch = operand->op.ptr.rowLength;
                *height = operand->op.ptr.layerHeight;
                return true;
        }
        found = operand->type == CU_MEMCPY_OPERAND_TYPE_ARRAY ? fgsim_object_get(operand->op.array.array, FGSIM_ARRAY)
                                                              : NULL;
        if (!found)
                return false;
        *type = CU_MEMORYTYPE_ARRAY;
        *array = operand->op.array.array;
        *x = operand->op.array.offset.x * found->element;
        *y = operand->op.array.offset.y;
        *z = operand->op.array.offset.z;
        return true;
}

static CUresult box_async(const CUDA_MEMCPY3D_BATCH_OP *op, CUstream stream)
{
        const CUmemcpy3DOperand *with_array = op->src.type == CU_MEMCPY_OPERAND_TYPE_ARRAY ? &op->src : &op->dst;
        const struct fgsim_array *array;
        CUDA_MEMCPY3D box = {.WidthInBytes = op->extent.width, .Height = op->extent.height, .Depth = op->extent.depth};

        if (!side_of(&op->src, &box.srcXInBytes, &box.srcY, &box.srcZ, &box.srcMemoryType, &box.srcDevice,
                     &box.srcArray, &box.srcPitch, &box.srcHeight) ||
            !side_of(&op->dst, &box.dstXInBytes, &box.dstY, &box.dstZ, &box.dstMemoryType, &box.dstDevice,
                     &box.dstArray, &box.dstPitch, &box.dstHeight))
                return CUDA_ERROR_INVALID_VALUE;
        if (with_array->type == CU_MEMCPY_OPERAND_TYPE_ARRAY) {
                array = fgsim_object_get(with_array->op.array.array, FGSIM_ARRAY);
                box.WidthInBytes *= array->element;
        }
        return fgsim_copy_async(&box, stream);
}

static CUresult batch(size_t count, const CUDA_MEMCPY3D_BATCH_OP *list, size_t *ret_failed, CUstream stream)
{
        CUresult r = count && list && stream && stream != CU_STREAM_LEGACY ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;

        if (ret_failed)
                *ret_failed = SIZE_MAX;
        for (size_t i = 0; i < count && r == CUDA_SUCCESS; i++) {
                r = box_async(&list[i], stream);
                if (r != CUDA_SUCCESS && ret_failed)
                        *ret_failed = i;
        }
        return r;
}

CUresult cuMemcpy3DBatchAsync(size_t count, CUDA_MEMCPY3D_BATCH_OP *list, size_t *ret_failed, unsigned long long flags,
                              CUstream stream)
{
        FGSIM_ENTER(cuMemcpy3DBatchAsync);
        return batch(count, list, ret_failed, stream);
}

CUresult cuMemcpy3DBatchAsync_ptsz(size_t count, CUDA_MEMCPY3D_BATCH_OP *list, size_t *ret_failed,
                                   unsigned long long flags, CUstream stream)
{
        FGSIM_ENTER(cuMemcpy3DBatchAsync_ptsz);
        return batch(count, list, ret_failed, fgsim_own_stream(stream));
}

CUresult cuMemcpy3DBatchAsync_v2(size_t count, CUDA_MEMCPY3D_BATCH_OP *list, unsigned long long flags, CUstream stream)
{
        FGSIM_ENTER(cuMemcpy3DBatchAsync_v2);
        return batch(count, list, NULL, stream);
}

CUresult cuMemcpy3DBatchAsync_v2_ptsz(size_t count, CUDA_MEMCPY3D_BATCH_OP *list, unsigned long long flags,
                                      CUstream stream)
{
        FGSIM_ENTER(cuMemcpy3DBatchAsync_v2_ptsz);
        return batch(count, list, NULL, fgsim_own_stream(stream));
}

CUresult cuMemcpy3DWithAttributesAsync(CUDA_MEMCPY3D_BATCH_OP *op, unsigned long long flags, CUstream stream)
{
        FGSIM_ENTER(cuMemcpy3DWithAttributesAsync);
        return op ? box_async(op, stream) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemcpy3DWithAttributesAsync_ptsz(CUDA_MEMCPY3D_BATCH_OP *op, unsigned long long flags, CUstream stream)
{
        FGSIM_ENTER(cuMemcpy3DWithAttributesAsync_ptsz);
        return op ? box_async(op, fgsim_own_stream(stream)) : CUDA_ERROR_INVALID_VALUE;
}
