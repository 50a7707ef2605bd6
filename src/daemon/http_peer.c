/* SPDX-License-Identifier: Apache-2.0
 * The library's own timeout ends connections that are idle: one byte every few seconds is enough to stay for ever, and to keep a
 * body's memory or an answer's. So a request must be complete within the option `request-timeout` of its beginning, and an answer
 * taken within a minute, which is as long as our client waits. While the next piece of either waits for its turn no time goes by, but of a request
 * that is a minute at most: whoever is kept waiting for longer takes a place and the kernel's memory for nothing. */
#include "daemon/http_lobby.h"

#include "base/clock.h"
#include "daemon/journal.h"
#include "daemon/manager.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ANSWER_TIME   (60 * FG_NSEC_PER_SEC)
#define KEPT_MAX      (60 * FG_NSEC_PER_SEC)
#define ACCURACY_USEC 50000

static uint64_t silent_time(const struct fgd_http *http)
{
        return http->manager->options.value[FG_OPT_REQUEST_TIMEOUT] * FG_NSEC_PER_SEC;
}

static bool is_silent(const struct fgd_peer *peer)
{
        return peer->state == FGD_PEER_LOBBY || peer->state == FGD_PEER_SILENT;
}

/* UINT64_MAX: it may stay, for now. */
static uint64_t deadline(const struct fgd_peer *peer)
{
        if (is_silent(peer)) {
                uint64_t kept = peer->held || peer->kept > KEPT_MAX ? KEPT_MAX : peer->kept;
                return peer->since + silent_time(peer->http) + kept;
        }
        return peer->state == FGD_PEER_SENDING && !peer->held ? peer->since + ANSWER_TIME + peer->kept : UINT64_MAX;
}

static void arm(struct fgd_peer *peer)
{
        uint64_t at = deadline(peer);
        /* Later is no reason to touch the timer: a request that ends in time leaves it as it is. */
        if (at >= peer->looked_at)
                return;
        peer->looked_at = at;
        sd_event_source_set_time(peer->timer, at / FG_NSEC_PER_USEC + 1);
        sd_event_source_set_enabled(peer->timer, SD_EVENT_ONESHOT);
}

static int on_time(sd_event_source *source, uint64_t usec, void *user)
{
        struct fgd_peer *peer = user;
        peer->looked_at = UINT64_MAX;
        if (deadline(peer) > fg_now()) {
                arm(peer);
                return 0;
        }
        if (is_silent(peer) && peer->asking)
                fgd_peer_malformed(peer, 408);
        fgd_peer_cut(peer);
        return 0;
}

static void leave_list(struct fgd_peer *peer)
{
        if (!is_silent(peer))
                return;
        TAILQ_REMOVE(&peer->http->silent, peer, order);
        if (peer->source)
                TAILQ_REMOVE(&peer->source->silent, peer, of_source);
}

static void join_list(struct fgd_peer *peer)
{
        peer->since = fg_now();
        peer->held = peer->kept = 0;
        if (is_silent(peer)) {
                TAILQ_INSERT_TAIL(&peer->http->silent, peer, order);
                if (peer->source)
                        TAILQ_INSERT_TAIL(&peer->source->silent, peer, of_source);
        }
        arm(peer);
}

struct fgd_peer *fgd_peer_new(struct fgd_http *http, int fd, struct fgd_source *source)
{
        struct ucred who;
        socklen_t size = sizeof who;
        struct fgd_peer *peer = calloc(1, sizeof *peer);
        if (!peer)
                return NULL;
        *peer = (struct fgd_peer){.http = http, .fd = fd, .uid = (uid_t)-1, .source = source, .looked_at = UINT64_MAX,
                                  .state = http->lobby ? FGD_PEER_LOBBY : FGD_PEER_SILENT};
        if (sd_event_add_time(http->manager->event, &peer->timer, CLOCK_MONOTONIC, 0, ACCURACY_USEC, on_time, peer) < 0) {
                free(peer);
                return NULL;
        }
        if (!source && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0)
                peer->uid = who.uid;
        http->peers++;
        join_list(peer);
        return peer;
}

void fgd_peer_free(struct fgd_peer *peer)
{
        leave_list(peer);
        if (peer->state == FGD_PEER_LOBBY)
                fgd_lobby_leave(peer);
        if (peer->source)
                fgd_source_drop(&peer->http->lobby->sources, peer->source);
        peer->http->peers--;
        sd_event_source_disable_unref(peer->timer);
        free(peer);
}

void fgd_peer_enter(struct fgd_peer *peer, enum fgd_peer_state state)
{
        if (peer->state == FGD_PEER_GOING)
                return;
        if (peer->state == FGD_PEER_LOBBY && state == FGD_PEER_SILENT) {
                peer->state = state;
                return;
        }
        leave_list(peer);
        peer->state = state;
        join_list(peer);
}

void fgd_peer_hold(struct fgd_peer *peer)
{
        if (!peer->held && (peer->state == FGD_PEER_SILENT || peer->state == FGD_PEER_SENDING))
                peer->held = fg_now();
}

void fgd_peer_go_on(struct fgd_peer *peer)
{
        if (!peer->held)
                return;
        peer->kept += fg_now() - peer->held;
        peer->held = 0;
        arm(peer);
}

void fgd_peer_cut(struct fgd_peer *peer)
{
        int fd = peer->fd;
        if (peer->state == FGD_PEER_LOBBY) {
                fgd_peer_free(peer);
                close(fd);
                return;
        }
        /* What the kernel still holds of an answer goes too, and not when its reader pleases. */
        const struct linger none = {.l_onoff = 1};
        if (peer->state == FGD_PEER_SENDING)
                setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
        fgd_peer_enter(peer, FGD_PEER_GOING);
        shutdown(fd, SHUT_RDWR); /* the library sees the end and lets go */
        if (peer->exchange)
                fgd_turn_end(peer->exchange);
}

void fgd_peer_malformed(const struct fgd_peer *peer, unsigned status)
{
        struct ucred who;
        socklen_t size = sizeof who;
        char from[64] = "";
        if (peer->source)
                fgd_source_name(peer->source, from);
        else if (getsockopt(peer->fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0)
                snprintf(from, sizeof from, "pid %d uid %u", (int)who.pid, who.uid);
        fgd_journal_malformed(peer->http->manager, peer->uid, from, status);
}

/* The library ends a connection whose first words are no HTTP without a word to us: then it is not the other side that ended it, and there
 * was time left. */
static bool is_garbage(const struct fgd_peer *peer)
{
        char byte;
        if (peer->http->is_ending || peer->asked || peer->state != FGD_PEER_SILENT || fg_now() - peer->since >= silent_time(peer->http) / 2)
                return false;
        ssize_t n = recv(peer->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        return n > 0 || (n < 0 && errno == EAGAIN);
}

void fgd_peer_change(void *user, struct MHD_Connection *connection, void **context, enum MHD_ConnectionNotificationCode code)
{
        struct fgd_http *http = user;
        struct fgd_peer *peer = *context;
        if (code != MHD_CONNECTION_NOTIFY_STARTED) {
                if (peer && is_garbage(peer))
                        fgd_peer_malformed(peer, 400);
                if (peer)
                        fgd_peer_free(peer);
                *context = NULL;
                return;
        }
        if (http->lobby) {
                *context = http->arriving;
                http->arriving = NULL;
                return;
        }
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        *context = info ? fgd_peer_new(http, info->connect_fd, NULL) : NULL;
        /* At the limit the connection that has been silent longest makes room for the next. */
        if (*context && http->peers >= http->limit && TAILQ_FIRST(&http->silent) != *context)
                fgd_peer_cut(TAILQ_FIRST(&http->silent));
}
