/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/usage.h"

#include "base/atomic.h"
#include "base/clock.h"
#include "base/log.h"
#include "daemon/manager.h"
#include "ledger/ledger.h"

#include <string.h>

int fgd_usage_fold(struct fgd_manager *m, struct fgd_vgpu *vgpu, struct fg_error *err)
{
        static const struct fgd_counters none;
        struct fgd_vgpu folded = *vgpu;
        if (memcmp(&vgpu->live, &none, sizeof none) == 0)
                return 0;
        fgd_counters_add(&folded.base, &vgpu->live);
        folded.live = none;
        int r = fgd_store_usage_begin(m->store, err);
        if (r == 0)
                r = fgd_store_usage_end(m->store, fgd_store_usage_put(m->store, &folded, err), err);
        if (r < 0)
                return fg_error_wrap(err, r, "cannot keep the usage of %s/%u", vgpu->set->name, vgpu->index);
        vgpu->base = folded.base;
        vgpu->live = none;
        return 0;
}

static int persist(struct fgd_manager *m, struct fg_error *err)
{
        struct fgd_pages *p;
        int r = fgd_store_usage_begin(m->store, err);
        if (r < 0)
                return r;
        TAILQ_FOREACH(p, &m->pages, order) {
                fgd_pages_settle(p);
                if (r == 0 && memcmp(&p->saved, &p->vgpu->live, sizeof p->saved) != 0)
                        r = fgd_store_usage_put(m->store, p->vgpu, err);
        }
        r = fgd_store_usage_end(m->store, r, err);
        if (r == 0)
                TAILQ_FOREACH(p, &m->pages, order)
                        p->saved = p->vgpu->live;
        return r;
}

int fgd_usage_persist(struct fgd_manager *m)
{
        struct fg_error err = {0};
        if (TAILQ_EMPTY(&m->pages))
                return 0;
        int r = persist(m, &err);
        if (r < 0 && !m->persist_failed)
                fg_log_warning("cannot write usage to the store (%s): kept in the pages and tried again", err.text);
        m->persist_failed = r < 0;
        return r;
}

/* What stayed mapped because its counters could not be written when its last program ended. */
static void unload_unheld(struct fgd_manager *m)
{
        struct fgd_pages *p, *next;
        FGD_TAILQ_EACH_SAFE(p, &m->pages, order, next)
                if (!p->holders)
                        fgd_pages_unload(m, p->vgpu);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *user)
{
        if (fgd_usage_persist(user) == 0)
                unload_unheld(user);
        fgd_usage_watch(user);
        return 0;
}

void fgd_usage_watch(struct fgd_manager *m)
{
        uint64_t interval = m->options.value[FG_OPT_PERSIST_INTERVAL] * 1000000;
        int enabled = SD_EVENT_OFF;
        if (!m->event)
                return;
        if (!m->persist_timer &&
            sd_event_add_time_relative(m->event, &m->persist_timer, CLOCK_MONOTONIC, interval, interval / 10, on_timer, m) < 0)
                return;
        sd_event_source_get_enabled(m->persist_timer, &enabled);
        if (TAILQ_EMPTY(&m->pages)) {
                sd_event_source_set_enabled(m->persist_timer, SD_EVENT_OFF);
        } else if (enabled == SD_EVENT_OFF) {
                sd_event_source_set_time_relative(m->persist_timer, interval);
                sd_event_source_set_enabled(m->persist_timer, SD_EVENT_ONESHOT);
        }
}

/* Distinct processes; a process may hold several slots. */
static uint32_t list_pids(const struct fgd_pages *p, uint32_t ret[FG_SLOTS])
{
        uint32_t count = 0;
        for (uint32_t i = 0; i < FG_SLOTS; i++) {
                uint32_t pid = fg_load_relaxed(&p->limits->owner[i].pid), j = 0;
                while (j < count && ret[j] != pid)
                        j++;
                if (pid && j == count)
                        ret[count++] = pid;
        }
        return count;
}

static bool is_active(struct fgd_pages *p, uint32_t processes)
{
        uint64_t now = fg_now(), launches = p->vgpu->live.launches;
        bool busy = false;
        if (launches != p->seen_launches)
                p->seen_at = now;
        p->seen_launches = launches;
        for (uint32_t i = 0; i < FG_SLOTS && !busy; i++)
                if (fg_load_relaxed(&p->limits->owner[i].pid))
                        busy = fg_load_relaxed(&p->usage->slot[i].inflight) || fg_load_relaxed(&p->usage->slot[i].waiting);
        return processes && (busy || (p->seen_at && now - p->seen_at < FG_NSEC_PER_SEC));
}

bool fgd_usage_is_none(const struct fgd_vgpu *vgpu)
{
        static const struct fgd_counters none;
        return !vgpu->pages && memcmp(&vgpu->base, &none, sizeof none) == 0 && memcmp(&vgpu->live, &none, sizeof none) == 0;
}

void fgd_usage_figures(struct fgd_vgpu *vgpu, struct fgd_figures *ret)
{
        struct fgd_pages *p = vgpu->pages;
        uint32_t pids[FG_SLOTS];
        *ret = (struct fgd_figures){0};
        if (fgd_usage_is_none(vgpu))
                return;
        if (p) {
                fgd_pages_settle(p);
                uint64_t used = fg_load_relaxed(&p->usage->counter.used);
                ret->memory_used = used < vgpu->memory ? used : vgpu->memory;
                ret->processes = list_pids(p, pids);
                ret->active = is_active(p, ret->processes);
        }
        ret->gpu_ns = vgpu->base.gpu_ns + vgpu->live.gpu_ns;
        ret->waits = vgpu->base.waits + vgpu->live.waits;
        ret->wait_ns = vgpu->base.wait_ns + vgpu->live.wait_ns;
        ret->refusals = vgpu->base.refusals + vgpu->live.refusals;
}

void fgd_usage_write(struct fgd_vgpu *vgpu, struct fgd_text *text)
{
        struct fgd_pages *p = vgpu->pages;
        uint32_t pids[FG_SLOTS], count = 0;
        if (fgd_usage_is_none(vgpu)) {
                fgd_text_add(text, ", \"usage\": {\"memory_used\": 0, \"memory_peak\": 0, \"processes\": 0, \"pids\": [], \"gpu_ns\": 0, "
                                   "\"granted_ns\": 0, \"launches\": 0, \"waits\": 0, \"wait_ns\": 0, \"refusals\": 0, \"faults\": 0, "
                                   "\"active\": false}");
                return;
        }
        if (p) {
                fgd_pages_settle(p);
                count = list_pids(p, pids);
        }
        struct fgd_counters all = vgpu->base;
        fgd_counters_add(&all, &vgpu->live);
        uint64_t used = p ? fg_load_relaxed(&p->usage->counter.used) : 0;
        fgd_text_name(text, "usage");
        fgd_text_add(text, "{");
        fgd_text_number(text, "memory_used", used < vgpu->memory ? used : vgpu->memory);
        fgd_text_number(text, "memory_peak", all.peak);
        fgd_text_number(text, "processes", count);
        fgd_text_name(text, "pids");
        fgd_text_add(text, "[");
        for (uint32_t i = 0; i < count; i++)
                fgd_text_addf(text, "%s%u", i ? ", " : "", pids[i]);
        fgd_text_add(text, "]");
        fgd_text_number(text, "gpu_ns", all.gpu_ns);
        fgd_text_number(text, "granted_ns", all.granted_ns);
        fgd_text_number(text, "launches", all.launches);
        fgd_text_number(text, "waits", all.waits);
        fgd_text_number(text, "wait_ns", all.wait_ns);
        fgd_text_number(text, "refusals", all.refusals);
        fgd_text_number(text, "faults", all.faults);
        fgd_text_bool(text, "active", p && is_active(p, count));
        fgd_text_add(text, "}");
}
