/* SPDX-License-Identifier: Apache-2.0
 * What a settled window says of each vGPU, and adds up to for projects and devices. */
#include "base/atomic.h"
#include "daemon/history_internal.h"
#include "daemon/manager.h"
#include "daemon/metering_internal.h"
#include "daemon/money.h"
#include "daemon/telemetry.h"
#include "daemon/tenants.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fgd_history_look fgd_history_look(const struct fgd_vgpu *vgpu)
{
        struct fgd_counters all = vgpu->base;
        fgd_counters_add(&all, &vgpu->live);
        return (struct fgd_history_look){.memory = vgpu->memory_high < vgpu->memory ? vgpu->memory_high : vgpu->memory,
                                         .quota = vgpu->memory, .share = vgpu->share, .created = vgpu->set->created, .wait_ns = all.wait_ns, .refusals = all.refusals};
}

static struct fgd_history_look look_at(const struct fgd_meter *meter)
{
        struct fgd_vgpu *vgpu = meter->vgpu;
        struct fgd_history_look ret = {0};
        if (!vgpu)
                return meter->names ? meter->names->look : ret;
        uint64_t used = vgpu->pages ? fgd_pages_look(vgpu->pages) : 0;
        ret = fgd_history_look(vgpu);
        vgpu->memory_high = used; /* the next minute has its own */
        return ret;
}

static void keep(char **to, const char *text)
{
        if (*to && strcmp(*to, text) == 0)
                return;
        free(*to);
        *to = strdup(text);
}

/* Counters of one that was there before this daemon went on counting while nobody looked. */
static struct fgd_history_subject *subject_of(struct fgd_history *h, const struct fgd_meter_device *md, const struct fgd_meter *meter,
                                              const struct fgd_history_look *look, int64_t start)
{
        const struct fgd_set *set = meter->vgpu ? meter->vgpu->set : NULL;
        const struct fgd_meter_names *names = meter->names;
        struct fgd_history_subject *s = fgd_history_of(h, FGD_HISTORY_VGPU, meter->uuid);
        if (!s || s->fed)
                return s;
        keep(&s->name, meter->name ? meter->name : "");
        keep(&s->project, set ? fgd_set_payer(set)->name : names ? names->project : "");
        keep(&s->user, set ? set->owner ? set->owner->name : "" : names ? names->user : "");
        keep(&s->device, md->device->uuid);
        if (look->created < start) {
                s->wait_ns = look->wait_ns;
                s->refusals = look->refusals;
        }
        return s;
}

static uint64_t since(uint64_t *before, uint64_t now)
{
        uint64_t more = now > *before ? now - *before : 0;
        *before = now > *before ? now : *before;
        return more;
}

/* Billionths of the currency. */
static uint64_t cost_of(struct fgd_history *h, const struct fgd_device *device, const struct fg_meter_line *line, int64_t start,
                        const char **ret_currency)
{
        bool is_cap = strcmp(fg_bill_mode(line), "cap") == 0; /* as on the bill */
        if (h->priced != device || h->priced_at != start)
                for (int i = 0; i < 2; i++)
                        h->price[i] = fgd_money_price(h->manager, device, i, start, h->currency[i]);
        h->priced = device;
        h->priced_at = start;
        *ret_currency = h->currency[is_cap];
        return (uint64_t)((fg_int128)fg_meter_bill(line) * h->price[is_cap] / FG_PPMUS_PER_HOUR);
}

static void take_counters(struct fgd_history_row *row, const struct fgd_perf_sum *sum)
{
        const struct fg_perf_counters *c = &sum->counters;
        row->value[FGD_H_BUSY] = c->busy / 1000;
        row->value[FGD_H_OCCUPIED] = c->occupied / 1000;
        row->value[FGD_H_SERVABLE] = c->servable / 1000;
        row->value[FGD_H_NATIVE] = c->native / 1000;
        row->value[FGD_H_LOST] = (c->native - c->kept) / 1000;
        row->value[FGD_H_UNKNOWN] = sum->unknown / 1000;
}

/* A cost in another currency is another history. */
static void price(struct fgd_history *h, struct fgd_history_subject *s, const char *currency)
{
        if (!*currency || strcmp(s->currency, currency) == 0)
                return;
        fgd_history_retire(h, s);
        snprintf(s->currency, sizeof s->currency, "%s", currency);
}

static void add_to(struct fgd_history *h, struct fgd_history_subject *s, int64_t start, const struct fgd_history_row *row, const char *currency)
{
        if (!s)
                return;
        if (!s->sum && !(s->sum = malloc(sizeof *s->sum)))
                return;
        if (s->sum_at != start)
                *s->sum = (struct fgd_history_row){0};
        s->sum_at = start;
        price(h, s, currency);
        fgd_history_add(s->sum, row);
        s->sum->value[FGD_H_STATE] = 0;
        s->sum->value[FGD_H_COUNT]++;
}

void fgd_history_line(struct fgd_meter_device *md, struct fgd_meter *meter, const struct fg_meter_line *line, const struct fgd_perf_sum *sum,
                      int64_t start)
{
        struct fgd_history *h = meter->metering->manager->history;
        struct fgd_history_row row = {0};
        const char *currency;
        if (!h)
                return;
        struct fgd_history_look look = look_at(meter);
        struct fgd_history_subject *s = subject_of(h, md, meter, &look, start);
        if (!s)
                return;
        take_counters(&row, sum);
        row.value[FGD_H_WALL] = (uint64_t)(line->end - line->begin);
        row.value[FGD_H_RESERVED] = (uint64_t)(line->reserved / FG_PPM);
        row.value[FGD_H_BURST] = (uint64_t)(line->burst / FG_PPM);
        row.value[FGD_H_COST] = cost_of(h, md->device, line, start, &currency);
        row.value[FGD_H_WAIT] = since(&s->wait_ns, look.wait_ns) / 1000;
        row.value[FGD_H_REFUSALS] = since(&s->refusals, look.refusals);
        row.value[FGD_H_MEMORY] = look.memory;
        row.value[FGD_H_QUOTA] = look.quota;
        row.value[FGD_H_SHARE] = look.share;
        row.value[FGD_H_STATE] = line->segment[line->segments - 1].state;
        price(h, s, currency);
        s->is_gone = !meter->vgpu;
        fgd_history_commit(h, s, start, &row);
        add_to(h, fgd_history_of(h, FGD_HISTORY_PROJECT, s->project), start, &row, currency);
        add_to(h, fgd_history_of(h, FGD_HISTORY_DEVICE, md->device->uuid), start, &row, currency);
}

/* What the driver told last of it in this minute. Energy as the power then for all of the minute: its own counter is not of every GPU. */
static void take_sensors(const struct fgd_manager *m, const struct fgd_device *device, struct fgd_history_row *row, uint64_t wall_us)
{
        uint64_t value;
        if (fgd_telemetry_get(m, device, FGD_SAMPLE_TEMPERATURE, &value))
                row->value[FGD_H_TEMPERATURE] = value + 1;
        if (fgd_telemetry_get(m, device, FGD_SAMPLE_POWER, &value))
                row->value[FGD_H_ENERGY] = value * wall_us / 1000000;
}

/* Of a device its own figures count, not the sums. */
void fgd_history_window(struct fgd_meter_device *md, const struct fg_meter_window *window, const struct fgd_perf_sum *sum, int64_t start)
{
        struct fgd_history *h = md->device->metering ? md->device->metering->manager->history : NULL;
        struct fgd_history_subject *s = h ? fgd_history_find(h, FGD_HISTORY_DEVICE, md->device->uuid) : NULL;
        if (!s || s->sum_at != start)
                return;
        take_counters(s->sum, sum);
        s->sum->value[FGD_H_WALL] = (uint64_t)window->wall_us;
        s->sum->value[FGD_H_IDLE] = (uint64_t)(window->idle / FG_PPM);
        take_sensors(h->manager, md->device, s->sum, (uint64_t)window->wall_us);
}

void fgd_history_turn(struct fgd_manager *m, int64_t start)
{
        struct fgd_history *h = m->history;
        struct fgd_history_subject *s;
        if (!h)
                return;
        TAILQ_FOREACH(s, &h->subjects, order)
                if (s->sum_at) {
                        fgd_history_commit(h, s, s->sum_at, s->sum);
                        s->sum_at = 0;
                }
        h->turned = start;
}
