/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/manager.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "daemon/use.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

static int read_start_time(uint32_t pid, uint64_t *ret)
{
        char path[64], text[1024];
        snprintf(path, sizeof path, "/proc/%u/stat", pid);
        fg_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -ESRCH;
        ssize_t n = read(fd, text, sizeof text - 1);
        if (n <= 0)
                return -ESRCH;
        text[n] = 0;
        /* The name in brackets may hold anything; the fields start after the last bracket, with field 3. */
        char *at = strrchr(text, ')'), *rest = NULL;
        for (int field = 2; at && field < 22; field++)
                at = strchr(at + 1, ' ');
        if (!at)
                return -ESRCH;
        *ret = strtoull(at + 1, &rest, 10);
        return rest == at + 1 ? -ESRCH : 0;
}

static bool is_alive(int pidfd)
{
        struct pollfd p = {.fd = pidfd, .events = POLLIN};
        return poll(&p, 1, 0) == 0;
}

static int on_death(sd_event_source *source, int fd, uint32_t events, void *user)
{
        fgd_use_process_died(user);
        return 0;
}

static struct fgd_process *find(struct fgd_manager *m, uint32_t pid, uint64_t start_time)
{
        struct fgd_process *p;
        LIST_FOREACH(p, &m->processes.bucket[pid % FGD_PROCESS_BUCKETS], chain)
                if (p->pid == pid && p->start_time == start_time)
                        return p;
        return NULL;
}

/* Takes the pidfd. The start time is read while the pidfd says that the process lives, so both name the same one. */
static int process_get(struct fgd_manager *m, uint32_t pid, int pidfd_taken, uint64_t *start_expected,
                       struct fgd_process **ret)
{
        fg_autoclose int pidfd = pidfd_taken;
        uint64_t start;
        if (read_start_time(pid, &start) < 0 || !is_alive(pidfd) || (start_expected && *start_expected != start))
                return -ESRCH;
        *ret = find(m, pid, start);
        if (*ret)
                return 0;
        struct fgd_process *p = calloc(1, sizeof *p);
        if (!p)
                return -ENOMEM;
        *p = (struct fgd_process){.manager = m, .pid = pid, .start_time = start, .pidfd = pidfd};
        TAILQ_INIT(&p->uses);
        int r = sd_event_add_io(m->event, &p->source, pidfd, EPOLLIN, on_death, p);
        if (r < 0) {
                free(p);
                return r;
        }
        sd_event_source_set_priority(p->source, SD_EVENT_PRIORITY_IMPORTANT); /* what the dead held goes back first */
        LIST_INSERT_HEAD(&m->processes.bucket[pid % FGD_PROCESS_BUCKETS], p, chain);
        FG_TAKE_FD(pidfd);
        *ret = p;
        return 0;
}

/* By number: only a process of the caller's own user can be taken for the caller. */
static int open_peer(const struct ucred *peer)
{
        char path[32];
        struct stat st;
        int pidfd = pidfd_open(peer->pid, 0);
        snprintf(path, sizeof path, "/proc/%d", peer->pid);
        if (pidfd >= 0 && (stat(path, &st) < 0 || st.st_uid != peer->uid)) {
                close(pidfd);
                errno = ESRCH;
                return -1;
        }
        return pidfd;
}

int fgd_process_of_socket(struct fgd_manager *m, int socket, struct fgd_process **ret, struct fg_error *err)
{
        struct ucred peer;
        socklen_t size = sizeof peer;
        if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
                return fg_error_set(err, -errno, "cannot tell who is calling: %m");
        if (peer.pid <= 0)
                return fg_error_set(err, -ESRCH, "the caller is not visible in the daemon's PID namespace");
        int pidfd = -1;
        size = sizeof pidfd;
        if (getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) < 0) {
                if (errno != ENOPROTOOPT) /* it was reaped, and its number may be another's by now */
                        return fg_error_set(err, -ESRCH, "the caller is gone");
                pidfd = open_peer(&peer); /* before Linux 6.5 */
        }
        if (pidfd < 0)
                return fg_error_set(err, -errno, "cannot watch process %d: %m", peer.pid);
        fcntl(pidfd, F_SETFD, FD_CLOEXEC);
        int r = process_get(m, (uint32_t)peer.pid, pidfd, NULL, ret);
        if (r == 0)
                (*ret)->uid = peer.uid;
        return r < 0 ? fg_error_set(err, r, "cannot watch process %d: %m", peer.pid) : 0;
}

int fgd_process_of_pid(struct fgd_manager *m, uint32_t pid, uint64_t start_time, struct fgd_process **ret)
{
        if (pid == 0 || pid > INT32_MAX)
                return -ESRCH;
        int pidfd = pidfd_open((pid_t)pid, 0);
        int r = pidfd < 0 ? -errno : process_get(m, pid, pidfd, &start_time, ret);
        char path[32];
        struct stat st;
        snprintf(path, sizeof path, "/proc/%u", pid);
        if (r == 0 && stat(path, &st) == 0)
                (*ret)->uid = st.st_uid;
        return r;
}

void fgd_process_drop(struct fgd_process *p)
{
        if (!TAILQ_EMPTY(&p->uses))
                return;
        LIST_REMOVE(p, chain);
        sd_event_source_disable_unref(p->source);
        close(p->pidfd);
        free(p);
}

int fgd_process_signal(const struct fgd_process *p, int signal)
{
        return pidfd_send_signal(p->pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}
