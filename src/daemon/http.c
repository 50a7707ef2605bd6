/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/http_lobby.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "daemon/manager.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define CONNECTION_MEMORY 16384
#define SPARE_DESCRIPTORS 512 /* for pages, attached programs, the store */
#define SLACK             256 /* connections that were cut off and that the library still has */

/* Lets the library do what it can; what it wants to do at once is done in the next turn of the loop, what it wants later when the timer says. */
void fgd_http_drive(struct fgd_http *http)
{
        MHD_UNSIGNED_LONG_LONG timeout = 0;
        unsigned before = http->peers;
        fgd_fair_turn(http->manager->fair);
        http->turn++;
        http->is_woken = false;
        sd_event_source_set_enabled(http->woken, SD_EVENT_OFF);
        MHD_run(http->daemon);
        bool wants = MHD_get_timeout(http->daemon, &timeout) == MHD_YES;
        /* It looks at its limit of connections only when it starts to run: one that closed makes room in the next turn. */
        if (http->peers != before || (wants && timeout == 0))
                fgd_http_wake(http);
        if (http->is_woken || !wants) {
                sd_event_source_set_enabled(http->timer, SD_EVENT_OFF);
                return;
        }
        sd_event_source_set_time_relative(http->timer, timeout * 1000);
        sd_event_source_set_enabled(http->timer, SD_EVENT_ONESHOT);
}

void fgd_http_wake(struct fgd_http *http)
{
        http->is_woken = true;
        sd_event_source_set_enabled(http->woken, SD_EVENT_ONESHOT);
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *user)
{
        fgd_http_drive(user);
        return 0;
}

static int on_woken(sd_event_source *source, void *user)
{
        fgd_http_drive(user);
        return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *user)
{
        fgd_http_drive(user);
        return 0;
}

static void on_log(void *user, const char *format, va_list args)
{
        char text[512];
        vsnprintf(text, sizeof text, format, args);
        text[strcspn(text, "\n")] = 0;
        fg_log_debug("http: %s", text);
}

/* As many connections as the option says, and no more than there can be descriptors. */
static unsigned connection_limit(const struct fgd_manager *m)
{
        struct rlimit files;
        uint64_t limit = m->options.value[FG_OPT_MAX_CONNECTIONS], parts = m->options.text[FG_OPT_LISTEN][0] ? 2 : 1;
        if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != RLIM_INFINITY &&
            files.rlim_cur < parts * limit + SPARE_DESCRIPTORS)
                limit = (files.rlim_cur > 2 * SPARE_DESCRIPTORS ? files.rlim_cur - SPARE_DESCRIPTORS : files.rlim_cur / 2) / parts;
        return limit ? (unsigned)limit : 1;
}

static int start(struct fgd_http *http, int socket, struct MHD_OptionItem *tls, struct fg_error *err)
{
        struct fgd_manager *m = http->manager;
        struct MHD_OptionItem own[] = {{MHD_OPTION_LISTEN_SOCKET, socket, NULL}, {MHD_OPTION_END, 0, NULL}};
        unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
        http->limit = connection_limit(m);
        http->daemon = MHD_start_daemon(
                tls ? flags | MHD_USE_TLS | MHD_USE_NO_LISTEN_SOCKET : flags, 0, NULL, NULL, fgd_exchange_step, http,
                MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_ARRAY, tls ? tls : own, MHD_OPTION_URI_LOG_CALLBACK, fgd_exchange_new,
                http, MHD_OPTION_NOTIFY_COMPLETED, fgd_exchange_end, http, MHD_OPTION_NOTIFY_CONNECTION, fgd_peer_change, http,
                MHD_OPTION_CONNECTION_LIMIT, tls ? http->limit + SLACK : http->limit, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                (size_t)CONNECTION_MEMORY, MHD_OPTION_CONNECTION_TIMEOUT,
                (unsigned)m->options.value[FG_OPT_REQUEST_TIMEOUT] + 1, MHD_OPTION_END); /* a second behind http_peer.c, which writes down whom it cuts */
        if (!http->daemon) {
                if (socket >= 0)
                        close(socket);
                return fg_error_set(err, -EIO, "cannot start the HTTP server");
        }
        const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
        int r = info ? sd_event_add_io(m->event, &http->io, info->epoll_fd, EPOLLIN, on_io, http) : -EIO;
        if (r >= 0)
                r = sd_event_add_defer(m->event, &http->woken, on_woken, http);
        if (r >= 0)
                r = sd_event_add_time_relative(m->event, &http->timer, CLOCK_MONOTONIC, 0, 1000, on_timer, http);
        if (r >= 0)
                r = fgd_pause_watch(http);
        return r < 0 ? fg_error_set(err, r, "cannot start the HTTP server: %m") : 0;
}

int fgd_http_start(struct fgd_manager *m, int socket, struct MHD_OptionItem *tls, struct fgd_http **ret, struct fg_error *err)
{
        struct fgd_http *http = calloc(1, sizeof *http);
        if (!http) {
                if (socket >= 0)
                        close(socket);
                return fg_error_set(err, -ENOMEM, "out of memory");
        }
        http->manager = m;
        TAILQ_INIT(&http->silent);
        TAILQ_INIT(&http->waiting);
        TAILQ_INIT(&http->queued);
        TAILQ_INIT(&http->paused);
        int r = start(http, socket, tls, err);
        if (r < 0)
                fgd_http_free(http);
        else
                *ret = http;
        return r;
}

int fgd_http_new(struct fgd_manager *m, int socket, struct fg_error *err)
{
        return fgd_http_start(m, socket, NULL, &m->http, err);
}

void fgd_http_hand_over(struct fgd_peer *peer)
{
        struct fgd_http *http = peer->http;
        struct sockaddr_storage address;
        socklen_t length = sizeof address;
        if (getpeername(peer->fd, (struct sockaddr *)&address, &length) < 0) {
                fgd_peer_cut(peer);
                return;
        }
        fgd_peer_enter(peer, FGD_PEER_SILENT);
        http->arriving = peer;
        MHD_add_connection(http->daemon, peer->fd, (struct sockaddr *)&address, length);
        if (http->arriving) /* it was not taken, and its socket is closed */
                fgd_peer_free(FG_TAKE_PTR(http->arriving));
        fgd_http_drive(http);
}

bool fgd_http_is_asked(const struct fgd_http *http)
{
        return http->exchanges > 0;
}

void fgd_http_free(struct fgd_http *http)
{
        if (!http)
                return;
        /* The library cannot be stopped with suspended connections. */
        fgd_exchange_dismiss_all(http);
        fgd_pause_end_all(http);
        if (http->daemon)
                MHD_run(http->daemon);
        sd_event_source_disable_unref(http->io);
        sd_event_source_disable_unref(http->woken);
        sd_event_source_disable_unref(http->timer);
        if (http->daemon)
                MHD_stop_daemon(http->daemon);
        fgd_lobby_free(http->lobby);
        sd_event_source_disable_unref(http->pause);
        free(http);
}
