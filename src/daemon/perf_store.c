/* SPDX-License-Identifier: Apache-2.0
 * Life sums and calibrations in the store. */
#include "daemon/metering_internal.h"

#include "base/log.h"
#include "daemon/manager.h"
#include "daemon/store_perf.h"
#include "daemon/tenants.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

struct saving {
        struct fgd_manager *manager;
        bool is_all;
        struct fg_error err;
};

static int put(struct saving *s, enum fgd_perf_kind kind, int64_t id, struct fgd_perf *perf)
{
        return perf && perf->is_changed ? fgd_store_perf_put(s->manager->store, kind, id, &perf->life, &s->err) : 0;
}

static int put_vgpu(struct saving *s, const struct fgd_vgpu *vgpu)
{
        struct fgd_meter *meter = vgpu->meter;
        if (!meter || meter->perf)
                return meter ? put(s, FGD_PERF_VGPU, vgpu->id, meter->perf) : 0;
        return meter->is_idle_changed ? fgd_store_perf_put(s->manager->store, FGD_PERF_VGPU, vgpu->id, &meter->idle, &s->err) : 0;
}

static int put_all(struct saving *s)
{
        struct fgd_manager *m = s->manager;
        struct fgd_project *project;
        struct fgd_set *set;
        int r = 0;
        for (uint32_t i = 0; r == 0 && i < m->devices; i++)
                r = put(s, FGD_PERF_DEVICE, i, &m->metering->device[i].perf);
        TAILQ_FOREACH(project, &m->tenants->projects, order)
                r = r == 0 ? put(s, FGD_PERF_PROJECT, project->id, project->perf) : r;
        if (!s->is_all)
                return r;
        TAILQ_FOREACH(set, &m->sets, order)
                for (uint32_t i = 0; r == 0 && i < set->count; i++)
                        r = put_vgpu(s, &set->vgpu[i]);
        return r;
}

static void settle_vgpu(struct fgd_meter *meter)
{
        if (meter)
                meter->is_idle_changed = false;
        if (meter && meter->perf)
                meter->perf->is_changed = false;
}

/* Only once all of it is in the store. */
static void settle(struct saving *s)
{
        struct fgd_manager *m = s->manager;
        struct fgd_project *project;
        struct fgd_set *set;
        for (uint32_t i = 0; i < m->devices; i++)
                m->metering->device[i].perf.is_changed = false;
        TAILQ_FOREACH(project, &m->tenants->projects, order)
                if (project->perf)
                        project->perf->is_changed = false;
        if (!s->is_all)
                return;
        TAILQ_FOREACH(set, &m->sets, order)
                for (uint32_t i = 0; i < set->count; i++)
                        settle_vgpu(set->vgpu[i].meter);
}

static bool any_changed(const struct fgd_manager *m)
{
        const struct fgd_project *project;
        bool any = false;
        for (uint32_t i = 0; i < m->devices; i++)
                any |= m->metering->device[i].perf.is_changed;
        TAILQ_FOREACH(project, &m->tenants->projects, order)
                any |= project->perf && project->perf->is_changed;
        return any;
}

int fgd_perf_save(struct fgd_manager *m, bool is_all)
{
        struct saving s = {.manager = m, .is_all = is_all};
        if (!is_all && !any_changed(m))
                return 0;
        int r = fgd_store_usage_begin(m->store, &s.err);
        if (r == 0)
                r = fgd_store_usage_end(m->store, put_all(&s), &s.err);
        if (r == 0)
                settle(&s);
        else
                fg_log_debug("the sums of the performance model are not in the store: %s", s.err.text);
        return r;
}

static struct fgd_perf *find(struct fgd_manager *m, enum fgd_perf_kind kind, int64_t id)
{
        struct fgd_project *project = kind == FGD_PERF_PROJECT ? fgd_project_of_id(m, id) : NULL;
        if (kind == FGD_PERF_DEVICE)
                return id >= 0 && id < m->devices ? &m->metering->device[id].perf : NULL;
        if (project && !project->perf)
                project->perf = calloc(1, sizeof *project->perf);
        return project ? project->perf : NULL;
}

static int take(void *user, enum fgd_perf_kind kind, int64_t id, const struct fgd_perf_sum *life)
{
        struct fgd_perf *perf = find(user, kind, id);
        if (perf)
                perf->life = *life;
        return 0;
}

static int take_calibration(void *user, int64_t id, int64_t native_ppm)
{
        struct fgd_manager *m = user;
        if (id >= 0 && id < m->devices && native_ppm > 0 && native_ppm <= FGD_NATIVE_MAX)
                m->device[id]->native_ppm = (uint32_t)native_ppm;
        return 0;
}

static int load_vgpu(struct fgd_manager *m, const struct fgd_vgpu *vgpu, struct fg_error *err)
{
        struct fgd_meter *meter = vgpu->meter;
        int r = meter ? fgd_store_perf_get(m->store, FGD_PERF_VGPU, vgpu->id, &meter->idle, err) : 0;
        if (r == 0 && meter && meter->idle.counters.busy && !meter->perf && (meter->perf = calloc(1, sizeof *meter->perf)))
                meter->perf->life = meter->idle;
        return r;
}

/* Of vGPUs one by one, as they are looked up by their rows. */
static int load_vgpus(struct fgd_manager *m, struct fg_error *err)
{
        struct fgd_set *set;
        int r = 0;
        TAILQ_FOREACH(set, &m->sets, order)
                for (uint32_t i = 0; r == 0 && i < set->count; i++)
                        r = load_vgpu(m, &set->vgpu[i], err);
        return r;
}

int fgd_perf_load(struct fgd_manager *m, struct fg_error *err)
{
        const struct fgd_perf_visitor visitor = {take, take_calibration, m};
        int r = fgd_store_perf_load(m->store, &visitor, err);
        return r < 0 ? r : load_vgpus(m, err);
}

int fgd_perf_calibrate(struct fgd_manager *m, struct fgd_device *device, uint32_t native_ppm, struct fg_error *err)
{
        int r = fgd_store_calibrate(m->store, device->id, native_ppm, time(NULL), err);
        if (r == 0)
                device->native_ppm = native_ppm;
        return r;
}
