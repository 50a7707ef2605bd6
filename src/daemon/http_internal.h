/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FGD_HTTP_INTERNAL_H
#define FGD_HTTP_INTERNAL_H

#include "daemon/api.h"
#include "daemon/http.h"

#include <microhttpd.h>
#include <stdbool.h>
#include <sys/queue.h>
#include <systemd/sd-event.h>

struct fgd_exchange;

/* One connection, so that a flood of silent ones can make room for those that speak. */
struct fgd_peer {
        struct fgd_http *http;
        int fd;
        bool busy; /* a whole request is being answered */
        TAILQ_ENTRY(fgd_peer) order;
};

struct fgd_http {
        struct fgd_manager *manager;
        struct MHD_Daemon *daemon;
        sd_event_source *io, *timer;
        unsigned limit, peers;
        size_t bodies; /* bytes of unfinished requests */
        TAILQ_HEAD(, fgd_exchange) waiting; /* for an answer that takes time */
        TAILQ_HEAD(, fgd_peer) idle; /* oldest first; busy ones are not in here */
};

/* One request on its way. */
struct fgd_exchange {
        struct fgd_http *http;
        struct fgd_peer *peer;
        struct MHD_Connection *connection;
        char *path, *query; /* one allocation */
        char *body;
        size_t size;
        bool started, too_large, too_much, waiting, answered;
        unsigned status;
        char *json;
        struct fgd_later later;
        TAILQ_ENTRY(fgd_exchange) order; /* while waiting */
};

/* The daemon ends: whoever still waits is told so. */
void fgd_exchange_dismiss_all(struct fgd_http *http);
void *fgd_exchange_new(void *http, const char *uri, struct MHD_Connection *connection);
enum MHD_Result fgd_exchange_step(void *http, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *data, size_t *size, void **exchange);
void fgd_exchange_end(void *http, struct MHD_Connection *connection, void **exchange, enum MHD_RequestTerminationCode code);
void fgd_peer_change(void *http, struct MHD_Connection *connection, void **peer, enum MHD_ConnectionNotificationCode code);

#endif
