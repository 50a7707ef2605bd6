/* SPDX-License-Identifier: Apache-2.0
 * From the store into memory. Rows are judged here: what cannot be is kept, named and not runnable, so that nothing is
 * lost silently and nothing gets more than its device has. */
#include "daemon/registry.h"

#include "base/log.h"
#include "base/size.h"
#include "daemon/manager.h"
#include "daemon/tenants.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct loader {
        struct fgd_manager *manager;
        struct fgd_set *set; /* the one whose vGPUs come now */
        struct fgd_set **by_id;
        uint32_t sets, room, at;
};

static int take_device(void *user, const struct fgd_device *device)
{
        struct loader *l = user;
        struct fgd_manager *m = l->manager;
        if (device->id != m->devices) {
                fgd_manager_note(m, "device %u in the store is out of order and left out", device->id);
                return 0;
        }
        struct fgd_device *copy = malloc(sizeof *copy);
        if (!copy)
                return -ENOMEM;
        *copy = *device;
        m->device[m->devices++] = copy;
        return 0;
}

/* Whose project is gone becomes the operator's to judge. */
static void place(struct fgd_manager *m, struct fgd_set *set, const struct fgd_store_set *row)
{
        set->project = fgd_project_of_id(m, row->project);
        set->owner = row->owner ? fgd_user_of_id(m, row->owner) : NULL;
        if (set->project && (set->owner || !row->owner))
                return;
        fgd_manager_note(m, "the project or owner of \"%s\" is not in the store; it is the operator's now", set->name);
        set->owner = NULL;
        if (!set->project)
                set->project = m->tenants->standard;
}

static int take_set(void *user, const struct fgd_store_set *row)
{
        struct loader *l = user;
        struct fgd_manager *m = l->manager;
        if (!row->name || fg_name_check(row->name, NULL) < 0 || row->count < 1 || row->count > FGD_GPUS_MAX) {
                fgd_manager_note(m, "set %lld of the store has no proper name or %lld vGPUs; it is left out", (long long)row->id,
                                 (long long)row->count);
                return 0;
        }
        if (l->sets == l->room) {
                uint32_t room = l->room ? l->room * 2 : 64;
                struct fgd_set **more = realloc(l->by_id, room * sizeof *more);
                if (!more)
                        return -ENOMEM;
                l->by_id = more;
                l->room = room;
        }
        struct fgd_set *set = fgd_set_new(row->name, (uint32_t)row->count);
        if (!set)
                return -ENOMEM;
        place(m, set, row);
        if (fgd_registry_bill(set, row->payer ? fgd_project_of_id(m, row->payer) : NULL, row->workload ? row->workload : "") < 0) {
                fgd_set_free(set);
                return -ENOMEM;
        }
        set->id = row->id;
        set->created = row->created;
        set->ephemeral = row->ephemeral;
        set->job = row->job;
        set->is_paused = row->is_suspended && !row->job;
        set->element = (uint32_t)row->element;
        for (uint32_t i = 0; i < set->count; i++)
                set->vgpu[i].damaged_row = true; /* until its row comes */
        l->by_id[l->sets++] = set;
        return 0;
}

static bool makes_sense(const struct fgd_manager *m, const struct fgd_store_vgpu *row)
{
        return row->uuid && row->device >= 0 && row->device < m->devices && row->memory > 0 &&
               (uint64_t)row->memory <= FGD_MEMORY_MAX && row->share >= 1 && row->share <= FGD_SHARE_WHOLE &&
               row->mode >= 0 && row->mode <= FG_MODE_CAP && row->priority >= 0 && row->priority <= FG_PRIORITY_HIGH;
}

/* Rows come ordered by set and index, the sets by id. */
static int take_vgpu(void *user, const struct fgd_store_vgpu *row)
{
        struct loader *l = user;
        struct fgd_manager *m = l->manager;
        while (l->at < l->sets && l->by_id[l->at]->id < row->set_id)
                l->at++;
        struct fgd_set *set = l->at < l->sets && l->by_id[l->at]->id == row->set_id ? l->by_id[l->at] : NULL;
        if (!set || row->index < 0 || row->index >= set->count) {
                fgd_manager_note(m, "vGPU %lld of the store belongs to no set; it is left out", (long long)row->id);
                return 0;
        }
        struct fgd_vgpu *vgpu = &set->vgpu[row->index];
        vgpu->id = row->id;
        vgpu->damaged_row = !makes_sense(m, row);
        vgpu->device = row->device >= 0 && row->device < m->devices ? m->device[row->device] : NULL;
        vgpu->memory = row->memory > 0 ? (uint64_t)row->memory : 0;
        vgpu->share = row->share >= 0 && row->share <= UINT16_MAX ? (uint16_t)row->share : 0;
        vgpu->mode = row->mode == FG_MODE_CAP ? FG_MODE_CAP : FG_MODE_SHARE;
        vgpu->priority = row->priority >= 0 && row->priority <= FG_PRIORITY_HIGH ? (uint8_t)row->priority : FG_PRIORITY_LOW;
        if (row->uuid)
                memcpy(vgpu->uuid, row->uuid, 16);
        vgpu->base = row->base;
        vgpu->live = row->live;
        return 0;
}

/* Puts the sets that came into the registry; frees them all when something failed before. */
static int settle(struct loader *l, int r, struct fg_error *err)
{
        struct fgd_manager *m = l->manager;
        for (uint32_t i = 0; i < l->sets; i++) {
                struct fgd_set *set = l->by_id[i];
                bool is_taken = fgd_registry_find(m, set->project, set->name) != NULL;
                if (r == 0 && fgd_registry_reserve(m, set) < 0)
                        r = fg_error_set(err, -ENOMEM, "out of memory");
                if (r == 0 && is_taken)
                        fgd_manager_note(m, "a second \"%s\" of the store is left out", set->name);
                if (r < 0 || is_taken)
                        fgd_set_free(set);
                else
                        fgd_registry_add(m, set);
        }
        free(l->by_id);
        return r;
}

int fgd_registry_load(struct fgd_manager *m, struct fg_error *err)
{
        struct loader l = {.manager = m};
        struct fgd_store_visitor visitor = {take_device, take_set, take_vgpu, &l};
        return settle(&l, fgd_store_load(m->store, &visitor, err), err);
}
