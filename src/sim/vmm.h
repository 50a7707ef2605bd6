/* SPDX-License-Identifier: Apache-2.0
 * Virtual memory management: between vmm.c (physical memory) and vmm_map.c (addresses). */
#ifndef FGSIM_VMM_H
#define FGSIM_VMM_H

#include "sim/internal.h"

#define FGSIM_VMM_GRAIN (2ull << 20)

struct fgsim_vmm {
        struct fgsim_object object;
        CUmemAllocationProp prop;
        uint64_t bytes, offset; /* in the file */
        uint64_t charged;
        uint32_t gpu;
        int fd;
        bool is_device, owns_fd;
        uint32_t refs; /* of the handle: create, retain, import */
        uint32_t maps; /* places where it is mapped; the memory lives while refs + maps > 0 */
        struct fgsim_range *range; /* in the arena; NULL: the file is its own */
};

extern pthread_mutex_t fgsim_vmm_lock; /* of all handles' counts and of the mappings */

struct fgsim_vmm *fgsim_vmm_get(CUmemGenericAllocationHandle handle); /* not released ones. With the lock */
void fgsim_vmm_settle(struct fgsim_vmm *vmm);                         /* frees it if nothing holds it. With the lock */

#endif
