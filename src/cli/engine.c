/* SPDX-License-Identifier: Apache-2.0
 * A request to an engine's manager: what is read is bounded in size and time, since whoever listens there may be anybody. */
#include "cli/engine.h"

#include "base/cleanup.h"
#include "client/http.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int left(const struct timespec *end)
{
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        long ms = (end->tv_sec - now.tv_sec) * 1000 + (end->tv_nsec - now.tv_nsec) / 1000000;
        return ms > 0 ? (int)ms : 0;
}

static int wait_for(int fd, short events, int ms)
{
        struct pollfd p = {.fd = fd, .events = events};
        int r = poll(&p, 1, ms);
        return r > 0 ? 0 : r == 0 ? -ETIMEDOUT : -errno;
}

static int connect_one(const struct addrinfo *to, int ms)
{
        int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error = 0;
        socklen_t size = sizeof error;
        if (fd < 0)
                return -errno;
        int r = connect(fd, to->ai_addr, to->ai_addrlen) == 0 ? 0 : errno == EINPROGRESS ? wait_for(fd, POLLOUT, ms) : -errno;
        if (r == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0)
                r = -error;
        if (r == 0)
                return fd;
        close(fd);
        return r;
}

/* Each address has an equal part of what is left: the first may lead nowhere. -ENXIO: there is none. */
static int dial(const struct cli_engine *engine)
{
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *all;
        if (getaddrinfo(engine->host, engine->port, &hints, &all) != 0)
                return -ENXIO;
        int fd = -ENXIO, more = 0;
        for (const struct addrinfo *a = all; a; a = a->ai_next)
                more++;
        for (const struct addrinfo *a = all; a && fd < 0; a = a->ai_next)
                fd = connect_one(a, left(&engine->end) / more--);
        freeaddrinfo(all);
        return fd;
}

/* A request fits the socket's buffer. */
static int exchange(int fd, const char *request, size_t size, const struct timespec *end, struct fg_http_reply *reply)
{
        char data[16384];
        size_t used;
        int r = send(fd, request, size, MSG_NOSIGNAL) == (ssize_t)size ? 0 : -EIO;
        while (r == 0) {
                r = wait_for(fd, POLLIN, left(end));
                ssize_t n = r == 0 ? read(fd, data, sizeof data) : 0;
                if (n < 0)
                        r = -errno;
                else if (r == 0)
                        r = n ? fg_http_parse(reply, data, (size_t)n, &used) : fg_http_parse_end(reply);
        }
        return r < 0 ? r : 0;
}

static int ask(const struct cli_engine *engine, const char *path, struct fg_http_reply *reply)
{
        char request[1400];
        const char *authority = engine->url + strlen("http://"), *below = authority + strcspn(authority, "/");
        int size = snprintf(request, sizeof request, "GET %s%s HTTP/1.1\r\nHost: %.*s\r\nAccept: application/json\r\nConnection: close\r\n\r\n", below, path,
                            (int)(below - authority), authority);
        fg_autoclose int fd = dial(engine);
        return fd < 0 ? fd : exchange(fd, request, (size_t)size, &engine->end, reply);
}

/* A standby of YARN's says where the active one is, and engines that are not ready say so, in what they answer. */
static int say_status(const struct cli_engine *engine, const char *path, const struct fg_http_reply *reply, bool json)
{
        const char *body = reply->body ? reply->body : "";
        int n = (int)strcspn(body, "\r\n");
        n = n > 300 ? 300 : n;
        if (reply->status >= 300 && reply->status < 400)
                return cli_fail(CLI_FAILED, "%s%s answers %d, which sends elsewhere%s%.*s; say where by --url http://HOST:PORT", engine->url, path, reply->status,
                                n ? ": " : "", n, body);
        if (json && reply->status != 200)
                return cli_fail(CLI_FAILED, "%s%s answers %d: %.*s", engine->url, path, reply->status, n, body);
        return cli_fail(CLI_FAILED, "%s%s answers %d and no JSON; is it %s?", engine->url, path, reply->status, engine->manager);
}

static const char *reason(int r)
{
        return r == -EPROTO ? "that is not HTTP" : r == -EMSGSIZE ? "its answer is too long" : r == -ENXIO ? "no address is known for that host" : strerror(-r);
}

int cli_engine_get(const struct cli_engine *engine, const char *path, json_t **ret)
{
        struct fg_http_reply reply;
        fg_http_reply_init(&reply);
        int r = ask(engine, path, &reply), code = 0;
        cli_autojson json_t *json = r == 0 ? json_loadb(reply.body ? reply.body : "", reply.size, 0, NULL) : NULL;
        if (r < 0)
                code = cli_fail(CLI_FAILED, "%s does not answer at %s: %s; say where it is by --url http://HOST:PORT", engine->manager, engine->url, reason(r));
        else if (reply.status == 404)
                code = CLI_NOT_FOUND;
        else if (!json || reply.status != 200)
                code = say_status(engine, path, &reply, json != NULL);
        *ret = code ? NULL : FG_TAKE_PTR(json);
        fg_http_reply_clear(&reply);
        return code;
}
