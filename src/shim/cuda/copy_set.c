/* SPDX-License-Identifier: Apache-2.0
 * Memsets. */
#include "shim/cuda/copy.h"

FGC_COPY(cuMemsetD8_v2, count, CU_STREAM_LEGACY,
         (CUdeviceptr dst, unsigned char value, size_t count), dst, value, count)
FGC_COPY(cuMemsetD8_v2_ptds, count, CU_STREAM_PER_THREAD,
         (CUdeviceptr dst, unsigned char value, size_t count), dst, value, count)
FGC_COPY(cuMemsetD8Async, count, fgc_stream_plain(stream),
         (CUdeviceptr dst, unsigned char value, size_t count, CUstream stream), dst, value, count, stream)
FGC_COPY(cuMemsetD8Async_ptsz, count, fgc_stream_ptsz(stream),
         (CUdeviceptr dst, unsigned char value, size_t count, CUstream stream), dst, value, count, stream)
FGC_COPY(cuMemsetD16_v2, 2 * (uint64_t)count, CU_STREAM_LEGACY,
         (CUdeviceptr dst, unsigned short value, size_t count), dst, value, count)
FGC_COPY(cuMemsetD16_v2_ptds, 2 * (uint64_t)count, CU_STREAM_PER_THREAD,
         (CUdeviceptr dst, unsigned short value, size_t count), dst, value, count)
FGC_COPY(cuMemsetD16Async, 2 * (uint64_t)count, fgc_stream_plain(stream),
         (CUdeviceptr dst, unsigned short value, size_t count, CUstream stream), dst, value, count, stream)
FGC_COPY(cuMemsetD16Async_ptsz, 2 * (uint64_t)count, fgc_stream_ptsz(stream),
         (CUdeviceptr dst, unsigned short value, size_t count, CUstream stream), dst, value, count, stream)
FGC_COPY(cuMemsetD32_v2, 4 * (uint64_t)count, CU_STREAM_LEGACY,
         (CUdeviceptr dst, unsigned int value, size_t count), dst, value, count)
FGC_COPY(cuMemsetD32_v2_ptds, 4 * (uint64_t)count, CU_STREAM_PER_THREAD,
         (CUdeviceptr dst, unsigned int value, size_t count), dst, value, count)
FGC_COPY(cuMemsetD32Async, 4 * (uint64_t)count, fgc_stream_plain(stream),
         (CUdeviceptr dst, unsigned int value, size_t count, CUstream stream), dst, value, count, stream)
FGC_COPY(cuMemsetD32Async_ptsz, 4 * (uint64_t)count, fgc_stream_ptsz(stream),
         (CUdeviceptr dst, unsigned int value, size_t count, CUstream stream), dst, value, count, stream)
FGC_COPY(cuMemsetD2D8_v2, (uint64_t)width * height, CU_STREAM_LEGACY,
         (CUdeviceptr dst, size_t pitch, unsigned char value, size_t width, size_t height), dst, pitch, value, width, height)
FGC_COPY(cuMemsetD2D8_v2_ptds, (uint64_t)width * height, CU_STREAM_PER_THREAD,
         (CUdeviceptr dst, size_t pitch, unsigned char value, size_t width, size_t height), dst, pitch, value, width, height)
FGC_COPY(cuMemsetD2D8Async, (uint64_t)width * height, fgc_stream_plain(stream),
         (CUdeviceptr dst, size_t pitch, unsigned char value, size_t width, size_t height, CUstream stream), dst, pitch, value, width, height, stream)
FGC_COPY(cuMemsetD2D8Async_ptsz, (uint64_t)width * height, fgc_stream_ptsz(stream),
         (CUdeviceptr dst, size_t pitch, unsigned char value, size_t width, size_t height, CUstream stream), dst, pitch, value, width, height, stream)
FGC_COPY(cuMemsetD2D16_v2, 2 * (uint64_t)width * height, CU_STREAM_LEGACY,
         (CUdeviceptr dst, size_t pitch, unsigned short value, size_t width, size_t height), dst, pitch, value, width, height)
FGC_COPY(cuMemsetD2D16_v2_ptds, 2 * (uint64_t)width * height, CU_STREAM_PER_THREAD,
         (CUdeviceptr dst, size_t pitch, unsigned short value, size_t width, size_t height), dst, pitch, value, width, height)
FGC_COPY(cuMemsetD2D16Async, 2 * (uint64_t)width * height, fgc_stream_plain(stream),
         (CUdeviceptr dst, size_t pitch, unsigned short value, size_t width, size_t height, CUstream stream), dst, pitch, value, width, height, stream)
FGC_COPY(cuMemsetD2D16Async_ptsz, 2 * (uint64_t)width * height, fgc_stream_ptsz(stream),
         (CUdeviceptr dst, size_t pitch, unsigned short value, size_t width, size_t height, CUstream stream), dst, pitch, value, width, height, stream)
FGC_COPY(cuMemsetD2D32_v2, 4 * (uint64_t)width * height, CU_STREAM_LEGACY,
         (CUdeviceptr dst, size_t pitch, unsigned int value, size_t width, size_t height), dst, pitch, value, width, height)
FGC_COPY(cuMemsetD2D32_v2_ptds, 4 * (uint64_t)width * height, CU_STREAM_PER_THREAD,
         (CUdeviceptr dst, size_t pitch, unsigned int value, size_t width, size_t height), dst, pitch, value, width, height)
FGC_COPY(cuMemsetD2D32Async, 4 * (uint64_t)width * height, fgc_stream_plain(stream),
         (CUdeviceptr dst, size_t pitch, unsigned int value, size_t width, size_t height, CUstream stream), dst, pitch, value, width, height, stream)
FGC_COPY(cuMemsetD2D32Async_ptsz, 4 * (uint64_t)width * height, fgc_stream_ptsz(stream),
         (CUdeviceptr dst, size_t pitch, unsigned int value, size_t width, size_t height, CUstream stream), dst, pitch, value, width, height, stream)
