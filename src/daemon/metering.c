/* SPDX-License-Identifier: Apache-2.0
 * What happens to vGPUs, as changes of their lines. */
#include "daemon/metering_internal.h"

#include "base/atomic.h"
#include "base/clock.h"
#include "base/log.h"
#include "daemon/arbiter.h"
#include "daemon/manager.h"
#include "daemon/tenants.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READ_AGAIN_US 1000

struct fgd_meter_device *fgd_meter_device_of(struct fgd_metering *mt, const struct fgd_vgpu *vgpu)
{
        return vgpu->device ? &mt->device[vgpu->device->id] : NULL;
}

/* Of its whole life, as the arbiter charged it: never what a tenant's page says. */
static int64_t device_time(const struct fgd_vgpu *vgpu)
{
        uint64_t live = vgpu->live.gpu_ns, sum;
        if (vgpu->pages) {
                uint64_t charged = fg_load_relaxed(&vgpu->pages->limits->charged);
                live = charged > live ? charged : live;
        }
        return __builtin_add_overflow(vgpu->base.gpu_ns, live, &sum) || sum > INT64_MAX ? INT64_MAX : (int64_t)sum;
}

/* The arbiter looks at all its vGPUs at once: it is not asked for each of a set. */
static void refresh(struct fgd_meter_device *md, const struct fgd_metering *mt)
{
        if (mt->clock.boot - md->read_at < READ_AGAIN_US)
                return;
        md->read_at = mt->clock.boot;
        if (md->device->arbiter)
                fgd_arbiter_refresh(md->device->arbiter);
}

void fgd_meter_read(struct fgd_meter_device *md, struct fgd_meter *meter)
{
        if (!meter->vgpu)
                return;
        refresh(md, meter->metering);
        int64_t now = device_time(meter->vgpu);
        if (now > meter->seen_ns) {
                *(meter->last.cap ? &meter->cap_ns : &meter->share_ns) += now - meter->seen_ns;
                meter->seen_ns = now;
        }
}

static uint32_t memory_ppm(const struct fgd_vgpu *vgpu)
{
        uint64_t whole = vgpu->device->memory;
        if (vgpu->memory >= whole)
                return FG_PPM;
        return (uint32_t)((fg_uint128)vgpu->memory * FG_PPM / whole);
}

/* What our side took from it is not to be paid; a tenant that cut its own page still holds its reserve. */
static struct fg_meter_segment describe(const struct fgd_vgpu *vgpu)
{
        bool is_down = vgpu->quarantined || vgpu->damaged_row || !vgpu->device->present;
        uint32_t share = vgpu->share * (FG_PPM / FGD_SHARE_WHOLE);
        return (struct fg_meter_segment){.memory_ppm = memory_ppm(vgpu),
                                         .share_ppm = share < FG_PPM ? share : FG_PPM,
                                         .cap = vgpu->mode == FG_MODE_CAP,
                                         .state = is_down ? FG_METER_DOWN : vgpu->meter->state};
}

static bool is_same(const struct fg_meter_segment *a, const struct fg_meter_segment *b)
{
        return a->memory_ppm == b->memory_ppm && a->share_ppm == b->share_ppm && a->cap == b->cap && a->state == b->state;
}

void fgd_meter_open(struct fgd_meter *meter, int64_t at)
{
        meter->last.from = at;
        free(meter->line);
        meter->line = NULL;
}

/* Most have one segment, which takes no more room. */
static void change(struct fgd_meter *meter, int64_t at, const struct fg_meter_segment *what)
{
        if (!meter->line) {
                meter->line = calloc(1, sizeof *meter->line);
                if (!meter->line) {
                        fg_log_error("out of memory: %s is metered as before until the next minute", meter->name);
                        return;
                }
                fg_meter_change(meter->line, meter->last.from, &meter->last);
        }
        fg_meter_change(meter->line, at, what);
        meter->last = meter->line->segment[meter->line->segments - 1];
        if (meter->line->segments == 1)
                fgd_meter_open(meter, meter->last.from);
}

void fgd_meter_free(struct fgd_meter *meter)
{
        free(meter->line);
        free(meter->perf);
        free(meter->name);
        free(meter->job);
        free(meter->names);
        free(meter);
}

static void identify(struct fgd_meter *meter, const struct fgd_vgpu *vgpu)
{
        const struct fgd_set *set = vgpu->set;
        char name[80];
        snprintf(name, sizeof name, "%s/%u", set->name, vgpu->index);
        fgd_uuid_format(vgpu->uuid, meter->uuid);
        free(meter->name);
        meter->name = strdup(name);
        free(meter->job);
        meter->job = set->job ? strdup(set->name + strlen("job-")) : NULL;
        meter->project_id = fgd_set_payer(set)->id;
        meter->user_id = set->owner ? set->owner->id : 0;
}

/* A page that was used while nobody metered counted on: that time is in no line. */
static void attach(struct fgd_meter_device *md, struct fgd_meter *meter, int64_t at)
{
        struct fgd_vgpu *vgpu = meter->vgpu;
        if (md->count >= FG_METER_LINES) { /* lives and dies within this minute, or is metered from the next on */
                fg_log_warning("%s/%u is not metered in this minute: device %u had %zu vGPUs in it", vgpu->set->name, vgpu->index,
                               md->device->id, md->count);
                return;
        }
        struct fg_meter_segment now = describe(vgpu);
        identify(meter, vgpu);
        refresh(md, meter->metering);
        int64_t stored = (int64_t)(vgpu->base.gpu_ns + vgpu->live.gpu_ns);
        meter->seen_ns = device_time(vgpu);
        meter->launches = vgpu->base.launches + vgpu->live.launches;
        if (meter->seen_ns > stored)
                md->unbilled_us += (meter->seen_ns - stored) / 1000;
        meter->last = now;
        meter->last.from = at;
        TAILQ_INSERT_TAIL(&md->lines, meter, order);
        md->count++;
        meter->is_on = true;
}

static void update(struct fgd_metering *mt, struct fgd_vgpu *vgpu, int64_t at)
{
        struct fgd_meter *meter = vgpu->meter;
        struct fgd_meter_device *md = fgd_meter_device_of(mt, vgpu);
        if (!meter || !md)
                return;
        md->device = vgpu->device;
        if (!meter->is_on) {
                attach(md, meter, at);
                return;
        }
        fgd_meter_read(md, meter);
        struct fg_meter_segment now = describe(vgpu);
        if (!is_same(&now, &meter->last))
                change(meter, at, &now);
}

void fgd_metering_update(struct fgd_vgpu *vgpu)
{
        struct fgd_metering *mt = vgpu->meter ? vgpu->meter->metering : NULL;
        if (mt && mt->is_running)
                update(mt, vgpu, fgd_metering_catch_up(mt));
}

void fgd_metering_look(struct fgd_manager *m)
{
        struct fgd_metering *mt = m->metering;
        struct fgd_set *set;
        if (!mt->is_running)
                return;
        int64_t at = fgd_metering_catch_up(mt);
        for (uint32_t i = 0; i < m->devices; i++) {
                mt->device[i].device = m->device[i];
                m->device[i]->metering = mt;
                mt->device[i].is_present = m->device[i]->present;
                mt->device[i].was_away = mt->device[i].was_away || !m->device[i]->present;
        }
        TAILQ_FOREACH(set, &m->sets, order)
                for (uint32_t i = 0; i < set->count; i++)
                        update(mt, &set->vgpu[i], at);
}

void fgd_metering_bill(struct fgd_vgpu *vgpu)
{
        if (vgpu->meter && vgpu->meter->is_on)
                vgpu->meter->project_id = fgd_set_payer(vgpu->set)->id;
}

void fgd_metering_remove(struct fgd_vgpu *vgpu)
{
        struct fgd_meter *meter = vgpu->meter;
        if (!meter || !meter->is_on || !meter->metering->is_running)
                return;
        int64_t at = fgd_metering_catch_up(meter->metering);
        fgd_meter_read(fgd_meter_device_of(meter->metering, vgpu), meter);
        meter->end = at;
        meter->names = calloc(1, sizeof *meter->names);
        if (meter->names) {
                snprintf(meter->names->project, sizeof meter->names->project, "%s", fgd_set_payer(vgpu->set)->name);
                snprintf(meter->names->user, sizeof meter->names->user, "%s", vgpu->set->owner ? vgpu->set->owner->name : "");
                meter->names->look = fgd_history_look(vgpu);
        }
        meter->vgpu = NULL;
        vgpu->meter = NULL;
}

void fgd_metering_drop(struct fgd_vgpu *vgpu)
{
        struct fgd_meter *meter = vgpu->meter;
        if (!meter)
                return;
        if (meter->is_on) {
                struct fgd_meter_device *md = fgd_meter_device_of(meter->metering, vgpu);
                TAILQ_REMOVE(&md->lines, meter, order);
                md->count--;
        }
        fgd_meter_free(meter);
        vgpu->meter = NULL;
}

int fgd_metering_reserve(struct fgd_manager *m, struct fgd_set *set)
{
        for (uint32_t i = 0; i < set->count; i++) {
                struct fgd_meter *meter = set->vgpu[i].meter ? set->vgpu[i].meter : calloc(1, sizeof *meter);
                if (!meter)
                        return -ENOMEM;
                meter->vgpu = &set->vgpu[i];
                meter->metering = m->metering;
                meter->state = set->is_paused ? FG_METER_HOLD : FG_METER_RUN;
                set->vgpu[i].meter = meter;
        }
        return 0;
}

void fgd_metering_state(struct fgd_vgpu *vgpu, enum fg_meter_state state)
{
        if (!vgpu->meter || vgpu->meter->state == state)
                return;
        vgpu->meter->state = state;
        fgd_metering_update(vgpu);
}

void fgd_metering_sink(struct fgd_manager *m, const struct fgd_meter_sink *sink)
{
        m->metering->sink = *sink;
}

int fgd_metering_new(struct fgd_manager *m, struct fg_error *err)
{
        struct fgd_metering *mt = calloc(1, sizeof *mt);
        struct fgd_clocks now;
        if (!mt)
                return fg_error_set(err, -ENOMEM, "out of memory");
        mt->manager = m;
        mt->read = fgd_metering_read_clocks;
        fgd_metering_read_clocks(NULL, &now);
        fgd_billing_begin(&mt->clock, &now, 0); /* nothing is in its windows before fgd_metering_begin() */
        mt->beta_ppm = (uint32_t)m->options.value[FG_OPT_BURST_PRICE];
        TAILQ_INIT(&mt->kept);
        for (unsigned i = 0; i < FGD_DEVICES_MAX; i++)
                TAILQ_INIT(&mt->device[i].lines);
        m->metering = mt;
        return 0;
}

/* Lines of vGPUs that are gone; the others went with their sets. */
void fgd_metering_free(struct fgd_manager *m)
{
        struct fgd_metering *mt = m->metering;
        struct fgd_meter *meter;
        if (!mt)
                return;
        for (unsigned i = 0; i < FGD_DEVICES_MAX; i++)
                while ((meter = TAILQ_FIRST(&mt->device[i].lines))) {
                        TAILQ_REMOVE(&mt->device[i].lines, meter, order);
                        fgd_meter_free(meter);
                }
        sd_event_source_disable_unref(mt->timer);
        fgd_metering_kept_free(mt);
        fgd_metering_sums_free(mt);
        free(mt);
        m->metering = NULL;
}
