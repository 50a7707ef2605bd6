/* SPDX-License-Identifier: Apache-2.0
 * The simulated driver's inside: what its files may ask of each other.
 *
 *   shared.h   spec, shared state, faults: what libcuda.so.1 and libnvidia-ml.so.1 have in common
 *   memory side   driver.c device.c context.c primary.c memory*.c pool*.c vmm*.c array*.c ipc*.c external.c pointer.c
 *   time side     streams, events, copies and memsets (sync and async), launches, functions, modules, libraries,
 *                 graphs, captures, occupancy, external semaphores, IPC events. Provides fgsim_exec_*, below.
 *
 * Every entry begins with FGSIM_ENTER(name): one load when there are no faults. */
#ifndef FGSIM_SIM_H
#define FGSIM_SIM_H

#include "abi/cuda.h"
#include "base/atomic.h"
#include "sim/shared.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#define FGSIM_EXPORT __attribute__((visibility("default")))
#define FGSIM_LIKELY(x) __builtin_expect(!!(x), 1)

/* ---- entry ---- */
enum {
        FGSIM_GATE_COLD = 1,   /* cuInit has not succeeded yet */
        FGSIM_GATE_FORKED = 2, /* a child of a process that had called cuInit: NOT_INITIALIZED, as on the real one */
        FGSIM_GATE_FAULTS = 4, /* the spec has faults, or a context is broken, or a GPU is lost */
};
extern int fgsim_gate;

/* Result != CUDA_SUCCESS: return it. Works out faults, lost GPUs, broken contexts. */
CUresult fgsim_enter_slow(const char *name);

#define FGSIM_ENTER(name)                                                       \
        do {                                                                    \
                if (__builtin_expect(fg_load_relaxed(&fgsim_gate) != 0, 0)) {   \
                        CUresult enter_result_ = fgsim_enter_slow(#name);       \
                        if (enter_result_ != CUDA_SUCCESS)                      \
                                return enter_result_;                           \
                }                                                               \
        } while (0)

/* FGSIM_ENTER and `struct fgsim_context *ctx` = the calling thread's current one, else INVALID_CONTEXT. */
#define FGSIM_ENTER_CONTEXT(name, ctx)                           \
        FGSIM_ENTER(name);                                       \
        struct fgsim_context *ctx = fgsim_context_current();     \
        if (!ctx)                                                \
                return CUDA_ERROR_INVALID_CONTEXT

/* ---- objects: what a handle points to ----
 * They live in one reserved range that is never unmapped, so any value can be checked without a fault. */
enum fgsim_type {
        FGSIM_CONTEXT = 0x5343, /* memory side */
        FGSIM_POOL, FGSIM_VMM, FGSIM_ARRAY, FGSIM_MIPMAP, FGSIM_TEXTURE, FGSIM_EXTERNAL,
        FGSIM_STREAM = 0x5443, /* time side */
        FGSIM_EVENT, FGSIM_MODULE, FGSIM_LIBRARY, FGSIM_FUNCTION, FGSIM_KERNEL, FGSIM_GRAPH, FGSIM_NODE, FGSIM_EXEC,
        FGSIM_LINK,
        FGSIM_SEMAPHORE, FGSIM_USER_OBJECT,
};

struct fgsim_object {
        uint32_t type; /* enum fgsim_type; 0: freed */
        uint32_t bytes;
        struct fgsim_object *next_free;
};

/* Zeroed, 64-byte aligned, at most 8 KiB; NULL: no memory. `struct fgsim_object` must be its first member. */
void *fgsim_object_new(enum fgsim_type type, size_t bytes);
void fgsim_object_free(void *object); /* the handle is invalid from here on */
void *fgsim_object_get(const void *handle, enum fgsim_type type); /* NULL: not such an object (NULL, garbage, freed) */

/* ---- contexts ---- */
struct fgsim_exec_context; /* the time side's */

struct fgsim_context {
        struct fgsim_object object;
        uint32_t gpu; /* index in fgsim_spec.gpu and fgsim_shared->gpu; its CUdevice: fgsim_ordinal_of() */
        uint32_t flags, api_version;
        bool is_primary;
        bool is_active;   /* primary: retained (or used through the runtime); others: true until destroyed */
        uint32_t attached; /* cuCtxAttach/Detach; primary: retain count */
        uint64_t id;
        int broken; /* sticky CUresult, e.g. CUDA_ERROR_ILLEGAL_ADDRESS; 0: sound. Set it with fgsim_context_break() */
        size_t limit[16];
        CUfunc_cache cache;
        uint64_t peers; /* bit per GPU: cuCtxEnablePeerAccess */
        struct fgsim_exec_context *exec;
        struct fgsim_context *next;
};

/* CUDA_VISIBLE_DEVICES chooses and orders: CUdevice <-> index of the GPU. -1, false: no such device. */
bool fgsim_gpu_of(CUdevice device, uint32_t *ret_gpu);
CUdevice fgsim_ordinal_of(uint32_t gpu);

struct fgsim_context *fgsim_context_current(void);
struct fgsim_context *fgsim_context_get(CUcontext handle); /* NULL handle: the current one; NULL: invalid */
struct fgsim_context *fgsim_context_primary(uint32_t gpu); /* the object, active or not */
void fgsim_context_break(struct fgsim_context *ctx, CUresult sticky);

/* ---- memory: what an address belongs to ---- */
enum fgsim_kind {
        FGSIM_MEM_DEVICE = 1, /* cuMemAlloc, cuMemAllocPitch */
        FGSIM_MEM_MANAGED,
        FGSIM_MEM_ASYNC,      /* of a pool */
        FGSIM_MEM_GRAPH,      /* of a graph's allocation node */
        FGSIM_MEM_HOST,       /* cuMemHostAlloc, cuMemAllocHost */
        FGSIM_MEM_REGISTERED, /* cuMemHostRegister */
        FGSIM_MEM_VMM,        /* cuMemAddressReserve: see mapped */
        FGSIM_MEM_IPC,        /* cuIpcOpenMemHandle */
        FGSIM_MEM_EXTERNAL,
        FGSIM_MEM_MODULE,     /* a module's global */
        FGSIM_MEM_ARRAY,      /* what a CUarray or mipmap lies in */
        FGSIM_MEM_PHYSICAL,   /* what cuMemCreate made; programs see it where it is mapped */
};

struct fgsim_range {
        uint64_t base, size;    /* as asked for */
        uint64_t charged;       /* bytes taken from the GPU for it */
        struct fgsim_context *ctx; /* in which it was made */
        void *owner;            /* struct fgsim_pool, fgsim_vmm, … by kind */
        uint64_t id;            /* CU_POINTER_ATTRIBUTE_BUFFER_ID */
        uint32_t gpu, flags;
        uint8_t kind;           /* enum fgsim_kind; 0: not in use */
        bool is_device;         /* device memory: copies to and from it cost bus time, host memory's do not */
        bool is_freed;          /* cuMemFreeAsync was called, the stream has not come there yet */
        bool sync_memops;
        uint32_t reserved;
};

/* The range that holds the address, NULL: plain host memory (or nothing). Any thread; holds until it is freed. */
struct fgsim_range *fgsim_range_find(CUdeviceptr address);

/* Arrays, for the time side's copies: level/layer layout is row-major, layers (or slices) apart by `slice` bytes. */
struct fgsim_array {
        struct fgsim_object object;
        CUDA_ARRAY3D_DESCRIPTOR desc; /* 0 in Height, Depth: fewer dimensions */
        uint32_t gpu;
        uint32_t element; /* bytes */
        size_t pitch, slice, rows, layers, bytes; /* rows >= 1, layers >= 1; bytes: of contents */
        unsigned char *data;
        uint64_t charged;
        struct fgsim_object *owner; /* the mipmap or external memory it is part of */
        struct fgsim_context *ctx;
        bool is_sparse;
};

/* ---- provided by the time side ---- */
CUresult fgsim_exec_context_new(struct fgsim_context *ctx);  /* sets ctx->exec */
void fgsim_exec_context_gone(struct fgsim_context *ctx);     /* waits for its work, frees what it has */
CUresult fgsim_exec_context_sync(struct fgsim_context *ctx); /* all its streams: cuCtxSynchronize */
/* Waits until no work of the context is under way: before memory goes away. Returns at once when there is none. */
void fgsim_exec_drain(struct fgsim_context *ctx);
/* Is the handle a stream (0, 1, 2 included) of the current context? Its context in *ret_ctx. */
CUresult fgsim_exec_stream_check(CUstream stream, struct fgsim_context **ret_ctx);
bool fgsim_exec_stream_is_capturing(CUstream stream);
/* Calls fn(arg) when the stream has come there; at once, in the calling thread, when it is idle. No device time. fn must
 * not wait for a stream. Not for capturing streams. */
CUresult fgsim_exec_stream_call(CUstream stream, void (*fn)(void *arg), void *arg);
/* cuMemAllocAsync/FreeAsync in a capturing stream: adds the node (calls fgsim_graphmem_*). */
CUresult fgsim_exec_capture_alloc(CUstream stream, size_t bytes, CUdeviceptr *ret_ptr);
CUresult fgsim_exec_capture_free(CUstream stream, CUdeviceptr ptr);

/* ---- provided by the memory side ---- */
/* Every call that waits for a stream, event or context calls this: pools give back what is above their threshold. */
void fgsim_pool_at_sync(struct fgsim_context *ctx);
/* Memory of graphs' allocation nodes: the address is fixed when the node is added, memory is taken at launch. */
CUresult fgsim_graphmem_new(struct fgsim_context *ctx, size_t bytes, CUdeviceptr *ret_ptr);
CUresult fgsim_graphmem_use(CUdeviceptr ptr);  /* the allocation node runs; call it at launch. May be OUT_OF_MEMORY */
void fgsim_graphmem_unuse(CUdeviceptr ptr);    /* the free node ran, or cuMemFree(Async) of it outside the graph */
void fgsim_graphmem_gone(CUdeviceptr ptr);     /* the node is destroyed */
/* Device memory for modules' globals, at stable addresses; counted. */
CUresult fgsim_memory_take(struct fgsim_context *ctx, size_t bytes, CUdeviceptr *ret_ptr);
void fgsim_memory_drop(CUdeviceptr ptr);

/* "cuMemAlloc" + version + flags -> pointer; NULL. cuGetProcAddress's own table. */
void *fgsim_proc_address(const char *name, int version, uint64_t flags, CUdriverProcAddressQueryResult *ret_status);

#endif
