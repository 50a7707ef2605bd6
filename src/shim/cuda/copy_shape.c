/* SPDX-License-Identifier: Apache-2.0
 * Copies of a shape. A missing description is the driver's to refuse. */
#include "shim/cuda/copy.h"

#define PLANE  (copy ? (uint64_t)copy->WidthInBytes * copy->Height : 0)
#define VOLUME (copy ? (uint64_t)copy->WidthInBytes * copy->Height * copy->Depth : 0)

FGC_COPY(cuMemcpy2D_v2, PLANE, CU_STREAM_LEGACY, (const CUDA_MEMCPY2D *copy), copy)
FGC_COPY(cuMemcpy2D_v2_ptds, PLANE, CU_STREAM_PER_THREAD, (const CUDA_MEMCPY2D *copy), copy)
FGC_COPY(cuMemcpy2DUnaligned_v2, PLANE, CU_STREAM_LEGACY, (const CUDA_MEMCPY2D *copy), copy)
FGC_COPY(cuMemcpy2DUnaligned_v2_ptds, PLANE, CU_STREAM_PER_THREAD, (const CUDA_MEMCPY2D *copy), copy)
FGC_COPY(cuMemcpy2DAsync_v2, PLANE, fgc_stream_plain(stream),
         (const CUDA_MEMCPY2D *copy, CUstream stream), copy, stream)
FGC_COPY(cuMemcpy2DAsync_v2_ptsz, PLANE, fgc_stream_ptsz(stream),
         (const CUDA_MEMCPY2D *copy, CUstream stream), copy, stream)
FGC_COPY(cuMemcpy3D_v2, VOLUME, CU_STREAM_LEGACY, (const CUDA_MEMCPY3D *copy), copy)
FGC_COPY(cuMemcpy3D_v2_ptds, VOLUME, CU_STREAM_PER_THREAD, (const CUDA_MEMCPY3D *copy), copy)
FGC_COPY(cuMemcpy3DAsync_v2, VOLUME, fgc_stream_plain(stream),
         (const CUDA_MEMCPY3D *copy, CUstream stream), copy, stream)
FGC_COPY(cuMemcpy3DAsync_v2_ptsz, VOLUME, fgc_stream_ptsz(stream),
         (const CUDA_MEMCPY3D *copy, CUstream stream), copy, stream)
FGC_COPY(cuMemcpy3DPeer, VOLUME, CU_STREAM_LEGACY, (const CUDA_MEMCPY3D_PEER *copy), copy)
FGC_COPY(cuMemcpy3DPeer_ptds, VOLUME, CU_STREAM_PER_THREAD, (const CUDA_MEMCPY3D_PEER *copy), copy)
FGC_COPY(cuMemcpy3DPeerAsync, VOLUME, fgc_stream_plain(stream),
         (const CUDA_MEMCPY3D_PEER *copy, CUstream stream), copy, stream)
FGC_COPY(cuMemcpy3DPeerAsync_ptsz, VOLUME, fgc_stream_ptsz(stream),
         (const CUDA_MEMCPY3D_PEER *copy, CUstream stream), copy, stream)
