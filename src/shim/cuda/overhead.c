/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/cuda/overhead.h"

#include "base/clock.h"
#include "shim/cuda/alloc.h"

#include <pthread.h>
#include <string.h>

/* The daemon reads the driver's figures every 250 ms. A figure is believed if the latest call that changes something
 * began this much before it: then at least one whole figure lies between, and none of that call's work is under way any
 * more. Making a context takes longer. */
#define QUIET_NS  (400 * FG_NSEC_PER_MSEC)
#define MAKING_NS (2 * FG_NSEC_PER_SEC)

/* Of each vGPU, what is charged beyond allocations: context_bytes for each context when it was made, and what the
 * driver's figures added to that or took off again since. Under the lock. */
struct account {
        uint64_t charged;
        uint64_t made; /* when the latest context was begun */
        uint32_t contexts;
};

struct fgc_overhead fgc_overhead[FGC_OVERHEAD_VGPUS];
static struct account accounts[FGC_OVERHEAD_VGPUS];
static pthread_mutex_t account_lock = PTHREAD_MUTEX_INITIALIZER; /* never held across a call of the driver */

static void forget(void)
{
        account_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
        memset(accounts, 0, sizeof(accounts));
}

static void watch_forks(void)
{
        pthread_atfork(NULL, NULL, forget);
}

static struct account *account_of(const struct fgc_vgpu *vgpu)
{
        static pthread_once_t once = PTHREAD_ONCE_INIT;

        pthread_once(&once, watch_forks);
        return &accounts[vgpu->ordinal % FGC_OVERHEAD_VGPUS];
}

int fgc_overhead_take(struct fgc_vgpu *vgpu)
{
        uint64_t bytes = fg_load_relaxed(&vgpu->ledger->limits->context_bytes);
        struct account *account = account_of(vgpu);
        int r = fg_ledger_reserve(vgpu->ledger, bytes);

        if (r < 0)
                return r;
        fgc_overhead_settle(vgpu);
        pthread_mutex_lock(&account_lock);
        account->charged += bytes;
        account->made = fg_now();
        account->contexts++;
        pthread_mutex_unlock(&account_lock);
        return 0;
}

/* The last context takes everything with it, one of several its part. */
void fgc_overhead_drop(struct fgc_vgpu *vgpu)
{
        struct account *account = account_of(vgpu);
        uint64_t bytes = 0;

        fgc_overhead_settle(vgpu);

        pthread_mutex_lock(&account_lock);
        if (account->contexts > 0) {
                bytes = account->charged / account->contexts--;
                account->charged -= bytes;
        }
        pthread_mutex_unlock(&account_lock);
        fg_ledger_refund(vgpu->ledger, bytes);
}

/* --- the driver's figure --- */

/* It is the process's on the physical device: all its vGPUs there together. The first of them has the difference. */
static uint64_t held_on(CUdevice real)
{
        uint64_t bytes = 0;

        for (unsigned i = 0; i < fgc_vgpu_count; i++)
                if (fgc_vgpus[i].real == real)
                        bytes += fg_ledger_slot_held(fgc_vgpus[i].ledger->usage, fgc_vgpus[i].ledger->slot);
        return bytes;
}

static bool is_managed(const struct fgc_alloc *entry, const void *unused)
{
        return entry->kind == FGC_ALLOC_MANAGED || entry->kind == FGC_ALLOC_EXTERNAL;
}

/* Whether something is charged that the driver need not have on the device: then a lower figure than the books' is
 * right. */
static bool may_be_lower(void)
{
        return fgc_alloc_list(&fgc_pointers, is_managed, NULL, NULL, 0) ||
               fgc_alloc_list(&fgc_handles, is_managed, NULL, NULL, 0);
}

/* The most of `bytes` that still fits. */
static uint64_t reserve_some(struct fg_ledger *ledger, uint64_t bytes)
{
        for (int tries = 0; tries < 8 && bytes; tries++) {
                uint64_t used = fg_ledger_used(ledger), quota = fg_ledger_quota(ledger);
                uint64_t room = used < quota ? quota - used : 0;
                if (bytes > room)
                        bytes = room;
                if (bytes && fg_ledger_reserve(ledger, bytes) == 0)
                        return bytes;
        }
        return 0;
}

/* Under the lock. Only what is charged beyond allocations can be too much. */
static void adjust(struct fgc_vgpu *vgpu, struct account *account, uint64_t driver_used)
{
        uint64_t held = held_on(vgpu->real), less;

        if (driver_used > held) {
                account->charged += reserve_some(vgpu->ledger, driver_used - held);
        } else if (driver_used < held && account->charged && !may_be_lower()) {
                less = held - driver_used < account->charged ? held - driver_used : account->charged;
                account->charged -= less;
                fg_ledger_refund(vgpu->ledger, less);
        }
}

static bool is_first(const struct fgc_vgpu *vgpu)
{
        for (unsigned i = 0; i < vgpu->ordinal; i++)
                if (fgc_vgpus[i].real == vgpu->real)
                        return false;
        return true;
}

/* Does the figure describe the books as they are? All vGPUs of the device have a part in it, so a call for one is one
 * for all. */
static bool is_quiet(const struct fgc_vgpu *vgpu, uint64_t seen)
{
        for (unsigned i = 0; i < fgc_vgpu_count && i < FGC_OVERHEAD_VGPUS; i++) {
                uint64_t changed = fg_load_relaxed(&fgc_overhead[i].changed), made = accounts[i].made;
                if (fgc_vgpus[i].real != vgpu->real)
                        continue;
                if (seen < changed || seen - changed < QUIET_NS || seen < made || seen - made < MAKING_NS)
                        return false;
        }
        return true;
}

void fgc_overhead_settle_now(struct fgc_vgpu *vgpu, uint64_t seen, bool changes)
{
        const struct fg_slot_owner *owner = &vgpu->ledger->limits->owner[vgpu->ledger->slot % FG_SLOTS];
        uint64_t driver_used = fg_load_acquire(&owner->driver_used);
        struct account *account = account_of(vgpu);

        if (vgpu->ordinal >= FGC_OVERHEAD_VGPUS)
                return;
        pthread_mutex_lock(&account_lock);
        /* A figure that changed while it was read is the next call's business. */
        if (seen != fg_load_relaxed(&fgc_overhead[vgpu->ordinal].seen) && is_first(vgpu) && account->contexts &&
            is_quiet(vgpu, seen) && fg_load_acquire(&owner->driver_seen) == seen)
                adjust(vgpu, account, driver_used);
        fg_store_relaxed(&fgc_overhead[vgpu->ordinal].seen, seen);
        if (changes)
                fg_store_relaxed(&fgc_overhead[vgpu->ordinal].changed, seen);
        pthread_mutex_unlock(&account_lock);
}
