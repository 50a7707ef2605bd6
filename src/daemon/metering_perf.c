/* SPDX-License-Identifier: Apache-2.0
 * What a settled window is worth in the counters of the performance model. */
#include "daemon/metering_internal.h"

#include "daemon/manager.h"
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

/* What was done, in time alone on the bare device. */
static void add_work(struct fgd_perf_sum *sum, uint64_t busy, uint32_t native_ppm, uint64_t *lost)
{
        if (!native_ppm) {
                sum->unknown = busy;
                return;
        }
        sum->counters.native = (uint64_t)((fg_uint128)busy * native_ppm / FG_PPM);
        uint64_t gone = smaller(*lost, sum->counters.native);
        sum->counters.kept = sum->counters.native - gone;
        *lost -= gone;
}

/* A vGPU has what it holds: nothing of it waits. */
static struct fgd_perf_sum of_line(struct fgd_meter *meter, const struct fg_meter_line *line, uint32_t native_ppm)
{
        uint64_t busy = (uint64_t)line->conserved_us * 1000, held = (uint64_t)(line->reserved - line->rebate) / (FG_PPM / 1000);
        uint64_t lasted = (uint64_t)(line->end - line->begin) * 1000;
        struct fgd_perf_sum sum = {.counters.busy = busy};
        sum.counters.occupied = sum.counters.servable = larger(busy, smaller(held, lasted));
        add_work(&sum, busy, native_ppm, &meter->lost_ns);
        return sum;
}

static void count_project(struct fgd_manager *m, const struct fgd_meter *meter, int64_t start, const struct fgd_perf_sum *sum)
{
        struct fgd_project *project = fgd_project_of_id(m, meter->project_id);
        if (project && !project->perf)
                project->perf = calloc(1, sizeof *project->perf);
        if (project && project->perf)
                fgd_perf_add(project->perf, start, sum);
}

/* Waiting jobs' demand of the window, ppm*us. */
static uint64_t demand_of(const struct fgd_meter_device *md, int64_t end)
{
        return md->demand_sum + (uint64_t)(end - md->demand_at) * md->demand_permille * 1000;
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

void fgd_meter_count_perf(struct fgd_metering *mt, struct fgd_meter_device *md, const struct fg_meter_window *window,
                          const struct fg_meter_line *line, int64_t start, int64_t end)
{
        struct fgd_perf_sum whole = {0};
        struct fgd_meter *meter;
        uint64_t held = 0, wall = (uint64_t)window->wall_us * 1000;
        TAILQ_FOREACH(meter, &md->lines, order) {
                struct fgd_perf_sum sum = of_line(meter, line, md->device->native_ppm);
                fgd_history_line(md, meter, line, &sum, start);
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
        whole.counters.servable = smaller(wall, whole.counters.occupied + demand_of(md, end) / (FG_PPM / 1000));
        fgd_perf_add(&md->perf, start, &whole);
        fgd_history_window(md, window, &whole, start);
}

void fgd_perf_demand(struct fgd_device *device, uint32_t permille)
{
        struct fgd_metering *mt = device->metering;
        struct fgd_meter_device *md = mt ? &mt->device[device->id] : NULL;
        if (!md || !mt->is_running || md->demand_permille == permille)
                return;
        int64_t at = fgd_metering_catch_up(mt);
        md->demand_sum += (uint64_t)(at - md->demand_at) * md->demand_permille * 1000;
        md->demand_at = at;
        md->demand_permille = permille < FGD_SHARE_WHOLE ? permille : FGD_SHARE_WHOLE;
}

void fgd_perf_lost(struct fgd_vgpu *vgpu, uint64_t ns)
{
        if (vgpu->meter && __builtin_add_overflow(vgpu->meter->lost_ns, ns, &vgpu->meter->lost_ns))
                vgpu->meter->lost_ns = UINT64_MAX;
}
