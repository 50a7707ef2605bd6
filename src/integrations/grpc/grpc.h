/* SPDX-License-Identifier: Apache-2.0
 * gRPC over unix sockets, as much of it as a node agent needs: calls with one request message and one answer or a stream of answers, as
 * server and as client, with deadlines and without TLS or compression. HTTP/2 is nghttp2's. Nothing here starts threads; a server and
 * its calls belong to one thread. Protocol: grpc.io, doc/PROTOCOL-HTTP2.md. */
#ifndef FGI_GRPC_H
#define FGI_GRPC_H

#include "base/cleanup.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fgi_grpc_code {
        FGI_GRPC_OK = 0,
        FGI_GRPC_CANCELLED = 1,
        FGI_GRPC_UNKNOWN = 2,
        FGI_GRPC_INVALID_ARGUMENT = 3,
        FGI_GRPC_DEADLINE_EXCEEDED = 4,
        FGI_GRPC_NOT_FOUND = 5,
        FGI_GRPC_RESOURCE_EXHAUSTED = 8,
        FGI_GRPC_FAILED_PRECONDITION = 9,
        FGI_GRPC_UNIMPLEMENTED = 12,
        FGI_GRPC_INTERNAL = 13,
        FGI_GRPC_UNAVAILABLE = 14,
};

#define FGI_GRPC_REQUEST_MAX  (1u << 20)  /* bytes of one message to a server */
#define FGI_GRPC_REPLY_MAX    (16u << 20) /* and to a client */
#define FGI_GRPC_REQUESTS_MAX (16u << 20) /* of all unfinished ones to a server */
#define FGI_GRPC_LINKS_MAX    64u         /* connections to a server */
#define FGI_GRPC_CALLS_MAX    100u        /* calls at once on one of them */
#define FGI_GRPC_QUEUE_MAX    (16u << 20) /* answers of one call that nobody takes */
#define FGI_GRPC_MESSAGE_MAX  512u        /* of a status's text, with its NUL */

/* --- server --- */

struct fgi_grpc_server;
struct fgi_grpc_call; /* one call: alive until fgi_grpc_end(), or until its on_close is called */

struct fgi_grpc_method {
        const char *path; /* "/package.Service/Method" */
        /* Called once, when the request is whole. `request` is valid during the call. */
        void (*handle)(struct fgi_grpc_call *call, const uint8_t *request, size_t size, void *userdata);
};

/* `methods` ends with a path of NULL and must outlive the server. */
int fgi_grpc_server_new(const struct fgi_grpc_method *methods, void *userdata, struct fgi_grpc_server **ret);
void fgi_grpc_server_free(struct fgi_grpc_server *server); /* calls on_close of what is open; removes its socket; NULL is fine */
/* Replaces a socket that is there. */
int fgi_grpc_server_listen(struct fgi_grpc_server *server, const char *path, unsigned mode, struct fg_error *err);
/* Serves one connection that somebody else accepted; the descriptor is the server's from now on. */
int fgi_grpc_server_adopt(struct fgi_grpc_server *server, int fd);
/* Readable when fgi_grpc_server_dispatch() has something to do. */
int fgi_grpc_server_fd(const struct fgi_grpc_server *server);
void fgi_grpc_server_dispatch(struct fgi_grpc_server *server);
/* Open connections: 0 when nobody is there. */
unsigned fgi_grpc_server_links(const struct fgi_grpc_server *server);

/* Queues one answer; -ENOBUFS: too many that nobody takes. Nothing is freed within it. */
int fgi_grpc_send(struct fgi_grpc_call *call, const uint8_t *message, size_t size);
/* Ends the call; the pointer is not to be used afterwards, and on_close is not called. */
void fgi_grpc_end(struct fgi_grpc_call *call, enum fgi_grpc_code code, const char *text);
/* Called when the caller went away, cancelled, or its time is up. */
void fgi_grpc_on_close(struct fgi_grpc_call *call, void (*on_close)(struct fgi_grpc_call *call, void *data), void *data);
uint64_t fgi_grpc_deadline(const struct fgi_grpc_call *call); /* of fg_now(); UINT64_MAX: none */

/* --- client: one call at a time --- */

struct fgi_grpc_client;

struct fgi_grpc_status {
        enum fgi_grpc_code code;
        char text[FGI_GRPC_MESSAGE_MAX];
};

int fgi_grpc_client_open(const char *path, struct fgi_grpc_client **ret, struct fg_error *err);
/* Over a connection that is there; `path` is what errors call it. The descriptor is the client's from now on. */
int fgi_grpc_client_adopt(int fd, const char *path, struct fgi_grpc_client **ret, struct fg_error *err);
void fgi_grpc_client_close(struct fgi_grpc_client *client); /* NULL is fine */
/* Starts a call; one that was not over is cancelled. `deadline` of fg_now() is told to the server and kept here. */
int fgi_grpc_client_start(struct fgi_grpc_client *client, const char *method, const uint8_t *request, size_t size, uint64_t deadline,
                          struct fg_error *err);
/* The next answer: 1 and *ret (free() it), 0 when the call is over and *ret_status says how. -ETIMEDOUT, -EPIPE, -EPROTO, -EMSGSIZE. */
int fgi_grpc_client_next(struct fgi_grpc_client *client, uint8_t **ret, size_t *ret_size, struct fgi_grpc_status *ret_status,
                         struct fg_error *err);
/* The same without waiting: -EAGAIN, to be tried again when the descriptor is readable, or after a while. */
int fgi_grpc_client_try(struct fgi_grpc_client *client, uint8_t **ret, size_t *ret_size, struct fgi_grpc_status *ret_status,
                        struct fg_error *err);
int fgi_grpc_client_fd(const struct fgi_grpc_client *client);
/* Start and next for calls with one answer; a status that is not OK is an error whose text says it. */
int fgi_grpc_client_unary(struct fgi_grpc_client *client, const char *method, const uint8_t *request, size_t size, uint64_t deadline,
                          uint8_t **ret, size_t *ret_size, struct fg_error *err);

static inline void fgi_grpc_client_closep(struct fgi_grpc_client **client)
{
        fgi_grpc_client_close(*client);
}

#endif
