/* SPDX-License-Identifier: Apache-2.0
 * The server's calls: streams of the session. Whatever is wrong with one is answered on it; only what breaks HTTP/2 ends the connection. */
#include "integrations/grpc/server.h"

#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void finish(struct fgi_grpc_call *call, enum fgi_grpc_code code, const char *text);

static struct fgi_grpc_call *call_of(nghttp2_session *session, int32_t id)
{
        return nghttp2_session_get_stream_user_data(session, id);
}

/* --- the request --- */

static void drop_request(struct fgi_grpc_call *call)
{
        call->conn->server->pending -= call->in.size;
        fgi_grpc_bytes_clear(&call->in);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *data)
{
        struct fgi_grpc_conn *conn = data;
        if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
                return 0;
        struct fgi_grpc_call *call = calloc(1, sizeof *call);
        if (!call)
                return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        *call = (struct fgi_grpc_call){.conn = conn, .next = conn->calls, .id = frame->hd.stream_id, .deadline = UINT64_MAX};
        conn->calls = call;
        return nghttp2_session_set_stream_user_data(session, call->id, call);
}

static bool is(const uint8_t *text, size_t size, const char *what)
{
        return size == strlen(what) && memcmp(text, what, size) == 0;
}

static void find_method(struct fgi_grpc_call *call, const uint8_t *path, size_t size)
{
        for (const struct fgi_grpc_method *m = call->conn->server->methods; m->path; m++)
                if (is(path, size, m->path))
                        call->method = m;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_len, const uint8_t *value,
                     size_t value_len, uint8_t flags, void *data)
{
        static const char type[] = "application/grpc";
        struct fgi_grpc_call *call = call_of(session, frame->hd.stream_id);
        uint64_t ns;
        if (!call || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
                return 0;
        if (is(name, name_len, ":path")) {
                find_method(call, value, value_len);
        } else if (is(name, name_len, ":method")) {
                call->is_post = is(value, value_len, "POST");
        } else if (is(name, name_len, "content-type")) {
                size_t len = sizeof type - 1;
                call->is_grpc = value_len >= len && memcmp(value, type, len) == 0 &&
                                (value_len == len || value[len] == '+' || value[len] == ';');
        } else if (is(name, name_len, "grpc-timeout")) {
                uint64_t now = fg_now();
                if (fgi_grpc_timeout_parse((const char *)value, value_len, &ns) < 0)
                        finish(call, FGI_GRPC_INVALID_ARGUMENT, "grpc-timeout is none");
                else if (ns < UINT64_MAX - now)
                        call->deadline = now + ns;
        }
        return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t len, void *user)
{
        struct fgi_grpc_call *call = call_of(session, id);
        struct fgi_grpc_conn *conn = user;
        size_t size;
        if (!call || call->handled)
                return 0; /* answered already: the rest of it is nobody's */
        if (call->in.size + len > FGI_GRPC_PREFIX + FGI_GRPC_REQUEST_MAX)
                finish(call, FGI_GRPC_RESOURCE_EXHAUSTED, "the request is over 1 MiB");
        else if (conn->server->pending + len > FGI_GRPC_REQUESTS_MAX)
                finish(call, FGI_GRPC_RESOURCE_EXHAUSTED, "too many unfinished requests");
        else if (fgi_grpc_bytes_add(&call->in, data, len) < 0)
                finish(call, FGI_GRPC_RESOURCE_EXHAUSTED, "out of memory");
        if (call->handled)
                return 0;
        conn->server->pending += len;
        int r = fgi_grpc_frame_first(&call->in, FGI_GRPC_REQUEST_MAX, &size);
        if (r == -EPROTONOSUPPORT)
                finish(call, FGI_GRPC_UNIMPLEMENTED, "compressed messages are not understood");
        else if (r == -EMSGSIZE)
                finish(call, FGI_GRPC_RESOURCE_EXHAUSTED, "the request is over 1 MiB");
        return 0;
}

static void handle(struct fgi_grpc_call *call)
{
        struct fgi_grpc_server *server = call->conn->server;
        size_t size = 0;
        if (!call->is_post || !call->is_grpc) {
                finish(call, FGI_GRPC_UNKNOWN, "no gRPC: POST and application/grpc are expected");
        } else if (!call->method) {
                finish(call, FGI_GRPC_UNIMPLEMENTED, "there is no such method");
        } else if (fgi_grpc_frame_first(&call->in, FGI_GRPC_REQUEST_MAX, &size) != 1 || call->in.size != FGI_GRPC_PREFIX + size) {
                finish(call, FGI_GRPC_INTERNAL, "the request is not one whole message");
        } else {
                /* Taken out of the call: the handler may end it. */
                struct fgi_grpc_bytes in = call->in;
                server->pending -= in.size;
                call->in = (struct fgi_grpc_bytes){0};
                call->handled = true;
                call->method->handle(call, in.data + FGI_GRPC_PREFIX, size, server->userdata);
                fgi_grpc_bytes_clear(&in);
        }
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *data)
{
        if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
                return 0;
        struct fgi_grpc_call *call = call_of(session, frame->hd.stream_id);
        if (call && !call->handled && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
                handle(call);
        return 0;
}

static void call_free(struct fgi_grpc_call *call)
{
        struct fgi_grpc_call **p = &call->conn->calls;
        while (*p != call)
                p = &(*p)->next;
        *p = call->next;
        if (call->handled && !call->ended && call->on_close)
                call->on_close(call, call->data);
        drop_request(call);
        fgi_grpc_bytes_clear(&call->out);
        free(call);
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error, void *data)
{
        struct fgi_grpc_call *call = call_of(session, id);
        if (call)
                call_free(call);
        return 0;
}

/* --- the answer --- */

static int submit_trailer(struct fgi_grpc_call *call)
{
        char code[8], text[3 * FGI_GRPC_MESSAGE_MAX];
        snprintf(code, sizeof code, "%d", call->code);
        fgi_grpc_percent_encode(call->text, text, sizeof text);
        const nghttp2_nv nv[] = {fgi_grpc_header("grpc-status", code), fgi_grpc_header("grpc-message", text)};
        return nghttp2_submit_trailer(call->conn->link.session, call->id, nv, *text ? 2 : 1);
}

static ssize_t read_out(nghttp2_session *session, int32_t id, uint8_t *buf, size_t length, uint32_t *flags, nghttp2_data_source *source, void *data)
{
        struct fgi_grpc_call *call = source->ptr;
        size_t left = call->out.size - call->taken, n = left < length ? left : length;
        if (n > 0)
                memcpy(buf, call->out.data + call->taken, n);
        call->taken += n;
        if (n < left)
                return (ssize_t)n;
        fgi_grpc_bytes_clear(&call->out);
        call->taken = 0;
        if (!call->ended)
                return n > 0 ? (ssize_t)n : NGHTTP2_ERR_DEFERRED;
        *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
        return submit_trailer(call) < 0 ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE : (ssize_t)n;
}

static void push(struct fgi_grpc_call *call)
{
        nghttp2_session *session = call->conn->link.session;
        if (call->begun) {
                nghttp2_session_resume_data(session, call->id);
        } else {
                const nghttp2_nv nv[] = {fgi_grpc_header(":status", "200"), fgi_grpc_header("content-type", "application/grpc")};
                const nghttp2_data_provider provider = {.source.ptr = call, .read_callback = read_out};
                call->begun = true;
                nghttp2_submit_response(session, call->id, nv, 2, &provider);
        }
        fgi_grpc_server_wake(call->conn->server);
}

/* Errors before the first answer are one block of headers. */
static void push_only_trailer(struct fgi_grpc_call *call)
{
        char code[8], text[3 * FGI_GRPC_MESSAGE_MAX];
        snprintf(code, sizeof code, "%d", call->code);
        fgi_grpc_percent_encode(call->text, text, sizeof text);
        const nghttp2_nv nv[] = {fgi_grpc_header(":status", "200"), fgi_grpc_header("content-type", "application/grpc"),
                                 fgi_grpc_header("grpc-status", code), fgi_grpc_header("grpc-message", text)};
        call->begun = true;
        nghttp2_submit_response(call->conn->link.session, call->id, nv, *text ? 4 : 3, NULL);
        fgi_grpc_server_wake(call->conn->server);
}

static void finish(struct fgi_grpc_call *call, enum fgi_grpc_code code, const char *text)
{
        if (call->ended)
                return;
        call->handled = call->ended = true;
        call->code = code;
        snprintf(call->text, sizeof call->text, "%s", text ? text : "");
        drop_request(call);
        if (call->begun || call->out.size > 0)
                push(call);
        else
                push_only_trailer(call);
}

int fgi_grpc_send(struct fgi_grpc_call *call, const uint8_t *message, size_t size)
{
        if (call->taken > 0)
                fgi_grpc_bytes_drop(&call->out, call->taken);
        call->taken = 0;
        if (call->out.size + size > FGI_GRPC_QUEUE_MAX)
                return -ENOBUFS;
        int r = fgi_grpc_frame_add(&call->out, message, size);
        if (r == 0)
                push(call);
        return r;
}

void fgi_grpc_end(struct fgi_grpc_call *call, enum fgi_grpc_code code, const char *text)
{
        finish(call, code, text);
}

void fgi_grpc_on_close(struct fgi_grpc_call *call, void (*on_close)(struct fgi_grpc_call *call, void *data), void *data)
{
        call->on_close = on_close;
        call->data = data;
}

uint64_t fgi_grpc_deadline(const struct fgi_grpc_call *call)
{
        return call->deadline;
}

/* Who was answered early need not send the rest of his request. */
static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *data)
{
        bool is_end = frame->hd.type == NGHTTP2_HEADERS && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM);
        if (is_end && nghttp2_session_get_stream_remote_close(session, frame->hd.stream_id) == 0)
                return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
        return 0;
}

/* --- the connection's calls --- */

uint64_t fgi_grpc_conn_expire(struct fgi_grpc_conn *conn, uint64_t now)
{
        uint64_t next = UINT64_MAX;
        for (struct fgi_grpc_call *call = conn->calls; call; call = call->next) {
                if (call->ended)
                        continue;
                if (call->deadline > now) {
                        next = call->deadline < next ? call->deadline : next;
                        continue;
                }
                if (call->handled && call->on_close)
                        call->on_close(call, call->data);
                finish(call, FGI_GRPC_DEADLINE_EXCEEDED, "it took longer than the caller wanted to wait");
        }
        return next;
}

void fgi_grpc_conn_forget(struct fgi_grpc_conn *conn)
{
        while (conn->calls)
                call_free(conn->calls);
}

int fgi_grpc_session_new(struct fgi_grpc_conn *conn)
{
        static const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, FGI_GRPC_CALLS_MAX},
                                                          {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, 16384}};
        nghttp2_session_callbacks *callbacks;
        if (nghttp2_session_callbacks_new(&callbacks) < 0)
                return -ENOMEM;
        nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
        nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
        nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
        int r = nghttp2_session_server_new(&conn->link.session, callbacks, conn);
        nghttp2_session_callbacks_del(callbacks);
        if (r == 0)
                r = nghttp2_submit_settings(conn->link.session, NGHTTP2_FLAG_NONE, settings, sizeof settings / sizeof *settings);
        return r < 0 ? -ENOMEM : 0;
}
