/* SPDX-License-Identifier: Apache-2.0
 * Copies of a length. */
#include "shim/cuda/copy.h"

FGC_COPY(cuMemcpy, bytes, CU_STREAM_LEGACY, (CUdeviceptr dst, CUdeviceptr src, size_t bytes), dst, src, bytes)
FGC_COPY(cuMemcpy_ptds, bytes, CU_STREAM_PER_THREAD, (CUdeviceptr dst, CUdeviceptr src, size_t bytes), dst, src, bytes)
FGC_COPY(cuMemcpyAsync, bytes, fgc_stream_plain(stream),
         (CUdeviceptr dst, CUdeviceptr src, size_t bytes, CUstream stream), dst, src, bytes, stream)
FGC_COPY(cuMemcpyAsync_ptsz, bytes, fgc_stream_ptsz(stream),
         (CUdeviceptr dst, CUdeviceptr src, size_t bytes, CUstream stream), dst, src, bytes, stream)
FGC_COPY(cuMemcpyDtoD_v2, bytes, CU_STREAM_LEGACY, (CUdeviceptr dst, CUdeviceptr src, size_t bytes), dst, src, bytes)
FGC_COPY(cuMemcpyDtoD_v2_ptds, bytes, CU_STREAM_PER_THREAD,
         (CUdeviceptr dst, CUdeviceptr src, size_t bytes), dst, src, bytes)
FGC_COPY(cuMemcpyDtoDAsync_v2, bytes, fgc_stream_plain(stream),
         (CUdeviceptr dst, CUdeviceptr src, size_t bytes, CUstream stream), dst, src, bytes, stream)
FGC_COPY(cuMemcpyDtoDAsync_v2_ptsz, bytes, fgc_stream_ptsz(stream),
         (CUdeviceptr dst, CUdeviceptr src, size_t bytes, CUstream stream), dst, src, bytes, stream)
FGC_COPY(cuMemcpyHtoD_v2, bytes, CU_STREAM_LEGACY, (CUdeviceptr dst, const void *src, size_t bytes), dst, src, bytes)
FGC_COPY(cuMemcpyHtoD_v2_ptds, bytes, CU_STREAM_PER_THREAD,
         (CUdeviceptr dst, const void *src, size_t bytes), dst, src, bytes)
FGC_COPY(cuMemcpyHtoDAsync_v2, bytes, fgc_stream_plain(stream),
         (CUdeviceptr dst, const void *src, size_t bytes, CUstream stream), dst, src, bytes, stream)
FGC_COPY(cuMemcpyHtoDAsync_v2_ptsz, bytes, fgc_stream_ptsz(stream),
         (CUdeviceptr dst, const void *src, size_t bytes, CUstream stream), dst, src, bytes, stream)
FGC_COPY(cuMemcpyDtoHAsync_v2, bytes, fgc_stream_plain(stream),
         (void *dst, CUdeviceptr src, size_t bytes, CUstream stream), dst, src, bytes, stream)
FGC_COPY(cuMemcpyDtoHAsync_v2_ptsz, bytes, fgc_stream_ptsz(stream),
         (void *dst, CUdeviceptr src, size_t bytes, CUstream stream), dst, src, bytes, stream)

/* The way back to the host is where many programs wait for their kernels. */
#define BACK(name, stream) \
        static __attribute__((noinline)) CUresult gated_##name(void *dst, CUdeviceptr src, size_t bytes) \
        { \
                struct fgc_work work; \
                CUresult r = fgc_work_enter(&work, stream, fgc_copy_key(bytes)); \
                return r ? r : fgc_work_leave(&work, FGC_REAL(name, dst, src, bytes)); \
        } \
        CUresult fgc_##name(void *dst, CUdeviceptr src, size_t bytes) \
        { \
                CUresult r = bytes < FGC_COPY_LARGE || fgc_gate_pass(stream) ? fgc_real.name(dst, src, bytes) \
                                                                             : gated_##name(dst, src, bytes); \
                return fgc_sync_copied(stream, r); \
        }

BACK(cuMemcpyDtoH_v2, CU_STREAM_LEGACY)
BACK(cuMemcpyDtoH_v2_ptds, CU_STREAM_PER_THREAD)

FGC_COPY(cuMemcpyDtoA_v2, bytes, CU_STREAM_LEGACY,
         (CUarray dst, size_t at, CUdeviceptr src, size_t bytes), dst, at, src, bytes)
FGC_COPY(cuMemcpyDtoA_v2_ptds, bytes, CU_STREAM_PER_THREAD,
         (CUarray dst, size_t at, CUdeviceptr src, size_t bytes), dst, at, src, bytes)
FGC_COPY(cuMemcpyAtoD_v2, bytes, CU_STREAM_LEGACY,
         (CUdeviceptr dst, CUarray src, size_t at, size_t bytes), dst, src, at, bytes)
FGC_COPY(cuMemcpyAtoD_v2_ptds, bytes, CU_STREAM_PER_THREAD,
         (CUdeviceptr dst, CUarray src, size_t at, size_t bytes), dst, src, at, bytes)
FGC_COPY(cuMemcpyHtoA_v2, bytes, CU_STREAM_LEGACY,
         (CUarray dst, size_t at, const void *src, size_t bytes), dst, at, src, bytes)
FGC_COPY(cuMemcpyHtoA_v2_ptds, bytes, CU_STREAM_PER_THREAD,
         (CUarray dst, size_t at, const void *src, size_t bytes), dst, at, src, bytes)
FGC_COPY(cuMemcpyHtoAAsync_v2, bytes, fgc_stream_plain(stream),
         (CUarray dst, size_t at, const void *src, size_t bytes, CUstream stream), dst, at, src, bytes, stream)
FGC_COPY(cuMemcpyHtoAAsync_v2_ptsz, bytes, fgc_stream_ptsz(stream),
         (CUarray dst, size_t at, const void *src, size_t bytes, CUstream stream), dst, at, src, bytes, stream)
FGC_COPY(cuMemcpyAtoH_v2, bytes, CU_STREAM_LEGACY,
         (void *dst, CUarray src, size_t at, size_t bytes), dst, src, at, bytes)
FGC_COPY(cuMemcpyAtoH_v2_ptds, bytes, CU_STREAM_PER_THREAD,
         (void *dst, CUarray src, size_t at, size_t bytes), dst, src, at, bytes)
FGC_COPY(cuMemcpyAtoHAsync_v2, bytes, fgc_stream_plain(stream),
         (void *dst, CUarray src, size_t at, size_t bytes, CUstream stream), dst, src, at, bytes, stream)
FGC_COPY(cuMemcpyAtoHAsync_v2_ptsz, bytes, fgc_stream_ptsz(stream),
         (void *dst, CUarray src, size_t at, size_t bytes, CUstream stream), dst, src, at, bytes, stream)
FGC_COPY(cuMemcpyAtoA_v2, bytes, CU_STREAM_LEGACY,
         (CUarray dst, size_t to, CUarray src, size_t from, size_t bytes), dst, to, src, from, bytes)
FGC_COPY(cuMemcpyAtoA_v2_ptds, bytes, CU_STREAM_PER_THREAD,
         (CUarray dst, size_t to, CUarray src, size_t from, size_t bytes), dst, to, src, from, bytes)
FGC_COPY(cuMemcpyPeer, bytes, CU_STREAM_LEGACY,
         (CUdeviceptr dst, CUcontext to, CUdeviceptr src, CUcontext from, size_t bytes), dst, to, src, from, bytes)
FGC_COPY(cuMemcpyPeer_ptds, bytes, CU_STREAM_PER_THREAD,
         (CUdeviceptr dst, CUcontext to, CUdeviceptr src, CUcontext from, size_t bytes), dst, to, src, from, bytes)
FGC_COPY(cuMemcpyPeerAsync, bytes, fgc_stream_plain(stream),
         (CUdeviceptr dst, CUcontext to, CUdeviceptr src, CUcontext from, size_t bytes, CUstream stream), dst, to, src, from, bytes, stream)
FGC_COPY(cuMemcpyPeerAsync_ptsz, bytes, fgc_stream_ptsz(stream),
         (CUdeviceptr dst, CUcontext to, CUdeviceptr src, CUcontext from, size_t bytes, CUstream stream), dst, to, src, from, bytes, stream)
