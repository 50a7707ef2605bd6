/* SPDX-License-Identifier: Apache-2.0
 * fastgpu-gate: takes containers from runc and crun, one process for each. */
#include "integrations/gate/gate.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/paths.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <time.h>

#define BACKLOG  64
#define PATIENCE (5 * FG_NSEC_PER_SEC) /* for a runtime that has connected to say what it wants */

__attribute__((visibility("default"))) const char *argp_program_version = "fastgpu-gate " FASTGPU_VERSION;

static const struct argp argp = {
        .doc = "Open the nodes of GPUs for programs that are attached to their container's vGPU (fastgpu-gate(8)). It is for containers of "
               "fastgpu-runtime with open-gate = on in /etc/fastgpu/runtime.conf."};

/* --- one container --- */

static int take_listener(struct msghdr *m)
{
        int fd = -1;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof fd))
                        continue;
                memcpy(&fd, CMSG_DATA(c), sizeof fd);
        }
        return fd;
}

/* One piece of what is sent, with the listener if it comes with it. */
static ssize_t receive(int connection, char *at, size_t room, int *listener)
{
        char control[CMSG_SPACE(sizeof(int))];
        struct iovec part = {at, room};
        struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
        ssize_t n = recvmsg(connection, &m, MSG_CMSG_CLOEXEC);
        if (n < 0)
                return -errno;
        int fd = take_listener(&m);
        if (fd >= 0 && *listener >= 0)
                close(*listener);
        if (fd >= 0)
                *listener = fd;
        return m.msg_flags & MSG_CTRUNC ? -EMSGSIZE : n;
}

/* crun keeps the connection while the container runs: all is there when the text is whole. */
static int take_box(int connection, struct fgi_gate_box *ret, int *ret_listener, struct fg_error *err)
{
        uint64_t end = fg_now() + PATIENCE;
        fg_autofree char *text = malloc(FGI_GATE_MESSAGE_MAX);
        fg_autoclose int listener = -1;
        size_t size = 0;
        int r = text ? -EAGAIN : fg_error_set(err, -ENOMEM, "out of memory");
        while (r == -EAGAIN) {
                struct pollfd p = {.fd = connection, .events = POLLIN};
                uint64_t now = fg_now();
                if (now >= end || size == FGI_GATE_MESSAGE_MAX || poll(&p, 1, (int)((end - now) / FG_NSEC_PER_MSEC) + 1) == 0)
                        return fg_error_set(err, -ETIMEDOUT, "a runtime connected and did not come to an end");
                ssize_t n = receive(connection, text + size, FGI_GATE_MESSAGE_MAX - size, &listener);
                if (n == 0 && size == 0) /* fastgpu-runtime looks whether somebody is here */
                        return -ENODATA;
                if (n <= 0)
                        return fg_error_set(err, n ? (int)n : -EPIPE, "a runtime's message cannot be received: %m");
                size += (size_t)n;
                r = fgi_gate_parse(text, size, ret, err);
        }
        if (r == 0 && listener < 0)
                r = fg_error_set(err, -EINVAL, "a runtime sent no seccomp listener");
        if (r == 0)
                *ret_listener = FG_TAKE_FD(listener);
        return r;
}

static int serve(int connection)
{
        struct fgi_gate_box box;
        struct fg_error err = {0};
        fg_autoclose int listener = -1;
        int r = take_box(connection, &box, &listener, &err);
        close(connection);
        if (r == 0)
                r = fgi_gate_serve(listener, &box, &err);
        if (r < 0 && r != -ENODATA)
                fg_log_error("%s", err.text);
        return r < 0 && r != -ENODATA;
}

/* --- all of them --- */

static int listen_here(int *ret_lock, struct fg_error *err)
{
        struct fg_paths paths;
        char path[PATH_MAX + 16];
        int r = fg_paths_find(&paths, err);
        if (r == 0)
                r = fg_mkdirs(paths.run, 0700, err);
        if (r < 0)
                return r;
        snprintf(path, sizeof path, "%s/gate.lock", paths.run);
        int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) < 0)
                return fg_error_set(err, -errno, errno == EWOULDBLOCK ? "another fastgpu-gate runs already: it holds %s" : "%s: %m", path);
        *ret_lock = lock;
        snprintf(path, sizeof path, "%s/" FGI_GATE_SOCKET, paths.run);
        int fd = fg_unix_listen(path, SOCK_STREAM, BACKLOG, 0600);
        return fd < 0 ? fg_error_set(err, fd, "cannot listen on %s: %m", path) : fd;
}

/* Whoever connects stays in the queue, and poll() comes back at once. */
static void wait_for_room(int error, bool *is_said)
{
        const struct timespec rest = {.tv_nsec = 100 * FG_NSEC_PER_MSEC};
        if (error != EMFILE && error != ENFILE && error != ENOMEM && error != ENOBUFS)
                return;
        if (!*is_said)
                fg_log_error("no container can be taken, it is tried again: %s", strerror(error));
        *is_said = true;
        nanosleep(&rest, NULL);
}

/* The lock goes with this process: containers keep theirs while another gate takes over. */
static int run(int fd, int lock)
{
        bool is_said = false;
        for (;;) {
                struct pollfd p = {.fd = fd, .events = POLLIN};
                if (poll(&p, 1, -1) < 0 && errno != EINTR)
                        return 1;
                int connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
                if (connection < 0) {
                        wait_for_room(errno, &is_said);
                        continue;
                }
                pid_t child = fork();
                if (child == 0) {
                        close(fd);
                        close(lock);
                        _exit(serve(connection));
                }
                if (child < 0)
                        fg_log_error("no process for a container's gate: %m; its programs cannot open files for reading and writing");
                close(connection);
        }
}

int main(int argc, char **argv)
{
        struct fg_error err = {0};
        fg_autoclose int lock = -1;
        argp_parse(&argp, argc, argv, 0, NULL, NULL);
        setenv("FASTGPU_URL", "local", 1); /* whatever root is logged in to: process numbers are this machine's */
        fg_autoclose int fd = listen_here(&lock, &err);
        if (fd < 0) {
                fg_log_error("%s", err.text);
                return 1;
        }
        signal(SIGCHLD, SIG_IGN);
        signal(SIGPIPE, SIG_IGN);
        return run(fd, lock);
}
