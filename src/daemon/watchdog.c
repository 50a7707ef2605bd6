/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/watchdog.h"

#include "base/clock.h"
#include "daemon/manager.h"
#include "daemon/watchdog_internal.h"

#include <stdlib.h>
#include <string.h>

static uint64_t interval_of(const struct fgd_manager *m)
{
        return m->options.value[FG_OPT_WATCHDOG_INTERVAL] * FG_NSEC_PER_MSEC;
}

bool fgd_watchdog_is_stale(const struct fgd_watchdog *w, const struct fgd_look *look)
{
        return !look->seen_at || fg_now() - look->seen_at > 4 * interval_of(w->manager) + FG_NSEC_PER_SEC;
}

static bool is_wanted(const struct fgd_manager *m)
{
        if (m->options.value[FG_OPT_WATCHDOG] == FG_WATCHDOG_OFF)
                return false;
        for (uint32_t i = 0; i < m->devices; i++)
                if (m->device[i]->present && m->device[i]->vgpus && strcmp(m->device[i]->api, "cuda") == 0)
                        return true;
        return false;
}

static void take(void *user, const char *line)
{
        fgd_watchdog_take(user, line);
}

static struct fgd_watchdog *watchdog_new(struct fgd_manager *m)
{
        struct fgd_watchdog *w = calloc(1, sizeof *w);
        if (!w)
                return NULL;
        w->manager = m;
        w->feed = (struct fgd_feed){.manager = m, .what = "watchdog", .mode = "--watch", .interval = m->options.value[FG_OPT_WATCHDOG_INTERVAL],
                                    .take = take, .user = w};
        if (fgd_feed_start(&w->feed) == 0)
                return w;
        free(w);
        return NULL;
}

void fgd_watchdog_update(struct fgd_manager *m)
{
        bool wanted = m->event && is_wanted(m);
        if (!wanted && m->watchdog) {
                fgd_watchdog_free(m->watchdog);
                m->watchdog = NULL;
        } else if (wanted && !m->watchdog) {
                m->watchdog = watchdog_new(m);
        }
}

void fgd_watchdog_free(struct fgd_watchdog *w)
{
        if (!w)
                return;
        fgd_feed_stop(&w->feed);
        for (uint32_t i = 0; i < FGD_DEVICES_MAX; i++)
                free(w->look[i]);
        free(w);
}

void fgd_watchdog_write_device(const struct fgd_manager *m, const struct fgd_device *device, struct fgd_text *text)
{
        const struct fgd_look *look = m->watchdog ? m->watchdog->look[device->id] : NULL;
        if (!look)
                return;
        fgd_text_name(text, "watch");
        fgd_text_add(text, "{");
        fgd_text_bool(text, "stale", fgd_watchdog_is_stale(m->watchdog, look));
        if (look->seen_at) {
                fgd_text_number(text, "age_ms", (fg_now() - look->seen_at) / FG_NSEC_PER_MSEC);
                fgd_text_number(text, "memory_used", look->used);
                fgd_text_number(text, "processes", look->processes);
        }
        if (look->seen_at && look->utilization >= 0)
                fgd_text_number(text, "utilization", (uint64_t)look->utilization);
        if (look->error[0])
                fgd_text_field(text, "error", look->error);
        fgd_text_add(text, "}");
}

uint32_t fgd_watchdog_findings(const struct fgd_manager *m, unsigned kind)
{
        uint32_t count = 0;
        for (uint32_t i = 0; m->watchdog && i < m->watchdog->findings; i++) {
                const struct fgd_finding *f = &m->watchdog->finding[i];
                count += f->kind == kind && f->looks >= 2 && fg_now() - f->seen_at <= FGD_WATCH_FORGET;
        }
        return count;
}

void fgd_watchdog_write_findings(const struct fgd_manager *m, struct fgd_text *text)
{
        bool first = true;
        fgd_text_name(text, "findings");
        fgd_text_add(text, "[");
        for (uint32_t i = 0; m->watchdog && i < m->watchdog->findings; i++) {
                const struct fgd_finding *f = &m->watchdog->finding[i];
                if (f->looks < 2)
                        continue;
                fgd_text_add(text, first ? "{" : ", {");
                first = false;
                fgd_text_field(text, "kind", f->kind == FGD_OVER_QUOTA ? "over-quota" : "outside");
                fgd_text_number(text, "pid", f->pid);
                fgd_text_field(text, "program", f->program);
                fgd_text_field(text, "cgroup", f->cgroup);
                fgd_text_number(text, "device", f->device);
                fgd_text_field(text, "vgpu", f->vgpu);
                fgd_text_number(text, "memory", f->memory);
                fgd_text_bool(text, "killed", f->killed);
                fgd_text_add(text, "}");
        }
        fgd_text_add(text, "]");
}
