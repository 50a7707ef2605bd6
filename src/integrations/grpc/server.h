/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FGI_GRPC_SERVER_H
#define FGI_GRPC_SERVER_H

#include "integrations/grpc/wire.h"

struct fgi_grpc_conn {
        struct fgi_grpc_link link;
        struct fgi_grpc_server *server;
        struct fgi_grpc_conn *next;
        struct fgi_grpc_call *calls;
        bool full; /* the socket takes no more for now */
        bool dead;
};

struct fgi_grpc_call {
        struct fgi_grpc_conn *conn;
        struct fgi_grpc_call *next;
        int32_t id;
        const struct fgi_grpc_method *method; /* NULL: not known */
        bool is_post, is_grpc;
        bool handled; /* the handler was called, or the call ended without it */
        bool ended;   /* nothing is to be added to `out` */
        bool begun;   /* the answer's headers are on their way */
        uint64_t deadline;
        struct fgi_grpc_bytes in, out;
        size_t taken; /* of `out`, by the session */
        enum fgi_grpc_code code;
        char text[FGI_GRPC_MESSAGE_MAX];
        void (*on_close)(struct fgi_grpc_call *call, void *data);
        void *data;
};

struct fgi_grpc_server {
        const struct fgi_grpc_method *methods;
        void *userdata;
        int epoll, listener, wake, timer;
        uint64_t timer_at; /* 0: not set */
        char *path;
        struct fgi_grpc_conn *conns;
        unsigned conn_count;
        size_t pending; /* bytes of unfinished requests */
};

/* --- call.c: what the session tells, and the calls made of it --- */

int fgi_grpc_session_new(struct fgi_grpc_conn *conn);
/* Ends calls whose time is up; when the next one's is, UINT64_MAX: none's. */
uint64_t fgi_grpc_conn_expire(struct fgi_grpc_conn *conn, uint64_t now);
void fgi_grpc_conn_forget(struct fgi_grpc_conn *conn); /* its calls */

/* Has the server's next dispatch look at this. */
void fgi_grpc_server_wake(struct fgi_grpc_server *server);

#endif
