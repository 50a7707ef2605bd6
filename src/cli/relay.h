/* SPDX-License-Identifier: Apache-2.0
 * A browser speaks TCP, the daemon of this machine a unix socket on which the kernel says who calls. The relay stands between: it listens on
 * 127.0.0.1 alone and passes on, as the person who started it, what whoever has the page's key asks for. */
#ifndef CLI_RELAY_H
#define CLI_RELAY_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define CLI_RELAY_SECRET 65 /* 256 bits in hexadecimal */

struct cli_relay {
        char socket[4096]; /* the daemon's */
        uint16_t port;
        int fd;
        pthread_mutex_t lock;         /* of what stands below */
        char code[CLI_RELAY_SECRET];  /* of the link; "": used */
        char key[CLI_RELAY_SECRET];   /* of the page */
        unsigned connections;
};

/* Listens on `port` (0: any) and makes the key. 0, or -errno. */
int cli_relay_open(struct cli_relay *relay, const char *socket, uint16_t port);
/* Makes a code for one more link, in place of the one before. 0, or -errno. */
int cli_relay_renew(struct cli_relay *relay);
/* Takes one connection and serves it in a thread of its own. */
void cli_relay_accept(struct cli_relay *relay);

/* Says who may (relay_head.c): what a browser's request is, and what of it goes on to the daemon. */
enum cli_relay_kind {
        CLI_RELAY_FILE,   /* the page: for anybody, and nothing but its name goes on */
        CLI_RELAY_CALL,   /* the API, with the key */
        CLI_RELAY_LOGIN,  /* a code in exchange for the key */
        CLI_RELAY_REFUSE, /* `why` */
};

struct cli_relay_request {
        enum cli_relay_kind kind;
        unsigned status;
        const char *type, *why; /* of a refusal */
        char *head;             /* what goes on; the caller's to free */
        char key[CLI_RELAY_SECRET + 1]; /* as it was said: one that is longer is seen to be */
        uint64_t length;        /* of a login's body */
};

/* `head`: all lines up to and with the empty one, changed. -ENOMEM, else 0. */
int cli_relay_judge(char *head, uint16_t port, struct cli_relay_request *ret);

#endif
