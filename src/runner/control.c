/* SPDX-License-Identifier: Apache-2.0
 * Who is connected: told of each change of state, and answered. Nobody is waited for: one who does not read gets the newest status when he does. */
#include "runner/runner.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void drop(struct fgr_connection *c)
{
        close(c->fd);
        *c = (struct fgr_connection){.fd = -1};
}

void fgr_control_add(struct fgr_runner *r, int fd)
{
        struct fgr_connection *at = &r->connection[0];
        for (unsigned i = 0; i < FGR_CONNECTIONS; i++)
                if (r->connection[i].fd < 0 || (at->fd >= 0 && r->connection[i].since < at->since))
                        at = &r->connection[i];
        if (at->fd >= 0)
                drop(at);
        *at = (struct fgr_connection){.fd = fd, .since = ++r->connections, .dirty = true};
}

void fgr_control_accept(struct fgr_runner *r)
{
        struct ucred who;
        socklen_t size = sizeof who;
        int fd = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
                return;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0 || (who.uid != geteuid() && who.uid != 0))
                close(fd);
        else
                fgr_control_add(r, fd);
}

/* False: the connection is gone, or does not read. */
static bool push(struct fgr_connection *c, const char *text, size_t size)
{
        ssize_t n = send(c->fd, text, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR && errno != ENOBUFS)
                drop(c);
        return n >= 0;
}

static void flush(struct fgr_runner *r, struct fgr_connection *c)
{
        char text[8 + FG_JOB_STATUS_MAX] = "status\n";
        if (c->answer) {
                if (!push(c, c->reply, strlen(c->reply)))
                        return;
                c->answer = false;
        }
        /* How it ended is said only when it cannot be forgotten any more. */
        if (!c->dirty || (r->status.state == FG_JOB_ENDED && !r->saved))
                return;
        size_t size = 7 + fg_job_status_write(&r->status, text + 7);
        if (push(c, text, size))
                c->dirty = false;
}

void fgr_control_tell(struct fgr_runner *r)
{
        for (unsigned i = 0; i < FGR_CONNECTIONS; i++)
                if (r->connection[i].fd >= 0) {
                        r->connection[i].dirty = true;
                        flush(r, &r->connection[i]);
                }
}

static bool receive(struct fgr_runner *r, struct fgr_connection *c)
{
        char text[FGR_MESSAGE_MAX];
        ssize_t n = recv(c->fd, text, sizeof text, MSG_DONTWAIT | MSG_TRUNC);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
                drop(c);
                return false;
        }
        if (n < 0)
                return false;
        text[n < (ssize_t)sizeof text ? n : 0] = 0;
        fgr_request(r, text, c->reply, sizeof c->reply);
        c->answer = true;
        return true;
}

void fgr_control_serve(struct fgr_runner *r, struct fgr_connection *c, short events)
{
        if (c->fd >= 0 && (events & (POLLIN | POLLHUP | POLLERR)) && !c->answer)
                receive(r, c);
        if (c->fd >= 0)
                flush(r, c);
}
