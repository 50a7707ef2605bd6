/* SPDX-License-Identifier: Apache-2.0
 *
 * Copies that come with hints about where their ends are: batches, and copies with attributes. They pass the gate like other
 * copies; the hints' device numbers are translated. The older batch functions tell which copy failed. */
#include "shim/cuda/gate.h"
#include "shim/cuda/hook.h"
#include "shim/cuda/translate.h"

/* `call` through the gate of `stream`. */
#define GATED(stream, call) \
        if (fgc_gate_pass(stream)) \
                return call; \
        struct fgc_work work; \
        CUresult r = fgc_work_enter(&work, stream, 0); \
        return r ? r : fgc_work_leave(&work, call)

#define BATCH(name, plain) \
        CUresult fgc_##name(CUdeviceptr *to, CUdeviceptr *from, size_t *sizes, size_t count, CUmemcpyAttributes *attributes, \
                            size_t *indices, size_t attribute_count, size_t *fail, CUstream stream) \
        { \
                FGC_PASS(name, to, from, sizes, count, attributes, indices, attribute_count, fail, stream); \
                FGC_SCRATCH(scratch); \
                CUmemcpyAttributes *in = fgc_copy_attributes_in(attributes, attribute_count, &scratch); \
                if (attributes && !in) \
                        return CUDA_ERROR_OUT_OF_MEMORY; \
                GATED(plain(stream), FGC_REAL(name, to, from, sizes, count, in, indices, attribute_count, fail, stream)); \
        }

#define BATCH_V2(name, plain) \
        CUresult fgc_##name(CUdeviceptr *to, CUdeviceptr *from, size_t *sizes, size_t count, CUmemcpyAttributes *attributes, \
                            size_t *indices, size_t attribute_count, CUstream stream) \
        { \
                FGC_PASS(name, to, from, sizes, count, attributes, indices, attribute_count, stream); \
                FGC_SCRATCH(scratch); \
                CUmemcpyAttributes *in = fgc_copy_attributes_in(attributes, attribute_count, &scratch); \
                if (attributes && !in) \
                        return CUDA_ERROR_OUT_OF_MEMORY; \
                GATED(plain(stream), FGC_REAL(name, to, from, sizes, count, in, indices, attribute_count, stream)); \
        }

#define BATCH_3D(name, plain) \
        CUresult fgc_##name(size_t count, CUDA_MEMCPY3D_BATCH_OP *list, size_t *fail, unsigned long long flags, CUstream stream) \
        { \
                FGC_PASS(name, count, list, fail, flags, stream); \
                FGC_SCRATCH(scratch); \
                CUDA_MEMCPY3D_BATCH_OP *in = fgc_copy3d_in(list, count, &scratch); \
                if (list && !in) \
                        return CUDA_ERROR_OUT_OF_MEMORY; \
                GATED(plain(stream), FGC_REAL(name, count, in, fail, flags, stream)); \
        }

#define BATCH_3D_V2(name, plain) \
        CUresult fgc_##name(size_t count, CUDA_MEMCPY3D_BATCH_OP *list, unsigned long long flags, CUstream stream) \
        { \
                FGC_PASS(name, count, list, flags, stream); \
                FGC_SCRATCH(scratch); \
                CUDA_MEMCPY3D_BATCH_OP *in = fgc_copy3d_in(list, count, &scratch); \
                if (list && !in) \
                        return CUDA_ERROR_OUT_OF_MEMORY; \
                GATED(plain(stream), FGC_REAL(name, count, in, flags, stream)); \
        }

#define WITH_ATTRIBUTES(name, plain) \
        CUresult fgc_##name(CUdeviceptr to, CUdeviceptr from, size_t size, CUmemcpyAttributes *attribute, CUstream stream) \
        { \
                FGC_PASS(name, to, from, size, attribute, stream); \
                FGC_SCRATCH(scratch); \
                attribute = fgc_copy_attributes_in(attribute, 1, &scratch); \
                GATED(plain(stream), FGC_REAL(name, to, from, size, attribute, stream)); \
        }

#define WITH_ATTRIBUTES_3D(name, plain) \
        CUresult fgc_##name(CUDA_MEMCPY3D_BATCH_OP *op, unsigned long long flags, CUstream stream) \
        { \
                FGC_PASS(name, op, flags, stream); \
                FGC_SCRATCH(scratch); \
                op = fgc_copy3d_in(op, 1, &scratch); \
                GATED(plain(stream), FGC_REAL(name, op, flags, stream)); \
        }

#define FABRIC(name, plain) \
        CUresult fgc_##name(size_t count, CUDA_FABRIC_COPY_BATCH_OP *list, unsigned long long flags, CUstream stream) \
        { \
                FGC_PASS(name, count, list, flags, stream); \
                FGC_SCRATCH(scratch); \
                CUDA_FABRIC_COPY_BATCH_OP *in = fgc_fabric_in(list, count, &scratch); \
                if (list && !in) \
                        return CUDA_ERROR_OUT_OF_MEMORY; \
                GATED(plain(stream), FGC_REAL(name, count, in, flags, stream)); \
        }

BATCH(cuMemcpyBatchAsync, fgc_stream_plain)
BATCH(cuMemcpyBatchAsync_ptsz, fgc_stream_ptsz)
BATCH_V2(cuMemcpyBatchAsync_v2, fgc_stream_plain)
BATCH_V2(cuMemcpyBatchAsync_v2_ptsz, fgc_stream_ptsz)
BATCH_3D(cuMemcpy3DBatchAsync, fgc_stream_plain)
BATCH_3D(cuMemcpy3DBatchAsync_ptsz, fgc_stream_ptsz)
BATCH_3D_V2(cuMemcpy3DBatchAsync_v2, fgc_stream_plain)
BATCH_3D_V2(cuMemcpy3DBatchAsync_v2_ptsz, fgc_stream_ptsz)
WITH_ATTRIBUTES(cuMemcpyWithAttributesAsync, fgc_stream_plain)
WITH_ATTRIBUTES(cuMemcpyWithAttributesAsync_ptsz, fgc_stream_ptsz)
WITH_ATTRIBUTES_3D(cuMemcpy3DWithAttributesAsync, fgc_stream_plain)
WITH_ATTRIBUTES_3D(cuMemcpy3DWithAttributesAsync_ptsz, fgc_stream_ptsz)
FABRIC(cuFabricCpyBatchAsync, fgc_stream_plain)
FABRIC(cuFabricCpyBatchAsync_ptsz, fgc_stream_ptsz)
