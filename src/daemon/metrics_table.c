/* SPDX-License-Identifier: Apache-2.0
 * Every series of /metrics: one row each. The manual page fastgpu-metrics(7) is made of it. */
#include "daemon/metrics_internal.h"

#include "base/atomic.h"
#include "base/clock.h"
#include "daemon/manager.h"
#include "daemon/money.h"
#include "daemon/registry.h"

#include <math.h>

#define GET(name) \
        static bool name(const struct fgd_scrape *s, const struct fgd_metric_row *row, unsigned which, struct fgd_figure *ret)

static bool whole(struct fgd_figure *ret, fg_int128 n)
{
        ret->n = n;
        return true;
}

static bool decimal(struct fgd_figure *ret, fg_int128 n, unsigned decimals)
{
        ret->decimals = decimals;
        return whole(ret, n);
}

static bool ratio(struct fgd_figure *ret, double value)
{
        ret->is_ratio = true;
        ret->ratio = value;
        return isfinite(value);
}

/* --- of the GPUs, as their driver says --- */

GET(get_sample)
{
        uint64_t value;
        return fgd_telemetry_get(s->manager, row->object, which, &value) && whole(ret, value);
}

GET(get_sample_mebibytes)
{
        uint64_t value;
        return fgd_telemetry_get(s->manager, row->object, which, &value) && whole(ret, value >> 20);
}

GET(get_sample_thousandth)
{
        uint64_t value;
        return fgd_telemetry_get(s->manager, row->object, which, &value) && decimal(ret, value, 3);
}

/* --- of vGPUs --- */

/* The whole device's: it says what others do, so it is for admins, as the device's own row is. OpenCost knows a container's GPU by it. */
GET(get_decoder)
{
        const struct fgd_vgpu *vgpu = row->object;
        uint64_t value;
        return s->is_admin && fgd_telemetry_get(s->manager, vgpu->device, FGD_SAMPLE_DECODER, &value) && whole(ret, value);
}

/* Of the last minute that was settled for it. */
GET(get_engine_active)
{
        const struct fgd_vgpu *vgpu = row->object;
        const struct fgd_meter *meter = vgpu->meter;
        if (!meter || !meter->total.windows || s->now - meter->total.last > 180 || !meter->total.wall_us)
                return false;
        return ratio(ret, (double)meter->total.busy_last_us / (double)meter->total.wall_us);
}

enum { TOTAL_BUSY, TOTAL_RESERVED, TOTAL_BURST };

/* Only minutes that are settled: their sum is the bill's, and never more than the device's time. */
GET(get_total)
{
        const struct fgd_meter *meter = ((const struct fgd_vgpu *)row->object)->meter;
        if (!meter)
                return false;
        if (which == TOTAL_BUSY)
                return decimal(ret, meter->total.busy_us, 6);
        return decimal(ret, which == TOTAL_RESERVED ? meter->total.reserved : meter->total.burst, 12);
}

GET(get_memory_used)
{
        const struct fgd_vgpu *vgpu = row->object;
        uint64_t used = vgpu->pages ? fg_load_relaxed(&vgpu->pages->usage->counter.used) : 0;
        return whole(ret, used < vgpu->memory ? used : vgpu->memory);
}

GET(get_memory_quota)
{
        return whole(ret, ((const struct fgd_vgpu *)row->object)->memory);
}

GET(get_share)
{
        return decimal(ret, ((const struct fgd_vgpu *)row->object)->share, 3);
}

GET(get_throttled)
{
        const struct fgd_vgpu *vgpu = row->object;
        struct fgd_counters all = vgpu->base;
        fgd_counters_add(&all, &vgpu->live);
        return decimal(ret, all.wait_ns, 9);
}

GET(get_denied)
{
        const struct fgd_vgpu *vgpu = row->object;
        struct fgd_counters all = vgpu->base;
        fgd_counters_add(&all, &vgpu->live);
        return whole(ret, all.refusals);
}

/* --- of projects --- */

GET(get_number)
{
        return whole(ret, row->number);
}

GET(get_oldest)
{
        const struct fgd_project_figures *f = ((const struct fgd_project *)row->object)->figures;
        int64_t waits = f && f->oldest_ms ? fgd_wall_ms() - f->oldest_ms : 0;
        return decimal(ret, waits > 0 ? waits : 0, 3);
}

GET(get_cost)
{
        return decimal(ret, fg_money_round(((const struct fgd_spent *)row->object)->all, 9), 9);
}

GET(get_budget)
{
        const struct fgd_spent *spent = row->object;
        return ratio(ret, (double)fg_money_round(spent->month, 9) / (double)spent->budget);
}

enum { FACTOR_P, FACTOR_U, FACTOR_S, FACTOR_V, FACTOR_ALPHA };

/* Of the last hour; what is not known is not told. */
GET(get_factor)
{
        struct fgd_perf_sum sum = fgd_perf_get((struct fgd_perf *)(uintptr_t)row->object, s->now, FGD_PERF_HOUR);
        struct fg_perf f;
        fgd_perf_evaluate(&sum, &f);
        switch (which) {
        case FACTOR_P:
                return f.has_p && ratio(ret, f.p);
        case FACTOR_U:
                return f.has_u && ratio(ret, f.u);
        case FACTOR_S:
                return f.has_s && ratio(ret, f.s);
        case FACTOR_V:
                return f.has_v && ratio(ret, f.v);
        default:
                return f.has_alpha && ratio(ret, f.alpha);
        }
}

/* --- of the node --- */

GET(get_present)
{
        return whole(ret, ((const struct fgd_device *)row->object)->present);
}

/* Memory that no vGPU can have since the share is gone, or share since the memory is. */
GET(get_fragmentation)
{
        const struct fgd_device *device = row->object;
        uint64_t most = device->memory - fgd_device_reserved(s->manager, device);
        if (!device->present || !most)
                return false;
        double memory = (double)fgd_device_memory_free(s->manager, device) / (double)most;
        double share = (double)fgd_device_share_free(device) / FGD_SHARE_WHOLE;
        return ratio(ret, fabs(memory - share));
}

GET(get_sample_age)
{
        uint64_t age;
        return fgd_telemetry_age(s->manager, row->object, &age) && decimal(ret, age, 9);
}

GET(get_build)
{
        return whole(ret, 1);
}

GET(get_dropped)
{
        uint64_t dropped = 0;
        for (unsigned i = 0; i < FGD_OF_COUNT; i++)
                dropped += s->rows[i].dropped;
        return whole(ret, dropped);
}

GET(get_kept)
{
        return whole(ret, s->manager->metering->kept_count);
}

GET(get_billing)
{
        return whole(ret, s->manager->money && !*fgd_money_trouble(s->manager));
}

GET(get_stall)
{
        return decimal(ret, fgd_longest(&s->manager->metrics->turn), 9);
}

GET(get_pass)
{
        return decimal(ret, fgd_longest(&s->manager->metrics->pass), 9);
}

#define GPU(name, type, figure, get, help) {"DCGM_FI_" name, FGD_##type, FGD_OF_GPU, "", help, get, FGD_SAMPLE_##figure}
#define VGPU(name, type, unit, get, which, help) {"fastgpu_vgpu_" name, FGD_##type, FGD_OF_VGPU, unit, help, get, which}
#define FACTOR(name, which, help) {"fastgpu_model_" name, FGD_GAUGE, FGD_OF_MODEL, "", help, get_factor, which}

/* clang-format off */
const struct fgd_metric fgd_metric_table[] = {
        GPU("DEV_SM_CLOCK", GAUGE, SM_CLOCK, get_sample, "SM clock (MHz)."),
        GPU("DEV_MEM_CLOCK", GAUGE, MEMORY_CLOCK, get_sample, "Memory clock (MHz)."),
        GPU("DEV_MEMORY_TEMP", GAUGE, MEMORY_TEMPERATURE, get_sample, "Memory temperature (C)."),
        GPU("DEV_GPU_TEMP", GAUGE, TEMPERATURE, get_sample, "GPU temperature (C)."),
        GPU("DEV_POWER_USAGE", GAUGE, POWER, get_sample_thousandth, "Power draw (W)."),
        GPU("DEV_POWER_MGMT_LIMIT", GAUGE, POWER_LIMIT, get_sample_thousandth, "Power limit in force (W)."),
        GPU("DEV_TOTAL_ENERGY_CONSUMPTION", COUNTER, ENERGY, get_sample, "Energy since the driver was loaded (mJ)."),
        GPU("DEV_PCIE_REPLAY_COUNTER", COUNTER, PCIE_REPLAYS, get_sample, "PCIe retries."),
        GPU("DEV_GPU_UTIL", GAUGE, UTILIZATION, get_sample, "Time with a kernel on the device, whosever (%)."),
        GPU("DEV_MEM_COPY_UTIL", GAUGE, COPY_UTILIZATION, get_sample, "Time with memory being read or written (%)."),
        GPU("DEV_ENC_UTIL", GAUGE, ENCODER, get_sample, "Encoder utilization (%)."),
        GPU("DEV_DEC_UTIL", GAUGE, DECODER, get_sample, "Decoder utilization (%)."),
        {"DCGM_FI_DEV_DEC_UTIL", FGD_GAUGE, FGD_OF_CONTAINER, "", "The same for each vGPU on it, for admins: OpenCost knows a container's GPU by this.", get_decoder, 0},
        GPU("DEV_XID_ERRORS", GAUGE, XID, get_sample, "Number of the last XID error since the daemon listens; 0: none."),
        GPU("DEV_FB_FREE", GAUGE, MEMORY_FREE, get_sample_mebibytes, "Device memory free (MiB)."),
        GPU("DEV_FB_USED", GAUGE, MEMORY_USED, get_sample_mebibytes, "Device memory used, by anybody (MiB)."),
        GPU("DEV_FB_RESERVED", GAUGE, MEMORY_RESERVED, get_sample_mebibytes, "Device memory that the driver keeps (MiB)."),
        GPU("DEV_UNCORRECTABLE_REMAPPED_ROWS", COUNTER, REMAPPED_UNCORRECTABLE, get_sample, "Memory rows remapped for uncorrectable errors."),
        GPU("DEV_CORRECTABLE_REMAPPED_ROWS", COUNTER, REMAPPED_CORRECTABLE, get_sample, "Memory rows remapped for correctable errors."),
        GPU("DEV_ROW_REMAP_FAILURE", GAUGE, REMAP_FAILED, get_sample, "Whether remapping of rows has failed."),
        {"DCGM_FI_PROF_GR_ENGINE_ACTIVE", FGD_GAUGE, FGD_OF_CONTAINER, "",
         "Part of the device's time that this vGPU's kernels took in the last settled minute: attributed, so that the sum over a device is at most 1.",
         get_engine_active, 0},

        VGPU("gpu_seconds_total", COUNTER, "seconds", get_total, TOTAL_BUSY,
             "Device time used, attributed and settled minute by minute: the bill's."),
        VGPU("reserved_gpu_seconds_total", COUNTER, "seconds", get_total, TOTAL_RESERVED, "Device time reserved, used or not, in whole devices."),
        VGPU("burst_gpu_seconds_total", COUNTER, "seconds", get_total, TOTAL_BURST, "Device time used beyond what was reserved, in whole devices."),
        VGPU("memory_used_bytes", GAUGE, "bytes", get_memory_used, 0, "Device memory that its programs hold."),
        VGPU("memory_quota_bytes", GAUGE, "bytes", get_memory_quota, 0, "Device memory that they may hold."),
        VGPU("share_ratio", GAUGE, "ratio", get_share, 0, "Part of the device's time that is promised to it; 0: what others leave."),
        VGPU("throttled_seconds_total", COUNTER, "seconds", get_throttled, 0, "Time that launches waited at the gate for their turn."),
        VGPU("oom_denied_total", COUNTER, "", get_denied, 0, "Allocations refused since they did not fit into the quota."),

        {"fastgpu_queue_wait_seconds", FGD_HISTOGRAM, FGD_OF_WAIT, "seconds", "Time from submission to the first start, of jobs that started since the daemon did.", NULL, 0},
        {"fastgpu_pending", FGD_GAUGE, FGD_OF_PENDING, "", "Jobs and elements of arrays that wait, by what they wait for.", get_number, 0},
        {"fastgpu_pending_oldest_seconds", FGD_GAUGE, FGD_OF_PROJECT, "seconds",
         "For how long the job has waited that has waited longest, but for those held or submitted for later; 0: none waits.", get_oldest, 0},
        {"fastgpu_cost_total", FGD_COUNTER, FGD_OF_COST, "", "What the project has cost so far, as invoices add it up.", get_cost, 0},
        {"fastgpu_budget_ratio", FGD_GAUGE, FGD_OF_BUDGET, "ratio", "Part of the month's budget that is spent; above 1: more than all.", get_budget, 0},

        FACTOR("p", FACTOR_P, "P of the last hour: what was useful of what could have been served."),
        FACTOR("u", FACTOR_U, "U of the last hour: time used of time held."),
        FACTOR("s", FACTOR_S, "S of the last hour: time held of time that was wanted."),
        FACTOR("v", FACTOR_V, "V of the last hour: speed against the bare device."),
        FACTOR("alpha", FACTOR_ALPHA, "alpha of the last hour: work that was not in vain."),

        {"fastgpu_fragmentation_ratio", FGD_GAUGE, FGD_OF_DEVICE, "ratio",
         "Part of the device that is free and of no use: memory without share, or share without memory.", get_fragmentation, 0},
        {"fastgpu_device_present", FGD_GAUGE, FGD_OF_DEVICE, "", "Whether the device is there; 0: it is lost.", get_present, 0},
        {"fastgpu_telemetry_age_seconds", FGD_GAUGE, FGD_OF_DEVICE, "seconds", "Time since the device's sensors were last read.", get_sample_age, 0},
        {"fastgpu_watchdog_findings", FGD_GAUGE, FGD_OF_FINDING, "", "Programs that use more of a GPU than they have, now.", get_number, 0},
        {"fastgpu_refusals_total", FGD_COUNTER, FGD_OF_REFUSAL, "", "Requests to the API refused since the daemon's start, by type.", get_number, 0},
        {"fastgpu_billing_kept_windows", FGD_GAUGE, FGD_OF_NODE, "", "Settled minutes of devices that could not be put on record yet.", get_kept, 0},
        {"fastgpu_stall_seconds", FGD_GAUGE, FGD_OF_NODE, "seconds", "Longest time that the daemon kept everybody waiting, in this minute and the one before.", get_stall, 0},
        {"fastgpu_queue_pass_seconds", FGD_GAUGE, FGD_OF_NODE, "seconds",
         "Longest time that deciding which jobs start, and starting them, took at once, in this minute and the one before.", get_pass, 0},
        {"fastgpu_billing_up", FGD_GAUGE, FGD_OF_NODE, "", "Whether what is used goes on record.", get_billing, 0},
        {"fastgpu_metrics_dropped", FGD_GAUGE, FGD_OF_SCRAPE, "", "Things left out of this answer, since there are more than metrics-limit.", get_dropped, 0},
        {"fastgpu_up", FGD_GAUGE, FGD_OF_NODE, "", "1: this daemon answers.", get_build, 0},
};
/* clang-format on */
const size_t fgd_metric_count = sizeof fgd_metric_table / sizeof fgd_metric_table[0];

const char *const fgd_metric_labels[FGD_OF_COUNT] = {
        [FGD_OF_SCRAPE] = "",
        [FGD_OF_NODE] = "",
        [FGD_OF_DEVICE] = "UUID, model",
        [FGD_OF_FINDING] = "kind",
        [FGD_OF_REFUSAL] = "type",
        [FGD_OF_GPU] = "gpu, UUID, device, modelName, Hostname",
        [FGD_OF_CONTAINER] = "gpu, UUID, device, modelName, Hostname, namespace, pod, container, vgpu",
        [FGD_OF_VGPU] = "project, user, vgpu, UUID",
        [FGD_OF_PROJECT] = "project",
        [FGD_OF_MODEL] = "UUID or project",
        [FGD_OF_PENDING] = "project, reason",
        [FGD_OF_WAIT] = "project, le",
        [FGD_OF_COST] = "project, currency",
        [FGD_OF_BUDGET] = "project",
};
