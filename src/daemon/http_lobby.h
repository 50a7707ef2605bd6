/* SPDX-License-Identifier: Apache-2.0
 * Remote connections wait here until they have said what TLS begins with. A session costs tens of kilobytes and a handshake half a
 * millisecond of the one thread that serves everybody: who says nothing, or something else, gets neither. Those who do are taken one by
 * one, the sources in rotation, and never for more than a quarter of the thread's time. */
#ifndef FGD_HTTP_LOBBY_H
#define FGD_HTTP_LOBBY_H

#include "daemon/http_source.h"

#define FGD_LISTENERS_MAX 8u

struct fgd_lobby {
        struct fgd_http *http;
        struct fgd_sources sources;
        struct fgd_source_list ready; /* with peers whose turn comes */
        sd_event_source *turn, *pause;
        uint64_t next_turn; /* not before */
        int fd[FGD_LISTENERS_MAX];
        sd_event_source *io[FGD_LISTENERS_MAX];
        unsigned listeners, per_source;
};

/* Accepts for `http` from `count` listening sockets, which it takes on success. */
int fgd_lobby_new(struct fgd_http *http, const int *fds, unsigned count);
/* No more is accepted, and those who wait are let go. */
void fgd_lobby_free(struct fgd_lobby *lobby); /* NULL is fine */
/* It waits here no longer, for whatever reason. */
void fgd_lobby_leave(struct fgd_peer *peer);

#endif
