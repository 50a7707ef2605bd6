/* SPDX-License-Identifier: Apache-2.0
 * Slots in the pages: given to a process when it attaches, reaped when it has gone. */
#ifndef FGD_SLOTS_H
#define FGD_SLOTS_H

#include "daemon/pages.h"
#include "daemon/use.h"

/* One slot in every vGPU of the use, written to use->slot; -ENOSPC and none at all when a vGPU has no vacant one. `none`:
 * it is to have none. */
int fgd_slots_take(struct fgd_use *use, bool none);
/* Reaps the slots of a use. Harmless when that was done before. */
void fgd_slots_give_back(struct fgd_use *use);
/* Reaps one slot whose owner is gone. */
void fgd_slots_reap(struct fgd_pages *pages, uint32_t slot);

#endif
