/* SPDX-License-Identifier: Apache-2.0
 * From libmicrohttpd's callbacks to one call of the API and back. */
#include "daemon/http_internal.h"

#include "daemon/manager.h"
#include "daemon/problem.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define BODIES_MAX  (64u << 20) /* all unfinished requests together */
#define TRIM_ABOVE  (256u << 10)

void *fgd_exchange_new(void *user, const char *uri, struct MHD_Connection *connection)
{
        struct fgd_exchange *e = calloc(1, sizeof *e);
        char *copy = e ? strdup(uri) : NULL;
        if (!copy) {
                free(e);
                return NULL;
        }
        e->http = user;
        e->connection = connection;
        e->path = copy;
        e->query = strchr(copy, '?');
        if (e->query)
                *e->query++ = 0;
        return e;
}

static void append(struct fgd_exchange *e, const char *data, size_t size)
{
        if (e->too_large || e->too_much)
                return;
        e->too_large = e->size + size > FGD_BODY_MAX;
        e->too_much = e->http->bodies + size > BODIES_MAX;
        char *more = e->too_large || e->too_much ? NULL : realloc(e->body, e->size + size);
        if (!more) {
                e->too_much = !e->too_large;
                return;
        }
        memcpy(more + e->size, data, size);
        e->body = more;
        e->size += size;
        e->http->bodies += size;
}

static void set_busy(struct fgd_exchange *e, bool busy)
{
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(e->connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
        struct fgd_peer *peer = info ? info->socket_context : NULL;
        if (!peer || peer->busy == busy)
                return;
        peer->busy = busy;
        if (busy)
                TAILQ_REMOVE(&e->http->idle, peer, order);
        else
                TAILQ_INSERT_TAIL(&e->http->idle, peer, order);
}

static enum MHD_Result reply(struct fgd_exchange *e)
{
        static char sorry[] = "{\"type\": \"internal\", \"title\": \"something failed inside\", \"status\": 500, \"detail\": \"out of memory\"}\n";
        bool ours = e->json || e->status == 204;
        size_t size = e->json ? strlen(e->json) : 0;
        struct MHD_Response *response =
                ours ? MHD_create_response_from_buffer(size, e->json, e->json ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT)
                     : MHD_create_response_from_buffer(sizeof sorry - 1, sorry, MHD_RESPMEM_PERSISTENT);
        if (!response)
                return MHD_NO;
        e->json = NULL;
        if (e->status != 204)
                MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                                        e->status >= 400 ? "application/problem+json" : "application/json");
        enum MHD_Result r = MHD_queue_response(e->connection, ours ? e->status : 500, response);
        MHD_destroy_response(response);
        return r;
}

static void later_done(void *user, unsigned status, char *json)
{
        struct fgd_exchange *e = user;
        e->status = status;
        e->json = json;
        e->answered = true;
        if (!e->waiting)
                return;
        e->waiting = false;
        TAILQ_REMOVE(&e->http->waiting, e, order);
        MHD_resume_connection(e->connection);
        /* Without a thread of its own the library has no way to wake itself. */
        sd_event_source_set_time_relative(e->http->timer, 0);
        sd_event_source_set_enabled(e->http->timer, SD_EVENT_ONESHOT);
}

static char *early_problem(const struct fgd_exchange *e, unsigned *ret_status)
{
        struct fgd_problem problem = {0};
        struct fgd_text text = {0};
        if (e->too_large)
                fgd_problem_set(&problem, FGD_TOO_LARGE, "the body has more than %u bytes", FGD_BODY_MAX);
        else
                fgd_problem_set(&problem, FGD_BUSY, "too many unfinished requests; try again");
        fgd_problem_write(&problem, &text);
        *ret_status = fgd_problem_status(&problem);
        return text.data;
}

void fgd_exchange_dismiss_all(struct fgd_http *http)
{
        struct fgd_problem problem = {0};
        fgd_problem_set(&problem, FGD_BUSY, "the daemon ends; ask the next one");
        while (!TAILQ_EMPTY(&http->waiting)) {
                struct fgd_text text = {0};
                fgd_problem_write(&problem, &text);
                later_done(TAILQ_FIRST(&http->waiting), fgd_problem_status(&problem), text.data);
        }
}

static const char *header(const struct fgd_exchange *e, const char *name)
{
        return MHD_lookup_connection_value(e->connection, MHD_HEADER_KIND, name);
}

static void write_from(int peer, char *ret, size_t size)
{
        struct ucred who;
        socklen_t length = sizeof who;
        ret[0] = 0;
        if (peer >= 0 && getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &who, &length) == 0)
                snprintf(ret, size, "pid %d uid %u", (int)who.pid, who.uid);
}

/* The whole request is here. */
static enum MHD_Result answer(struct fgd_exchange *e, const char *method)
{
        int r = 0;
        set_busy(e, true);
        if (e->too_large || e->too_much) {
                e->json = early_problem(e, &e->status);
                return reply(e);
        }
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(e->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        char from[64];
        e->later = (struct fgd_later){later_done, e};
        struct fgd_request request = {.method = method, .path = e->path, .query = e->query, .body = e->body, .body_size = e->size,
                                      .peer = info ? info->connect_fd : -1, .from = from, .later = &e->later,
                                      .authorization = header(e, MHD_HTTP_HEADER_AUTHORIZATION),
                                      .idempotency_key = header(e, "Idempotency-Key")};
        write_from(request.peer, from, sizeof from);
        r = fgd_api_handle(e->http->manager, &request, &e->status, &e->json);
        if (r == 0 || e->answered)
                return reply(e);
        e->waiting = true;
        TAILQ_INSERT_TAIL(&e->http->waiting, e, order);
        MHD_suspend_connection(e->connection);
        return MHD_YES;
}

enum MHD_Result fgd_exchange_step(void *user, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
                                  const char *data, size_t *size, void **exchange)
{
        struct fgd_exchange *e = *exchange;
        if (!e)
                return MHD_NO;
        if (!e->started) {
                e->started = true;
                return MHD_YES;
        }
        if (*size) {
                append(e, data, *size);
                *size = 0;
                return MHD_YES;
        }
        return e->answered ? reply(e) : answer(e, method);
}

void fgd_exchange_end(void *user, struct MHD_Connection *connection, void **exchange, enum MHD_RequestTerminationCode code)
{
        struct fgd_exchange *e = *exchange;
        if (!e)
                return;
        set_busy(e, false);
        e->http->bodies -= e->size;
        bool trim = e->size > TRIM_ABOVE;
        free(e->body);
        free(e->path);
        free(e->json);
        free(e);
        *exchange = NULL;
        if (trim)
                malloc_trim(0);
}

/* At the limit the connection that has been silent longest makes room for the next. */
static void make_room(struct fgd_http *http)
{
        struct fgd_peer *oldest = TAILQ_FIRST(&http->idle);
        if (http->peers < http->limit || !oldest)
                return;
        shutdown(oldest->fd, SHUT_RDWR);
        TAILQ_REMOVE(&http->idle, oldest, order);
        oldest->busy = true; /* on its way out */
}

void fgd_peer_change(void *user, struct MHD_Connection *connection, void **context, enum MHD_ConnectionNotificationCode code)
{
        struct fgd_http *http = user;
        struct fgd_peer *peer = *context;
        if (code == MHD_CONNECTION_NOTIFY_STARTED) {
                const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
                peer = calloc(1, sizeof *peer);
                *context = peer;
                if (!peer || !info)
                        return;
                *peer = (struct fgd_peer){.http = http, .fd = info->connect_fd};
                TAILQ_INSERT_TAIL(&http->idle, peer, order);
                http->peers++;
                make_room(http);
        } else if (peer) {
                if (!peer->busy)
                        TAILQ_REMOVE(&http->idle, peer, order);
                http->peers--;
                free(peer);
                *context = NULL;
        }
}
