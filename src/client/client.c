/* SPDX-License-Identifier: Apache-2.0 */
#include "fastgpu/client.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/paths.h"
#include "client/http.h"
#include "client/login.h"
#include "client/remote.h"
#include "client/start.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define REQUEST_TIME (60 * FG_NSEC_PER_SEC)
#define BRIEF_TIME   (2 * FG_NSEC_PER_SEC)
#define START_TIME   (20 * FG_NSEC_PER_SEC)

struct fg_client {
        int fd;    /* -1: to be connected again */
        bool used; /* a request went over this connection before */
        uint64_t patience;
        char run[PATH_MAX];             /* "": elsewhere */
        char where[PATH_MAX + 16];
        const struct fg_remote_ops *ops; /* of `remote` */
        struct fg_remote *remote;        /* NULL: a daemon of this machine */
        struct fg_error error;           /* of the last request */
};

static void cleanup_clientp(struct fg_client **client)
{
        fg_client_close(*client);
}

static int connect_run(const char *run)
{
        char path[PATH_MAX + 16];
        snprintf(path, sizeof path, "%s/api.sock", run);
        return fg_unix_connect(path, SOCK_STREAM);
}

static int not_allowed(const char *run, struct fg_error *err)
{
        return fg_error_set(err, -EACCES,
                            "not allowed to use the daemon at %s/api.sock; ask its operator, or set "
                            "FASTGPU_STATE_DIR to a folder of yours for a daemon of your own",
                            run);
}

/* The system's daemon wins over the user's own: vGPUs of two daemons would not know of each other. */
static int find_daemon(unsigned flags, char ret_run[PATH_MAX], struct fg_error *err)
{
        struct fg_paths paths;
        int r = fg_paths_find(&paths, err);
        if (r < 0)
                return r;
        if (!paths.is_private && strcmp(paths.run, FG_SYSTEM_RUN) != 0) {
                int fd = connect_run(FG_SYSTEM_RUN);
                snprintf(ret_run, PATH_MAX, "%s", FG_SYSTEM_RUN);
                if (fd >= 0)
                        return fd;
                if (fd == -EACCES || fd == -EPERM)
                        return not_allowed(FG_SYSTEM_RUN, err);
        }
        snprintf(ret_run, PATH_MAX, "%s", paths.run);
        int fd = connect_run(paths.run);
        if (fd >= 0)
                return fd;
        if (fd == -EACCES || fd == -EPERM)
                return not_allowed(paths.run, err);
        if (flags & FG_CLIENT_START)
                return fg_client_start(&paths, fg_now() + START_TIME, err);
        return fg_error_set(err, -ECONNREFUSED, "no daemon answers at %s/api.sock", paths.run);
}

static struct fg_client *client_new(unsigned flags)
{
        struct fg_client *client = calloc(1, sizeof *client);
        if (client) {
                client->fd = -1;
                client->patience = flags & FG_CLIENT_BRIEF ? BRIEF_TIME : REQUEST_TIME;
        }
        return client;
}

static int open_local(struct fg_client *client, unsigned flags, struct fg_error *err)
{
        client->fd = find_daemon(flags, client->run, err);
        snprintf(client->where, sizeof client->where, "%s/api.sock", client->run);
        return client->fd < 0 ? client->fd : 0;
}

static int open_remote(struct fg_client *client, const struct fg_client_target *target, struct fg_error *err)
{
        int r = fg_remote_load(&client->ops, err);
        snprintf(client->where, sizeof client->where, "%s", target->url);
        return r < 0 ? r : client->ops->open(target, &client->remote, err);
}

int fg_client_open(unsigned flags, struct fg_client **ret, char *error, size_t error_len)
{
        struct fg_error err = {0};
        struct fg_client_target target;
        FG_CLEANUP(cleanup_clientp) struct fg_client *client = client_new(flags);
        if (!client)
                return -ENOMEM;
        int r = fg_target_find(&target, &err);
        if (r > 0) {
                r = open_remote(client, &target, &err);
                fg_client_target_clear(&target);
        } else if (r == 0) {
                r = open_local(client, flags, &err);
        }
        if (r == 0)
                *ret = FG_TAKE_PTR(client);
        return fg_client_tell(r, &err, error, error_len);
}

int fg_client_open_target(const struct fg_client_target *target, unsigned flags, struct fg_client **ret, char *error, size_t error_len)
{
        struct fg_error err = {0};
        FG_CLEANUP(cleanup_clientp) struct fg_client *client = client_new(flags);
        if (!client)
                return -ENOMEM;
        int r = open_remote(client, target, &err);
        if (r == 0)
                *ret = FG_TAKE_PTR(client);
        return fg_client_tell(r, &err, error, error_len);
}

int fg_client_certificate(const struct fg_client_target *target, char ret_fingerprint[FG_CLIENT_FINGERPRINT_MAX], bool *ret_trusted,
                          char *error, size_t error_len)
{
        const struct fg_remote_ops *ops;
        struct fg_error err = {0};
        int r = fg_remote_load(&ops, &err);
        if (r == 0)
                r = ops->certificate(target, ret_fingerprint, ret_trusted, &err);
        return fg_client_tell(r, &err, error, error_len);
}

void fg_client_close(struct fg_client *client)
{
        if (!client)
                return;
        if (client->remote)
                client->ops->close(client->remote);
        if (client->fd >= 0)
                close(client->fd);
        free(client);
}

const char *fg_client_run_dir(const struct fg_client *client)
{
        return client->run;
}

const char *fg_client_where(const struct fg_client *client)
{
        return client->where;
}

bool fg_client_is_remote(const struct fg_client *client)
{
        return client->remote;
}

const char *fg_client_error(const struct fg_client *client)
{
        return client->error.text;
}

void fg_client_reply_clear(struct fg_client_reply *reply)
{
        free(reply->body);
        reply->body = NULL;
        reply->size = 0;
}

static void drop(struct fg_client *client)
{
        if (client->fd >= 0)
                close(client->fd);
        client->fd = -1;
        client->used = false;
}

static int wait_for(int fd, short events, uint64_t deadline)
{
        for (;;) {
                uint64_t now = fg_now();
                if (now >= deadline)
                        return -ETIMEDOUT;
                struct pollfd p = {.fd = fd, .events = events};
                int n = poll(&p, 1, (int)((deadline - now) / FG_NSEC_PER_MSEC) + 1);
                if (n > 0)
                        return 0;
                if (n < 0 && errno != EINTR)
                        return -errno;
        }
}

/* -EPIPE when the daemon hung up; it may have answered before it did. */
static int send_all(int fd, const char *data, size_t len, uint64_t deadline)
{
        while (len > 0) {
                ssize_t n = send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
                if (n >= 0) {
                        data += n;
                        len -= (size_t)n;
                } else if (errno == EAGAIN) {
                        int r = wait_for(fd, POLLOUT, deadline);
                        if (r < 0)
                                return r;
                } else if (errno != EINTR) {
                        return errno == ECONNRESET ? -EPIPE : -errno;
                }
        }
        return 0;
}

/* -EPIPE: the connection ended before the first byte; -EPROTO: in the middle, or this is not HTTP. */
static int receive(int fd, uint64_t deadline, struct fg_http_reply *reply)
{
        char chunk[16384];
        bool any = false;
        for (;;) {
                size_t used;
                ssize_t n = recv(fd, chunk, sizeof chunk, MSG_DONTWAIT);
                if (n > 0) {
                        int r = fg_http_parse(reply, chunk, (size_t)n, &used);
                        any = true;
                        /* One request, one reply: what follows unasked belongs to nobody. */
                        if (r > 0 && used < (size_t)n)
                                reply->keep_alive = false;
                        if (r != 0)
                                return r == -EMSGSIZE ? -EPROTO : r;
                } else if (n == 0 || errno == ECONNRESET) {
                        return any ? fg_http_parse_end(reply) : -EPIPE;
                } else if (errno == EAGAIN) {
                        int r = wait_for(fd, POLLIN, deadline);
                        if (r < 0)
                                return r;
                } else if (errno != EINTR) {
                        return -errno;
                }
        }
}

static bool is_path(const char *path)
{
        if (path[0] != '/')
                return false;
        for (const char *p = path; *p; p++)
                if (*p <= ' ' || *p >= 0x7f)
                        return false;
        return true;
}

static int exchange(struct fg_client *client, const char *message, size_t len, uint64_t deadline,
                    struct fg_http_reply *reply)
{
        if (client->fd < 0) {
                client->fd = connect_run(client->run);
                if (client->fd < 0)
                        return -EPIPE;
        }
        int sent = send_all(client->fd, message, len, deadline);
        if (sent < 0 && sent != -EPIPE)
                return sent;
        int r = receive(client->fd, deadline, reply);
        return r < 0 ? r : 0;
}

/* A kept connection that became readable while nothing was asked has ended. */
static void drop_if_stale(struct fg_client *client)
{
        struct pollfd p = {.fd = client->fd, .events = POLLIN};
        if (client->fd >= 0 && client->used && poll(&p, 1, 0) != 0)
                drop(client);
}

static int finish(struct fg_client *client, struct fg_http_reply *reply, struct fg_client_reply *ret)
{
        client->used = true;
        if (!reply->keep_alive)
                drop(client);
        char *body = reply->body ? FG_TAKE_PTR(reply->body) : strdup("");
        if (!body)
                return -ENOMEM;
        *ret = (struct fg_client_reply){.status = reply->status, .body = body, .size = reply->size};
        return 0;
}

static int request_local(struct fg_client *client, const struct fg_client_call *call, struct fg_client_reply *ret)
{
        fg_autofree char *message = NULL;
        uint64_t deadline = fg_now() + client->patience;
        struct fg_http_reply reply;
        const char *json = call->json, *key = call->idempotency_key;
        int len = asprintf(&message, "%s %s HTTP/1.1\r\nHost: fastgpu\r\n%s%s%s%sContent-Length: %zu\r\n\r\n%s", call->method, call->path,
                           key ? "Idempotency-Key: " : "", key ? key : "", key ? "\r\n" : "", json ? "Content-Type: application/json\r\n" : "",
                           json ? strlen(json) : 0, json ? json : "");
        if (len < 0) {
                message = NULL;
                return -ENOMEM;
        }
        drop_if_stale(client);
        bool reused = client->used;
        fg_http_reply_init(&reply);
        int r = exchange(client, message, (size_t)len, deadline, &reply);
        if (r == -EPIPE && reused && strcmp(call->method, "GET") == 0) {
                drop(client); /* the daemon closed it under our hands; asking twice does no harm */
                r = exchange(client, message, (size_t)len, deadline, &reply);
        }
        if (r == 0)
                r = finish(client, &reply, ret);
        else
                drop(client);
        fg_http_reply_clear(&reply);
        return r;
}

static bool is_key(const char *key)
{
        size_t len = strlen(key);
        for (const char *p = key; *p; p++)
                if (*p <= ' ' || *p >= 0x7f)
                        return false;
        return len >= 1 && len <= 128;
}

int fg_client_request_with(struct fg_client *client, const struct fg_client_call *call, struct fg_client_reply *ret)
{
        client->error = (struct fg_error){0};
        if (!is_path(call->path) || (call->idempotency_key && !is_key(call->idempotency_key)))
                return -EINVAL;
        if (client->remote)
                return client->ops->request(client->remote, call, client->patience / FG_NSEC_PER_MSEC, ret, &client->error);
        return request_local(client, call, ret);
}

int fg_client_request(struct fg_client *client, const char *method, const char *path, const char *json,
                      struct fg_client_reply *ret)
{
        return fg_client_request_with(client, &(struct fg_client_call){.method = method, .path = path, .json = json}, ret);
}
