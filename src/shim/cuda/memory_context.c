/* SPDX-License-Identifier: Apache-2.0
 *
 * What goes with a context. The calls that allocate do not note their context, which would cost every one of them a
 * question; instead the driver is asked about each pointer once a context is gone: those that it does not know any more
 * went with it. Arrays, whose handles it must not be asked about, know theirs. Physical memory, and pools, belong to
 * the device and stay. */
#include "shim/cuda/hook.h"
#include "shim/cuda/memory.h"
#include "shim/cuda/pool.h"
#include "shim/cuda/vmm.h"

#include <stdlib.h>

#define BATCH 256

static bool is_array_of(const struct fgc_alloc *entry, const void *context)
{
        return entry->kind == FGC_ALLOC_ARRAY && ((struct fgc_home *)entry->owner)->context == context;
}

static void release_arrays(CUcontext context)
{
        struct fgc_alloc batch[BATCH];
        size_t count;

        do {
                count = fgc_alloc_list(&fgc_handles, is_array_of, context, batch, BATCH);
                for (size_t i = 0; i < count && i < BATCH; i++)
                        if (fgc_alloc_take_same(&fgc_handles, batch[i])) {
                                fgc_release(&batch[i]);
                                fgc_physical_array_gone((const void *)(uintptr_t)batch[i].key);
                        }
        } while (count > BATCH);
}

static bool is_gone(CUdeviceptr pointer)
{
        CUmemorytype type;

        return FGC_REAL(cuPointerGetAttribute, &type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, pointer) ==
               CUDA_ERROR_INVALID_VALUE;
}

static bool is_allocation(const struct fgc_alloc *entry, const void *unused)
{
        return entry->kind == FGC_ALLOC_DEVICE || entry->kind == FGC_ALLOC_MANAGED || entry->kind == FGC_ALLOC_POOL;
}

/* An entry that was taken out in between, and perhaps entered anew for the same address, is another one and stays. */
static void release_pointers(void)
{
        size_t count = fgc_alloc_list(&fgc_pointers, is_allocation, NULL, NULL, 0), room = count + BATCH;
        struct fgc_alloc *list = count ? malloc(room * sizeof(*list)) : NULL;

        if (!list)
                return;
        count = fgc_alloc_list(&fgc_pointers, is_allocation, NULL, list, room);
        for (size_t i = 0; i < count && i < room; i++)
                if (is_gone(list[i].key) && fgc_alloc_take_same(&fgc_pointers, list[i]))
                        fgc_release(&list[i]);
        free(list);
}

void fgc_memory_context_gone(CUcontext context)
{
        if (context)
                release_arrays(context);
        release_pointers();
        fgc_pools_settle(true);
}
