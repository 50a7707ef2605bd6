/* SPDX-License-Identifier: Apache-2.0
 * `fastgpu why spark/…`, `flink/…` and `yarn/…`: whoever listens at the manager's address. The first byte says of which engine, or 'u' that the rest is a
 * --url; the second whether each line is the JSON of an answer ('j') or all of it one answer as it comes over the network. What is said then is
 * complete and may be printed. */
#include "base/utf8.h"
#include "cli/engine.h"
#include "cli/fit.h"
#include "cli/job.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* --- the network: each connection is answered with the next line, or with all of it --- */

static const char *answers;
static size_t answers_left;
static bool are_lines;
static bool has_failed;
static int peer[4], peers; /* open while they are asked */

static void answer(int fd)
{
        static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n";
        const char *end = are_lines ? memchr(answers, '\n', answers_left) : NULL;
        size_t len = end ? (size_t)(end - answers) : answers_left;
        if (are_lines)
                assert(send(fd, head, sizeof head - 1, MSG_NOSIGNAL) == sizeof head - 1);
        if (len && send(fd, answers, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
                len = answers_left; /* longer than a socket holds */
        answers += len + (end != NULL);
        answers_left -= len + (end != NULL);
        shutdown(fd, SHUT_WR);
}

int __wrap_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol)
{
        int pair[2];
        assert((size_t)peers < sizeof peer / sizeof *peer && socketpair(AF_UNIX, type, 0, pair) == 0);
        answer(pair[1]);
        peer[peers++] = pair[1];
        return pair[0];
}

int __wrap_connect(int fd, const struct sockaddr *to, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *to, socklen_t len)
{
        return 0;
}

int __real_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **ret);
int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **ret);
int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **ret)
{
        return __real_getaddrinfo("127.0.0.1", port, hints, ret);
}

/* --- the daemon, and the terminal --- */

int __wrap_fg_client_open(unsigned flags, struct fg_client **ret, char *error, size_t error_len);
int __wrap_fg_client_open(unsigned flags, struct fg_client **ret, char *error, size_t error_len)
{
        return -ENOENT;
}

int __wrap_cli_fail(int code, const char *format, ...);
int __wrap_cli_fail(int code, const char *format, ...)
{
        has_failed = true;
        return code;
}

static void is_text(const json_t *why, const char *key)
{
        const char *text = cli_text(why, key);
        assert(*text);
        while (*text) {
                uint32_t c;
                size_t n = fg_utf8_decode(text, FG_UTF8_MAX, &c);
                assert(n && !cli_fit_is_format(c));
                text += n;
        }
}

static void try_answers(const char *name)
{
        json_t *why = NULL;
        has_failed = false;
        int code = cli_why_engine(name, "http://manager:1", &why);
        assert((code == 0) == (why != NULL) && (code != 0) == has_failed);
        if (why) {
                is_text(why, "state");
                is_text(why, "reason");
                is_text(why, "text");
        }
        json_decref(why);
        while (peers)
                close(peer[--peers]);
}

static void try_url(const char *text, size_t size)
{
        struct cli_engine engine = {.kind = "yarn", .manager = "YARN"};
        char *url = strndup(text, size);
        assert(url);
        has_failed = false;
        int code = cli_engine_find(&engine, url);
        assert((code != 0) == has_failed && (code != 0 || strncmp(engine.url, "http://", 7) == 0));
        free(url);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size < 2)
                return 0;
        answers = (const char *)data + 2;
        answers_left = size - 2;
        are_lines = data[1] == 'j';
        switch (data[0]) {
        case 's':
                try_answers("spark/app-1");
                break;
        case 'f':
                try_answers("flink/0a1b");
                break;
        case 'y':
                try_answers("yarn/application_1");
                break;
        case 'u':
                try_url((const char *)data + 1, size - 1);
        }
        return 0;
}
