/* SPDX-License-Identifier: Apache-2.0 */
#include "client/http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void fg_http_reply_init(struct fg_http_reply *reply)
{
        memset(reply, 0, offsetof(struct fg_http_reply, line));
        reply->keep_alive = true;
        reply->state = FG_HTTP_STATUS;
}

void fg_http_reply_clear(struct fg_http_reply *reply)
{
        free(reply->body);
        reply->body = NULL;
        reply->size = reply->capacity = 0;
}

/* Room for `more` bytes and a NUL. Grows with what arrived, never with what was announced. */
static int body_reserve(struct fg_http_reply *reply, size_t more)
{
        if (more > FG_HTTP_BODY_MAX - reply->size)
                return -EMSGSIZE;
        size_t need = reply->size + more + 1;
        if (need <= reply->capacity)
                return 0;
        size_t capacity = reply->capacity ? reply->capacity : 4096;
        while (capacity < need)
                capacity *= 2;
        char *grown = realloc(reply->body, capacity);
        if (!grown)
                return -ENOMEM;
        reply->body = grown;
        reply->capacity = capacity;
        return 0;
}

static int body_add(struct fg_http_reply *reply, const char *data, size_t len)
{
        int r = body_reserve(reply, len);
        if (r < 0)
                return r;
        memcpy(reply->body + reply->size, data, len);
        reply->size += len;
        reply->body[reply->size] = '\0';
        return 0;
}

/* "HTTP/1.1 200 OK" */
static int parse_status(struct fg_http_reply *reply, const char *line)
{
        if (strncmp(line, "HTTP/1.", 7) != 0 || (line[7] != '0' && line[7] != '1') || line[8] != ' ')
                return -EPROTO;
        int status = 0;
        for (int i = 9; i < 12; i++) {
                if (line[i] < '0' || line[i] > '9')
                        return -EPROTO;
                status = status * 10 + (line[i] - '0');
        }
        if ((line[12] != ' ' && line[12] != '\0') || status < 100 || status > 599 || status == 101)
                return -EPROTO;
        reply->status = status;
        reply->keep_alive = line[7] == '1';
        reply->chunked = reply->has_length = false;
        reply->left = 0;
        reply->state = FG_HTTP_HEADER;
        return 0;
}

static int parse_length(struct fg_http_reply *reply, const char *value)
{
        uint64_t length = 0;
        if (!*value)
                return -EPROTO;
        for (const char *p = value; *p; p++) {
                if (*p < '0' || *p > '9')
                        return -EPROTO;
                length = length * 10 + (uint64_t)(*p - '0');
                if (length > FG_HTTP_BODY_MAX)
                        return -EMSGSIZE;
        }
        if (reply->has_length && reply->left != length)
                return -EPROTO;
        reply->has_length = true;
        reply->left = length;
        return 0;
}

static int parse_header(struct fg_http_reply *reply, char *line)
{
        char *colon = strchr(line, ':');
        if (!colon || colon == line || line[0] == ' ' || line[0] == '\t')
                return -EPROTO;
        *colon = '\0';
        char *value = colon + 1 + strspn(colon + 1, " \t");
        for (char *end = value + strlen(value); end > value && (end[-1] == ' ' || end[-1] == '\t'); end--)
                end[-1] = '\0';
        if (strcasecmp(line, "content-length") == 0)
                return parse_length(reply, value);
        if (strcasecmp(line, "transfer-encoding") == 0) {
                /* Anything but plain chunks would have to be asked for with TE. */
                if (reply->chunked || strcasecmp(value, "chunked") != 0)
                        return -EPROTO;
                reply->chunked = true;
        } else if (strcasecmp(line, "connection") == 0) {
                reply->keep_alive =
                        strcasecmp(value, "close") != 0 && (reply->keep_alive || strcasecmp(value, "keep-alive") == 0);
        }
        return 0;
}

/* The empty line after the head: how does the body end? */
static int head_done(struct fg_http_reply *reply)
{
        if (reply->chunked && reply->has_length)
                return -EPROTO; /* request smuggling's favourite; no honest daemon sends both */
        if (reply->status < 200)
                reply->state = FG_HTTP_STATUS; /* interim: the real one follows */
        else if (reply->status == 204 || reply->status == 304)
                reply->state = FG_HTTP_DONE;
        else if (reply->chunked)
                reply->state = FG_HTTP_CHUNK_SIZE;
        else if (reply->has_length)
                reply->state = reply->left ? FG_HTTP_BODY : FG_HTTP_DONE;
        else
                reply->state = FG_HTTP_BODY_TO_END;
        return 0;
}

static int parse_chunk_size(struct fg_http_reply *reply, const char *line)
{
        uint64_t size = 0;
        size_t digits = strspn(line, "0123456789abcdefABCDEF");
        if (digits == 0 || (line[digits] && line[digits] != ';' && line[digits] != ' ' && line[digits] != '\t'))
                return -EPROTO;
        for (size_t i = 0; i < digits; i++) {
                char c = line[i];
                unsigned digit = c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a') + 10;
                size = size * 16 + digit;
                if (size > FG_HTTP_BODY_MAX)
                        return -EMSGSIZE;
        }
        reply->left = size;
        reply->state = size ? FG_HTTP_CHUNK_DATA : FG_HTTP_TRAILER;
        return 0;
}

static int parse_line(struct fg_http_reply *reply, char *line)
{
        switch (reply->state) {
        case FG_HTTP_STATUS:
                return parse_status(reply, line);
        case FG_HTTP_HEADER:
                return *line ? parse_header(reply, line) : head_done(reply);
        case FG_HTTP_CHUNK_SIZE:
                return parse_chunk_size(reply, line);
        case FG_HTTP_CHUNK_END:
                reply->state = FG_HTTP_CHUNK_SIZE;
                return *line ? -EPROTO : 0;
        case FG_HTTP_TRAILER:
                if (!*line)
                        reply->state = FG_HTTP_DONE;
                return 0;
        default:
                return -EPROTO;
        }
}

/* Takes bytes up to and including the line's end. A head may not grow without end, and chunk lines are paid for by the
 * data they bring. */
static int take_line(struct fg_http_reply *reply, const char *data, size_t len, size_t *ret_used)
{
        const char *end = memchr(data, '\n', len);
        size_t n = end ? (size_t)(end - data) : len;
        if (n > FG_HTTP_LINE_MAX - reply->line_len)
                return -EMSGSIZE;
        memcpy(reply->line + reply->line_len, data, n);
        reply->line_len += n;
        *ret_used = end ? n + 1 : n;
        reply->head += *ret_used;
        if (reply->head > FG_HTTP_HEAD_MAX + reply->size * 8)
                return -EMSGSIZE;
        if (!end)
                return 0;
        if (reply->line_len && reply->line[reply->line_len - 1] == '\r')
                reply->line_len--;
        reply->line[reply->line_len] = '\0';
        if (memchr(reply->line, '\0', reply->line_len) || memchr(reply->line, '\r', reply->line_len))
                return -EPROTO;
        reply->line_len = 0;
        return parse_line(reply, reply->line);
}

static int take_data(struct fg_http_reply *reply, const char *data, size_t len, size_t *ret_used)
{
        size_t n = len;
        if (reply->state != FG_HTTP_BODY_TO_END && n > reply->left)
                n = (size_t)reply->left;
        int r = body_add(reply, data, n);
        if (r < 0)
                return r;
        *ret_used = n;
        if (reply->state == FG_HTTP_BODY_TO_END)
                return 0;
        reply->left -= n;
        if (reply->left == 0)
                reply->state = reply->state == FG_HTTP_BODY ? FG_HTTP_DONE : FG_HTTP_CHUNK_END;
        return 0;
}

int fg_http_parse(struct fg_http_reply *reply, const char *data, size_t len, size_t *ret_used)
{
        size_t at = 0;
        while (at < len && reply->state != FG_HTTP_DONE) {
                bool is_data = reply->state == FG_HTTP_BODY || reply->state == FG_HTTP_BODY_TO_END ||
                               reply->state == FG_HTTP_CHUNK_DATA;
                size_t used = 0;
                int r = (is_data ? take_data : take_line)(reply, data + at, len - at, &used);
                if (r < 0)
                        return r;
                at += used;
        }
        *ret_used = at;
        return reply->state == FG_HTTP_DONE;
}

int fg_http_parse_end(struct fg_http_reply *reply)
{
        reply->keep_alive = false;
        if (reply->state == FG_HTTP_BODY_TO_END)
                reply->state = FG_HTTP_DONE;
        return reply->state == FG_HTTP_DONE ? 1 : -EPROTO;
}
