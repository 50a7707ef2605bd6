/* SPDX-License-Identifier: Apache-2.0
 * The table of contexts, and what the calling thread's current one belongs to. */
#include "shim/cuda/context.h"
#include "shim/cuda/hook.h"

#include <pthread.h>
#include <stdlib.h>

#define BUCKETS 256u

struct entry {
        struct entry *next; /* set once, before the entry can be found */
        _Atomic(const void *) of;
        _Atomic(struct fgc_vgpu *) vgpu;
        _Atomic int kind, uses;
};

static _Atomic(struct entry *) bucket[BUCKETS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of writers; no driver call is made under it */

__thread struct fgc_current fgc_current __attribute__((tls_model("initial-exec")));
_Atomic uint32_t fgc_context_epoch;

static _Atomic(struct entry *) *bucket_of(const void *of)
{
        uint64_t hash = (uintptr_t)of * 0x9e3779b97f4a7c15u;
        return &bucket[hash >> 56 & (BUCKETS - 1)];
}

static struct entry *find(const void *of)
{
        struct entry *e = atomic_load_explicit(bucket_of(of), memory_order_acquire);
        while (e && atomic_load_explicit(&e->of, memory_order_acquire) != of)
                e = e->next;
        return e;
}

/* An entry for `of`, unused or new; NULL: out of memory. */
static struct entry *entry_for(const void *of)
{
        struct entry *e = find(of);
        if (!e)
                for (e = atomic_load_explicit(bucket_of(of), memory_order_acquire); e; e = e->next)
                        if (!atomic_load_explicit(&e->of, memory_order_relaxed))
                                return e;
        if (!e && (e = calloc(1, sizeof *e))) {
                e->next = atomic_load_explicit(bucket_of(of), memory_order_relaxed);
                atomic_store_explicit(bucket_of(of), e, memory_order_release);
        }
        return e;
}

void fgc_context_add(const void *of, struct fgc_vgpu *vgpu, enum fgc_context_kind kind)
{
        if (!of || !vgpu)
                return;
        pthread_mutex_lock(&lock);
        struct entry *e = entry_for(of);
        if (e) {
                atomic_store_explicit(&e->vgpu, vgpu, memory_order_relaxed);
                atomic_store_explicit(&e->kind, kind, memory_order_relaxed);
                atomic_store_explicit(&e->uses, 1, memory_order_relaxed);
                atomic_store_explicit(&e->of, of, memory_order_release);
        }
        pthread_mutex_unlock(&lock);
}

struct fgc_context fgc_context_get(const void *of)
{
        struct entry *e = of ? find(of) : NULL;
        if (!e)
                return (struct fgc_context){.vgpu = NULL, .kind = FGC_CONTEXT_FOUND};
        return (struct fgc_context){.vgpu = atomic_load_explicit(&e->vgpu, memory_order_relaxed),
                                    .kind = atomic_load_explicit(&e->kind, memory_order_relaxed)};
}

void fgc_context_remove(const void *of)
{
        pthread_mutex_lock(&lock);
        struct entry *e = of ? find(of) : NULL;
        if (e)
                atomic_store_explicit(&e->of, NULL, memory_order_release);
        pthread_mutex_unlock(&lock);
}

int fgc_context_uses(const void *of, int change)
{
        struct entry *e = of ? find(of) : NULL;
        return e ? atomic_fetch_add_explicit(&e->uses, change, memory_order_relaxed) + change : 1;
}

/* The driver tells the device of the current context only, before CUDA 13. */
static CUresult device_of(CUcontext context, CUdevice *ret)
{
        CUcontext popped;
        CUresult r = FGC_REAL(cuCtxPushCurrent_v2, context);
        if (r)
                return r;
        r = FGC_REAL(cuCtxGetDevice, ret);
        FGC_REAL(cuCtxPopCurrent_v2, &popped);
        return r;
}

struct fgc_vgpu *fgc_vgpu_of_context(CUcontext context)
{
        CUdevice real;
        if (!context)
                return NULL;
        if (fgc_vgpu_count == 1)
                return fgc_vgpus;
        struct fgc_vgpu *vgpu = fgc_context_get(context).vgpu;
        if (vgpu || device_of(context, &real))
                return vgpu;
        vgpu = fgc_vgpu_of_real(real);
        fgc_context_add(context, vgpu, FGC_CONTEXT_FOUND);
        return vgpu;
}

struct fgc_vgpu *fgc_vgpu_current_ask(void)
{
        uint32_t epoch = atomic_load_explicit(&fgc_context_epoch, memory_order_acquire);
        CUcontext context = NULL;
        if (!fgc_vgpu_count || FGC_REAL(cuCtxGetCurrent, &context))
                context = NULL;
        fgc_current.vgpu = fgc_vgpu_of_context(context);
        fgc_current.epoch = epoch;
        return fgc_current.vgpu;
}

struct fgc_vgpu *fgc_vgpu_of_stream_ask(CUstream stream)
{
        CUcontext context = NULL;
        CUresult r = FGC_REAL(cuStreamGetCtx, stream, &context);
        struct fgc_vgpu *vgpu = r ? NULL : fgc_vgpu_of_context(context);
        return vgpu ? vgpu : fgc_vgpu_current();
}

void fgc_contexts_forget(void)
{
        lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
        for (unsigned i = 0; i < BUCKETS; i++)
                for (struct entry *e = atomic_load_explicit(&bucket[i], memory_order_acquire); e; e = e->next)
                        atomic_store_explicit(&e->of, NULL, memory_order_release);
        fgc_current_invalidate();
}

void fgc_current_set(CUcontext context)
{
        uint32_t epoch = atomic_load_explicit(&fgc_context_epoch, memory_order_acquire);
        if (fgc_vgpu_count == 1)
                fgc_current.vgpu = context ? fgc_vgpus : NULL;
        else
                fgc_current.vgpu = fgc_context_get(context).vgpu;
        fgc_current.epoch = epoch;
}

void fgc_current_invalidate(void)
{
        fgc_current.vgpu = NULL;
        atomic_fetch_add_explicit(&fgc_context_epoch, 1, memory_order_acq_rel);
}
