/* SPDX-License-Identifier: Apache-2.0
 * Reserving, committing and giving back, for all kinds of memory. */
#include "shim/cuda/hook.h"
#include "shim/cuda/memory.h"
#include "shim/cuda/pool.h"
#include "shim/cuda/vmm.h"

#include <errno.h>
#include <stdlib.h>

CUresult fgc_refusal(int error)
{
        if (error == 0)
                return CUDA_SUCCESS;
        return error == -EACCES ? CUDA_ERROR_DEVICE_UNAVAILABLE : CUDA_ERROR_OUT_OF_MEMORY;
}

int fgc_reserve_quietly(struct fg_ledger *ledger, uint64_t bytes)
{
        uint64_t used = fg_ledger_used(ledger), quota = fg_ledger_quota(ledger);

        if (__builtin_expect(bytes > quota || used > quota - bytes, 0))
                return -ENOMEM;
        return fg_ledger_reserve(ledger, bytes);
}

static CUresult reserve_after_trim(struct fgc_vgpu *vgpu, uint64_t bytes)
{
        fgc_pools_trim(vgpu);
        return fgc_refusal(fg_ledger_reserve(vgpu->ledger, bytes));
}

CUresult fgc_reserve(struct fgc_vgpu *vgpu, uint64_t bytes)
{
        int r;

        fgc_overhead_settle(vgpu);
        r = fgc_reserve_quietly(vgpu->ledger, bytes);
        if (__builtin_expect(r == 0, 1))
                return CUDA_SUCCESS;
        return r == -ENOMEM ? reserve_after_trim(vgpu, bytes) : fgc_refusal(r);
}

void fgc_release(const struct fgc_alloc *entry)
{
        switch (entry->kind) {
        case FGC_ALLOC_POOL:
                fgc_pool_freed(entry->owner, entry->bytes);
                break;
        case FGC_ALLOC_ARRAY:
                fg_ledger_refund(((struct fgc_home *)entry->owner)->vgpu->ledger, entry->bytes);
                break;
        case FGC_ALLOC_DEVICE:
        case FGC_ALLOC_MANAGED:
        case FGC_ALLOC_EXTERNAL:
                fg_ledger_refund(((struct fgc_vgpu *)entry->owner)->ledger, entry->bytes);
                break;
        default:
                break;
        }
}

CUresult fgc_commit(struct fgc_alloc_table *table, struct fgc_alloc entry)
{
        struct fgc_alloc old;
        int r = fgc_alloc_enter(table, entry, &old);

        if (__builtin_expect(r == 0, 1))
                return CUDA_SUCCESS;
        if (r < 0)
                return CUDA_ERROR_OUT_OF_MEMORY;
        fgc_release(&old); /* went with its context, or by a call that no hook saw */
        return CUDA_SUCCESS;
}

CUresult fgc_settle_free(struct fgc_alloc_table *table, const struct fgc_alloc *entry, bool known, CUresult r)
{
        if (known && r == CUDA_SUCCESS)
                fgc_release(entry);
        else if (known)
                fgc_alloc_put_back(table, *entry);
        return r;
}

struct fgc_vgpu *fgc_alloc_vgpu(CUdeviceptr pointer)
{
        struct fgc_alloc entry;

        if (!fgc_alloc_find(&fgc_pointers, pointer, &entry))
                return NULL;
        if (entry.kind == FGC_ALLOC_POOL)
                return ((struct fgc_pool *)entry.owner)->vgpu;
        if (entry.kind == FGC_ALLOC_MAPPING)
                return ((struct fgc_mapping *)entry.owner)->physical->vgpu;
        return entry.owner;
}

struct fgc_vgpu *fgc_alloc_vgpu_of_handle(CUmemGenericAllocationHandle handle)
{
        struct fgc_alloc entry;

        return fgc_alloc_find(&fgc_physicals, handle, &entry) ? ((struct fgc_physical *)entry.owner)->vgpu : NULL;
}

struct fgc_home *fgc_home_current(struct fgc_vgpu *vgpu)
{
        static struct fgc_home *homes; /* (a) as many as there were contexts with arrays */
        struct fgc_home *home, *made;
        CUcontext context = NULL;

        FGC_REAL(cuCtxGetCurrent, &context);
        for (home = fg_load_acquire(&homes); home; home = home->next)
                if (home->context == context && home->vgpu == vgpu)
                        return home;
        made = malloc(sizeof(*made));
        if (!made)
                return NULL;
        *made = (struct fgc_home){context, vgpu, fg_load_acquire(&homes)};
        while (!fg_cas_acq_rel(&homes, &made->next, made))
                ;
        return made;
}
