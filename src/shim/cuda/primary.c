/* SPDX-License-Identifier: Apache-2.0
 *
 * Primary contexts. The first visible vGPU on a device has the driver's own; each further one has a context that is made when
 * it is first retained, destroyed when it is last released, and refused to cuCtxDestroy like a real one. What differs: after
 * a reset, or a full release, the next retain may return another handle. The runtime library keeps the handle from its own
 * start on (export_table.c): then the context stays, and a reset leaves what was allocated in it.
 *
 * The driver counts the retains of its primary contexts, also those that come by an export table, so whether one is active
 * is the driver's word. Its overhead is charged once while it is active: whoever changes `primary_taken` from 0 to 1 has paid,
 * whoever changes it from 1 to 0 gives back. Between the two a thread may hold a second charge for a moment, never none. */
#include "shim/cuda/context.h"
#include "shim/cuda/gate.h"
#include "shim/cuda/hook.h"
#include "shim/cuda/memory.h"
#include "shim/cuda/translate.h"

#include <pthread.h>

#define FLAGS_KNOWN 0xffu /* of CUDA 13 */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of primary, _refs and _flags of vGPUs that are not first */

static bool taken(struct fgc_vgpu *vgpu)
{
        return atomic_load_explicit(&vgpu->primary_taken, memory_order_acquire);
}

static bool set_taken(struct fgc_vgpu *vgpu)
{
        uint32_t none = 0;
        return atomic_compare_exchange_strong_explicit(&vgpu->primary_taken, &none, 1, memory_order_acq_rel,
                                                       memory_order_acquire);
}

/* --- the driver's --- */

static CUresult real_retain(struct fgc_vgpu *vgpu, CUcontext *ret)
{
        bool paid = !taken(vgpu);
        int error = paid ? fgc_overhead_take(vgpu) : 0;
        if (error)
                return fgc_refusal(error);
        CUresult r = FGC_REAL(cuDevicePrimaryCtxRetain, ret, vgpu->real);
        if (!r && !paid && !taken(vgpu)) { /* released by the last other user since we looked */
                error = fgc_overhead_take(vgpu);
                paid = !error;
                if (error) {
                        FGC_REAL(cuDevicePrimaryCtxRelease_v2, vgpu->real);
                        r = fgc_refusal(error);
                }
        }
        if (paid && (r || !set_taken(vgpu)))
                fgc_overhead_drop(vgpu);
        if (!r) {
                if (atomic_exchange_explicit(&vgpu->primary, *ret, memory_order_acq_rel) != *ret || !fgc_context_get(*ret).vgpu)
                        fgc_context_add(*ret, vgpu, FGC_CONTEXT_PRIMARY);
                atomic_fetch_add_explicit(&vgpu->primary_refs, 1, memory_order_relaxed);
        }
        return r;
}

/* The driver may have ended its primary context. */
static void real_settle(struct fgc_vgpu *vgpu)
{
        unsigned flags;
        int active = 0;
        bool paid = atomic_exchange_explicit(&vgpu->primary_taken, 0, memory_order_acq_rel);
        if (FGC_REAL(cuDevicePrimaryCtxGetState, vgpu->real, &flags, &active))
                active = 0;
        if (paid && (!active || !set_taken(vgpu)))
                fgc_overhead_drop(vgpu);
        if (!active) {
                fgc_current_invalidate();
                fgc_memory_context_gone(atomic_load_explicit(&vgpu->primary, memory_order_relaxed));
        }
}

/* One retain of the program's fewer, if there was any. True: that was the last one. */
static bool real_unref(struct fgc_vgpu *vgpu)
{
        uint32_t refs = atomic_load_explicit(&vgpu->primary_refs, memory_order_relaxed);
        while (refs && !atomic_compare_exchange_weak_explicit(&vgpu->primary_refs, &refs, refs - 1, memory_order_relaxed,
                                                              memory_order_relaxed))
                ;
        return refs <= 1;
}

static void real_ending(struct fgc_vgpu *vgpu)
{
        CUcontext context = atomic_load_explicit(&vgpu->primary, memory_order_acquire);
        if (context)
                fgc_context_ending(context);
}

/* --- ours --- */

static CUresult make(struct fgc_vgpu *vgpu, unsigned flags, CUcontext *ret)
{
        CUcontext popped;
        CUresult r = fgc_real.cuCtxCreate_v2 ? FGC_REAL(cuCtxCreate_v2, ret, flags, vgpu->real)
                                             : FGC_REAL(cuCtxCreate_v4, ret, NULL, flags, vgpu->real);
        if (!r) {
                FGC_REAL(cuCtxPopCurrent_v2, &popped);
                fgc_context_add(*ret, vgpu, FGC_CONTEXT_VIRTUAL);
        }
        return r;
}

/* The one there is, with a retain more; NULL: none. `made` becomes it if there is none; pass NULL to look only. */
static CUcontext adopt(struct fgc_vgpu *vgpu, CUcontext made)
{
        pthread_mutex_lock(&lock);
        CUcontext context = atomic_load_explicit(&vgpu->primary, memory_order_relaxed);
        if (!context && made)
                atomic_store_explicit(&vgpu->primary, context = made, memory_order_release);
        if (context)
                atomic_fetch_add_explicit(&vgpu->primary_refs, 1, memory_order_relaxed);
        pthread_mutex_unlock(&lock);
        return context;
}

static void unmake(CUcontext context)
{
        fgc_context_ending(context);
        FGC_REAL(cuCtxDestroy_v2, context);
        fgc_context_ended(context);
}

static CUresult virtual_retain(struct fgc_vgpu *vgpu, CUcontext *ret)
{
        CUcontext context = adopt(vgpu, NULL), made;
        if (!context) {
                int error = fgc_overhead_take(vgpu);
                if (error)
                        return fgc_refusal(error);
                CUresult r = make(vgpu, vgpu->primary_flags, &made);
                if (r) {
                        fgc_overhead_drop(vgpu);
                        return r;
                }
                context = adopt(vgpu, made);
                if (context != made)
                        unmake(made);
        }
        *ret = context;
        return CUDA_SUCCESS;
}

/* Takes the context away if `all` or this is the last retain; *ret NULL: nothing to destroy. */
static CUresult virtual_drop(struct fgc_vgpu *vgpu, bool all, CUcontext *ret)
{
        CUresult r = CUDA_SUCCESS;
        *ret = NULL;
        pthread_mutex_lock(&lock);
        uint32_t refs = atomic_load_explicit(&vgpu->primary_refs, memory_order_relaxed);
        if (!all && !refs)
                r = CUDA_ERROR_INVALID_CONTEXT;
        else if (!all)
                atomic_store_explicit(&vgpu->primary_refs, --refs, memory_order_relaxed);
        if (!r && (all || !refs) && !vgpu->primary_pinned)
                *ret = atomic_exchange_explicit(&vgpu->primary, NULL, memory_order_acq_rel);
        pthread_mutex_unlock(&lock);
        return r;
}

static CUresult virtual_end(struct fgc_vgpu *vgpu, bool all)
{
        CUcontext victim;
        CUresult r = virtual_drop(vgpu, all, &victim);
        if (victim)
                unmake(victim);
        return r;
}

void fgc_primaries_forget(void)
{
        lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

CUresult fgc_primary_pin(struct fgc_vgpu *vgpu, CUcontext *ret)
{
        CUresult r = virtual_retain(vgpu, ret);
        if (r)
                return r;
        pthread_mutex_lock(&lock);
        vgpu->primary_pinned = true;
        atomic_fetch_sub_explicit(&vgpu->primary_refs, 1, memory_order_relaxed);
        pthread_mutex_unlock(&lock);
        return CUDA_SUCCESS;
}

/* --- the entries --- */

CUresult fgc_cuDevicePrimaryCtxRetain(CUcontext *pctx, CUdevice dev)
{
        FGC_PASS(cuDevicePrimaryCtxRetain, pctx, dev);
        struct fgc_vgpu *vgpu = fgc_vgpu_of_ordinal(dev);
        if (!vgpu || !pctx)
                return FGC_REAL(cuDevicePrimaryCtxRetain, pctx, fgc_device_in(dev));
        return vgpu->first ? real_retain(vgpu, pctx) : virtual_retain(vgpu, pctx);
}

#define RELEASE(name) \
        CUresult fgc_##name(CUdevice dev) \
        { \
                FGC_PASS(name, dev); \
                struct fgc_vgpu *vgpu = fgc_vgpu_of_ordinal(dev); \
                if (vgpu && !vgpu->first) \
                        return virtual_end(vgpu, false); \
                if (vgpu && real_unref(vgpu)) \
                        real_ending(vgpu); \
                CUresult r = FGC_REAL(name, fgc_device_in(dev)); \
                if (!r && vgpu) \
                        real_settle(vgpu); \
                return r; \
        }

#define RESET(name) \
        CUresult fgc_##name(CUdevice dev) \
        { \
                FGC_PASS(name, dev); \
                struct fgc_vgpu *vgpu = fgc_vgpu_of_ordinal(dev); \
                if (vgpu && !vgpu->first) \
                        return virtual_end(vgpu, true); \
                if (vgpu) \
                        real_ending(vgpu); \
                CUresult r = FGC_REAL(name, fgc_device_in(dev)); \
                if (!r && vgpu) \
                        real_settle(vgpu); \
                return r; \
        }

static CUresult virtual_set_flags(struct fgc_vgpu *vgpu, unsigned flags)
{
        if (flags & ~FLAGS_KNOWN)
                return CUDA_ERROR_INVALID_VALUE;
        pthread_mutex_lock(&lock);
        vgpu->primary_flags = flags;
        pthread_mutex_unlock(&lock);
        return CUDA_SUCCESS;
}

#define SET_FLAGS(name) \
        CUresult fgc_##name(CUdevice dev, unsigned int flags) \
        { \
                FGC_PASS(name, dev, flags); \
                struct fgc_vgpu *vgpu = fgc_vgpu_of_ordinal(dev); \
                return vgpu && !vgpu->first ? virtual_set_flags(vgpu, flags) : FGC_REAL(name, fgc_device_in(dev), flags); \
        }

RELEASE(cuDevicePrimaryCtxRelease)
RELEASE(cuDevicePrimaryCtxRelease_v2)
RESET(cuDevicePrimaryCtxReset)
RESET(cuDevicePrimaryCtxReset_v2)
SET_FLAGS(cuDevicePrimaryCtxSetFlags)
SET_FLAGS(cuDevicePrimaryCtxSetFlags_v2)

CUresult fgc_cuDevicePrimaryCtxGetState(CUdevice dev, unsigned int *flags, int *active)
{
        FGC_PASS(cuDevicePrimaryCtxGetState, dev, flags, active);
        struct fgc_vgpu *vgpu = fgc_vgpu_of_ordinal(dev);
        if (!vgpu || vgpu->first || !flags || !active)
                return FGC_REAL(cuDevicePrimaryCtxGetState, fgc_device_in(dev), flags, active);
        pthread_mutex_lock(&lock);
        *flags = vgpu->primary_flags;
        *active = vgpu->primary_pinned ? atomic_load_explicit(&vgpu->primary_refs, memory_order_relaxed) != 0
                                       : atomic_load_explicit(&vgpu->primary, memory_order_relaxed) != NULL;
        pthread_mutex_unlock(&lock);
        return CUDA_SUCCESS;
}
