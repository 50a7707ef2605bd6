/* SPDX-License-Identifier: Apache-2.0
 *
 * Copies and memsets: large ones are work like a kernel, known by their size; small ones pass as they are. Copies that wait
 * are followed by an event like the others: between device memories they do not wait. */
#ifndef FGC_COPY_H
#define FGC_COPY_H

#include "shim/cuda/gate.h"

/* Some 40 us over a PCIe bus of 25 GB/s: less is not worth the wait for a grant. */
#define FGC_COPY_LARGE ((uint64_t)1 << 20)

/* As many powers of two take about as long again. */
static inline uint32_t fgc_copy_key(uint64_t bytes)
{
        return 0x40000000u | (uint32_t)(64 - __builtin_clzll(bytes | 1)) << 1;
}

/* `bytes` and `stream`: expressions of the parameters. */
#define FGC_COPY(name, bytes, stream, params, ...) \
        static __attribute__((noinline)) CUresult gated_##name params \
        { \
                struct fgc_work work; \
                CUresult r = fgc_work_enter(&work, stream, fgc_copy_key(bytes)); \
                return r ? r : fgc_work_leave(&work, FGC_REAL(name, __VA_ARGS__)); \
        } \
        CUresult fgc_##name params \
        { \
                if (__builtin_expect((bytes) < FGC_COPY_LARGE, 1) || fgc_gate_pass(stream)) \
                        return fgc_real.name(__VA_ARGS__); \
                return gated_##name(__VA_ARGS__); \
        }

/* A copy that waits for `stream` is over; passes on `r` (sync.c). */
CUresult fgc_sync_copied(CUstream stream, CUresult r);

#endif
