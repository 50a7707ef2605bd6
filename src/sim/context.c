/* SPDX-License-Identifier: Apache-2.0
 * Contexts and each thread's stack of them. A context's object is never reused, so that a thread in which a destroyed
 * one is still current finds out. */
#include "sim/internal.h"

#include <stdlib.h>

#define STACK_DEPTH 128

struct stack {
        uint32_t depth; /* entries below the current one */
        struct fgsim_context *below[STACK_DEPTH];
};

static __thread struct fgsim_context *current __attribute__((tls_model("initial-exec")));
static __thread struct stack *stack __attribute__((tls_model("initial-exec")));
static pthread_key_t stack_key;
static pthread_once_t stack_once = PTHREAD_ONCE_INIT;

struct fgsim_context *fgsim_contexts;

static bool is_alive(const struct fgsim_context *ctx)
{
        return fg_load_acquire(&ctx->object.type) == FGSIM_CONTEXT && fg_load_acquire(&ctx->is_active);
}

struct fgsim_context *fgsim_context_current(void)
{
        struct fgsim_context *ctx = current;
        return ctx && FGSIM_LIKELY(is_alive(ctx)) ? ctx : NULL;
}

struct fgsim_context *fgsim_context_get(CUcontext handle)
{
        if (!handle)
                return fgsim_context_current();
        struct fgsim_context *ctx = fgsim_object_get(handle, FGSIM_CONTEXT);
        return ctx && is_alive(ctx) ? ctx : NULL;
}

void fgsim_context_break(struct fgsim_context *ctx, CUresult sticky)
{
        ctx->broken = (int)sticky;
        __atomic_fetch_or(&fgsim_gate, FGSIM_GATE_FAULTS, __ATOMIC_ACQ_REL);
}

static void make_key(void)
{
        pthread_key_create(&stack_key, free);
}

static struct stack *own_stack(void)
{
        if (stack)
                return stack;
        pthread_once(&stack_once, make_key);
        stack = calloc(1, sizeof *stack);
        if (stack)
                pthread_setspecific(stack_key, stack);
        return stack;
}

static CUresult push(struct fgsim_context *ctx)
{
        struct stack *s = own_stack();
        if (!s)
                return CUDA_ERROR_OUT_OF_MEMORY;
        /* A current context of NULL at the bottom is no entry. */
        if (current) {
                if (s->depth == STACK_DEPTH)
                        return CUDA_ERROR_INVALID_VALUE;
                s->below[s->depth++] = current;
        }
        current = ctx;
        return CUDA_SUCCESS;
}

static struct fgsim_context *pop(void)
{
        struct fgsim_context *top = current;
        current = stack && stack->depth ? stack->below[--stack->depth] : NULL;
        return top;
}

CUresult fgsim_context_set(struct fgsim_context *ctx)
{
        current = ctx;
        if (!ctx && stack && stack->depth)
                pop();
        return CUDA_SUCCESS;
}

/* ---- life ---- */
static void set_defaults(struct fgsim_context *ctx, unsigned flags)
{
        ctx->flags = flags;
        ctx->api_version = 3020;
        ctx->broken = 0;
        ctx->cache = CU_FUNC_CACHE_PREFER_NONE;
        ctx->peers = 0;
        ctx->limit[CU_LIMIT_STACK_SIZE] = 1024;
        ctx->limit[CU_LIMIT_PRINTF_FIFO_SIZE] = 1 << 20;
        ctx->limit[CU_LIMIT_MALLOC_HEAP_SIZE] = 8 << 20;
        ctx->limit[CU_LIMIT_DEV_RUNTIME_SYNC_DEPTH] = 2;
        ctx->limit[CU_LIMIT_DEV_RUNTIME_PENDING_LAUNCH_COUNT] = 2048;
        ctx->limit[CU_LIMIT_MAX_L2_FETCH_GRANULARITY] = 64;
}

CUresult fgsim_context_make(struct fgsim_context *ctx, uint32_t gpu, unsigned flags)
{
        uint64_t bytes = fgsim_round(fgsim_spec.gpu[gpu].context, FGSIM_UNIT);
        ctx->gpu = gpu;
        if (fg_load_relaxed(&fgsim_shared->gpu[gpu].lost))
                return CUDA_ERROR_DEVICE_UNAVAILABLE;
        if (!fgsim_gpu_take(gpu, bytes) && !(fgsim_pool_squeeze(gpu) && fgsim_gpu_take(gpu, bytes)))
                return CUDA_ERROR_OUT_OF_MEMORY;
        set_defaults(ctx, flags);
        CUresult result = fgsim_exec_context_new(ctx);
        if (result != CUDA_SUCCESS) {
                fgsim_gpu_give(gpu, bytes);
                return result;
        }
        static uint64_t ids;
        ctx->id = fg_add_relaxed(&ids, 1) + 1;
        fg_add_relaxed(&fgsim_shared->gpu[gpu].share[fgsim_slot].contexts, 1);
        fg_store_release(&ctx->is_active, true);
        return CUDA_SUCCESS;
}

void fgsim_context_unmake(struct fgsim_context *ctx)
{
        if (!__atomic_exchange_n(&ctx->is_active, false, __ATOMIC_ACQ_REL))
                return;
        fgsim_exec_context_gone(ctx);
        fgsim_array_context_gone(ctx);
        fgsim_memory_context_gone(ctx);
        __atomic_fetch_sub(&fgsim_shared->gpu[ctx->gpu].share[fgsim_slot].contexts, 1, __ATOMIC_RELAXED);
        fgsim_gpu_give(ctx->gpu, fgsim_round(fgsim_spec.gpu[ctx->gpu].context, FGSIM_UNIT));
}

static void enlist(struct fgsim_context *ctx)
{
        struct fgsim_context *first = fg_load_acquire(&fgsim_contexts);
        do
                ctx->next = first;
        while (!fg_cas_acq_rel(&fgsim_contexts, &first, ctx));
}

static CUresult create(CUcontext *ret, unsigned flags, CUdevice device)
{
        uint32_t gpu;
        if (!ret || (flags & ~0xffu) || (flags & CU_CTX_SCHED_MASK) == 3 || (flags & CU_CTX_SCHED_MASK) > 4)
                return CUDA_ERROR_INVALID_VALUE;
        if (!fgsim_gpu_of(device, &gpu))
                return CUDA_ERROR_INVALID_DEVICE;
        FGSIM_PERMITTED();
        struct fgsim_context *ctx = fgsim_object_new(FGSIM_CONTEXT, sizeof *ctx);
        if (!ctx)
                return CUDA_ERROR_OUT_OF_MEMORY;
        CUresult result = fgsim_context_make(ctx, gpu, flags);
        if (result != CUDA_SUCCESS) {
                fgsim_object_free(ctx);
                return result;
        }
        ctx->attached = 1;
        enlist(ctx);
        result = push(ctx);
        *ret = (CUcontext)ctx;
        return result;
}

CUresult cuCtxCreate(CUcontext *ret, unsigned int flags, CUdevice device)
{
        FGSIM_ENTER_FREE(cuCtxCreate);
        return create(ret, flags, device);
}

CUresult cuCtxCreate_v2(CUcontext *ret, unsigned int flags, CUdevice device)
{
        FGSIM_ENTER_FREE(cuCtxCreate_v2);
        return create(ret, flags, device);
}

CUresult cuCtxCreate_v3(CUcontext *ret, CUexecAffinityParam *params, int count, unsigned int flags, CUdevice device)
{
        FGSIM_ENTER_FREE(cuCtxCreate_v3);
        if (count)
                return CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY;
        return create(ret, flags, device);
}

CUresult cuCtxCreate_v4(CUcontext *ret, CUctxCreateParams *params, unsigned int flags, CUdevice device)
{
        FGSIM_ENTER_FREE(cuCtxCreate_v4);
        if (params && (params->numExecAffinityParams || params->cigParams))
                return CUDA_ERROR_NOT_SUPPORTED;
        return create(ret, flags, device);
}

static CUresult destroy(CUcontext handle)
{
        struct fgsim_context *ctx = handle ? fgsim_context_get(handle) : NULL;
        if (!ctx || ctx->is_primary)
                return CUDA_ERROR_INVALID_CONTEXT;
        FGSIM_PERMITTED();
        fgsim_context_unmake(ctx);
        if (current == ctx)
                pop();
        fg_store_release(&ctx->object.type, 0);
        return CUDA_SUCCESS;
}

CUresult cuCtxDestroy(CUcontext handle)
{
        FGSIM_ENTER_FREE(cuCtxDestroy);
        return destroy(handle);
}

CUresult cuCtxDestroy_v2(CUcontext handle)
{
        FGSIM_ENTER_FREE(cuCtxDestroy_v2);
        return destroy(handle);
}

CUresult cuCtxAttach(CUcontext *ret, unsigned int flags)
{
        FGSIM_ENTER_CONTEXT(cuCtxAttach, ctx);
        if (!ret || flags)
                return CUDA_ERROR_INVALID_VALUE;
        if (ctx->is_primary)
                return CUDA_ERROR_INVALID_CONTEXT;
        ctx->attached++;
        *ret = (CUcontext)ctx;
        return CUDA_SUCCESS;
}

CUresult cuCtxDetach(CUcontext handle)
{
        FGSIM_ENTER_CONTEXT(cuCtxDetach, ctx);
        if (ctx->is_primary || (CUcontext)ctx != handle)
                return CUDA_ERROR_INVALID_CONTEXT;
        return --ctx->attached ? CUDA_SUCCESS : destroy(handle);
}

/* ---- the stack ---- */
CUresult cuCtxPushCurrent_v2(CUcontext handle)
{
        FGSIM_ENTER_FREE(cuCtxPushCurrent_v2);
        struct fgsim_context *ctx = handle ? fgsim_context_get(handle) : NULL;
        return ctx ? push(ctx) : CUDA_ERROR_INVALID_CONTEXT;
}

CUresult cuCtxPushCurrent(CUcontext handle)
{
        return cuCtxPushCurrent_v2(handle);
}

CUresult cuCtxPopCurrent_v2(CUcontext *ret)
{
        FGSIM_ENTER_FREE(cuCtxPopCurrent_v2);
        if (!current)
                return CUDA_ERROR_INVALID_CONTEXT;
        struct fgsim_context *top = pop();
        if (ret)
                *ret = (CUcontext)top;
        return CUDA_SUCCESS;
}

CUresult cuCtxPopCurrent(CUcontext *ret)
{
        return cuCtxPopCurrent_v2(ret);
}

CUresult cuCtxSetCurrent(CUcontext handle)
{
        FGSIM_ENTER_FREE(cuCtxSetCurrent);
        struct fgsim_context *ctx = handle ? fgsim_context_get(handle) : NULL;
        if (handle && !ctx)
                return CUDA_ERROR_INVALID_CONTEXT;
        return fgsim_context_set(ctx);
}

CUresult cuCtxGetCurrent(CUcontext *ret)
{
        FGSIM_ENTER_FREE(cuCtxGetCurrent);
        if (!ret)
                return CUDA_ERROR_INVALID_VALUE;
        *ret = (CUcontext)current;
        return CUDA_SUCCESS;
}
