/* SPDX-License-Identifier: Apache-2.0
 *
 * Stream-ordered allocation. Inside a capture an allocation becomes a node of a graph, which pays when it is launched
 * (graph_memory.c). */
#include "shim/cuda/capture.h"
#include "shim/cuda/gate.h"
#include "shim/cuda/graph_memory.h"
#include "shim/cuda/hook.h"
#include "shim/cuda/memory.h"
#include "shim/cuda/pool.h"

#include <stdlib.h>

/* cuMemAllocFromPoolAsync or its _ptsz form, and cuMemFreeAsync's: a thread's default stream is another one there. */
struct form {
        __typeof__(&cuMemAllocFromPoolAsync) allocate;
        __typeof__(&cuMemFreeAsync) free;
};

static CUresult commit(struct fgc_pool *pool, CUdeviceptr pointer, uint64_t bytes, CUstream stream,
                       const struct form *form)
{
        struct fgc_alloc entry = {pointer, pool, bytes, FGC_ALLOC_POOL};
        CUresult r = fgc_commit(&fgc_pointers, entry);

        if (__builtin_expect(r == CUDA_SUCCESS, 1))
                return r;
        FGC_INSIDE(form->free(pointer, stream));
        fgc_release(&entry);
        return r;
}

static CUresult allocate(CUdeviceptr *pointer, size_t bytes, struct fgc_pool *pool, CUmemoryPool handle,
                         CUstream stream, const struct form *form)
{
        bool grows;
        CUresult r;

        fgc_overhead_settle(pool->vgpu);
        r = fgc_pool_begin(pool, bytes, &grows);
        if (__builtin_expect(r != CUDA_SUCCESS, 0))
                return r;
        r = FGC_INSIDE(form->allocate(pointer, bytes, handle, stream));
        if (__builtin_expect(fgc_pool_end(pool, bytes, grows, r) == CUDA_SUCCESS, 1))
                return commit(pool, *pointer, bytes, stream, form);
        if (r != CUDA_SUCCESS)
                return r;
        /* It grew by more than there is room for, which only the driver could know. */
        FGC_INSIDE(form->free(*pointer, stream));
        fgc_pool_freed(pool, bytes);
        fgc_pools_trim(pool->vgpu);
        return CUDA_ERROR_OUT_OF_MEMORY;
}

/* The vGPU's current pool; NULL handle: it has none, or none can be told. */
static CUresult current_pool(struct fgc_vgpu *vgpu, CUmemoryPool *ret)
{
        CUresult r = fgc_vgpu_pool(vgpu, ret);

        if (r == CUDA_SUCCESS && !*ret && fgc_real.cuDeviceGetMemPool &&
            FGC_REAL(cuDeviceGetMemPool, ret, vgpu->real) != CUDA_SUCCESS)
                *ret = NULL;
        return r;
}

static CUresult capture(CUresult r)
{
        if (r == CUDA_SUCCESS)
                fg_store_relaxed(&fgc_graph_memory_seen, 1);
        return r;
}

#define ALLOC_ASYNC(name, from_pool, free_name, plain)                                                                 \
        CUresult fgc_##name(CUdeviceptr *pointer, size_t bytes, CUstream stream)                                       \
        {                                                                                                              \
                const struct form form = {fgc_real.from_pool, fgc_real.free_name};                                     \
                CUmemoryPool handle = NULL;                                                                            \
                struct fgc_vgpu *vgpu;                                                                                 \
                struct fgc_pool *pool;                                                                                 \
                CUresult r;                                                                                            \
                                                                                                                       \
                FGC_PASS(name, pointer, bytes, stream);                                                                \
                if (__builtin_expect(fgc_capture_has(plain(stream)), 0))                                               \
                        return capture(FGC_REAL(name, pointer, bytes, stream));                                        \
                vgpu = fgc_vgpu_of_stream(stream);                                                                     \
                r = vgpu ? current_pool(vgpu, &handle) : CUDA_SUCCESS;                                                 \
                if (r != CUDA_SUCCESS || !handle)                                                                      \
                        return r != CUDA_SUCCESS ? r : FGC_REAL(name, pointer, bytes, stream);                         \
                pool = fgc_pool_of(handle, vgpu);                                                                      \
                return pool ? allocate(pointer, bytes, pool, handle, stream, &form) : CUDA_ERROR_OUT_OF_MEMORY;        \
        }

ALLOC_ASYNC(cuMemAllocAsync, cuMemAllocFromPoolAsync, cuMemFreeAsync, fgc_stream_plain)
ALLOC_ASYNC(cuMemAllocAsync_ptsz, cuMemAllocFromPoolAsync_ptsz, cuMemFreeAsync_ptsz, fgc_stream_ptsz)

#define ALLOC_FROM_POOL(name, free_name, plain)                                                                        \
        CUresult fgc_##name(CUdeviceptr *pointer, size_t bytes, CUmemoryPool handle, CUstream stream)                  \
        {                                                                                                              \
                const struct form form = {fgc_real.name, fgc_real.free_name};                                          \
                struct fgc_vgpu *vgpu;                                                                                 \
                struct fgc_pool *pool;                                                                                 \
                                                                                                                       \
                FGC_PASS(name, pointer, bytes, handle, stream);                                                        \
                if (__builtin_expect(fgc_capture_has(plain(stream)), 0))                                               \
                        return capture(FGC_REAL(name, pointer, bytes, handle, stream));                                \
                vgpu = fgc_vgpu_of_stream(stream);                                                                     \
                if (!vgpu || !handle)                                                                                  \
                        return FGC_REAL(name, pointer, bytes, handle, stream);                                         \
                pool = fgc_pool_of(handle, vgpu);                                                                      \
                return pool ? allocate(pointer, bytes, pool, handle, stream, &form) : CUDA_ERROR_OUT_OF_MEMORY;        \
        }

ALLOC_FROM_POOL(cuMemAllocFromPoolAsync, cuMemFreeAsync, fgc_stream_plain)
ALLOC_FROM_POOL(cuMemAllocFromPoolAsync_ptsz, cuMemFreeAsync_ptsz, fgc_stream_ptsz)

/* --- freeing --- */

/* The driver's thread, when the stream has come to where the memory is free. Calls nothing of CUDA. */
static void CUDA_CB on_freed(void *arg)
{
        fgc_release(arg);
        free(arg);
}

/* Memory that is no pool's goes when the stream comes there, and its charge with it. Where the driver has no host
 * functions, or refuses one, the stream is waited for. `stream` by the names of gate.h. */
static void release_in_stream(struct fgc_alloc *later, CUstream stream)
{
        if (fgc_real.cuLaunchHostFunc && FGC_REAL(cuLaunchHostFunc, stream, on_freed, later) == CUDA_SUCCESS)
                return;
        FGC_REAL(cuStreamSynchronize, stream);
        on_freed(later);
}

static CUresult free_unpooled(const struct fgc_alloc *entry, CUstream stream, CUstream named, const struct form *form)
{
        struct fgc_alloc *later = malloc(sizeof(*later));
        CUresult r;

        if (!later) {
                fgc_alloc_put_back(&fgc_pointers, *entry);
                return CUDA_ERROR_OUT_OF_MEMORY;
        }
        *later = *entry;
        r = FGC_INSIDE(form->free(entry->key, stream));
        if (r == CUDA_SUCCESS) {
                release_in_stream(later, named);
                return r;
        }
        free(later);
        fgc_alloc_put_back(&fgc_pointers, *entry);
        return r;
}

#define FREE_ASYNC(name, plain)                                                                                        \
        CUresult fgc_##name(CUdeviceptr pointer, CUstream stream)                                                      \
        {                                                                                                              \
                const struct form form = {.free = fgc_real.name};                                                      \
                struct fgc_alloc entry;                                                                                \
                bool known;                                                                                            \
                                                                                                                       \
                FGC_PASS(name, pointer, stream);                                                                       \
                known = fgc_alloc_take(&fgc_pointers, pointer, &entry);                                                \
                if (__builtin_expect(known && entry.kind != FGC_ALLOC_POOL, 0))                                        \
                        return free_unpooled(&entry, stream, plain(stream), &form);                                    \
                return fgc_settle_free(&fgc_pointers, &entry, known, FGC_REAL(name, pointer, stream));                 \
        }

FREE_ASYNC(cuMemFreeAsync, fgc_stream_plain)
FREE_ASYNC(cuMemFreeAsync_ptsz, fgc_stream_ptsz)
