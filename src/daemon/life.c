/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/life.h"

#include "base/atomic.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "daemon/box.h"
#include "daemon/guard.h"
#include "daemon/jobs.h"
#include "daemon/manager.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define LOCK_TRIES 100 /* 10 ms apart: a daemon killed a moment ago lets go when the last of its threads is gone */
#define FOLDER_SOON_USEC 200000
#define FOLDER_LOOK_USEC 30000000 /* in case the kernel's word about the folder is missed */

static int take_lock(const struct fg_paths *paths, struct fg_error *err)
{
        char path[PATH_MAX], text[32] = "";
        snprintf(path, sizeof path, "%s/daemon.lock", paths->run);
        fg_autoclose int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0)
                return fg_error_set(err, -errno, "cannot create %s: %m", path);
        int r = flock(fd, LOCK_EX | LOCK_NB);
        for (int tries = 0; r < 0 && errno == EWOULDBLOCK && tries < LOCK_TRIES; tries++) {
                usleep(10000);
                r = flock(fd, LOCK_EX | LOCK_NB);
        }
        if (r < 0) {
                if (errno != EWOULDBLOCK)
                        return fg_error_set(err, -errno, "cannot lock %s: %m", path);
                if (read(fd, text, sizeof text - 1) <= 0)
                        snprintf(text, sizeof text, "unknown");
                text[strcspn(text, "\n")] = 0;
                return fg_error_set(err, -EBUSY, "a daemon runs here already: process %s holds %s", text, path);
        }
        int n = snprintf(text, sizeof text, "%d\n", getpid());
        if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)n, 0) != n)
                return fg_error_set(err, errno ? -errno : -EIO, "cannot write %s: %m", path);
        FG_TAKE_FD(fd); /* held until the process ends */
        return 0;
}

int fgd_life_prepare(const struct fg_paths *paths, struct fg_error *err)
{
        static const char *const below[] = {"vgpu", "attach", "containers", "runners"};
        char path[PATH_MAX];
        int r = fg_mkdirs(paths->state, 0700, err);
        if (r == 0)
                r = fg_mkdirs(paths->run, 0700, err);
        for (unsigned i = 0; r == 0 && i < sizeof below / sizeof *below; i++) {
                snprintf(path, sizeof path, "%s/%s", paths->run, below[i]);
                r = fg_mkdirs(path, 0700, err);
        }
        snprintf(path, sizeof path, "%s/jobs", paths->state);
        if (r == 0)
                r = fg_mkdirs(path, 0700, err);
        /* With a folder for sockets elsewhere the daemon can at least say so: open_store(). */
        bool is_safe = access(paths->state, W_OK) < 0 && errno == EROFS && access(paths->run, W_OK) == 0;
        if (r == 0 && !is_safe && access(paths->state, W_OK) < 0)
                r = fg_error_set(err, -errno, "the folder %s cannot be written: %m", paths->state);
        return r < 0 ? r : take_lock(paths, err);
}

void fgd_life_limits(void)
{
        struct rlimit files;
        if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
                files.rlim_cur = files.rlim_max;
                setrlimit(RLIMIT_NOFILE, &files);
        }
        signal(SIGPIPE, SIG_IGN);
        mallopt(M_ARENA_MAX, 1);
        mallopt(M_MMAP_THRESHOLD, 128 << 10); /* fixed: what a large answer took goes back to the system */
        mallopt(M_TRIM_THRESHOLD, 128 << 10);
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *user)
{
        struct fgd_manager *m = user;
        if (info->ssi_signo == SIGHUP)
                return fgd_inventory_scan(m, NULL, NULL, NULL);
        return sd_event_exit(m->event, 0);
}

static int watch_signals(struct fgd_manager *m)
{
        static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
        sigset_t set;
        sigemptyset(&set);
        int r = 0;
        for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++)
                sigaddset(&set, signals[i]);
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
                return -errno;
        for (unsigned i = 0; r >= 0 && i < sizeof signals / sizeof *signals; i++)
                r = sd_event_add_signal(m->event, &m->life[i], signals[i], on_signal, m);
        return r;
}

/* A vGPU whose page was cut is closed: what its programs hold cannot be known any more. */
static int on_damage(sd_event_source *source, int fd, uint32_t events, void *user)
{
        struct fgd_manager *m = user;
        struct fgd_pages *p;
        uint64_t count;
        if (read(fd, &count, sizeof count) < 0)
                return 0;
        TAILQ_FOREACH(p, &m->pages, order) {
                if (!fg_load_acquire(&p->damaged) || p->damage_handled)
                        continue;
                p->damage_handled = true;
                fgd_pages_close(p, true);
                fgd_manager_note(m, "%s/%u is quarantined until its programs end: one of them cut the usage page", p->vgpu->set->name,
                                 p->vgpu->index);
        }
        return 0;
}

static int on_idle(sd_event_source *source, uint64_t usec, void *user)
{
        struct fgd_manager *m = user;
        uint64_t limit = m->options.value[FG_OPT_IDLE_EXIT] * FG_NSEC_PER_SEC, idle = fg_now() - m->last_activity;
        /* Who is elsewhere cannot start another. */
        if (m->use_count || m->remote || fgd_box_any(m) || fgd_jobs_any(m->jobs))
                idle = 0;
        if (idle >= limit) {
                fg_log_info("nothing to do for %llu s: ending", (unsigned long long)(idle / FG_NSEC_PER_SEC));
                return sd_event_exit(m->event, 0);
        }
        sd_event_source_set_time_relative(source, (limit - idle) / 1000 + 1000);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* Without its store a daemon keeps promises that nobody will find again: the folder counts as gone with it. */
static bool folder_gone(const struct fgd_manager *m)
{
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/store.db", m->paths.state);
        return access(path, F_OK) < 0 && (errno == ENOENT || errno == ENOTDIR);
}

static int look_again(sd_event_source *timer, uint64_t usec)
{
        sd_event_source_set_time_relative(timer, usec);
        return sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

static int on_folder_timer(sd_event_source *source, uint64_t usec, void *user)
{
        struct fgd_manager *m = user;
        if (folder_gone(m)) {
                fg_log_info("the folder %s is gone: ending", m->paths.state);
                return sd_event_exit(m->event, 0);
        }
        return look_again(source, FOLDER_LOOK_USEC);
}

/* Something in the folder was removed, perhaps as the first of all: the last one may go without a word. */
static int on_folder_event(sd_event_source *source, const struct inotify_event *event, void *user)
{
        struct fgd_manager *m = user;
        return look_again(m->folder_timer, FOLDER_SOON_USEC);
}

static int watch_folder(struct fgd_manager *m)
{
        if (!m->paths.is_private)
                return 0;
        int r = sd_event_add_time_relative(m->event, &m->folder_timer, CLOCK_MONOTONIC, FOLDER_LOOK_USEC, 100000, on_folder_timer, m);
        if (r < 0)
                return r;
        r = sd_event_add_inotify(m->event, &m->life[3], m->paths.state, IN_DELETE_SELF | IN_MOVE_SELF | IN_DELETE, on_folder_event, m);
        if (r < 0)
                fg_log_debug("cannot watch %s: %s", m->paths.state, strerror(-r));
        return 0;
}

int fgd_life_watch(struct fgd_manager *m, struct fg_error *err)
{
        int fd = fgd_guard_start();
        int r = fd < 0 ? fd : sd_event_add_io(m->event, &m->life[4], fd, EPOLLIN, on_damage, m);
        if (r >= 0)
                r = watch_signals(m);
        if (r >= 0 && m->idle_exit && m->options.value[FG_OPT_IDLE_EXIT])
                r = sd_event_add_time_relative(m->event, &m->idle_timer, CLOCK_MONOTONIC, m->options.value[FG_OPT_IDLE_EXIT] * 1000000, 0,
                                               on_idle, m);
        if (r >= 0)
                r = watch_folder(m);
        return r < 0 ? fg_error_set(err, r, "cannot set up the event loop: %m") : 0;
}
