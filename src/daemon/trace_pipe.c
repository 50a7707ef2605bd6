/* SPDX-License-Identifier: Apache-2.0
 * fastgpu-otlp, the helper that talks to the collector: names are looked up, certificates checked and time lost there. It gets lines
 * through a pipe, which bounds what waits for it. */
#include "daemon/trace_internal.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/paths.h"
#include "daemon/manager.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIPE_BYTES  (1 << 20) /* some thousand spans */
#define AGAIN_AFTER (5 * FG_NSEC_PER_SEC)

extern char **environ;

/* The address may hold a password: it goes where only the user can look. */
static char **with_url(char *url)
{
        size_t count = 0, kept = 0;
        while (environ[count])
                count++;
        char **copy = calloc(count + 2, sizeof *copy);
        for (size_t i = 0; copy && i < count; i++)
                if (strncmp(environ[i], "NOTIFY_SOCKET=", 14) != 0 && strncmp(environ[i], "LD_PRELOAD=", 11) != 0)
                        copy[kept++] = environ[i];
        if (copy)
                copy[kept] = url;
        return copy;
}

static int spawn(const struct fgd_trace *t, int input, pid_t *ret)
{
        char prefix[PATH_MAX - 64], path[PATH_MAX], url[sizeof t->url + 24];
        struct fg_error err = {0};
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t none, all;
        if (fg_paths_prefix(prefix, sizeof prefix, &err) < 0)
                return -ENOENT;
        snprintf(path, sizeof path, "%s/lib/fastgpu/fastgpu-otlp", prefix);
        snprintf(url, sizeof url, "FASTGPU_OTLP_URL=%s", t->url);
        char *const argv[] = {path, NULL};
        fg_autofree char **environment = with_url(url);
        if (!environment)
                return -ENOMEM;
        sigemptyset(&none);
        sigfillset(&all);
        posix_spawn_file_actions_init(&actions);
        posix_spawnattr_init(&attributes);
        posix_spawn_file_actions_adddup2(&actions, input, 0);
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setsigdefault(&attributes, &all);
        posix_spawnattr_setpgroup(&attributes, 0);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
        int r = -posix_spawn(ret, path, &actions, &attributes, argv, environment);
        posix_spawnattr_destroy(&attributes);
        posix_spawn_file_actions_destroy(&actions);
        return r;
}

/* It ends by itself when its pipe does. */
static void let_go(struct fgd_trace *t)
{
        t->exited = sd_event_source_disable_unref(t->exited);
        if (t->pid) {
                close(t->input);
                close(t->pidfd);
        }
        t->pid = 0;
}

static int on_exit_of_helper(sd_event_source *source, int fd, uint32_t events, void *user)
{
        struct fgd_trace *t = user;
        waitpid(t->pid, NULL, 0);
        fg_log_warning("fastgpu-otlp ended; it is started again with the next trace");
        let_go(t);
        return 0;
}

static int start(struct fgd_trace *t)
{
        int ends[2];
        if (t->started_at && fg_now() - t->started_at < AGAIN_AFTER)
                return -EAGAIN;
        t->started_at = fg_now();
        if (pipe2(ends, O_CLOEXEC) < 0)
                return -errno;
        fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES);
        fcntl(ends[1], F_SETFL, O_NONBLOCK);
        int r = spawn(t, ends[0], &t->pid);
        close(ends[0]);
        t->input = ends[1];
        t->pidfd = r < 0 ? -1 : pidfd_open(t->pid, 0);
        if (r == 0 && (t->pidfd < 0 || sd_event_add_io(t->manager->event, &t->exited, t->pidfd, EPOLLIN, on_exit_of_helper, t) < 0)) {
                kill(t->pid, SIGKILL);
                waitpid(t->pid, NULL, 0);
                r = -ENOMEM;
        }
        if (r == 0)
                return 0;
        fg_log_warning("no traces: fastgpu-otlp (a package of its own) cannot be started: %s", strerror(-r));
        close(ends[1]);
        if (t->pidfd >= 0)
                close(t->pidfd);
        t->pid = 0;
        return r;
}

void fgd_trace_send(struct fgd_trace *t, const struct fgd_text *line)
{
        bool fits = !line->failed && line->size <= FGD_SPAN_MAX;
        if (fits && (t->pid || start(t) == 0) && write(t->input, line->data, line->size) == (ssize_t)line->size) {
                t->is_told = false;
                return;
        }
        t->dropped++;
        if (!t->is_told)
                fg_log_warning("traces are dropped: the collector at the other end of fastgpu-otlp does not take them (%llu so far)",
                               (unsigned long long)t->dropped);
        t->is_told = true;
}

void fgd_trace_close(struct fgd_trace *t)
{
        let_go(t);
}
