/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/box.h"
#include "daemon/vgpus.h"

#include "base/cleanup.h"
#include "base/size.h"
#include "daemon/jobs.h"
#include "daemon/journal.h"
#include "daemon/manager.h"
#include "daemon/pairing.h"
#include "daemon/placing.h"
#include "daemon/quota.h"
#include "daemon/registry.h"
#include "daemon/trace.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static void free_set(struct fgd_set **set)
{
        if (*set)
                fgd_set_free(*set);
}

static int refuse_capacity(struct fgd_problem *problem, const struct fgd_create *create, const struct fg_sched_misfit *misfit)
{
        const struct fg_sched_want *want = &create->want[misfit->failed];
        char memory[64] = "an equal part of the memory", share[64] = "an equal part of the compute", free_memory[32] = "0 B";
        if (want->memory)
                fg_size_format(want->memory, memory, sizeof memory);
        if (want->share)
                snprintf(share, sizeof share, "%u.%u %% of the compute", want->share / 10, want->share % 10);
        if (misfit->memory)
                fg_size_floor(misfit->memory, free_memory, sizeof free_memory);
        problem->available = misfit->memory;
        problem->available_share = misfit->share;
        return fgd_problem_set(problem, FGD_NO_CAPACITY,
                               "vGPU %zu of %u does not fit: it wants %s and %s; %s has %s and %u.%u %% free%s: ask for less or delete "
                               "vGPUs (\"fastgpu list\")",
                               misfit->failed, create->gpus, memory, share, create->device ? "the device" : "the freest device", free_memory,
                               misfit->share / 10, misfit->share % 10, misfit->failed ? " beside those before it" : "");
}

/* A random UUID, version 4. */
static void make_uuid(uint8_t uuid[16])
{
        if (getrandom(uuid, 16, 0) != 16)
                abort(); /* the kernel's pool is ready long before any daemon */
        uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40);
        uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
}

static void make_name(const struct fgd_manager *m, const struct fgd_create *create, char ret[64])
{
        snprintf(ret, 64, "%s", create->name);
        for (uint64_t n = 1; !ret[0] || (!create->name[0] && fgd_registry_find(m, create->project, ret)); n++) {
                uint8_t random[16];
                make_uuid(random);
                snprintf(ret, 64, "%s-%02x%02x%02x", create->ephemeral ? "run" : "vgpu", random[0], random[1], random[2]);
        }
}

struct placement {
        uint32_t *device, *share;
        uint64_t *memory;
};

static void placement_clear(struct placement *p)
{
        free(p->device);
        free(p->share);
        free(p->memory);
}

static uint64_t class_of(const struct fgd_create *create)
{
        return fgd_pairing_class(create->project, create->run ? create->run->job->name : create->name);
}

static int refuse_crowded(struct fgd_problem *problem)
{
        problem->is_crowded = true;
        return fgd_problem_set(problem, FGD_NO_CAPACITY, "there is room, but only where programs would slow each other by more than slowdown-limit allows: "
                               "wait until others have gone, or raise the limit");
}

/* Where the job queue, or who asks, says; the queue's books are the same as ours, but to over-commit is never right. */
static int place_at(struct fgd_manager *m, const struct fgd_create *create, struct placement *ret, struct fgd_problem *problem)
{
        uint64_t memory[FGD_DEVICES_MAX] = {0};
        uint32_t share[FGD_DEVICES_MAX] = {0};
        uint32_t loss[FGD_DEVICES_MAX];
        bool crowded[FGD_DEVICES_MAX];
        fgd_pairing_crowded(m, class_of(create), crowded, loss);
        for (uint32_t i = 0; i < create->gpus; i++) {
                uint32_t at = create->at[i];
                if (crowded[at])
                        return refuse_crowded(problem);
                memory[at] += ret->memory[i] = create->want[i].memory;
                share[at] += ret->share[i] = create->want[i].share;
                ret->device[i] = at;
                if (!m->device[at]->present || memory[at] > fgd_device_memory_free(m, m->device[at]) ||
                    share[at] > fgd_device_share_free(m->device[at]))
                        return fgd_problem_set(problem, FGD_NO_CAPACITY, "vGPU %u of %u does not fit onto device %u", i, create->gpus, at);
        }
        return 0;
}

/* What did not fit would where it is only crowded? */
static int refuse(struct fgd_manager *m, const struct fgd_create *create, struct fg_sched_device *device, const struct placement *scratch,
                  struct fg_sched_misfit *misfit, struct fgd_problem *problem)
{
        for (uint32_t i = 0; i < m->devices; i++)
                device[i].crowded = false;
        int r = fg_sched_place_by(m->placer, device, m->devices, create->want, create->gpus, scratch->device, scratch->memory, scratch->share, misfit);
        return r == 0 ? refuse_crowded(problem) : refuse_capacity(problem, create, misfit);
}

static int place(struct fgd_manager *m, const struct fgd_create *create, struct placement *ret, struct fgd_problem *problem)
{
        struct fg_sched_device device[FGD_DEVICES_MAX];
        struct fg_sched_misfit misfit = {0};
        int r = create->at ? 0 : fgd_placing_devices(m, create->device, class_of(create), device, problem);
        if (r < 0)
                return r;
        ret->device = calloc(create->gpus, sizeof *ret->device);
        ret->share = calloc(create->gpus, sizeof *ret->share);
        ret->memory = calloc(create->gpus, sizeof *ret->memory);
        if (!ret->device || !ret->share || !ret->memory)
                return fgd_problem_set(problem, FGD_INTERNAL, "out of memory");
        if (create->at)
                return place_at(m, create, ret, problem);
        r = fg_sched_place_by(m->placer, device, m->devices, create->want, create->gpus, ret->device, ret->memory, ret->share, &misfit);
        if (r == -ENOMEM)
                return fgd_problem_set(problem, FGD_INTERNAL, "out of memory");
        return r < 0 ? refuse(m, create, device, ret, &misfit, problem) : 0;
}

static void fill_set(struct fgd_manager *m, struct fgd_set *set, const struct fgd_create *create, const struct placement *p)
{
        set->created = time(NULL);
        set->ephemeral = create->ephemeral;
        set->project = create->project;
        set->owner = create->owner;
        set->run = create->run;
        set->job = create->run ? create->run->job->id : 0;
        set->element = create->run ? create->run->index : 0;
        for (uint32_t i = 0; i < set->count; i++) {
                struct fgd_vgpu *vgpu = &set->vgpu[i];
                make_uuid(vgpu->uuid);
                vgpu->device = m->device[p->device[i]];
                vgpu->memory = p->memory[i];
                vgpu->share = (uint16_t)p->share[i];
                vgpu->mode = create->mode;
                vgpu->priority = create->priority;
        }
}

static int write_set(struct fgd_manager *m, struct fgd_set *set, struct fgd_problem *problem)
{
        struct fgd_demand demand;
        struct fg_error err = {0};
        fgd_quota_of_set(set, &demand);
        int r = fgd_quota_check(m, set->project, set->owner, &demand, problem);
        if (r < 0)
                return r;
        fgd_journal_target(m, "%s", set->name);
        if (!set->run)
                fgd_event_stage(m, set->project, "vgpu.created", set->name, "\"%s\" was made, %u vGPU%s%s", set->name, set->count,
                        set->count == 1 ? "" : "s", set->ephemeral ? " for one run" : "");
        fgd_journal_ready(m, set);
        if (fgd_store_add_set(m->store, set, &err) < 0)
                return fgd_problem_set(problem, FGD_STORAGE, "\"%s\" was not created: %s", set->name, err.text);
        return 0;
}

static int keep(struct fgd_manager *m, struct fgd_set *set, struct fgd_problem *problem)
{
        if (fgd_registry_reserve(m, set) < 0)
                return fgd_problem_set(problem, FGD_INTERNAL, "out of memory");
        int r = write_set(m, set, problem);
        if (r == 0) {
                fgd_registry_add(m, set);
                fgd_trace_set_made(m, set);
        } else if (set->owner) {
                fgd_member_settle(m, fgd_member_find(m, set->owner, set->project));
        }
        return r;
}

int fgd_vgpus_create(struct fgd_manager *m, const struct fgd_create *create, struct fgd_set **ret, struct fgd_problem *problem)
{
        FG_CLEANUP(placement_clear) struct placement p = {0};
        FG_CLEANUP(free_set) struct fgd_set *set = NULL;
        char name[64];
        if (create->name[0] && fgd_registry_find(m, create->project, create->name))
                return fgd_problem_set(problem, FGD_EXISTS, "\"%s\" exists already: choose another name, or delete it first", create->name);
        int r = place(m, create, &p, problem);
        if (r < 0)
                return r;
        make_name(m, create, name);
        set = fgd_set_new(name, create->gpus);
        if (!set)
                return fgd_problem_set(problem, FGD_INTERNAL, "out of memory");
        fill_set(m, set, create, &p);
        r = keep(m, set, problem);
        if (r < 0)
                return r;
        *ret = FG_TAKE_PTR(set);
        fgd_box_created(m, *ret);
        return 0;
}
