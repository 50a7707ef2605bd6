/* SPDX-License-Identifier: Apache-2.0
 * What a browser asks the relay. Other pages, and other people of this machine, can send it requests too: it goes by the name that was asked
 * for (a name that an attacker's DNS leads here is not ours), by where the page that asks is from, and by the key. */
#include "cli/relay.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LOGIN_MAX 4096u

static void refuse(struct cli_relay_request *request, unsigned status, const char *type, const char *why)
{
        *request = (struct cli_relay_request){.kind = CLI_RELAY_REFUSE, .status = status, .type = type, .why = why};
}

static bool is_ours(const char *host, uint16_t port)
{
        char numeric[32], named[32];
        snprintf(numeric, sizeof numeric, "127.0.0.1:%u", port);
        snprintf(named, sizeof named, "localhost:%u", port);
        return strcmp(host, numeric) == 0 || strcasecmp(host, named) == 0;
}

/* A line's name and value, cut apart in place; false: it is none, or continues the one before. */
static bool split(char *line, char **ret_value)
{
        size_t length = strcspn(line, ":");
        if (!length || !line[length])
                return false;
        for (size_t i = 0; i < length; i++)
                if (!isalnum((unsigned char)line[i]) && !strchr("-_!#$%&'*+.^`|~", line[i]))
                        return false;
        line[length] = 0;
        *ret_value = line + length + 1;
        *ret_value += strspn(*ret_value, " \t");
        return true;
}

struct lines {
        struct cli_relay_request *request;
        char *out;
        size_t at;
        uint16_t port;
        bool has_host, is_call;
};

/* What only concerns this connection, and what says who asks, stays here. */
static bool stays(const char *name)
{
        static const char *const those[] = {"authorization", "connection", "cookie", "host", "keep-alive", "origin", "proxy-authorization",
                                            "proxy-connection", "referer", "te", "trailer", "upgrade", "expect"};
        for (size_t i = 0; i < sizeof those / sizeof *those; i++)
                if (strcasecmp(name, those[i]) == 0)
                        return true;
        return false;
}

/* Of who has no key nothing goes on but what a file can depend on. */
static bool concerns_files(const char *name)
{
        return strcasecmp(name, "accept-encoding") == 0 || strcasecmp(name, "if-none-match") == 0;
}

static bool take(struct lines *lines, char *line)
{
        char *value;
        struct cli_relay_request *request = lines->request;
        if (!split(line, &value)) {
                refuse(request, 400, "bad-request", "a line of the head is none");
                return false;
        }
        if (strcasecmp(line, "host") == 0)
                lines->has_host = is_ours(value, lines->port);
        if (strcasecmp(line, "origin") == 0 && (strncasecmp(value, "http://", 7) != 0 || !is_ours(value + 7, lines->port))) {
                refuse(request, 403, "forbidden", "another page asks for this");
                return false;
        }
        if (strcasecmp(line, "authorization") == 0 && strncasecmp(value, "bearer ", 7) == 0)
                snprintf(request->key, sizeof request->key, "%.*s", (int)sizeof request->key - 1, value + 7);
        if (strcasecmp(line, "content-length") == 0 && request->kind == CLI_RELAY_LOGIN)
                request->length = strtoull(value, NULL, 10);
        if (lines->is_call ? !stays(line) : concerns_files(line))
                lines->at += (size_t)sprintf(lines->out + lines->at, "%s: %s\r\n", line, value);
        return true;
}

/* No spelling of a name of a file is anything else's. */
static bool is_plain(const char *path)
{
        return path[strspn(path, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-")] == 0 && !strstr(path, "..");
}

static enum cli_relay_kind kind_of(const char *method, const char *path)
{
        bool reads = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
        if (strcmp(path, "/login") == 0 && strcmp(method, "POST") == 0)
                return CLI_RELAY_LOGIN;
        if (strncmp(path, "/v1/", 4) == 0)
                return CLI_RELAY_CALL;
        bool is_file = strcmp(path, "/") == 0 || strncmp(path, "/assets/", 8) == 0;
        return reads && is_file && is_plain(path) ? CLI_RELAY_FILE : CLI_RELAY_REFUSE;
}

/* "GET /path HTTP/1.1" */
static bool take_first(char *line, struct lines *lines)
{
        char *method = strtok_r(line, " ", &line), *path = strtok_r(NULL, " ", &line), *version = strtok_r(NULL, " ", &line);
        if (!method || !path || !version || strcmp(version, "HTTP/1.1") != 0 || strtok_r(NULL, " ", &line)) {
                refuse(lines->request, 400, "bad-request", "this is no request of HTTP/1.1");
                return false;
        }
        lines->request->kind = kind_of(method, path);
        lines->is_call = lines->request->kind == CLI_RELAY_CALL;
        if (lines->request->kind == CLI_RELAY_REFUSE)
                refuse(lines->request, 404, "not-found", "there is nothing of that name here");
        lines->at = (size_t)sprintf(lines->out, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", method, path);
        return lines->request->kind != CLI_RELAY_REFUSE;
}

int cli_relay_judge(char *head, uint16_t port, struct cli_relay_request *ret)
{
        /* A line grows by the blank behind its colon at most; the first by what is put behind it. */
        struct lines lines = {.request = ret, .port = port, .out = malloc(2 * strlen(head) + 128)};
        char *rest = head, *line = NULL;
        *ret = (struct cli_relay_request){0};
        if (!lines.out)
                return -ENOMEM;
        bool good = strstr(head, "\r\n");
        for (bool first = true; good && rest && *rest; first = false) {
                line = rest;
                rest = strstr(line, "\r\n");
                if (rest) {
                        *rest = 0;
                        rest += 2;
                }
                if (!*line)
                        break;
                if (strpbrk(line, "\r\n"))
                        refuse(ret, 400, "bad-request", "a line of the head has no proper end");
                good = ret->kind != CLI_RELAY_REFUSE && (first ? take_first(line, &lines) : take(&lines, line));
        }
        if (ret->kind != CLI_RELAY_REFUSE && !lines.has_host)
                refuse(ret, 403, "forbidden", "the page is at 127.0.0.1 and its port, and nowhere else");
        if (ret->kind == CLI_RELAY_LOGIN && ret->length > LOGIN_MAX)
                refuse(ret, 413, "too-large", "that is no code");
        if (ret->kind == CLI_RELAY_REFUSE) {
                free(lines.out);
                return 0;
        }
        strcpy(lines.out + lines.at, "\r\n");
        ret->head = lines.out;
        return 0;
}
