/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/slots.h"

#include "base/atomic.h"
#include "daemon/arbiter.h"
#include "daemon/manager.h"
#include "ledger/ledger.h"

#include <errno.h>


static void tell_arbiter(struct fgd_pages *p)
{
        fgd_arbiter_changed(p->vgpu->device->arbiter, p->client);
}

void fgd_slots_reap(struct fgd_pages *p, uint32_t slot)
{
        struct fg_slot_owner *owner = &p->limits->owner[slot];
        fg_store_release(&owner->pid, 0u);
        fg_store_relaxed(&owner->start_time, 0);
        tell_arbiter(p);
        fg_ledger_reap(p->usage, slot);
}

static uint32_t take_slot(struct fgd_pages *p, const struct fgd_process *process)
{
        for (uint32_t i = 0; i < FG_SLOTS; i++) {
                struct fg_slot_owner *owner = &p->limits->owner[i];
                if (fg_load_relaxed(&owner->pid))
                        continue;
                /* A daemon that was killed between vacating a slot and reaping it left something in there, be it only an
                 * operation half done. */
                fg_ledger_reap(p->usage, i);
                fg_store_relaxed(&owner->generation, fg_load_relaxed(&owner->generation) + 1);
                fg_store_relaxed(&owner->start_time, process->start_time);
                fg_store_relaxed(&owner->driver_seen, 0);
                fg_store_relaxed(&owner->driver_used, 0);
                fg_store_release(&owner->pid, process->pid);
                tell_arbiter(p);
                return i;
        }
        return FGD_NO_SLOT;
}

int fgd_slots_take(struct fgd_use *use, bool none)
{
        for (uint32_t i = 0; i < use->count; i++)
                use->slot[i] = FGD_NO_SLOT;
        for (uint32_t i = 0; i < use->count && !none; i++) {
                use->slot[i] = take_slot(use->set->vgpu[use->first + i].pages, use->process);
                if (use->slot[i] == FGD_NO_SLOT) {
                        fgd_slots_give_back(use);
                        return -ENOSPC;
                }
        }
        return 0;
}

void fgd_slots_give_back(struct fgd_use *use)
{
        for (uint32_t i = 0; i < use->count; i++)
                if (use->slot[i] != FGD_NO_SLOT) {
                        fgd_slots_reap(use->set->vgpu[use->first + i].pages, use->slot[i]);
                        use->slot[i] = FGD_NO_SLOT;
                }
}
