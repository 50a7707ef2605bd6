/* SPDX-License-Identifier: Apache-2.0
 * The server's sockets: one epoll for all of them, which the caller's own loop waits for. What is queued by a call goes out with the
 * next dispatch, so that nothing is freed under the caller's hands. */
#include "integrations/grpc/server.h"

#include "base/clock.h"
#include "base/paths.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

static int watch(struct fgi_grpc_server *server, int fd, void *what, uint32_t events, int how)
{
        struct epoll_event event = {.events = events, .data.ptr = what};
        return epoll_ctl(server->epoll, how, fd, &event) < 0 ? -errno : 0;
}

int fgi_grpc_server_new(const struct fgi_grpc_method *methods, void *userdata, struct fgi_grpc_server **ret)
{
        struct fgi_grpc_server *server = calloc(1, sizeof *server);
        if (!server)
                return -ENOMEM;
        *server = (struct fgi_grpc_server){.methods = methods, .userdata = userdata, .listener = -1};
        server->epoll = epoll_create1(EPOLL_CLOEXEC);
        server->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        server->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        if (server->epoll < 0 || server->wake < 0 || server->timer < 0 || watch(server, server->wake, &server->wake, EPOLLIN, EPOLL_CTL_ADD) < 0 ||
            watch(server, server->timer, &server->timer, EPOLLIN, EPOLL_CTL_ADD) < 0) {
                fgi_grpc_server_free(server);
                return -EMFILE;
        }
        *ret = server;
        return 0;
}

static void conn_free(struct fgi_grpc_conn *conn)
{
        fgi_grpc_conn_forget(conn);
        fgi_grpc_link_clear(&conn->link);
        conn->server->conn_count--;
        free(conn);
}

static void close_all(struct fgi_grpc_server *server)
{
        while (server->conns) {
                struct fgi_grpc_conn *conn = server->conns;
                server->conns = conn->next;
                conn_free(conn);
        }
}

void fgi_grpc_server_free(struct fgi_grpc_server *server)
{
        if (!server)
                return;
        close_all(server);
        if (server->listener >= 0)
                unlink(server->path);
        for (int i = 0; i < 4; i++) {
                const int fd[] = {server->listener, server->epoll, server->wake, server->timer};
                if (fd[i] >= 0)
                        close(fd[i]);
        }
        free(server->path);
        free(server);
}

int fgi_grpc_server_listen(struct fgi_grpc_server *server, const char *path, unsigned mode, struct fg_error *err)
{
        server->path = strdup(path);
        int fd = server->path ? fg_unix_listen(path, SOCK_STREAM, 16, mode) : -ENOMEM;
        if (fd < 0)
                return fg_error_set(err, fd, "cannot listen on %s: %m", path);
        server->listener = fd;
        int r = watch(server, fd, &server->listener, EPOLLIN, EPOLL_CTL_ADD);
        return r < 0 ? fg_error_set(err, r, "cannot wait for callers on %s: %m", path) : 0;
}

int fgi_grpc_server_adopt(struct fgi_grpc_server *server, int fd)
{
        struct fgi_grpc_conn *conn = server->conn_count < FGI_GRPC_LINKS_MAX ? calloc(1, sizeof *conn) : NULL;
        if (!conn) {
                close(fd);
                return -ENOBUFS;
        }
        *conn = (struct fgi_grpc_conn){.link.fd = fd, .server = server};
        server->conn_count++;
        int r = fgi_grpc_session_new(conn);
        if (r == 0)
                r = watch(server, fd, conn, EPOLLIN, EPOLL_CTL_ADD);
        if (r < 0) {
                conn_free(conn);
                return r;
        }
        conn->next = server->conns;
        server->conns = conn;
        fgi_grpc_server_wake(server);
        return 0;
}

int fgi_grpc_server_fd(const struct fgi_grpc_server *server)
{
        return server->epoll;
}

unsigned fgi_grpc_server_links(const struct fgi_grpc_server *server)
{
        return server->conn_count;
}

void fgi_grpc_server_wake(struct fgi_grpc_server *server)
{
        eventfd_write(server->wake, 1);
}

static void accept_all(struct fgi_grpc_server *server)
{
        int fd;
        while ((fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
                fgi_grpc_server_adopt(server, fd);
}

static void flush(struct fgi_grpc_conn *conn)
{
        int r = fgi_grpc_link_write(&conn->link);
        bool full = r == -EAGAIN;
        if (full != conn->full && watch(conn->server, conn->link.fd, conn, EPOLLIN | (full ? EPOLLOUT : 0), EPOLL_CTL_MOD) < 0)
                r = -EPIPE;
        conn->full = full;
        if (r == -EPIPE || fgi_grpc_link_is_over(&conn->link))
                conn->dead = true;
}

static void reap(struct fgi_grpc_server *server)
{
        struct fgi_grpc_conn **p = &server->conns;
        while (*p) {
                struct fgi_grpc_conn *conn = *p;
                if (!conn->dead) {
                        p = &conn->next;
                        continue;
                }
                *p = conn->next;
                conn_free(conn);
        }
}

static void set_timer(struct fgi_grpc_server *server, uint64_t at)
{
        struct itimerspec when = {0};
        if (at == UINT64_MAX)
                at = 0;
        when.it_value.tv_sec = (time_t)(at / FG_NSEC_PER_SEC);
        when.it_value.tv_nsec = (long)(at % FG_NSEC_PER_SEC);
        if (at != server->timer_at)
                timerfd_settime(server->timer, TFD_TIMER_ABSTIME, &when, NULL);
        server->timer_at = at;
}

static void read_events(struct fgi_grpc_server *server)
{
        struct epoll_event event[32];
        eventfd_t ignored;
        int n = epoll_wait(server->epoll, event, sizeof event / sizeof *event, 0);
        for (int i = 0; i < n; i++) {
                void *what = event[i].data.ptr;
                struct fgi_grpc_conn *conn = what;
                if (what == &server->listener)
                        accept_all(server);
                else if (what == &server->wake)
                        eventfd_read(server->wake, &ignored);
                else if (what == &server->timer)
                        eventfd_read(server->timer, &ignored);
                else if ((event[i].events & ~(uint32_t)EPOLLOUT) && fgi_grpc_link_read(&conn->link) < 0)
                        conn->dead = true;
        }
}

void fgi_grpc_server_dispatch(struct fgi_grpc_server *server)
{
        uint64_t now, next = UINT64_MAX;
        read_events(server);
        now = fg_now();
        for (struct fgi_grpc_conn *conn = server->conns; conn; conn = conn->next) {
                uint64_t at = fgi_grpc_conn_expire(conn, now);
                next = at < next ? at : next;
                if (!conn->dead)
                        flush(conn);
        }
        set_timer(server, next);
        reap(server);
}
