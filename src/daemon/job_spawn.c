/* SPDX-License-Identifier: Apache-2.0
 * Starting a runner: it gets nothing of the daemon but two descriptors. */
#include "daemon/job_internal.h"

#include "base/cleanup.h"
#include "base/paths.h"
#include "daemon/manager.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define LOCK   3
#define SOCKET 4
#define HIGH   10 /* the copies that are moved to LOCK and SOCKET must not lie there */

static int on_exit_of_runner(sd_event_source *source, int fd, uint32_t events, void *user)
{
        siginfo_t info;
        waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG);
        sd_event_source_set_enabled(source, SD_EVENT_OFF);
        /* The loop's reference was the only one. */
        sd_event_source_set_floating(source, false);
        return 0;
}

void fgd_job_bury_later(struct fgd_manager *m, pid_t pid)
{
        sd_event_source *source;
        fg_autoclose int fd = pidfd_open(pid, 0);
        if (fd < 0 || sd_event_add_io(m->event, &source, fd, EPOLLIN, on_exit_of_runner, NULL) < 0)
                return;
        sd_event_source_set_io_fd_own(source, true);
        sd_event_source_set_floating(source, true);
        sd_event_source_unref(source);
        fd = -1;
}

static int spawn(const char *program, const char *dir, int lock, int socket, pid_t *ret)
{
        static char lock_text[] = "3", socket_text[] = "4";
        char *const argv[] = {(char *)program, (char *)dir, lock_text, socket_text, NULL};
        char *const environment[] = {NULL};
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t none, all;
        sigemptyset(&none);
        sigfillset(&all);
        posix_spawn_file_actions_init(&actions);
        posix_spawnattr_init(&attributes);
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0);
        posix_spawn_file_actions_adddup2(&actions, 0, 1);
        posix_spawn_file_actions_adddup2(&actions, 0, 2);
        posix_spawn_file_actions_adddup2(&actions, lock, LOCK);
        posix_spawn_file_actions_adddup2(&actions, socket, SOCKET);
        posix_spawn_file_actions_addclosefrom_np(&actions, SOCKET + 1);
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setsigdefault(&attributes, &all);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
        int r = -posix_spawn(ret, program, &actions, &attributes, argv, environment);
        posix_spawnattr_destroy(&attributes);
        posix_spawn_file_actions_destroy(&actions);
        return r;
}

int fgd_job_spawn(const char *dir, int lock, int *ret_socket, pid_t *ret_pid, struct fg_error *err)
{
        char prefix[PATH_MAX - 64], program[PATH_MAX];
        int ends[2];
        pid_t pid;
        int r = fg_paths_prefix(prefix, sizeof prefix, err);
        if (r < 0)
                return r;
        snprintf(program, sizeof program, "%s/lib/fastgpu/fastgpu-job", prefix);
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
                return fg_error_set(err, -errno, "no socket for a job: %m");
        fg_autoclose int own = ends[0], other = ends[1];
        fg_autoclose int high_lock = fcntl(lock, F_DUPFD_CLOEXEC, HIGH), high_other = fcntl(other, F_DUPFD_CLOEXEC, HIGH);
        if (high_lock < 0 || high_other < 0)
                return fg_error_set(err, -errno, "no descriptors for a job: %m");
        r = spawn(program, dir, high_lock, high_other, &pid);
        if (r < 0)
                return fg_error_set(err, r, "cannot start %s: %m; is FastGPU installed completely?", program);
        *ret_pid = pid;
        *ret_socket = FG_TAKE_FD(own);
        return 0;
}
