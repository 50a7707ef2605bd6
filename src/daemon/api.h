/* SPDX-License-Identifier: Apache-2.0
 * The API of docs/api.md, without sockets: a request in, a status and JSON out (but for /metrics, text). */
#ifndef FGD_API_H
#define FGD_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fgd_manager;
struct fgd_sink;
struct fgd_stream;

#define FGD_BODY_MAX   (1u << 20)
#define FGD_BODY_USER  (64u << 10) /* of who is no admin */
#define FGD_ALLOW_SIZE 64u

/* Where the answer goes when it takes time. Called from the event loop, or within fgd_api_handle(); `json` is the callee's. */
struct fgd_later {
        void (*done)(void *user, unsigned status, char *json);
        void *user;
};

struct fgd_request {
        const char *method;
        const char *path;  /* percent-encoded, as it came */
        const char *query; /* after the '?'; NULL: none */
        const char *body;
        size_t body_size;
        int peer;                /* the caller's socket, for its credentials; -1: nobody in particular */
        bool remote;             /* came over the network: the socket has no credentials */
        const char *from;        /* where the caller is, for the audit: "pid 17 uid 1000", "192.0.2.1"; NULL: unknown */
        const char *authorization;   /* the header's value; NULL: none */
        const char *accept;          /* the header's value; NULL: none */
        const char *idempotency_key; /* the header's value; NULL: none */
        const char *last_event_id;   /* the header's value; NULL: none */
        const struct fgd_sink *sink; /* NULL: who asks does not take a stream */
        struct fgd_stream **stream;  /* of a stream that was begun: the caller's, with an empty answer */
        uint64_t caller;         /* in whose turn it is served; fair.h */
        struct fgd_later *later; /* NULL: whatever would take time is refused */
        char *allow;           /* FGD_ALLOW_SIZE bytes, empty: the methods that the path has, when this one is not among them. NULL: nobody asks */
        const char **content_type; /* of the answer, if it succeeds; left alone: JSON. NULL: nobody asks */
        unsigned *retry_after;   /* seconds for the answer's Retry-After, also of a later one; left at 0: none. NULL: nobody asks */
};

/* 0: *ret_status and *ret_json (NULL for an empty answer; freed by the caller; NULL with status 500 when out of memory). 1:
 * request->later is told. */
int fgd_api_handle(struct fgd_manager *manager, const struct fgd_request *request, unsigned *ret_status, char **ret_json);

/* It was refused before it was known who asks, since it could not be kept: counted in the audit if it would have changed something.
 * `type`: the refusal's. */
void fgd_api_refused(struct fgd_manager *manager, const struct fgd_request *request, unsigned status, const char *type);

/* Whoever still waits for one was told otherwise. */
void fgd_listings_free(struct fgd_manager *manager);

#endif
