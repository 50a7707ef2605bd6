/* SPDX-License-Identifier: Apache-2.0
 * One connection, one request, one thread: this serves one person's browser. */
#include "cli/relay.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/paths.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#define CONNECTIONS_MAX 64u
#define HEAD_MAX        16384u
#define PATIENCE        10000   /* ms for a head, or to take what is there */
#define SILENCE         3600000 /* ms without a byte in either direction; a stream says something every few seconds */

static int make_secret(char ret[CLI_RELAY_SECRET])
{
        unsigned char random[(CLI_RELAY_SECRET - 1) / 2];
        if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
                return -EIO;
        for (size_t i = 0; i < sizeof random; i++)
                sprintf(ret + 2 * i, "%02x", random[i]);
        return 0;
}

/* Takes as long wherever they differ. */
static bool is_same(const char *secret, const char *said)
{
        unsigned char differs = 0;
        if (!*secret || strlen(said) != CLI_RELAY_SECRET - 1)
                return false;
        for (size_t i = 0; i < CLI_RELAY_SECRET - 1; i++)
                differs |= (unsigned char)(secret[i] ^ said[i]);
        return !differs;
}

int cli_relay_renew(struct cli_relay *relay)
{
        pthread_mutex_lock(&relay->lock);
        int r = make_secret(relay->code);
        pthread_mutex_unlock(&relay->lock);
        return r;
}

int cli_relay_open(struct cli_relay *relay, const char *path, uint16_t port)
{
        const int on = 1;
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t length = sizeof at;
        *relay = (struct cli_relay){.fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER};
        snprintf(relay->socket, sizeof relay->socket, "%s", path);
        if (make_secret(relay->key) < 0 || make_secret(relay->code) < 0)
                return -EIO;
        fg_autoclose int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, 64) < 0 || getsockname(fd, (struct sockaddr *)&at, &length) < 0)
                return -errno;
        relay->port = ntohs(at.sin_port);
        relay->fd = FG_TAKE_FD(fd);
        return 0;
}

static bool wait_for(int fd, short events, int ms)
{
        struct pollfd p = {.fd = fd, .events = events};
        return poll(&p, 1, ms) > 0;
}

static bool send_all(int fd, const char *data, size_t size)
{
        while (size) {
                ssize_t n = send(fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
                if (n < 0 && errno != EAGAIN && errno != EINTR)
                        return false;
                if (n < 0 && !wait_for(fd, POLLOUT, 6 * PATIENCE))
                        return false;
                data += n > 0 ? n : 0;
                size -= n > 0 ? (size_t)n : 0;
        }
        return true;
}

static void say(int fd, unsigned status, const char *type, const char *body)
{
        char text[1024];
        int n = snprintf(text, sizeof text, "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n"
                                            "X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n%s",
                         status, status < 400 ? "OK" : "Refused", type, strlen(body), body);
        send_all(fd, text, (size_t)n);
}

static void refuse(int fd, unsigned status, const char *type, const char *why)
{
        char body[512];
        snprintf(body, sizeof body, "{\"type\": \"%s\", \"title\": \"%s\", \"status\": %u, \"detail\": \"%s\"}\n", type, type, status, why);
        say(fd, status, "application/problem+json", body);
}

/* What is left of a guest's time, in ms: all that it has to say comes within PATIENCE, however it comes. */
static int left_of(uint64_t begin)
{
        uint64_t gone = (fg_now() - begin) / 1000000;
        return gone < PATIENCE ? (int)(PATIENCE - gone) : 0;
}

/* Reads up to the empty line: the head's length, 0: it did not come. What came behind it is in `buffer` too. */
static size_t read_head(int fd, char *buffer, size_t *ret_size)
{
        size_t size = 0;
        uint64_t begin = fg_now();
        while (size < HEAD_MAX && wait_for(fd, POLLIN, left_of(begin))) {
                ssize_t n = recv(fd, buffer + size, HEAD_MAX - size, 0);
                if (n <= 0)
                        return 0;
                size += (size_t)n;
                buffer[size] = 0;
                char *end = memmem(buffer, size, "\r\n\r\n", 4);
                if (end && strlen(buffer) >= (size_t)(end - buffer)) {
                        *ret_size = size;
                        return (size_t)(end - buffer) + 4;
                }
        }
        return 0;
}

/* The code is of a link that was printed: whoever brings it first is the one it was printed for. */
static void log_in(struct cli_relay *relay, int fd, char *body, size_t got, size_t length)
{
        char answer[CLI_RELAY_SECRET + 32];
        uint64_t begin = fg_now();
        while (got < length && wait_for(fd, POLLIN, left_of(begin))) {
                ssize_t n = recv(fd, body + got, length - got, 0);
                if (n <= 0)
                        return;
                got += (size_t)n;
        }
        body[got < length ? got : length] = 0;
        pthread_mutex_lock(&relay->lock);
        bool is_right = is_same(relay->code, body);
        if (is_right)
                relay->code[0] = 0;
        pthread_mutex_unlock(&relay->lock);
        if (!is_right)
                return refuse(fd, 401, "unauthorized", "this link was used already, or is not the newest: press Enter where fastgpu dashboard runs "
                                                       "for another one");
        snprintf(answer, sizeof answer, "{\"key\": \"%s\"}\n", relay->key);
        say(fd, 200, "application/json", answer);
}

/* Bytes from one to the other; false: the end. */
static bool pass(int from, int to)
{
        char buffer[65536];
        ssize_t n = recv(from, buffer, sizeof buffer, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return true;
        return n > 0 && send_all(to, buffer, (size_t)n);
}

static void carry(const struct cli_relay *relay, int fd, const struct cli_relay_request *request, const char *more, size_t size)
{
        fg_autoclose int up = fg_unix_connect(relay->socket, SOCK_STREAM);
        if (up < 0)
                return refuse(fd, 502, "no-daemon", "no daemon answers; it ended, or was never started");
        bool is_call = request->kind == CLI_RELAY_CALL;
        if (!send_all(up, request->head, strlen(request->head)) || (is_call && !send_all(up, more, size)))
                return refuse(fd, 502, "no-daemon", "the daemon does not take the request");
        for (;;) {
                struct pollfd p[2] = {{.fd = up, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
                if (poll(p, 2, SILENCE) <= 0)
                        return;
                /* Who has no key sends nothing; what ends at one side ends at the other. */
                if (p[0].revents && !pass(up, fd))
                        return;
                if (p[1].revents && (!is_call || !pass(fd, up)))
                        return;
        }
}

static void serve(struct cli_relay *relay, int fd)
{
        char *buffer = malloc(2 * HEAD_MAX + 1);
        struct cli_relay_request request;
        size_t size, length = buffer ? read_head(fd, buffer, &size) : 0;
        if (length) {
                fg_autofree char *head = strndup(buffer, length);
                if (head && cli_relay_judge(head, relay->port, &request) == 0) {
                        if (request.kind == CLI_RELAY_REFUSE)
                                refuse(fd, request.status, request.type, request.why);
                        else if (request.kind == CLI_RELAY_LOGIN)
                                log_in(relay, fd, buffer + length, size - length, request.length);
                        else if (request.kind == CLI_RELAY_CALL && !is_same(relay->key, request.key))
                                refuse(fd, 401, "unauthorized", "this page has no key: open the link that fastgpu dashboard printed, or press "
                                                                "Enter there for a new one");
                        else
                                carry(relay, fd, &request, buffer + length, size - length);
                        free(request.head);
                }
        }
        free(buffer);
}

struct guest {
        struct cli_relay *relay;
        int fd;
};

static void *run(void *user)
{
        struct guest *guest = user;
        serve(guest->relay, guest->fd);
        /* What is left unread would take the answer back. */
        shutdown(guest->fd, SHUT_WR);
        char rest[4096];
        for (int i = 0; i < 16 && wait_for(guest->fd, POLLIN, 250) && recv(guest->fd, rest, sizeof rest, MSG_DONTWAIT) > 0; i++)
                ;
        close(guest->fd);
        pthread_mutex_lock(&guest->relay->lock);
        guest->relay->connections--;
        pthread_mutex_unlock(&guest->relay->lock);
        free(guest);
        return NULL;
}

static bool has_room(struct cli_relay *relay)
{
        pthread_mutex_lock(&relay->lock);
        bool room = relay->connections < CONNECTIONS_MAX;
        relay->connections += room;
        pthread_mutex_unlock(&relay->lock);
        return room;
}

void cli_relay_accept(struct cli_relay *relay)
{
        const int on = 1;
        pthread_t thread;
        fg_autoclose int fd = accept4(relay->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 || !has_room(relay))
                return;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct guest *guest = malloc(sizeof *guest);
        if (guest) {
                *guest = (struct guest){relay, fd};
                if (pthread_create(&thread, NULL, run, guest) == 0) {
                        pthread_detach(thread);
                        fd = -1;
                        return;
                }
        }
        free(guest);
        pthread_mutex_lock(&relay->lock);
        relay->connections--;
        pthread_mutex_unlock(&relay->lock);
}
