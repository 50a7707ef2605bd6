/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/placing.h"

#include "daemon/manager.h"
#include "daemon/pairing.h"
#include "daemon/registry.h"
#include "sched/placer.h"

#include <string.h>

#define LEARN_MAX 16u /* vGPUs of one set: ten thousand alike are one opinion */

/* The order of the option's choices. */
static const char *const policies[] = {"fgd", "fastgpu", "packing", "first-fit", "spread"};

int fgd_placing_new(struct fgd_manager *m, struct fg_error *err)
{
        int r = fg_placer_new(&m->placer, fg_cluster_policy_find(policies[m->options.value[FG_OPT_PLACEMENT_POLICY]]));
        return r < 0 ? fg_error_set(err, r, "cannot set placement up: %m") : 0;
}

void fgd_placing_free(struct fgd_manager *m)
{
        m->placer = fg_placer_free(m->placer);
}

static uint64_t whole(const struct fgd_manager *m, const struct fgd_device *d)
{
        return d->memory - fgd_device_reserved(m, d);
}

void fgd_placing_saw(struct fgd_manager *m, const struct fgd_set *set)
{
        for (uint32_t i = 0; m->placer && i < set->count && i < LEARN_MAX; i++) {
                const struct fgd_vgpu *v = &set->vgpu[i];
                if (v->device && whole(m, v->device))
                        fg_placer_saw(m->placer, (struct fg_placer_part){fg_placer_milli(v->memory, whole(m, v->device)), v->share});
        }
}

bool fgd_placing_is_last(const struct fgd_device *device)
{
        return strcmp(device->type, "gpu") != 0;
}

int fgd_placing_devices(struct fgd_manager *m, const struct fgd_device *only, uint64_t class, struct fg_sched_device *ret,
                        struct fgd_problem *problem)
{
        bool any = false, crowded[FGD_DEVICES_MAX];
        uint32_t loss[FGD_DEVICES_MAX];
        fgd_pairing_crowded(m, class, crowded, loss);
        for (uint32_t i = 0; i < m->devices; i++) {
                const struct fgd_device *d = m->device[i];
                ret[i] = (struct fg_sched_device){.memory_free = fgd_device_memory_free(m, d),
                                                  .share_free = fgd_device_share_free(d),
                                                  .usable = d->present && (!only || only == d),
                                                  .memory = whole(m, d),
                                                  .crowded = crowded[i],
                                                  .loss = loss[i],
                                                  .last = fgd_placing_is_last(d)};
                any |= ret[i].usable;
        }
        if (any)
                return 0;
        if (only)
                return fgd_problem_set(problem, FGD_DEVICE_LOST, "device %u (%s) has vanished; \"fastgpu devices\" shows what is there", only->id,
                                       only->model);
        return fgd_problem_set(problem, FGD_NO_CAPACITY, "there is no device; \"fastgpu doctor\" says what is missing");
}
