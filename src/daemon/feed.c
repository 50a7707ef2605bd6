/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/feed.h"

#include "base/clock.h"
#include "base/log.h"
#include "daemon/inventory_internal.h"
#include "daemon/manager.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define RESTART_MAX   (30 * FG_NSEC_PER_SEC)
#define RESTART_LEAST (FG_NSEC_PER_SEC / 2)
#define SILENCE       (5 * FG_NSEC_PER_SEC) /* a helper that says nothing for so long hangs in the driver */

static const struct fgd_backend backend = {"cuda", "fastgpu-probe-nvml"};

static void end_helper(struct fgd_feed *f)
{
        f->exited = sd_event_source_disable_unref(f->exited);
        f->readable = sd_event_source_disable_unref(f->readable);
        if (f->pid) {
                kill(-f->pid, SIGKILL);
                kill(f->pid, SIGKILL);
                waitpid(f->pid, NULL, 0);
                close(f->pidfd);
                close(f->output);
        }
        f->pid = 0;
        f->size = 0;
}

static void take_lines(struct fgd_feed *f)
{
        char *begin = f->line, *end;
        while ((end = memchr(begin, '\n', f->size - (size_t)(begin - f->line)))) {
                *end = 0;
                f->take(f->user, begin);
                begin = end + 1;
        }
        f->size -= (size_t)(begin - f->line);
        memmove(f->line, begin, f->size);
        if (f->size == FGD_FEED_LINE)
                f->size = 0; /* no line of ours is that long: chatter */
}

static int on_output(sd_event_source *source, int fd, uint32_t events, void *user)
{
        struct fgd_feed *f = user;
        ssize_t n = read(f->output, f->line + f->size, FGD_FEED_LINE - f->size);
        if (n == 0)
                sd_event_source_set_enabled(source, SD_EVENT_OFF); /* its end comes through the pidfd */
        if (n <= 0)
                return 0;
        f->heard_at = fg_now();
        f->failures = 0;
        f->size += (size_t)n;
        take_lines(f);
        return 0;
}

static int on_helper_exit(sd_event_source *source, int fd, uint32_t events, void *user)
{
        struct fgd_feed *f = user;
        if (!f->failures++)
                fg_log_warning("the %s's %s ended; its figures are stale until it is back", f->what, backend.program);
        end_helper(f);
        return 0;
}

static void start_helper(struct fgd_feed *f)
{
        struct fgd_manager *m = f->manager;
        struct fg_error err = {0};
        f->started_at = f->heard_at = fg_now();
        int r = fgd_probe_spawn(m, &backend, f->mode, (unsigned)f->interval, &f->pid, &f->pidfd, &f->output, &err);
        if (r == 0 && (sd_event_add_io(m->event, &f->exited, f->pidfd, EPOLLIN, on_helper_exit, f) < 0 ||
                       sd_event_add_io(m->event, &f->readable, f->output, EPOLLIN, on_output, f) < 0))
                r = fg_error_set(&err, -ENOMEM, "out of memory");
        if (r == 0)
                return;
        end_helper(f);
        if (!f->failures++)
                fg_log_warning("no %s for NVIDIA GPUs: %s", f->what, err.text);
}

static uint64_t patience(const struct fgd_feed *f)
{
        uint64_t wait = RESTART_LEAST << (f->failures < 8 ? f->failures : 8);
        return wait < RESTART_MAX ? wait : RESTART_MAX;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *user)
{
        struct fgd_feed *f = user;
        uint64_t now = fg_now();
        if (f->pid && now - f->heard_at > SILENCE + 4 * f->interval * FG_NSEC_PER_MSEC) {
                if (!f->failures++)
                        fg_log_warning("the %s's %s hangs in the driver; it is started again", f->what, backend.program);
                end_helper(f);
        }
        if (!f->pid && now - f->started_at > patience(f))
                start_helper(f);
        sd_event_source_set_time_relative(source, RESTART_LEAST / 1000);
        sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        return 0;
}

int fgd_feed_start(struct fgd_feed *f)
{
        f->line = malloc(FGD_FEED_LINE);
        if (!f->line || sd_event_add_time_relative(f->manager->event, &f->timer, CLOCK_MONOTONIC, RESTART_LEAST / 1000, 0, on_timer, f) < 0) {
                fgd_feed_stop(f);
                return -ENOMEM;
        }
        start_helper(f);
        return 0;
}

void fgd_feed_stop(struct fgd_feed *f)
{
        end_helper(f);
        f->timer = sd_event_source_disable_unref(f->timer);
        free(f->line);
        f->line = NULL;
}
