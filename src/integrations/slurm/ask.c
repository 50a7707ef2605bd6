/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-or-later */
#include "integrations/slurm/slurm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE   10 /* seconds; a job's start waits for it */
#define ANSWER_MAX (16u << 20)

static int dial(const char *path)
{
        struct sockaddr_un to = {.sun_family = AF_UNIX};
        struct timeval patience = {.tv_sec = PATIENCE};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
        if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
                int r = -errno;
                close(fd);
                return r;
        }
        return fd;
}

static int send_all(int fd, const char *data, size_t size)
{
        while (size > 0) {
                ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EPIPE;
                data += n;
                size -= (size_t)n;
        }
        return 0;
}

/* Everything up to the end, NUL-terminated. */
static int read_all(int fd, char **ret)
{
        size_t size = 0, room = 0;
        char *data = NULL;
        for (;;) {
                if (room - size < 2) {
                        room = room ? room * 2 : 4096;
                        char *more = room <= ANSWER_MAX ? realloc(data, room) : NULL;
                        if (!more) {
                                free(data);
                                return -ENOMEM;
                        }
                        data = more;
                }
                ssize_t n = read(fd, data + size, room - size - 1);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0) {
                        int r = errno == EAGAIN ? -ETIMEDOUT : -errno;
                        free(data);
                        return r;
                }
                if (n == 0)
                        break;
                size += (size_t)n;
        }
        data[size] = '\0';
        *ret = data;
        return 0;
}

/* "HTTP/1.x STATUS …", a head, an empty line, the body: HTTP/1.0 was asked for, so there are no chunks. A daemon that is killed while it
 * answers leaves half an answer, which the head tells. */
int fgi_slurm_reply_read(const char *whole, struct fgi_slurm_reply *ret)
{
        static const char length[] = "\r\nContent-Length:";
        const char *body = strstr(whole, "\r\n\r\n"), *said = strcasestr(whole, length);
        if (strncmp(whole, "HTTP/1.", 7) != 0 || !body || strlen(whole) < 12)
                return -EPROTO;
        if (said && said < body && strtoull(said + sizeof length - 1, NULL, 10) > strlen(body + 4))
                return -EPROTO;
        ret->status = atoi(whole + 9);
        ret->body = strdup(body + 4);
        return ret->body ? 0 : -ENOMEM;
}

static int ask(const char *path, const char *request, size_t size, char **ret)
{
        int fd = dial(path);
        int r = fd < 0 ? fd : send_all(fd, request, size);
        if (r == 0)
                r = read_all(fd, ret);
        if (fd >= 0)
                close(fd);
        return r;
}

int fgi_slurm_ask(const char *socket, const char *method, const char *path, const char *json, struct fgi_slurm_reply *ret)
{
        char *request = NULL, *whole = NULL;
        int size = asprintf(&request, "%s %s HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", method, path,
                            json ? strlen(json) : 0, json ? json : "");
        *ret = (struct fgi_slurm_reply){0};
        if (size < 0)
                return -ENOMEM;
        int r = ask(socket, request, (size_t)size, &whole);
        if (r == 0)
                r = fgi_slurm_reply_read(whole, ret);
        free(request);
        free(whole);
        return r;
}
