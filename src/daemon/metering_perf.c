/* SPDX-License-Identifier: Apache-2.0
 * What a settled window is worth in the counters of the performance model. */
#include "daemon/metering_internal.h"

#include "base/cleanup.h"
#include "daemon/manager.h"
#include "daemon/pairing.h"
#include "daemon/usage.h"
#include "daemon/tenants.h"

#include <stdlib.h>

static uint64_t smaller(uint64_t a, uint64_t b)
{
        return a < b ? a : b;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
        return a > b ? a : b;
}

static int64_t larger_int(int64_t a, int64_t b)
{
        return a > b ? a : b;
}

/* What was done, in time alone on the bare device. */
static void add_work(struct fgd_perf_sum *sum, uint64_t busy, uint32_t native_ppm, bool is_discarded)
{
        if (!native_ppm) {
                sum->unknown = busy;
                return;
        }
        sum->counters.native = (uint64_t)((fg_uint128)busy * native_ppm / FG_PPM);
        sum->counters.kept = is_discarded ? 0 : sum->counters.native;
}

/* A vGPU has what it holds: nothing of it waits. */
static struct fgd_perf_sum of_line(const struct fgd_meter *meter, const struct fg_meter_line *line, uint32_t native_ppm)
{
        uint64_t busy = (uint64_t)line->conserved_us * 1000, held = (uint64_t)(line->reserved - line->rebate) / (FG_PPM / 1000);
        uint64_t lasted = (uint64_t)(line->end - line->begin) * 1000;
        struct fgd_perf_sum sum = {.counters.busy = busy};
        sum.counters.occupied = sum.counters.servable = larger(busy, smaller(held, lasted));
        add_work(&sum, busy, native_ppm, meter->is_discarded);
        return sum;
}

static struct fgd_perf *perf_of(struct fgd_project *project)
{
        if (project && !project->perf)
                project->perf = calloc(1, sizeof *project->perf);
        return project ? project->perf : NULL;
}

static void count_project(struct fgd_manager *m, const struct fgd_meter *meter, int64_t start, const struct fgd_perf_sum *sum)
{
        struct fgd_perf *perf = perf_of(fgd_project_of_id(m, meter->project_id));
        if (perf)
                fgd_perf_add(perf, start, sum);
}

/* What waiting jobs wanted of the window up to `end`, ns. */
static uint64_t wanted_ns(const struct fgd_perf_wanted *wanted, int64_t end)
{
        return (wanted->sum + (uint64_t)larger_int(end - wanted->at, 0) * wanted->permille * 1000) / (FG_PPM / 1000);
}

/* One that was never busy is worth two counters, not windows of its own. */
static void count_vgpu(struct fgd_meter *meter, int64_t start, const struct fgd_perf_sum *sum)
{
        if (!meter->perf && sum->counters.busy) {
                meter->perf = calloc(1, sizeof *meter->perf);
                if (meter->perf)
                        meter->perf->life = meter->idle;
        }
        if (meter->perf) {
                fgd_perf_add(meter->perf, start, sum);
                return;
        }
        fg_perf_add(&meter->idle.counters, &sum->counters);
        meter->is_idle_changed = true;
}

struct fgd_perf_sum fgd_meter_perf(const struct fgd_meter *meter, int64_t now, enum fgd_perf_window window)
{
        static const uint64_t most[] = {[FGD_PERF_MINUTE] = 60, [FGD_PERF_HOUR] = 3600, [FGD_PERF_DAY] = 86400, [FGD_PERF_LIFE] = UINT64_MAX / FG_PPM / 1000};
        struct fgd_perf_sum sum = meter->idle;
        if (meter->perf)
                return fgd_perf_get(meter->perf, now, window);
        sum.counters.servable = sum.counters.occupied = smaller(sum.counters.occupied, most[window] * FG_PPM * 1000);
        return sum;
}

/* Launches are the tenant's word: who lies about them misleads what is predicted of its own class, and who is put next to it. */
static struct fg_pair_work pair_work(struct fgd_meter *meter, const struct fgd_perf_sum *sum)
{
        struct fg_pair_work work = {.busy_us = sum->counters.busy / 1000};
        struct fgd_figures figures;
        if (!meter->vgpu)
                return work;
        fgd_usage_figures(meter->vgpu, &figures);
        uint64_t launches = meter->vgpu->base.launches + meter->vgpu->live.launches;
        work.launches = launches > meter->launches ? launches - meter->launches : 0;
        work.class = fgd_pairing_class_of(meter->vgpu->set);
        meter->launches = launches;
        return work;
}

void fgd_meter_count_perf(struct fgd_metering *mt, struct fgd_meter_device *md, const struct fg_meter_window *window,
                          const struct fg_meter_line *line, int64_t start, int64_t end)
{
        struct fgd_perf_sum whole = {0};
        struct fgd_meter *meter;
        fg_autofree struct fg_pair_work *work = calloc(md->count, sizeof *work);
        size_t n = 0;
        uint64_t held = 0, wall = (uint64_t)window->wall_us * 1000;
        TAILQ_FOREACH(meter, &md->lines, order) {
                struct fgd_perf_sum sum = of_line(meter, line, md->device->native_ppm);
                fgd_history_line(md, meter, line, &sum, start);
                if (work && sum.counters.busy)
                        work[n++] = pair_work(meter, &sum);
                count_vgpu(meter, start, &sum);
                count_project(mt->manager, meter, start, &sum);
                whole.counters.busy += sum.counters.busy;
                whole.counters.native += sum.counters.native;
                whole.counters.kept += sum.counters.kept;
                whole.unknown += sum.unknown;
                held += (uint64_t)(line->reserved - line->rebate) / (FG_PPM / 1000);
                line++;
        }
        whole.counters.occupied = smaller(wall, larger(held, whole.counters.busy));
        whole.counters.servable = smaller(wall, whole.counters.occupied + wanted_ns(&md->wanted, end));
        fgd_perf_add(&md->perf, start, &whole);
        fgd_history_window(md, window, &whole, start);
        fgd_pairing_window(mt->manager, work, n, (uint64_t)window->wall_us);
}

/* A project that waits has wanted something, also where nothing runs. */
void fgd_meter_count_wanted(struct fgd_metering *mt, int64_t start, int64_t end, int64_t next)
{
        struct fgd_project *project;
        for (uint32_t i = 0; i < FGD_DEVICES_MAX; i++)
                mt->device[i].wanted = (struct fgd_perf_wanted){.permille = mt->device[i].wanted.permille, .at = next};
        TAILQ_FOREACH(project, &mt->manager->tenants->projects, order) {
                const struct fgd_perf_sum sum = {.counters.servable = wanted_ns(&project->wanted, end)};
                if (sum.counters.servable && perf_of(project))
                        fgd_perf_add(project->perf, start, &sum);
                project->wanted = (struct fgd_perf_wanted){.permille = project->wanted.permille, .at = next};
        }
}

static void want(struct fgd_metering *mt, struct fgd_perf_wanted *wanted, uint64_t permille)
{
        if (!mt || !mt->is_running || wanted->permille == permille)
                return;
        int64_t at = fgd_metering_catch_up(mt);
        wanted->sum += (uint64_t)larger_int(at - wanted->at, 0) * wanted->permille * 1000;
        wanted->at = at;
        wanted->permille = permille;
}

void fgd_perf_demand(struct fgd_device *device, uint32_t permille)
{
        struct fgd_metering *mt = device->metering;
        if (mt)
                want(mt, &mt->device[device->id].wanted, smaller(permille, FGD_SHARE_WHOLE));
}

void fgd_perf_demand_of(struct fgd_manager *m, struct fgd_project *project, uint64_t permille)
{
        want(m->metering, &project->wanted, smaller(permille, FGD_DEVICES_MAX * FGD_SHARE_WHOLE));
}

void fgd_perf_discard(struct fgd_vgpu *vgpu)
{
        struct fgd_meter *meter = vgpu->meter;
        if (!meter || meter->is_discarded)
                return;
        meter->is_discarded = true;
        if (!meter->perf)
                return;
        int64_t now = fgd_metering_now(meter->metering->manager) / 1000000;
        struct fgd_meter_device *md = fgd_meter_device_of(meter->metering, vgpu);
        struct fgd_perf *project = perf_of(fgd_project_of_id(meter->metering->manager, meter->project_id));
        if (md)
                fgd_perf_take_off(&md->perf, meter->perf, now);
        if (project)
                fgd_perf_take_off(project, meter->perf, now);
}
