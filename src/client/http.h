/* SPDX-License-Identifier: Apache-2.0
 *
 * An incremental parser for HTTP/1.1 responses (RFC 9112): feed it bytes as they come. It reads nothing and waits for
 * nothing, so that a fuzzer can call it. Every amount is bounded: a line, the head, the body. */
#ifndef FG_CLIENT_HTTP_H
#define FG_CLIENT_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FG_HTTP_LINE_MAX 4096u         /* one line of the head, without its end */
#define FG_HTTP_HEAD_MAX (32u * 1024u) /* the whole head, interim responses and trailers included */
#define FG_HTTP_BODY_MAX (64u * 1024u * 1024u)

enum fg_http_state {
        FG_HTTP_STATUS,
        FG_HTTP_HEADER,
        FG_HTTP_BODY,        /* `left` bytes of it are missing */
        FG_HTTP_BODY_TO_END, /* the body ends with the connection */
        FG_HTTP_CHUNK_SIZE,
        FG_HTTP_CHUNK_DATA,
        FG_HTTP_CHUNK_END,
        FG_HTTP_TRAILER,
        FG_HTTP_DONE,
};

struct fg_http_reply {
        /* The result, valid once fg_http_parse() or fg_http_parse_end() returned 1. */
        int status;      /* 200..599 */
        bool keep_alive; /* another request may follow on this connection */
        char *body;      /* NUL-terminated; NULL when empty */
        size_t size;

        /* The parser's own. */
        enum fg_http_state state;
        bool chunked, has_length;
        uint64_t left;
        size_t capacity, head, line_len;
        char line[FG_HTTP_LINE_MAX + 1];
};

void fg_http_reply_init(struct fg_http_reply *reply);
void fg_http_reply_clear(struct fg_http_reply *reply);

/* Takes up to `len` bytes. 1: the reply is complete and *ret_used bytes belonged to it; 0: all were taken, more is
 * needed; -EPROTO: not HTTP; -EMSGSIZE: over a bound; -ENOMEM. After an error the parser must not be fed again. */
int fg_http_parse(struct fg_http_reply *reply, const char *data, size_t len, size_t *ret_used);
/* The connection ended. 1: the reply is complete; -EPROTO: it was cut short. */
int fg_http_parse_end(struct fg_http_reply *reply);

#endif
