/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/watchdog.h"

#include "base/clock.h"
#include "base/log.h"
#include "daemon/inventory_internal.h"
#include "daemon/manager.h"
#include "daemon/watchdog_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define RESTART_MAX  (30 * FG_NSEC_PER_SEC)
#define RESTART_LEAST (FG_NSEC_PER_SEC / 2)
#define SILENCE      (5 * FG_NSEC_PER_SEC) /* a helper that says nothing for so long hangs in the driver */

static const struct fgd_backend watch_backend = {"cuda", "fastgpu-probe-nvml"};

static uint64_t interval_of(const struct fgd_manager *m)
{
        return m->options.value[FG_OPT_WATCHDOG_INTERVAL] * FG_NSEC_PER_MSEC;
}

bool fgd_watchdog_is_stale(const struct fgd_watchdog *w, const struct fgd_look *look)
{
        return !look->seen_at || fg_now() - look->seen_at > 4 * interval_of(w->manager) + FG_NSEC_PER_SEC;
}

static void stop(struct fgd_watchdog *w)
{
        w->exited = sd_event_source_disable_unref(w->exited);
        w->readable = sd_event_source_disable_unref(w->readable);
        if (w->pid) {
                kill(-w->pid, SIGKILL);
                kill(w->pid, SIGKILL);
                waitpid(w->pid, NULL, 0);
                close(w->pidfd);
                close(w->output);
        }
        w->pid = 0;
        w->size = 0;
}

static void take_lines(struct fgd_watchdog *w)
{
        char *begin = w->line, *end;
        while ((end = memchr(begin, '\n', w->size - (size_t)(begin - w->line)))) {
                *end = 0;
                fgd_watchdog_take(w, begin);
                begin = end + 1;
        }
        w->size -= (size_t)(begin - w->line);
        memmove(w->line, begin, w->size);
        if (w->size == FGD_WATCH_LINE)
                w->size = 0; /* no line of ours is that long: chatter */
}

static int on_output(sd_event_source *source, int fd, uint32_t events, void *user)
{
        struct fgd_watchdog *w = user;
        ssize_t n = read(w->output, w->line + w->size, FGD_WATCH_LINE - w->size);
        if (n == 0)
                sd_event_source_set_enabled(source, SD_EVENT_OFF); /* its end comes through the pidfd */
        if (n <= 0)
                return 0;
        w->heard_at = fg_now();
        w->failures = 0;
        w->size += (size_t)n;
        take_lines(w);
        return 0;
}

static int on_helper_exit(sd_event_source *source, int fd, uint32_t events, void *user)
{
        struct fgd_watchdog *w = user;
        if (!w->failures++)
                fg_log_warning("the watchdog's %s ended; its figures are stale until it is back", watch_backend.program);
        stop(w);
        return 0;
}

static int start(struct fgd_watchdog *w)
{
        struct fgd_manager *m = w->manager;
        struct fg_error err = {0};
        w->started_at = w->heard_at = fg_now();
        int r = fgd_probe_spawn(m, &watch_backend, (unsigned)m->options.value[FG_OPT_WATCHDOG_INTERVAL], &w->pid, &w->pidfd, &w->output, &err);
        if (r == 0 && (sd_event_add_io(m->event, &w->exited, w->pidfd, EPOLLIN, on_helper_exit, w) < 0 ||
                       sd_event_add_io(m->event, &w->readable, w->output, EPOLLIN, on_output, w) < 0))
                r = fg_error_set(&err, -ENOMEM, "out of memory");
        if (r == 0)
                return 0;
        stop(w);
        if (!w->failures++)
                fg_log_warning("no watchdog over NVIDIA GPUs: %s", err.text);
        return r;
}

static uint64_t patience(const struct fgd_watchdog *w)
{
        uint64_t wait = RESTART_LEAST << (w->failures < 8 ? w->failures : 8);
        return wait < RESTART_MAX ? wait : RESTART_MAX;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *user)
{
        struct fgd_watchdog *w = user;
        uint64_t now = fg_now();
        if (w->pid && now - w->heard_at > SILENCE + 4 * interval_of(w->manager)) {
                if (!w->failures++)
                        fg_log_warning("the watchdog's %s hangs in the driver; it is started again", watch_backend.program);
                stop(w);
        }
        if (!w->pid && now - w->started_at > patience(w))
                start(w);
        sd_event_source_set_time_relative(source, RESTART_LEAST / 1000);
        sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        return 0;
}

static bool is_wanted(const struct fgd_manager *m)
{
        if (m->options.value[FG_OPT_WATCHDOG] == FG_WATCHDOG_OFF)
                return false;
        for (uint32_t i = 0; i < m->devices; i++)
                if (m->device[i]->present && m->device[i]->vgpus && strcmp(m->device[i]->api, watch_backend.name) == 0)
                        return true;
        return false;
}

static struct fgd_watchdog *watchdog_new(struct fgd_manager *m)
{
        struct fgd_watchdog *w = calloc(1, sizeof *w);
        if (w)
                w->line = malloc(FGD_WATCH_LINE);
        if (w)
                w->manager = m;
        if (w && w->line &&
            sd_event_add_time_relative(m->event, &w->timer, CLOCK_MONOTONIC, RESTART_LEAST / 1000, 0, on_timer, w) >= 0)
                return w;
        fgd_watchdog_free(w);
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
                if (m->watchdog)
                        start(m->watchdog);
        }
}

void fgd_watchdog_free(struct fgd_watchdog *w)
{
        if (!w)
                return;
        stop(w);
        sd_event_source_disable_unref(w->timer);
        for (uint32_t i = 0; i < FGD_DEVICES_MAX; i++)
                free(w->look[i]);
        free(w->line);
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
