/* SPDX-License-Identifier: Apache-2.0
 * A client that waits: one connection, one call at a time. */
#include "integrations/grpc/wire.h"

#include "base/clock.h"
#include "base/paths.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

struct fgi_grpc_client {
        struct fgi_grpc_link link;
        char *path;
        int32_t call; /* 0: none */
        bool over;    /* all of the answer is there */
        bool closed;  /* and the request was taken */
        bool has_status;
        int http_status;
        uint64_t deadline;
        const uint8_t *request; /* what is left of it */
        size_t request_size;
        struct fgi_grpc_bytes in, frame;
        int broken; /* of the call: negative errno */
        struct fgi_grpc_status status;
};

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_len, const uint8_t *value,
                     size_t value_len, uint8_t flags, void *data)
{
        struct fgi_grpc_client *client = data;
        if (frame->hd.stream_id != client->call)
                return 0;
        if (name_len == 11 && memcmp(name, "grpc-status", 11) == 0) {
                client->status.code = fgi_grpc_code_parse((const char *)value, value_len);
                client->has_status = true;
        } else if (name_len == 12 && memcmp(name, "grpc-message", 12) == 0) {
                fgi_grpc_percent_decode((const char *)value, value_len, client->status.text, sizeof client->status.text);
        } else if (name_len == 7 && memcmp(name, ":status", 7) == 0) {
                client->http_status = value_len == 3 ? (value[0] - '0') * 100 + (value[1] - '0') * 10 + (value[2] - '0') : 0;
        }
        return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t len, void *user)
{
        struct fgi_grpc_client *client = user;
        if (id != client->call || client->broken)
                return 0;
        if (client->in.size + len > FGI_GRPC_PREFIX + 2 * (size_t)FGI_GRPC_REPLY_MAX)
                client->broken = -EMSGSIZE;
        else
                client->broken = fgi_grpc_bytes_add(&client->in, data, len);
        return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error, void *data)
{
        struct fgi_grpc_client *client = data;
        if (id == client->call)
                client->over = client->closed = true;
        return 0;
}

/* A server may answer before it has all of the request. */
static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *data)
{
        struct fgi_grpc_client *client = data;
        bool carries = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
        if (carries && frame->hd.stream_id == client->call && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
                client->over = true;
        return 0;
}

static ssize_t read_request(nghttp2_session *session, int32_t id, uint8_t *buf, size_t length, uint32_t *flags, nghttp2_data_source *source,
                            void *data)
{
        struct fgi_grpc_client *client = data;
        size_t n = client->request_size < length ? client->request_size : length;
        /* A call that was given up has none any more. */
        if (id != client->call)
                return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        memcpy(buf, client->request, n);
        client->request += n;
        client->request_size -= n;
        if (client->request_size == 0)
                *flags |= NGHTTP2_DATA_FLAG_EOF;
        return (ssize_t)n;
}

static int session_new(struct fgi_grpc_client *client)
{
        /* A window of the largest answer: no call waits for another's. */
        static const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0}, {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20}};
        nghttp2_session_callbacks *callbacks;
        if (nghttp2_session_callbacks_new(&callbacks) < 0)
                return -ENOMEM;
        nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
        int r = nghttp2_session_client_new(&client->link.session, callbacks, client);
        nghttp2_session_callbacks_del(callbacks);
        if (r == 0)
                r = nghttp2_submit_settings(client->link.session, NGHTTP2_FLAG_NONE, settings, sizeof settings / sizeof *settings);
        return r < 0 ? -ENOMEM : 0;
}

int fgi_grpc_client_adopt(int fd, const char *path, struct fgi_grpc_client **ret, struct fg_error *err)
{
        struct fgi_grpc_client *client = calloc(1, sizeof *client);
        if (!client) {
                close(fd);
                return fg_error_set(err, -ENOMEM, "out of memory");
        }
        client->link.fd = fd;
        client->path = strdup(path);
        if (!client->path || session_new(client) < 0) {
                fgi_grpc_client_close(client);
                return fg_error_set(err, -ENOMEM, "out of memory");
        }
        *ret = client;
        return 0;
}

int fgi_grpc_client_open(const char *path, struct fgi_grpc_client **ret, struct fg_error *err)
{
        int fd = fg_unix_connect(path, SOCK_STREAM);
        if (fd < 0)
                return fg_error_set(err, fd, "nobody answers at %s: %m", path);
        return fgi_grpc_client_adopt(fd, path, ret, err);
}

void fgi_grpc_client_close(struct fgi_grpc_client *client)
{
        if (!client)
                return;
        fgi_grpc_link_clear(&client->link);
        fgi_grpc_bytes_clear(&client->in);
        fgi_grpc_bytes_clear(&client->frame);
        free(client->path);
        free(client);
}

static void forget(struct fgi_grpc_client *client)
{
        if (client->call && !client->closed)
                nghttp2_submit_rst_stream(client->link.session, NGHTTP2_FLAG_NONE, client->call, NGHTTP2_CANCEL);
        client->call = 0;
        client->over = client->closed = client->has_status = false;
        client->broken = client->http_status = 0;
        client->status = (struct fgi_grpc_status){0};
        fgi_grpc_bytes_clear(&client->in);
        fgi_grpc_bytes_clear(&client->frame);
}

int fgi_grpc_client_start(struct fgi_grpc_client *client, const char *method, const uint8_t *request, size_t size, uint64_t deadline,
                          struct fg_error *err)
{
        char timeout[16];
        uint64_t now = fg_now();
        forget(client);
        if (fgi_grpc_frame_add(&client->frame, request, size) < 0)
                return fg_error_set(err, -ENOMEM, "out of memory");
        client->request = client->frame.data;
        client->request_size = client->frame.size;
        client->deadline = deadline;
        fgi_grpc_timeout_format(deadline > now ? deadline - now : 0, timeout, sizeof timeout);
        const nghttp2_nv nv[] = {fgi_grpc_header(":method", "POST"), fgi_grpc_header(":scheme", "http"), fgi_grpc_header(":path", method),
                                 fgi_grpc_header(":authority", "localhost"), fgi_grpc_header("te", "trailers"),
                                 fgi_grpc_header("content-type", "application/grpc"), fgi_grpc_header("user-agent", "fastgpu/" FASTGPU_VERSION),
                                 fgi_grpc_header("grpc-timeout", timeout)};
        const nghttp2_data_provider provider = {.read_callback = read_request};
        client->call = nghttp2_submit_request(client->link.session, NULL, nv, sizeof nv / sizeof *nv - (deadline == UINT64_MAX), &provider, NULL);
        if (client->call < 0) {
                client->call = 0;
                return fg_error_set(err, -EPIPE, "%s takes no more calls", client->path);
        }
        /* What the socket takes is on its way; a peer that hung up is met with the answer. */
        fgi_grpc_link_write(&client->link);
        return 0;
}

/* Writes and reads once, waiting until the deadline for either if it may. -EAGAIN: it would have to. */
static int turn(struct fgi_grpc_client *client, bool may_wait)
{
        int r = fgi_grpc_link_write(&client->link);
        uint64_t now = fg_now();
        if (r == -EPIPE || fgi_grpc_link_is_over(&client->link))
                return -EPIPE;
        if (now >= client->deadline)
                return -ETIMEDOUT;
        uint64_t ms = (client->deadline - now) / FG_NSEC_PER_MSEC + 1;
        struct pollfd p = {.fd = client->link.fd, .events = (short)(POLLIN | (r == -EAGAIN ? POLLOUT : 0))};
        int n = poll(&p, 1, !may_wait ? 0 : ms < 60000 ? (int)ms : 60000);
        if (n < 0 && errno != EINTR)
                return -errno;
        if (n <= 0)
                return may_wait ? 0 : -EAGAIN;
        return p.revents & ~POLLOUT ? fgi_grpc_link_read(&client->link) : 0;
}

/* 1: *ret; 0: not yet. */
static int take(struct fgi_grpc_client *client, uint8_t **ret, size_t *ret_size)
{
        size_t size;
        int r = fgi_grpc_frame_first(&client->in, FGI_GRPC_REPLY_MAX, &size);
        if (r <= 0)
                return r;
        uint8_t *message = malloc(size + 1);
        if (!message)
                return -ENOMEM;
        memcpy(message, client->in.data + FGI_GRPC_PREFIX, size);
        fgi_grpc_bytes_drop(&client->in, FGI_GRPC_PREFIX + size);
        *ret = message;
        *ret_size = size;
        return 1;
}

static int ended(struct fgi_grpc_client *client, struct fgi_grpc_status *ret)
{
        if (client->in.size > 0 || (!client->has_status && client->http_status == 200))
                return -EPROTO;
        if (!client->has_status) {
                client->status.code = FGI_GRPC_UNAVAILABLE;
                snprintf(client->status.text, sizeof client->status.text, "HTTP status %d", client->http_status);
        }
        *ret = client->status;
        return 0;
}

static int fail(struct fgi_grpc_client *client, int r, struct fg_error *err)
{
        const char *why = r == -ETIMEDOUT ? "no answer in time" : r == -EPIPE ? "it hung up" : r == -EMSGSIZE ? "its answer is too large" :
                          r == -ENOMEM    ? "out of memory" : "its answer is no gRPC";
        return fg_error_set(err, r, "%s: %s", client->path, why);
}

static int next(struct fgi_grpc_client *client, bool may_wait, uint8_t **ret, size_t *ret_size, struct fgi_grpc_status *ret_status,
                struct fg_error *err)
{
        int r;
        if (!client->call)
                return fg_error_set(err, -EINVAL, "no call was started");
        while ((r = take(client, ret, ret_size)) == 0) {
                if (client->over)
                        r = ended(client, ret_status);
                else if (client->broken)
                        r = client->broken;
                else if ((r = turn(client, may_wait)) == 0)
                        continue;
                break;
        }
        if (r == 1 || r == -EAGAIN)
                return r;
        if (r < 0)
                r = fail(client, r, err);
        forget(client);
        /* A cancellation is to be on its way even if nobody calls again. */
        fgi_grpc_link_write(&client->link);
        return r;
}

int fgi_grpc_client_next(struct fgi_grpc_client *client, uint8_t **ret, size_t *ret_size, struct fgi_grpc_status *ret_status,
                         struct fg_error *err)
{
        return next(client, true, ret, ret_size, ret_status, err);
}

int fgi_grpc_client_try(struct fgi_grpc_client *client, uint8_t **ret, size_t *ret_size, struct fgi_grpc_status *ret_status,
                        struct fg_error *err)
{
        return next(client, false, ret, ret_size, ret_status, err);
}

int fgi_grpc_client_fd(const struct fgi_grpc_client *client)
{
        return client->link.fd;
}

int fgi_grpc_client_unary(struct fgi_grpc_client *client, const char *method, const uint8_t *request, size_t size, uint64_t deadline,
                          uint8_t **ret, size_t *ret_size, struct fg_error *err)
{
        struct fgi_grpc_status status;
        fg_autofree uint8_t *message = NULL;
        fg_autofree uint8_t *second = NULL;
        size_t len = 0, ignored;
        int r = fgi_grpc_client_start(client, method, request, size, deadline, err);
        if (r == 0)
                r = fgi_grpc_client_next(client, &message, &len, &status, err);
        if (r == 1)
                r = fgi_grpc_client_next(client, &second, &ignored, &status, err);
        if (r < 0)
                return r;
        if (r == 0 && status.code != FGI_GRPC_OK)
                return fg_error_set(err, status.code == FGI_GRPC_DEADLINE_EXCEEDED ? -ETIMEDOUT : -EREMOTEIO, "%s (%s)",
                                    *status.text ? status.text : "refused", fgi_grpc_code_name(status.code));
        if (r != 0 || !message) {
                forget(client);
                return fg_error_set(err, -EPROTO, "%s: not one answer", client->path);
        }
        *ret = FG_TAKE_PTR(message);
        *ret_size = len;
        return 0;
}
