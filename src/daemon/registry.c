/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/registry.h"

#include "daemon/jobs.h"
#include "daemon/lease.h"
#include "daemon/manager.h"
#include "daemon/metering.h"
#include "daemon/placing.h"
#include "daemon/quota.h"
#include "daemon/tenants.h"
#include "daemon/trace.h"
#include "daemon/watchdog.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t hash(const struct fgd_project *project, const char *name)
{
        struct {
                int64_t project;
                char name[64];
        } key = {.project = project->id};
        memcpy(key.name, name, strnlen(name, sizeof key.name));
        return fgd_hash(&key, sizeof key);
}

struct fgd_set *fgd_registry_find(const struct fgd_manager *m, const struct fgd_project *project, const char *name)
{
        for (struct fgd_node *at = fgd_table_first(&m->set_names, hash(project, name)); at; at = fgd_table_next(at)) {
                struct fgd_set *set = FGD_OF_NODE(at, struct fgd_set, by_name);
                if (set->project == project && strcmp(set->name, name) == 0)
                        return set;
        }
        return NULL;
}

struct fgd_set *fgd_set_new(const char *name, uint32_t count)
{
        struct fgd_set *set = calloc(1, sizeof *set + count * sizeof set->vgpu[0]);
        if (!set)
                return NULL;
        snprintf(set->name, sizeof set->name, "%s", name);
        set->count = count;
        fgd_lease_set_active(set, fgd_boot_ms());
        set->lease_dirty = true;
        TAILQ_INIT(&set->uses);
        for (uint32_t i = 0; i < count; i++) {
                set->vgpu[i].set = set;
                set->vgpu[i].index = i;
        }
        return set;
}

void fgd_set_free(struct fgd_set *set)
{
        for (uint32_t i = 0; i < set->count; i++)
                fgd_metering_drop(&set->vgpu[i]);
        fgd_set_trace_free(set->trace);
        free(set->workload);
        free(set);
}

int fgd_registry_reserve(struct fgd_manager *m, struct fgd_set *set)
{
        if (set->owner && !fgd_member_get(m, set->owner, set->project))
                return -ENOMEM;
        int r = fgd_metering_reserve(m, set);
        return r < 0 ? r : fgd_table_reserve(&m->set_names);
}

/* Books the set with its project and owner, or takes it back. */
static void book(struct fgd_manager *m, struct fgd_set *set, int sign)
{
        struct fgd_demand demand;
        fgd_quota_of_set(set, &demand);
        if (sign < 0)
                fgd_quota_negate(&demand);
        fgd_quota_book(m, set->project, set->owner, &demand);
        set->project->sets += (uint32_t)sign;
        if (!set->owner)
                return;
        set->owner->owned += (uint32_t)sign;
        if (sign < 0)
                fgd_member_settle(m, fgd_member_find(m, set->owner, set->project));
}

void fgd_registry_add(struct fgd_manager *m, struct fgd_set *set)
{
        fgd_table_add(&m->set_names, &set->by_name, hash(set->project, set->name));
        TAILQ_INSERT_TAIL(&m->sets, set, order);
        m->vgpu_count += set->count;
        for (uint32_t i = 0; i < set->count; i++)
                fgd_vgpu_promise(&set->vgpu[i]);
        book(m, set, 1);
        fgd_placing_saw(m, set);
        for (uint32_t i = 0; i < set->count; i++)
                fgd_metering_update(&set->vgpu[i]);
        fgd_watchdog_update(m);
}

void fgd_registry_remove(struct fgd_manager *m, struct fgd_set *set)
{
        fgd_table_remove(&m->set_names, &set->by_name);
        TAILQ_REMOVE(&m->sets, set, order);
        m->sets_removed++;
        m->vgpu_count -= set->count;
        for (uint32_t i = 0; i < set->count; i++) {
                fgd_vgpu_withdraw(&set->vgpu[i]);
                fgd_metering_remove(&set->vgpu[i]);
        }
        book(m, set, -1);
        fgd_watchdog_update(m);
        fgd_jobs_kick(m);
}

int fgd_registry_bill(struct fgd_set *set, struct fgd_project *payer, const char *workload)
{
        char *copy = *workload ? strdup(workload) : NULL;
        if (*workload && !copy)
                return -ENOMEM;
        free(set->workload);
        set->workload = copy;
        set->payer = payer == set->project ? NULL : payer;
        for (uint32_t i = 0; i < set->count; i++)
                fgd_metering_bill(&set->vgpu[i]);
        return 0;
}

uint32_t fgd_vgpu_share(const struct fgd_vgpu *vgpu)
{
        return vgpu->set->is_paused ? 0 : vgpu->share;
}

void fgd_registry_pause(struct fgd_manager *m, struct fgd_set *set, bool is_paused)
{
        struct fgd_demand demand = {0};
        if (set->is_paused == is_paused)
                return;
        for (uint32_t i = 0; i < set->count; i++) {
                fgd_vgpu_withdraw(&set->vgpu[i]);
                if (!set->vgpu[i].damaged_row)
                        demand.more[FGD_QUOTA_SHARE] += set->vgpu[i].share;
        }
        set->is_paused = is_paused;
        set->changes++;
        for (uint32_t i = 0; i < set->count; i++)
                fgd_vgpu_promise(&set->vgpu[i]);
        if (is_paused)
                fgd_quota_negate(&demand);
        fgd_quota_book(m, set->project, set->owner, &demand);
        fgd_jobs_kick(m);
}

void fgd_vgpu_promise(struct fgd_vgpu *vgpu)
{
        if (!vgpu->device)
                return;
        vgpu->device->vgpus++;
        if (vgpu->damaged_row)
                return;
        vgpu->device->memory_promised += vgpu->memory;
        vgpu->device->share_promised += fgd_vgpu_share(vgpu);
}

void fgd_vgpu_withdraw(struct fgd_vgpu *vgpu)
{
        if (!vgpu->device)
                return;
        vgpu->device->vgpus--;
        if (vgpu->damaged_row)
                return;
        vgpu->device->memory_promised -= vgpu->memory;
        vgpu->device->share_promised -= fgd_vgpu_share(vgpu);
}

uint64_t fgd_device_reserved(const struct fgd_manager *m, const struct fgd_device *device)
{
        uint64_t reserve = m->options.value[FG_OPT_MEMORY_RESERVE];
        return reserve < device->memory ? reserve : device->memory;
}

uint64_t fgd_device_memory_free(const struct fgd_manager *m, const struct fgd_device *device)
{
        uint64_t whole = device->memory - fgd_device_reserved(m, device);
        return device->memory_promised < whole ? whole - device->memory_promised : 0;
}

uint32_t fgd_device_share_free(const struct fgd_device *device)
{
        return device->share_promised < FGD_SHARE_WHOLE ? FGD_SHARE_WHOLE - device->share_promised : 0;
}

static bool fits(const struct fgd_manager *m, const struct fgd_vgpu *vgpu)
{
        return vgpu->device && vgpu->memory > 0 && vgpu->share >= 1 && vgpu->mode <= FG_MODE_CAP &&
               vgpu->priority <= FG_PRIORITY_HIGH && vgpu->memory <= fgd_device_memory_free(m, vgpu->device) &&
               fgd_vgpu_share(vgpu) <= fgd_device_share_free(vgpu->device);
}

static void audit_vgpu(struct fgd_manager *m, struct fgd_vgpu *vgpu)
{
        bool before = vgpu->quarantined;
        vgpu->quarantined = vgpu->damaged_row || !fits(m, vgpu);
        if (!vgpu->quarantined)
                fgd_vgpu_promise(vgpu);
        if (vgpu->quarantined && !before)
                fgd_manager_note(m, "%s/%u is quarantined: %s; delete it and create it again", vgpu->set->name, vgpu->index,
                                 vgpu->damaged_row ? "its row in the store makes no sense" : "it no longer fits its device");
}

void fgd_registry_audit(struct fgd_manager *m)
{
        struct fgd_set *set;
        for (uint32_t i = 0; i < m->devices; i++) {
                m->device[i]->memory_promised = 0;
                m->device[i]->share_promised = m->device[i]->vgpus = 0;
        }
        TAILQ_FOREACH(set, &m->sets, order)
                for (uint32_t i = 0; i < set->count; i++)
                        audit_vgpu(m, &set->vgpu[i]);
        /* What does not fit may still be in use by programs that run: nobody else is promised it. */
        TAILQ_FOREACH(set, &m->sets, order)
                for (uint32_t i = 0; i < set->count; i++)
                        if (set->vgpu[i].quarantined)
                                fgd_vgpu_promise(&set->vgpu[i]);
        fgd_metering_look(m);
        fgd_jobs_kick(m);
}
