/* SPDX-License-Identifier: Apache-2.0
 * api-load: many connections to one unix socket that ask again and again, and how long each answer took.
 *
 * usage: api-load --socket PATH --get PATH… [--connections N] [--seconds S] [--interval-ms MS] [--body BYTES]
 *
 * With several --get each connection asks for one after the other, each beginning with another one, and "of" tells of each besides.
 * Without --interval-ms each connection asks as soon as it is answered; with it, at fixed instants, and the time counts from
 * the instant, not from when there was time to ask. --body: POST with so many bytes. API_LOAD_TOKEN: the caller's. Prints one JSON object. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define HEAD_MAX   4096
#define EVENTS     256
#define GETS       256
#define BUCKETS    200000 /* of 10 us: up to 2 s */
#define BUCKET_NS  10000
#define NSEC       1000000000ull

struct connection {
        int fd;
        bool busy;
        unsigned get;   /* what it asks for */
        uint64_t due;   /* when it should ask, or should have */
        size_t sent;    /* of the request */
        size_t missing; /* bytes of the answer still to come; SIZE_MAX: the head is not complete */
        size_t head;    /* bytes in `text` */
        char text[HEAD_MAX];
};

static struct {
        const char *socket;
        unsigned connections;
        double seconds;
        uint64_t interval;
        size_t body;
} option = {.connections = 1, .seconds = 3};

struct times {
        uint64_t answers, bucket[BUCKETS + 1];
};

static struct get {
        const char *path;
        char *request;
        size_t request_size;
        struct times times;
} *get[GETS];
static unsigned gets;

static struct times all;
static uint64_t refused, failed, bytes;
static int epoll_fd;

static uint64_t now(void)
{
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * NSEC + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
        fprintf(stderr, "api-load: %s: %s\n", what, strerror(errno));
        exit(1);
}

static void make_request(struct get *g)
{
        static const char head[] = "{\"memory\": [1";
        const char *token = getenv("API_LOAD_TOKEN");
        g->request = malloc(strlen(g->path) + option.body + 512);
        if (!g->request || (token && strlen(token) > 128))
                die("memory");
        int n = sprintf(g->request, "%s %s HTTP/1.1\r\nHost: localhost\r\n", option.body ? "POST" : "GET", g->path);
        if (token)
                n += sprintf(g->request + n, "Authorization: Bearer %s\r\n", token);
        n += option.body ? sprintf(g->request + n, "Content-Length: %zu\r\n\r\n", option.body) : sprintf(g->request + n, "\r\n");
        g->request_size = (size_t)n + option.body;
        if (!option.body)
                return;
        /* As many values as there is room for: what a parser has most to do with. */
        for (size_t i = 0; i < option.body; i++)
                g->request[(size_t)n + i] = i < sizeof head - 1 ? head[i] : i >= option.body - 2 ? "]}"[i + 2 - option.body] : (i - sizeof head) % 2 ? ',' : '1';
        if (g->request[g->request_size - 3] == ',')
                g->request[g->request_size - 3] = ' ';
}

static void add_get(const char *path)
{
        struct get *g = gets < GETS ? calloc(1, sizeof *g) : NULL;
        if (!g)
                die("--get");
        g->path = path;
        get[gets++] = g;
}

static void dial(struct connection *c)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        snprintf(address.sun_path, sizeof address.sun_path, "%s", option.socket);
        c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address) < 0)
                die(option.socket);
        fcntl(c->fd, F_SETFL, O_NONBLOCK);
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event) < 0)
                die("epoll");
}

static void want(struct connection *c, uint32_t events)
{
        struct epoll_event event = {.events = events, .data.ptr = c};
        epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
}

static void redial(struct connection *c)
{
        close(c->fd);
        c->busy = false;
        dial(c);
}

static void ask(struct connection *c)
{
        if (!c->busy)
                c->sent = c->head = 0;
        c->busy = true;
        c->missing = SIZE_MAX;
        const struct get *g = get[c->get];
        ssize_t n = send(c->fd, g->request + c->sent, g->request_size - c->sent, MSG_NOSIGNAL);
        c->sent += n > 0 ? (size_t)n : 0;
        if (n < 0 && errno != EAGAIN) {
                failed++;
                redial(c);
        } else if (c->sent < g->request_size) {
                want(c, EPOLLIN | EPOLLOUT);
        } else if (option.body) {
                want(c, EPOLLIN);
        }
}

static void count(struct times *t, uint64_t took)
{
        t->answers++;
        t->bucket[took < BUCKETS ? took : BUCKETS]++;
}

static void finish(struct connection *c)
{
        uint64_t at = now(), took = (at - c->due) / BUCKET_NS;
        refused += c->text[9] != '2';
        count(&all, took);
        count(&get[c->get]->times, took);
        c->get = (c->get + 1) % gets;
        c->busy = false;
        c->due = option.interval ? c->due + option.interval : at;
        if (!option.interval)
                ask(c);
}

/* The head is in `text`: what is missing of the body. */
static void read_head(struct connection *c)
{
        c->text[c->head] = 0;
        char *end = strstr(c->text, "\r\n\r\n"), *length = strcasestr(c->text, "content-length:");
        if (!end)
                return;
        size_t body = length ? strtoull(length + 15, NULL, 10) : 0, there = c->head - (size_t)(end + 4 - c->text);
        c->missing = body > there ? body - there : 0;
}

static void hear(struct connection *c)
{
        static char scrap[1 << 16];
        bool in_head = c->missing == SIZE_MAX;
        ssize_t n = in_head ? recv(c->fd, c->text + c->head, HEAD_MAX - 1 - c->head, 0) : recv(c->fd, scrap, sizeof scrap, 0);
        if (n < 0 && errno == EAGAIN)
                return;
        if (n <= 0) {
                failed += c->busy;
                redial(c);
                return;
        }
        bytes += (size_t)n;
        if (in_head) {
                c->head += (size_t)n;
                read_head(c);
        } else {
                c->missing = (size_t)n < c->missing ? c->missing - (size_t)n : 0;
        }
        if (c->missing == 0)
                finish(c);
}

static double percentile_ms(const struct times *t, double part)
{
        uint64_t seen = 0;
        for (size_t i = 0; i <= BUCKETS; i++)
                if ((double)(seen += t->bucket[i]) >= part * (double)t->answers)
                        return (double)(i + 1) * BUCKET_NS / 1e6;
        return 0;
}

static void print_times(const struct times *t)
{
        printf("\"answers\": %llu, \"p50_ms\": %.2f, \"p99_ms\": %.2f, \"p999_ms\": %.2f", (unsigned long long)t->answers, percentile_ms(t, 0.5),
               percentile_ms(t, 0.99), percentile_ms(t, 0.999));
}

static void print(void)
{
        printf("{\"refused\": %llu, \"failed\": %llu, \"bytes\": %llu, \"seconds\": %.3f, \"per_second\": %.0f, ", (unsigned long long)refused,
               (unsigned long long)failed, (unsigned long long)bytes, option.seconds, (double)all.answers / option.seconds);
        print_times(&all);
        for (unsigned i = 0; gets > 1 && i < gets; i++) {
                printf("%s{\"get\": \"%s\", ", i ? ", " : ", \"of\": [", get[i]->path);
                print_times(&get[i]->times);
                printf("}%s", i + 1 == gets ? "]" : "");
        }
        printf("}\n");
}

static void run(struct connection *connection)
{
        struct epoll_event event[EVENTS];
        uint64_t begin = now(), end = begin + (uint64_t)(option.seconds * 1e9);
        for (unsigned i = 0; i < option.connections; i++) {
                connection[i].get = i % gets;
                connection[i].due = begin + (option.interval ? option.interval * i / option.connections : 0);
                if (!option.interval)
                        ask(&connection[i]);
        }
        for (uint64_t at = begin; at < end; at = now()) {
                uint64_t next = end;
                for (unsigned i = 0; option.interval && i < option.connections; i++) {
                        if (!connection[i].busy && connection[i].due <= at)
                                ask(&connection[i]);
                        if (!connection[i].busy && connection[i].due < next)
                                next = connection[i].due;
                }
                /* To the microsecond: what it oversleeps would be counted as the server's. */
                at = now();
                const struct timespec wait = {.tv_nsec = next > at ? (long)(next - at < 1000000 ? next - at : 1000000) : 0};
                int n = epoll_pwait2(epoll_fd, event, EVENTS, &wait, NULL);
                for (int i = 0; i < n; i++) {
                        struct connection *c = event[i].data.ptr;
                        if (event[i].events & EPOLLOUT)
                                ask(c);
                        if (event[i].events & ~(uint32_t)EPOLLOUT)
                                hear(c);
                }
        }
}

int main(int argc, char **argv)
{
        static const struct option known[] = {{"socket", 1, NULL, 's'},      {"get", 1, NULL, 'g'},  {"connections", 1, NULL, 'c'}, {"seconds", 1, NULL, 't'},
                                              {"interval-ms", 1, NULL, 'i'}, {"body", 1, NULL, 'b'}, {NULL, 0, NULL, 0}};
        int c;
        while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
                if (c == 's')
                        option.socket = optarg;
                else if (c == 'g')
                        add_get(optarg);
                else if (c == 'c')
                        option.connections = (unsigned)strtoul(optarg, NULL, 10);
                else if (c == 't')
                        option.seconds = strtod(optarg, NULL);
                else if (c == 'i')
                        option.interval = strtoull(optarg, NULL, 10) * 1000000;
                else if (c == 'b')
                        option.body = strtoull(optarg, NULL, 10);
                else
                        return 2;
        }
        if (!option.socket || !option.connections)
                return 2;
        epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        struct connection *connection = calloc(option.connections, sizeof *connection);
        if (epoll_fd < 0 || !connection)
                die("memory");
        if (!gets)
                add_get("/v1/version");
        for (unsigned i = 0; i < gets; i++)
                make_request(get[i]);
        for (unsigned i = 0; i < option.connections; i++)
                dial(&connection[i]);
        run(connection);
        print();
        return 0;
}
