/* SPDX-License-Identifier: Apache-2.0
 * From libmicrohttpd's callbacks to one call of the API and back. */
#include "daemon/http_source.h"

#include "daemon/identity.h"
#include "daemon/manager.h"
#include "daemon/problem.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define BODIES_MAX  (64u << 20)  /* all unfinished requests together */
#define REPLIES_MAX (256u << 20) /* all answers on their way; small ones always are */
#define SMALL       (64u << 10)
#define ONE_SOURCE  4u           /* a remote source may hold one part in so many */
#define PIECE_SMALL 4096u        /* reading so much of a body at once needs no turn of its own */
#define TRIM_ABOVE  (256u << 10)

#define READ_ON_MAX         (4u << 20)  /* a body up to here is read to its end before it is refused: the answer arrives */
#define READ_ON_CHUNKED_MAX (16u << 20) /* one that does not say how long it is: the library lets us answer only at its end */

void *fgd_exchange_new(void *user, const char *uri, struct MHD_Connection *connection)
{
        struct fgd_exchange *e = calloc(1, sizeof *e);
        char *copy = e ? strdup(uri) : NULL;
        if (!copy) {
                free(e);
                return NULL;
        }
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
        e->http = user;
        e->http->exchanges++;
        e->peer = info ? info->socket_context : NULL;
        e->connection = connection;
        e->path = copy;
        e->query = strchr(copy, '?');
        if (e->query)
                *e->query++ = 0;
        /* A kept connection may have been idle: the time of its next request begins with that. */
        if (e->peer && e->peer->served)
                fgd_peer_enter(e->peer, FGD_PEER_SILENT);
        if (e->peer) {
                e->peer->asked = e->peer->asking = true;
                e->peer->exchange = e;
        }
        return e;
}

static struct fgd_source *source_of(const struct fgd_exchange *e)
{
        return e->peer ? e->peer->source : NULL;
}

/* Would `more` bytes be too many, for all or for one source? */
static bool is_over(size_t more, size_t all, size_t max, const size_t *of_source)
{
        return all + more > max || (of_source && *of_source + more > max / ONE_SOURCE);
}

/* What will be refused anyway is not kept. */
static bool is_kept(const struct fgd_exchange *e)
{
        return !e->too_large && !e->too_much && !e->refused && e->size <= e->most;
}

static void append(struct fgd_exchange *e, const char *data, size_t size)
{
        struct fgd_source *source = source_of(e);
        e->size += size;
        e->too_large = e->too_large || e->size > FGD_BODY_MAX;
        if (!is_kept(e))
                return;
        e->too_much = is_over(size, e->http->bodies, BODIES_MAX, source ? &source->bodies : NULL);
        char *more = e->too_much ? NULL : realloc(e->body, e->kept + size);
        if (!more) {
                e->too_much = true;
                return;
        }
        memcpy(more + e->kept, data, size);
        e->body = more;
        e->kept += size;
        e->http->bodies += size;
        if (source)
                source->bodies += size;
}

static char *early_problem(const struct fgd_exchange *e, unsigned *ret_status, const char **ret_type)
{
        struct fgd_problem problem = {0};
        struct fgd_text text = {0};
        if (e->refused)
                fgd_problem_set(&problem, FGD_UNAUTHORIZED, "over the network this needs a token, as in \"Authorization: Bearer TOKEN\"; "
                                "fastgpu login keeps one");
        else if (e->too_large)
                fgd_problem_set(&problem, FGD_TOO_LARGE, "the body has more than %u bytes", FGD_BODY_MAX);
        else
                fgd_problem_set(&problem, FGD_BUSY, "too many unfinished requests, or answers that nobody takes; try again");
        fgd_problem_write(&problem, &text);
        *ret_status = fgd_problem_status(&problem);
        *ret_type = fgd_problem_type_name(&problem);
        return text.data;
}

/* Answers that nobody takes are memory too. Only reading is refused for that: what was changed was changed. */
static bool take_reply(struct fgd_exchange *e, size_t size)
{
        struct fgd_source *source = source_of(e);
        if (e->reading && size > SMALL && is_over(size, e->http->replies, REPLIES_MAX, source ? &source->replies : NULL))
                return false;
        e->reply_size = size;
        e->http->replies += size;
        if (source)
                source->replies += size;
        return true;
}

static void set_headers(const struct fgd_exchange *e, struct MHD_Response *response, unsigned status)
{
        char number[12];
        MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
        if (status != 204)
                MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                                        status >= 400 ? "application/problem+json" : e->content_type ? e->content_type : "application/json");
        if (status == 401)
                MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
        if (status == 405)
                MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, e->allow);
        if (e->http->lobby)
                MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
        if (!e->retry_after && status != 503)
                return;
        snprintf(number, sizeof number, "%u", e->retry_after ? e->retry_after : 1);
        MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, number);
}

enum MHD_Result fgd_exchange_reply(struct fgd_exchange *e)
{
        static char sorry[] = "{\"type\": \"internal\", \"title\": \"something failed inside\", \"status\": 500, \"detail\": \"out of memory\"}\n";
        size_t size = e->json ? strlen(e->json) : 0;
        const char *type;
        enum MHD_Result result;
        e->told = true;
        if (e->stream)
                return fgd_http_stream(e);
        if (!e->json && fgd_http_asset(e, &result))
                return result;
        if (!take_reply(e, size)) {
                free(e->json);
                e->too_much = true;
                e->json = early_problem(e, &e->status, &type);
                size = e->json ? strlen(e->json) : 0;
        }
        bool ours = e->json || e->status == 204;
        unsigned status = ours ? e->status : 500;
        struct MHD_Response *response = ours && fgd_http_is_long(e, size) ? fgd_http_long(e, e->json, size) : NULL;
        if (!response)
                response = ours ? MHD_create_response_from_buffer_with_free_callback(size, e->json, fgd_text_free)
                                : MHD_create_response_from_buffer(sizeof sorry - 1, sorry, MHD_RESPMEM_PERSISTENT);
        if (!response)
                return MHD_NO;
        e->json = NULL;
        set_headers(e, response, status);
        enum MHD_Result r = MHD_queue_response(e->connection, status, response);
        MHD_destroy_response(response);
        if (e->peer)
                fgd_peer_enter(e->peer, FGD_PEER_SENDING);
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
        fgd_http_wake(e->http);
}

void fgd_exchange_dismiss_all(struct fgd_http *http)
{
        struct fgd_problem problem = {0};
        struct fgd_exchange *e;
        http->is_ending = true;
        fgd_problem_set(&problem, FGD_BUSY, "the daemon ends; ask the next one");
        while ((e = TAILQ_FIRST(&http->queued))) {
                fgd_turn_leave(e);
                if (e->told) { /* the rest of its answer waits */
                        MHD_resume_connection(e->connection);
                        continue;
                }
                e->waiting = true;
                TAILQ_INSERT_TAIL(&http->waiting, e, order);
        }
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

/* Where the caller is: the process behind a unix socket, the address behind another. */
static void write_from(const struct fgd_exchange *e, int peer, char *ret, size_t size)
{
        struct ucred who;
        struct sockaddr_storage address = {0};
        socklen_t length = sizeof who;
        ret[0] = 0;
        if (!e->http->lobby) {
                if (peer >= 0 && getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &who, &length) == 0)
                        snprintf(ret, size, "pid %d uid %u", (int)who.pid, who.uid);
                return;
        }
        length = sizeof address;
        if (peer >= 0 && getpeername(peer, (struct sockaddr *)&address, &length) == 0)
                fgd_source_print(&address, ret);
}

int fgd_exchange_ask(struct fgd_exchange *e)
{
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(e->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        char from[64];
        bool remote = e->http->lobby;
        int fd = info ? info->connect_fd : -1;
        _Static_assert(sizeof from >= FGD_FROM_MAX, "an address fits");
        if (fgd_http_is_asset(e)) { /* fgd_exchange_reply() knows them */
                e->status = 200;
                return 0;
        }
        e->later = (struct fgd_later){later_done, e};
        e->sink = (struct fgd_sink){fgd_http_stream_ready, e};
        struct fgd_request request = {.method = e->method, .path = e->path, .query = e->query, .body = e->kept == e->size ? e->body : NULL, .body_size = e->size,
                                      .peer = remote ? -1 : fd, .remote = remote, .from = from, .later = &e->later, .caller = e->caller,
                                      .authorization = header(e, MHD_HTTP_HEADER_AUTHORIZATION),
                                      .idempotency_key = header(e, "Idempotency-Key"),
                                      .accept = header(e, MHD_HTTP_HEADER_ACCEPT), .retry_after = &e->retry_after,
                                      .allow = e->allow, .content_type = &e->content_type,
                                      .last_event_id = header(e, "Last-Event-ID"), .stream = &e->stream,
                                      .sink = fgd_http_wants_stream(header(e, MHD_HTTP_HEADER_ACCEPT)) ? &e->sink : NULL};
        write_from(e, fd, from, sizeof from);
        if (e->too_large || e->too_much || e->refused) {
                const char *type;
                e->json = early_problem(e, &e->status, &type);
                fgd_api_refused(e->http->manager, &request, e->status, type);
                return 0;
        }
        int r = fgd_api_handle(e->http->manager, &request, &e->status, &e->json);
        return r == 0 || e->answered ? 0 : 1;
}

/* Whose request it is, and how much of a body is kept. */
static void look_at_caller(struct fgd_exchange *e)
{
        uintptr_t place = (uintptr_t)(e->peer && e->peer->source ? (void *)e->peer->source : (void *)e->http);
        bool is_admin;
        e->caller = fgd_identity_key(e->http->manager, header(e, MHD_HTTP_HEADER_AUTHORIZATION), e->peer ? e->peer->uid : (uid_t)-1, place, &is_admin);
        e->most = is_admin ? FGD_BODY_MAX : FGD_BODY_USER;
}

/* The head is here. What will be refused anyway is not kept in memory: a body that is too long, or anybody's who does not even say who
 * it is. Whether that is true is for the API to judge. */
static enum MHD_Result begin(struct fgd_exchange *e, const char *method)
{
        const char *length = header(e, MHD_HTTP_HEADER_CONTENT_LENGTH);
        unsigned long long size = length ? strtoull(length, NULL, 10) : 0;
        snprintf(e->method, sizeof e->method, "%s", method);
        e->started = true;
        e->reading = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
        e->too_large = size > FGD_BODY_MAX;
        e->refused = e->http->lobby && !e->reading && !header(e, MHD_HTTP_HEADER_AUTHORIZATION);
        look_at_caller(e);
        return size > READ_ON_MAX ? fgd_turn_now(e) : MHD_YES;
}

/* It sends on and on. */
static enum MHD_Result give_up(struct fgd_exchange *e)
{
        if (e->peer)
                fgd_peer_malformed(e->peer, 413);
        return MHD_NO;
}

enum MHD_Result fgd_exchange_step(void *user, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
                                  const char *data, size_t *size, void **exchange)
{
        struct fgd_exchange *e = *exchange;
        if (!e || (e->http->is_ending && !e->answered) || (e->peer && e->peer->state == FGD_PEER_GOING))
                return MHD_NO;
        if (!e->started)
                return begin(e, method);
        if (*size) {
                size_t piece = *size;
                append(e, data, piece);
                *size = 0;
                if (e->size > READ_ON_CHUNKED_MAX && !e->task.caller) /* one that waits for its turn cannot be ended before it has come */
                        return give_up(e);
                return (e->size > FGD_BODY_USER || piece > PIECE_SMALL) && !e->answered ? fgd_turn_read(e, is_kept(e)) : MHD_YES;
        }
        return e->answered ? fgd_exchange_reply(e) : fgd_turn_take(e);
}

void fgd_exchange_end(void *user, struct MHD_Connection *connection, void **exchange, enum MHD_RequestTerminationCode code)
{
        struct fgd_exchange *e = *exchange;
        if (!e)
                return;
        struct fgd_source *source = source_of(e);
        e->http->exchanges--;
        e->http->bodies -= e->kept;
        e->http->replies -= e->reply_size;
        if (source) {
                source->bodies -= e->kept;
                source->replies -= e->reply_size;
        }
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_HTTP_STATUS);
        if (e->peer) {
                if (!e->told && info && info->http_status >= 400)
                        fgd_peer_malformed(e->peer, info->http_status); /* it was the library that refused it */
                e->peer->served = true;
                e->peer->asking = false;
                e->peer->exchange = NULL;
                fgd_peer_enter(e->peer, FGD_PEER_SILENT);
        }
        /* What was not parsed is one block, which goes by itself (main.c). */
        bool trim = e->kept > TRIM_ABOVE && e->status != 413;
        fgd_stream_close(e->stream);
        free(e->body);
        free(e->path);
        free(e->json);
        free(e);
        *exchange = NULL;
        if (trim)
                malloc_trim(0);
}
