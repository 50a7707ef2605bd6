/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FGD_HTTP_INTERNAL_H
#define FGD_HTTP_INTERNAL_H

#include "daemon/api.h"
#include "daemon/events.h"
#include "daemon/fair.h"
#include "daemon/http.h"

#include <microhttpd.h>
#include <stdbool.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>

struct fgd_exchange;
struct fgd_lobby;
struct fgd_source;

TAILQ_HEAD(fgd_peer_list, fgd_peer);

enum fgd_peer_state {
        FGD_PEER_LOBBY,   /* remote, and has not said enough for TLS to begin: libmicrohttpd does not know it yet */
        FGD_PEER_SILENT,  /* its request is not complete */
        FGD_PEER_BUSY,    /* its request is being answered */
        FGD_PEER_SENDING, /* the answer is on its way */
        FGD_PEER_GOING,   /* was cut off; the library has yet to notice */
};

/* One connection. */
struct fgd_peer {
        struct fgd_http *http;
        int fd;
        uid_t uid; /* of the process behind a unix socket; -1: not known, or remote */
        enum fgd_peer_state state;
        uint64_t since; /* when the state began; silent: when it was accepted, had its last answer or began its next request */
        uint64_t held;  /* since when the next piece of its body or answer waits for us; 0: it does not */
        uint64_t kept;  /* ns that pieces of it waited for us before, in this state */
        sd_event_source *timer;
        uint64_t looked_at; /* when the timer goes off, which may be too early; UINT64_MAX: not at all */
        bool served;        /* has had an answer */
        bool asked, asking; /* its first words were those of a request; so are the last, to which there is no answer yet */
        struct fgd_exchange *exchange; /* its request; NULL: there is none */
        TAILQ_ENTRY(fgd_peer) order;   /* of http->silent */

        struct fgd_source *source; /* remote: where it comes from; NULL: the unix socket */
        TAILQ_ENTRY(fgd_peer) of_source;
        sd_event_source *io;            /* in the lobby: it said something */
        bool ready;                     /* in the lobby: it said enough */
        TAILQ_ENTRY(fgd_peer) of_ready; /* of source->ready */
};

/* What comes over the unix socket, or all that comes over the network, with the library's daemon for it. */
struct fgd_http {
        struct fgd_manager *manager;
        struct MHD_Daemon *daemon;
        sd_event_source *io, *woken, *timer;
        uint64_t turn; /* how often the library was let run */
        struct fgd_lobby *lobby; /* remote; NULL: the unix socket */
        unsigned limit, peers, exchanges; /* exchanges: requests that have begun and are not answered to the end */
        size_t bodies, replies; /* bytes of unfinished requests and of unfinished answers */
        TAILQ_HEAD(fgd_exchange_list, fgd_exchange) waiting; /* for an answer that takes time */
        struct fgd_exchange_list queued;    /* for their caller's turn */
        struct fgd_exchange_list paused;    /* answered with 429, to be told so later; oldest first */
        sd_event_source *pause;
        struct fgd_peer_list silent; /* oldest first, whether held or not, since the first makes room; the lobby too */
        struct fgd_peer *arriving; /* is being handed to the library */
        bool is_ending;            /* the daemon ends: nothing new is served */
        bool is_woken;             /* since the library began to run */
};

/* One request on its way. */
struct fgd_exchange {
        struct fgd_http *http;
        struct fgd_peer *peer;
        struct MHD_Connection *connection;
        char *path, *query; /* one allocation */
        char method[16];
        char *body;           /* NULL: none, or not kept */
        size_t size, kept, most; /* bytes that came; of them those in `body`; how many the caller may send: more are not kept */
        size_t reply_size;
        uint64_t caller;      /* in whose turn it is served; fair.h */
        struct fgd_task task;
        uint64_t read_turn; /* http->turn in which its body was last read */
        bool started, reading, too_large, too_much, waiting, answered, refused, told, has_turn;
        unsigned status, retry_after;
        uint64_t paused_at;
        char allow[FGD_ALLOW_SIZE];
        const char *content_type; /* of an answer that is no refusal; NULL: JSON */
        char *json;
        struct fgd_later later;
        struct fgd_sink sink;
        struct fgd_stream *stream; /* of an answer that does not end */
        bool idle;                 /* suspended until there is something in it */
        TAILQ_ENTRY(fgd_exchange) order; /* while waiting */
};

/* --- http.c --- */

/* `socket`: -1 when connections are handed over by fgd_http_hand_over(); `tls`: ends with MHD_OPTION_END, NULL: plain HTTP. */
int fgd_http_start(struct fgd_manager *manager, int socket, struct MHD_OptionItem *tls, struct fgd_http **ret, struct fg_error *err);
/* A peer that has left the lobby. It is the library's from here on, or gone. */
void fgd_http_hand_over(struct fgd_peer *peer);

/* --- http_exchange.c --- */

/* The daemon ends: whoever still waits is told so. */
void fgd_exchange_dismiss_all(struct fgd_http *http);
void *fgd_exchange_new(void *http, const char *uri, struct MHD_Connection *connection);
enum MHD_Result fgd_exchange_step(void *http, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *data, size_t *size, void **exchange);
void fgd_exchange_end(void *http, struct MHD_Connection *connection, void **exchange, enum MHD_RequestTerminationCode code);

/* --- http_assets.c --- */

/* Whether it asks for one of the dashboard's files, or for one that is not there. */
bool fgd_http_is_asset(const struct fgd_exchange *exchange);
/* Answers it; false: it asks for something else. */
bool fgd_http_asset(struct fgd_exchange *exchange, enum MHD_Result *ret);

/* --- http_long.c --- */

/* The answer `text`, which is the response's from here on, in pieces of which each has its turn. NULL: out of memory, and it is not. */
struct MHD_Response *fgd_http_long(struct fgd_exchange *exchange, char *text, size_t size);
/* Whether it is to be sent so: it is long, and others ask, too. */
bool fgd_http_is_long(const struct fgd_exchange *exchange, size_t size);

/* --- http_stream.c --- */

bool fgd_http_wants_stream(const char *accept);
/* For a sink: there may be something to send. `user`: the exchange. */
void fgd_http_stream_ready(void *user);
/* Answers with exchange->stream. */
enum MHD_Result fgd_http_stream(struct fgd_exchange *exchange);

/* --- http_exchange.c: its turn --- */

/* The whole request is here, and it is its turn: asks the API. 0: the answer is there; 1: it comes later. */
int fgd_exchange_ask(struct fgd_exchange *exchange);
/* Its answer, which is there. */
enum MHD_Result fgd_exchange_reply(struct fgd_exchange *exchange);
/* Without a thread of its own the library has no way to wake itself: what was resumed goes on. */
void fgd_http_wake(struct fgd_http *http);

/* --- http_turn.c: whose turn it is --- */

/* The whole request is here: it is served now, or in its caller's turn. */
enum MHD_Result fgd_turn_take(struct fgd_exchange *exchange);
/* Some of its long body was read: it is read on in the next turn of the loop, or in its caller's; what is not kept, as slowly as allowance.h says. */
enum MHD_Result fgd_turn_read(struct fgd_exchange *exchange, bool is_kept);
/* Of an answer that goes out piece by piece: whether the next one is made now. Otherwise the connection is suspended until it is its
 * caller's turn, and this is asked again. */
bool fgd_turn_piece(struct fgd_exchange *exchange);
/* So long the piece took. */
void fgd_turn_spent(struct fgd_exchange *exchange, uint64_t ns);
#define FGD_SEND_NS 35000u /* what it takes the library and the kernel to send one of 16 KiB */
/* The whole request is here, and it is served now in any case. */
enum MHD_Result fgd_turn_now(struct fgd_exchange *exchange);
/* It waits no longer. */
void fgd_turn_leave(struct fgd_exchange *exchange);
/* Its connection is cut: if it waits, it waits no longer, so that the library lets go of it and of all that still lies in the socket. */
void fgd_turn_end(struct fgd_exchange *exchange);

/* --- http_pause.c: who asks too much is told so, but not at once --- */

int fgd_pause_watch(struct fgd_http *http);
/* Its answer is there and waits; the connection is suspended. */
void fgd_pause_begin(struct fgd_exchange *exchange);
/* All of them go on now. */
void fgd_pause_end_all(struct fgd_http *http);

/* --- http_peer.c: who is connected, and for how long it may keep us waiting --- */

/* A connection was accepted. NULL: out of memory. The source's count is the caller's to give and then the peer's. */
struct fgd_peer *fgd_peer_new(struct fgd_http *http, int fd, struct fgd_source *source);
void fgd_peer_free(struct fgd_peer *peer);
/* Another state begins now; only from the lobby to silent the clock goes on. One that is going stays so. */
void fgd_peer_enter(struct fgd_peer *peer, enum fgd_peer_state state);
/* Its time stands still until it goes on, since it is we who keep it waiting; its age, by which it makes room, does not. */
void fgd_peer_hold(struct fgd_peer *peer);
void fgd_peer_go_on(struct fgd_peer *peer);
/* Cuts it off; one in the lobby is freed. */
void fgd_peer_cut(struct fgd_peer *peer);
/* The library took a connection, or lets go of it. */
void fgd_peer_change(void *http, struct MHD_Connection *connection, void **peer, enum MHD_ConnectionNotificationCode code);
/* What it sent is no request, or none that came to an end: counted in the audit. */
void fgd_peer_malformed(const struct fgd_peer *peer, unsigned status);

#endif
