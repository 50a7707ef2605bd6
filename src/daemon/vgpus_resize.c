/* SPDX-License-Identifier: Apache-2.0
 * Resizing a set while programs run in it: all its vGPUs change or none.
 *
 * The order keeps every page at or below what the store says, and the store at or below what the device has: smaller quotas
 * go to the pages first (they may be refused), then the store is written, then larger quotas go to the pages. */
#include "daemon/vgpus.h"

#include "base/cleanup.h"
#include "base/size.h"
#include "daemon/journal.h"
#include "daemon/manager.h"
#include "daemon/metering.h"
#include "daemon/quota.h"
#include "daemon/registry.h"
#include "daemon/trace.h"
#include "ledger/ledger.h"

#include <stdio.h>

static void plan(const struct fgd_resize *resize, struct fgd_change *change)
{
        for (uint32_t i = 0; i < resize->count; i++) {
                struct fgd_vgpu *v = &resize->set->vgpu[resize->first + i];
                change[i] = (struct fgd_change){.vgpu = v,
                                                .memory = resize->has_memory ? resize->want[i].memory : v->memory,
                                                .share = resize->has_share ? resize->want[i].share : v->share,
                                                .mode = resize->has_mode ? resize->mode : v->mode,
                                                .priority = resize->has_priority ? resize->priority : v->priority};
        }
}

static int refuse_capacity(struct fgd_manager *m, const struct fgd_device *d, uint64_t memory, uint32_t share, struct fgd_problem *problem)
{
        char free_memory[32], wanted[32];
        problem->available = memory;
        problem->available_share = share;
        fg_size_floor(memory, free_memory, sizeof free_memory);
        fg_size_format(d->memory, wanted, sizeof wanted);
        return fgd_problem_set(problem, FGD_NO_CAPACITY,
                               "it does not fit: device %u (%s) has room for %s and %u.%u %% here, with what other vGPUs do not have",
                               d->id, wanted, memory ? free_memory : "0 B", share / 10, share % 10);
}

/* Whether the device has room once these vGPUs have changed; quarantined ones are outside the accounts. */
static int check_device(struct fgd_manager *m, const struct fgd_device *d, const struct fgd_change *change, uint32_t count,
                        struct fgd_problem *problem)
{
        uint64_t memory_old = 0, memory_new = 0;
        uint64_t share_old = 0, share_new = 0;
        for (uint32_t i = 0; i < count; i++) {
                if (change[i].vgpu->device != d)
                        continue;
                memory_old += change[i].vgpu->memory;
                memory_new += change[i].memory;
                share_old += fgd_vgpu_share(change[i].vgpu);
                share_new += change[i].vgpu->set->is_paused ? 0 : change[i].share;
        }
        uint64_t memory = fgd_device_memory_free(m, d) + memory_old;
        uint32_t share = fgd_device_share_free(d) + (uint32_t)share_old;
        if (memory_new > memory || share_new > share)
                return refuse_capacity(m, d, memory, share, problem);
        return 0;
}

static int check(struct fgd_manager *m, const struct fgd_resize *resize, const struct fgd_change *change, struct fgd_problem *problem)
{
        const struct fgd_set *set = resize->set;
        if (set->ending)
                return fgd_problem_set(problem, FGD_IN_USE, "\"%s\" is being deleted", set->name);
        for (uint32_t i = 0; i < resize->count; i++)
                if (change[i].vgpu->quarantined)
                        return fgd_problem_set(problem, FGD_QUARANTINED, "%s/%u is quarantined: delete \"%s\" and create it again",
                                               set->name, change[i].vgpu->index, set->name);
        for (uint32_t d = 0; d < m->devices; d++)
                if (check_device(m, m->device[d], change, resize->count, problem) < 0)
                        return -1;
        return 0;
}

/* Vgpus that make no sense cannot be resized, so all of these are in the books. */
static void demand_of(const struct fgd_change *change, uint32_t count, struct fgd_demand *ret)
{
        *ret = (struct fgd_demand){0};
        for (uint32_t i = 0; i < count; i++) {
                ret->more[FGD_QUOTA_MEMORY] += (int64_t)change[i].memory - (int64_t)change[i].vgpu->memory;
                if (!change[i].vgpu->set->is_paused)
                        ret->more[FGD_QUOTA_SHARE] += (int64_t)change[i].share - (int64_t)change[i].vgpu->share;
        }
}

static int check_quota(struct fgd_manager *m, const struct fgd_resize *resize, const struct fgd_change *change, struct fgd_problem *problem)
{
        struct fgd_demand demand;
        demand_of(change, resize->count, &demand);
        return fgd_quota_check(m, resize->set->project, resize->set->owner, &demand, problem);
}

/* Quotas that differ from what the vGPU has now and lie on the wanted side of it. */
static int write_quotas(const struct fgd_change *change, uint32_t count, bool smaller, bool back, uint32_t *ret_failed, uint64_t *ret_used)
{
        for (uint32_t i = 0; i < count; i++) {
                const struct fgd_vgpu *v = change[i].vgpu;
                uint64_t target = back ? v->memory : change[i].memory;
                if (!v->pages || change[i].memory == v->memory || (change[i].memory < v->memory) != smaller)
                        continue;
                if (fg_ledger_set_quota(v->pages->limits, v->pages->usage, target, ret_used) < 0 && !back) {
                        *ret_failed = i;
                        return -1;
                }
        }
        return 0;
}

static int shrink_pages(const struct fgd_change *change, uint32_t count, struct fgd_problem *problem)
{
        uint32_t failed = 0;
        uint64_t used = 0, ignored;
        char in_use[32], wanted[32];
        if (write_quotas(change, count, true, false, &failed, &used) == 0)
                return 0;
        write_quotas(change, failed, true, true, &failed, &ignored);
        problem->used = used;
        return fgd_problem_set(problem, FGD_IN_USE, "%s/%u has %s (%llu bytes) in use, more than %s: ask for at least that, or end a program",
                               change[failed].vgpu->set->name, change[failed].vgpu->index, fg_size_format(used, in_use, sizeof in_use),
                               (unsigned long long)used, fg_size_format(change[failed].memory, wanted, sizeof wanted));
}

static void apply(const struct fgd_change *change, uint32_t count)
{
        uint64_t ignored;
        uint32_t failed;
        write_quotas(change, count, false, false, &failed, &ignored); /* larger: cannot be refused */
        for (uint32_t i = 0; i < count; i++) {
                struct fgd_vgpu *v = change[i].vgpu;
                fgd_vgpu_withdraw(v);
                v->memory = change[i].memory;
                v->share = (uint16_t)change[i].share;
                v->mode = (uint8_t)change[i].mode;
                v->priority = (uint8_t)change[i].priority;
                fgd_vgpu_promise(v);
                if (v->pages)
                        fgd_pages_apply(v->pages);
                fgd_metering_update(v);
        }
}

int fgd_vgpus_resize(struct fgd_manager *m, const struct fgd_resize *resize, struct fgd_problem *problem)
{
        struct fg_error err = {0};
        uint64_t ignored;
        uint32_t failed;
        fg_autofree struct fgd_change *change = calloc(resize->count, sizeof *change);
        if (!change)
                return fgd_problem_set(problem, FGD_INTERNAL, "out of memory");
        plan(resize, change);
        if (check(m, resize, change, problem) < 0 || check_quota(m, resize, change, problem) < 0 || shrink_pages(change, resize->count, problem) < 0)
                return -1;
        fgd_event_stage(m, resize->set->project, "vgpu.resized", resize->set->name, "\"%s\" was changed", resize->set->name);
        if (fgd_store_change(m->store, change, resize->count, &err) < 0) {
                write_quotas(change, resize->count, true, true, &failed, &ignored);
                return fgd_problem_set(problem, FGD_STORAGE, "\"%s\" was not changed: %s", resize->set->name, err.text);
        }
        struct fgd_demand demand;
        demand_of(change, resize->count, &demand);
        fgd_quota_book(m, resize->set->project, resize->set->owner, &demand);
        fgd_trace_set_event(m, resize->set, "vgpu.resized");
        apply(change, resize->count);
        resize->set->changes++;
        return 0;
}
