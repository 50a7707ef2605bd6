/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/registry.h"

#include "daemon/manager.h"
#include "daemon/watchdog.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* FNV-1a. Names come from people who may reach the socket, so a collision costs them their own time. */
static uint32_t hash(const char *name)
{
        uint32_t h = 2166136261u;
        for (; *name; name++)
                h = (h ^ (unsigned char)*name) * 16777619u;
        return h;
}

struct fgd_set *fgd_registry_find(const struct fgd_manager *m, const char *name)
{
        if (!m->index_size)
                return NULL;
        for (struct fgd_set *set = m->index[hash(name) & (m->index_size - 1)]; set; set = set->next)
                if (strcmp(set->name, name) == 0)
                        return set;
        return NULL;
}

struct fgd_set *fgd_set_new(const char *name, uint32_t count)
{
        struct fgd_set *set = calloc(1, sizeof *set + count * sizeof set->vgpu[0]);
        if (!set)
                return NULL;
        snprintf(set->name, sizeof set->name, "%s", name);
        set->count = count;
        TAILQ_INIT(&set->uses);
        for (uint32_t i = 0; i < count; i++) {
                set->vgpu[i].set = set;
                set->vgpu[i].index = i;
        }
        return set;
}

void fgd_set_free(struct fgd_set *set)
{
        free(set);
}

static void index_insert(struct fgd_set **index, uint32_t size, struct fgd_set *set)
{
        struct fgd_set **bucket = &index[hash(set->name) & (size - 1)];
        set->next = *bucket;
        *bucket = set;
}

int fgd_registry_reserve(struct fgd_manager *m)
{
        struct fgd_set *set;
        if (m->set_count < m->index_size)
                return 0;
        uint32_t size = m->index_size ? m->index_size * 2 : 64;
        struct fgd_set **index = calloc(size, sizeof(struct fgd_set *));
        if (!index)
                return -ENOMEM;
        TAILQ_FOREACH(set, &m->sets, order)
                index_insert(index, size, set);
        free(m->index);
        m->index = index;
        m->index_size = size;
        return 0;
}

void fgd_registry_add(struct fgd_manager *m, struct fgd_set *set)
{
        index_insert(m->index, m->index_size, set);
        TAILQ_INSERT_TAIL(&m->sets, set, order);
        m->set_count++;
        m->vgpu_count += set->count;
        for (uint32_t i = 0; i < set->count; i++)
                fgd_vgpu_promise(&set->vgpu[i]);
        fgd_watchdog_update(m);
}

void fgd_registry_remove(struct fgd_manager *m, struct fgd_set *set)
{
        struct fgd_set **at = &m->index[hash(set->name) & (m->index_size - 1)];
        while (*at != set)
                at = &(*at)->next;
        *at = set->next;
        TAILQ_REMOVE(&m->sets, set, order);
        m->set_count--;
        m->vgpu_count -= set->count;
        for (uint32_t i = 0; i < set->count; i++)
                fgd_vgpu_withdraw(&set->vgpu[i]);
        fgd_watchdog_update(m);
}

void fgd_vgpu_promise(struct fgd_vgpu *vgpu)
{
        if (!vgpu->device)
                return;
        vgpu->device->vgpus++;
        if (vgpu->damaged_row)
                return;
        vgpu->device->memory_promised += vgpu->memory;
        vgpu->device->share_promised += vgpu->share;
}

void fgd_vgpu_withdraw(struct fgd_vgpu *vgpu)
{
        if (!vgpu->device)
                return;
        vgpu->device->vgpus--;
        if (vgpu->damaged_row)
                return;
        vgpu->device->memory_promised -= vgpu->memory;
        vgpu->device->share_promised -= vgpu->share;
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
               vgpu->share <= fgd_device_share_free(vgpu->device);
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
}
