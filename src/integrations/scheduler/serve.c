/* SPDX-License-Identifier: Apache-2.0
 * kube-scheduler's extender by HTTP, on this machine's own addresses alone: there is nothing in it to know who asks. */
#include "integrations/scheduler/scheduler.h"

#include "base/clock.h"
#include "base/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

#define BODY_MAX    (16u << 20)
#define CONNECTIONS 16u
#define FRESH       FG_NSEC_PER_SEC
#define TIMEOUT_S   10u

struct body {
        char *text;
        size_t size, room;
        bool is_too_large;
};

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, json_t *json)
{
        char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
        json_decref(json);
        if (!text)
                return MHD_NO;
        struct MHD_Response *response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
        if (!response) {
                free(text);
                return MHD_NO;
        }
        MHD_add_response_header(response, "Content-Type", "application/json");
        enum MHD_Result r = MHD_queue_response(connection, status, response);
        MHD_destroy_response(response);
        return r;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned status, const char *text)
{
        return answer(connection, status, json_pack("{s:s}", "Error", text));
}

static bool refresh(struct fgi_sched_server *server, uint64_t max_age)
{
        struct fgi_sched_view *view;
        struct fg_error err = {0};
        uint64_t now = fg_now();
        if (server->view && now - server->at < max_age)
                return true;
        if (fgi_sched_load(&server->source, false, &view, &err) < 0) {
                fg_log_warning("%s", err.text);
                return false;
        }
        fgi_sched_view_free(server->view);
        server->view = view;
        server->at = now;
        return true;
}

/* What decides is read after the question came: kube-scheduler asks for one pod right after it has written another's claim. For pods that want
 * nothing of ours nothing is read. Is the server away, kube-scheduler goes on without us (ignorable). */
static json_t *filter(struct fgi_sched_server *server, uint64_t came, const json_t *question, struct fg_error *err)
{
        size_t ignored;
        struct fgi_sched_wants wants;
        fgi_sched_wants(server->view, server->class, server->classes, fgi_sched_pod_of(question), &wants);
        if ((wants.is_ours || wants.reason) && server->at < came && !refresh(server, 0)) {
                fg_error_set(err, -EAGAIN, "the API server cannot be asked");
                return NULL;
        }
        return fgi_sched_filter(server->view, server->class, server->classes, question, &ignored, err);
}

static enum MHD_Result reply_to(struct fgi_sched_server *server, struct MHD_Connection *connection, const char *path, const struct body *body)
{
        struct fg_error err = {0};
        uint64_t came = fg_now();
        json_error_t where;
        bool is_filter = strcmp(path, "/filter") == 0;
        if (body->is_too_large)
                return refuse(connection, MHD_HTTP_CONTENT_TOO_LARGE, "the question is larger than 16 MiB; is nodeCacheCapable true?");
        if (!refresh(server, FRESH))
                return refuse(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "the API server cannot be asked");
        fgi_kube_autojson json_t *question = json_loadb(body->text ? body->text : "", body->size, 0, &where);
        if (!question)
                return refuse(connection, MHD_HTTP_BAD_REQUEST, where.text);
        json_t *reply = is_filter ? filter(server, came, question, &err) : fgi_sched_prioritize(server->view, server->class, server->classes, question, &err);
        if (reply)
                return answer(connection, MHD_HTTP_OK, reply);
        return refuse(connection, err.code == -EINVAL ? MHD_HTTP_BAD_REQUEST : MHD_HTTP_SERVICE_UNAVAILABLE, err.text);
}

static void collect(struct body *body, const char *data, size_t size)
{
        if (body->size + size > BODY_MAX || body->is_too_large) {
                body->is_too_large = true;
                return;
        }
        if (body->size + size > body->room) {
                size_t room = (body->size + size) * 2;
                char *larger = realloc(body->text, room);
                if (!larger) {
                        body->is_too_large = true;
                        return;
                }
                body->text = larger;
                body->room = room;
        }
        memcpy(body->text + body->size, data, size);
        body->size += size;
}

static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *url, const char *method, const char *version, const char *data, size_t *size,
                                  void **state)
{
        struct body *body = *state;
        bool known = strcmp(url, "/filter") == 0 || strcmp(url, "/prioritize") == 0;
        if (!body) {
                *state = calloc(1, sizeof *body);
                return *state ? MHD_YES : MHD_NO;
        }
        if (*size) {
                collect(body, data, *size);
                *size = 0;
                return MHD_YES;
        }
        if (strcmp(url, "/healthz") == 0)
                return answer(connection, MHD_HTTP_OK, json_pack("{s:s}", "version", FASTGPU_VERSION));
        if (!known)
                return refuse(connection, MHD_HTTP_NOT_FOUND, "there are /filter, /prioritize and /healthz");
        if (strcmp(method, "POST") != 0)
                return refuse(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "it is asked by POST");
        return reply_to(user, connection, url, body);
}

static void on_end(void *user, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode code)
{
        struct body *body = *state;
        if (body)
                free(body->text);
        free(body);
        *state = NULL;
}

static int read_address(const char *text, struct sockaddr_in *ret, struct fg_error *err)
{
        char host[64];
        unsigned port;
        int end = 0;
        if (sscanf(text, "%63[0-9.]:%5u%n", host, &port, &end) != 2 || text[end] || port < 1 || port > 65535)
                return fg_error_set(err, -EINVAL, "--listen %.100s: give ADDRESS:PORT, such as 127.0.0.1:9650", text);
        *ret = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        if (inet_pton(AF_INET, host, &ret->sin_addr) != 1 || ntohl(ret->sin_addr.s_addr) >> 24 != 127)
                return fg_error_set(err, -EINVAL, "--listen %.100s: only this machine is answered, as nobody shows who he is: give 127.0.0.1:PORT", text);
        return 0;
}

int fgi_sched_serve(struct fgi_sched_server *server, const char *address, struct MHD_Daemon **ret, struct fg_error *err)
{
        struct sockaddr_in at;
        int r = read_address(address, &at, err);
        if (r < 0)
                return r;
        *ret = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, on_request, server, MHD_OPTION_SOCK_ADDR, (const struct sockaddr *)&at, MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS,
                                MHD_OPTION_CONNECTION_TIMEOUT, TIMEOUT_S, MHD_OPTION_NOTIFY_COMPLETED, on_end, NULL, MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u, MHD_OPTION_END);
        return *ret ? 0 : fg_error_set(err, -EADDRINUSE, "cannot listen at %s: %m", address);
}
