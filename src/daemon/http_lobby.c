/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/http_lobby.h"

#include "base/clock.h"
#include "base/log.h"
#include "daemon/manager.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define ACCEPT_BATCH 32     /* in one turn */
#define PAUSE_USEC   100000 /* without descriptors for another connection */
#define REST         3      /* times as long as a handshake took, the thread is everybody else's */
#define SEND_BUFFER  (256 << 10) /* the kernel would give each several megabytes */
#define RECORD_HEAD  5u
#define RECORD_MAX   16384u

void fgd_lobby_leave(struct fgd_peer *peer)
{
        struct fgd_source *source = peer->source;
        peer->io = sd_event_source_disable_unref(peer->io);
        if (!peer->ready)
                return;
        peer->ready = false;
        TAILQ_REMOVE(&source->ready, peer, of_ready);
        if (TAILQ_EMPTY(&source->ready))
                TAILQ_REMOVE(&peer->http->lobby->ready, source, order);
}

static void arm_turn(struct fgd_lobby *lobby)
{
        sd_event_source_set_time(lobby->turn, lobby->next_turn / FG_NSEC_PER_USEC);
        sd_event_source_set_enabled(lobby->turn, SD_EVENT_ONESHOT);
}

static void make_ready(struct fgd_peer *peer)
{
        struct fgd_lobby *lobby = peer->http->lobby;
        sd_event_source_set_enabled(peer->io, SD_EVENT_OFF);
        if (TAILQ_EMPTY(&peer->source->ready))
                TAILQ_INSERT_TAIL(&lobby->ready, peer->source, order);
        TAILQ_INSERT_TAIL(&peer->source->ready, peer, of_ready);
        peer->ready = true;
        arm_turn(lobby);
}

/* One handshake, of the source that has waited longest since its last. */
static int on_turn(sd_event_source *timer, uint64_t usec, void *user)
{
        struct fgd_lobby *lobby = user;
        struct fgd_source *source = TAILQ_FIRST(&lobby->ready);
        uint64_t began = fg_now();
        if (!source)
                return 0;
        struct fgd_peer *peer = TAILQ_FIRST(&source->ready);
        fgd_lobby_leave(peer);
        if (!TAILQ_EMPTY(&source->ready)) {
                TAILQ_REMOVE(&lobby->ready, source, order);
                TAILQ_INSERT_TAIL(&lobby->ready, source, order);
        }
        fgd_http_hand_over(peer);
        uint64_t now = fg_now();
        lobby->next_turn = now + REST * (now - began);
        if (!TAILQ_EMPTY(&lobby->ready))
                arm_turn(lobby);
        return 0;
}

/* Somebody typed http:// for https://. */
static void tell_plain(int fd)
{
        static const char sorry[] = "{\"type\": \"bad-request\", \"title\": \"the request is not understood\", \"status\": 400, "
                                    "\"detail\": \"this port speaks TLS; write https://\"}\n";
        char text[4096];
        int n = snprintf(text, sizeof text, "HTTP/1.1 400 Bad Request\r\nContent-Type: application/problem+json\r\nConnection: close\r\n"
                                            "Content-Length: %zu\r\n\r\n%s", sizeof sorry - 1, sorry);
        if (send(fd, text, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
                /* What is left unread would take the answer back. */
                while (recv(fd, text, sizeof text, MSG_DONTWAIT) == (ssize_t)sizeof text)
                        ;
}

/* 1: the first record of a handshake is here as a whole; 0: not yet; negative: this is something else. */
static int look(int fd)
{
        unsigned char head[RECORD_HEAD];
        int there = 0;
        ssize_t n = recv(fd, head, sizeof head, MSG_PEEK | MSG_DONTWAIT);
        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        if (n == 0)
                return -ECONNRESET;
        if (head[0] >= 'A' && head[0] <= 'Z')
                tell_plain(fd);
        if (head[0] != 22 || (n > 1 && head[1] != 3))
                return -EPROTO;
        if (n < (ssize_t)RECORD_HEAD)
                return 0;
        unsigned length = (unsigned)head[3] << 8 | head[4];
        if (length == 0 || length > RECORD_MAX || ioctl(fd, FIONREAD, &there) < 0)
                return -EPROTO;
        return there >= (int)(RECORD_HEAD + length);
}

static void look_at(struct fgd_peer *peer)
{
        int r = look(peer->fd);
        if (r == -EPROTO)
                fgd_peer_malformed(peer, 400);
        if (r < 0)
                fgd_peer_cut(peer);
        else if (r > 0)
                make_ready(peer);
}

static int on_word(sd_event_source *source, int fd, uint32_t events, void *user)
{
        look_at(user);
        return 0;
}

/* Room for one more: of this source, then of all. Who is being answered is left alone. */
static bool make_room(struct fgd_lobby *lobby, const struct sockaddr_storage *address)
{
        struct fgd_source *source;
        struct fgd_http *http = lobby->http;
        if (fgd_source_count(&lobby->sources, address, &source) >= lobby->per_source) {
                if (TAILQ_EMPTY(&source->silent))
                        return false;
                fgd_peer_cut(TAILQ_FIRST(&source->silent));
        } else if (http->peers >= http->limit) {
                if (TAILQ_EMPTY(&http->silent))
                        return false;
                fgd_peer_cut(TAILQ_FIRST(&http->silent));
        }
        return true;
}

static void welcome(struct fgd_lobby *lobby, int fd, const struct sockaddr_storage *address)
{
        struct fgd_source *source = make_room(lobby, address) ? fgd_source_take(&lobby->sources, address) : NULL;
        struct fgd_peer *peer = source ? fgd_peer_new(lobby->http, fd, source) : NULL;
        const int on = 1, buffer = SEND_BUFFER;
        if (!peer) {
                if (source)
                        fgd_source_drop(&lobby->sources, source);
                close(fd);
                return;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
        /* By the edge: what was looked at and is not enough stays in the socket. */
        if (sd_event_add_io(lobby->http->manager->event, &peer->io, fd, EPOLLIN | EPOLLRDHUP | EPOLLET, on_word, peer) < 0)
                fgd_peer_cut(peer);
        else
                look_at(peer);
}

static void set_listening(struct fgd_lobby *lobby, int enabled)
{
        for (unsigned i = 0; i < lobby->listeners; i++)
                sd_event_source_set_enabled(lobby->io[i], enabled);
}

static int on_pause_over(sd_event_source *source, uint64_t usec, void *user)
{
        set_listening(user, SD_EVENT_ON);
        return 0;
}

/* No descriptor, no memory: trying at once again would be all the daemon did. */
static void pause_listening(struct fgd_lobby *lobby)
{
        fg_log_debug("remote: cannot accept: %m");
        if (!TAILQ_EMPTY(&lobby->http->silent))
                fgd_peer_cut(TAILQ_FIRST(&lobby->http->silent));
        set_listening(lobby, SD_EVENT_OFF);
        sd_event_source_set_time_relative(lobby->pause, PAUSE_USEC);
        sd_event_source_set_enabled(lobby->pause, SD_EVENT_ONESHOT);
}

static int on_connect(sd_event_source *source, int listener, uint32_t events, void *user)
{
        struct fgd_lobby *lobby = user;
        for (unsigned i = 0; i < ACCEPT_BATCH; i++) {
                struct sockaddr_storage address = {0};
                socklen_t length = sizeof address;
                int fd = accept4(listener, (struct sockaddr *)&address, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
                if (fd >= 0) {
                        welcome(lobby, fd, &address);
                } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
                        pause_listening(lobby);
                        return 0;
                } else if (errno == EAGAIN) {
                        return 0;
                }
        }
        return 0;
}

void fgd_lobby_free(struct fgd_lobby *lobby)
{
        struct fgd_peer *peer, *next;
        if (!lobby)
                return;
        for (unsigned i = 0; i < lobby->listeners; i++) {
                sd_event_source_disable_unref(lobby->io[i]);
                close(lobby->fd[i]);
        }
        for (peer = TAILQ_FIRST(&lobby->http->silent); peer; peer = next) {
                next = TAILQ_NEXT(peer, order);
                if (peer->state == FGD_PEER_LOBBY)
                        fgd_peer_cut(peer);
        }
        sd_event_source_disable_unref(lobby->turn);
        sd_event_source_disable_unref(lobby->pause);
        free(lobby);
}

int fgd_lobby_new(struct fgd_http *http, const int *fds, unsigned count)
{
        sd_event *event = http->manager->event;
        struct fgd_lobby *lobby = calloc(1, sizeof *lobby);
        if (!lobby)
                return -ENOMEM;
        *lobby = (struct fgd_lobby){.http = http, .per_source = (unsigned)http->manager->options.value[FG_OPT_MAX_PER_SOURCE]};
        TAILQ_INIT(&lobby->ready);
        int r = sd_event_add_time(event, &lobby->turn, CLOCK_MONOTONIC, 0, 1, on_turn, lobby);
        if (r >= 0)
                r = sd_event_source_set_enabled(lobby->turn, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_time(event, &lobby->pause, CLOCK_MONOTONIC, 0, 0, on_pause_over, lobby);
        if (r >= 0)
                r = sd_event_source_set_enabled(lobby->pause, SD_EVENT_OFF);
        for (unsigned i = 0; r >= 0 && i < count; i++)
                r = sd_event_add_io(event, &lobby->io[i], fds[i], EPOLLIN, on_connect, lobby);
        if (r < 0) {
                for (unsigned i = 0; i < count; i++)
                        sd_event_source_disable_unref(lobby->io[i]);
                fgd_lobby_free(lobby);
                return r;
        }
        memcpy(lobby->fd, fds, count * sizeof *fds);
        lobby->listeners = count;
        http->lobby = lobby;
        return 0;
}
