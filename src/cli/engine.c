/* SPDX-License-Identifier: Apache-2.0
 * A request to an engine's manager: what is read is bounded in size and time, since whoever listens there may be anybody. */
#include "cli/engine.h"

#include "base/cleanup.h"
#include "client/http.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE 10 /* seconds, for all of a request */

/* Behind "http://": HOST, [V6] or either with :PORT, and perhaps a path of a proxy's. */
struct place {
        char host[256], port[8], path[256];
};

static int wrong_url(const char *url, const char *why)
{
        return cli_fail(CLI_USAGE, "--url %s: %s; type it as http://HOST:PORT", url, why);
}

static int split_url(const char *url, struct place *ret)
{
        *ret = (struct place){.port = "80"};
        if (strncmp(url, "https://", 8) == 0)
                return wrong_url(url, "engines are asked without TLS");
        const char *host = strncmp(url, "http://", 7) == 0 ? url + 7 : "";
        bool quoted = *host == '[';
        size_t n = quoted ? strcspn(host + 1, "]/") : strcspn(host, ":/");
        const char *rest = host + n + (quoted ? 2 : 0);
        if (n == 0 || n >= sizeof ret->host || strcspn(url, " \t\r\n@?#") != strlen(url) || (quoted && host[n + 1] != ']'))
                return wrong_url(url, "this is no address");
        memcpy(ret->host, host + quoted, n);
        if (*rest == ':') {
                n = strspn(rest + 1, "0123456789");
                if (n == 0 || n > 5 || atoi(rest + 1) > 65535 || (rest[n + 1] && rest[n + 1] != '/'))
                        return wrong_url(url, "this is no port");
                memcpy(ret->port, rest + 1, n);
                ret->port[n] = '\0';
                rest += n + 1;
        }
        snprintf(ret->path, sizeof ret->path, "%s", rest);
        return 0;
}

/* --- where it is --- */

/* The value behind "KEY:" at the beginning of a line, of Flink's config.yaml. */
static bool of_yaml(const char *line, const char *key, char *ret, size_t len)
{
        size_t n = strlen(key);
        if (strncmp(line, key, n) != 0 || line[n] != ':')
                return false;
        const char *value = line + n + 1 + strspn(line + n + 1, " \t\"'");
        return snprintf(ret, len, "%.*s", (int)strcspn(value, " \t\r\n\"'#"), value) > 0;
}

static void of_flink(char *url, size_t len)
{
        char path[512], line[512], host[256] = "localhost", port[16] = "8081";
        snprintf(path, sizeof path, "%s/config.yaml", getenv("FLINK_CONF_DIR") ?: "/etc/flink/conf");
        FILE *file = fopen(path, "re");
        while (file && fgets(line, sizeof line, file)) {
                of_yaml(line, "rest.address", host, sizeof host);
                of_yaml(line, "rest.port", port, sizeof port);
        }
        if (file)
                fclose(file);
        snprintf(url, len, "http://%s:%s", host, port);
}

static void of_yarn(char *url, size_t len)
{
        static const char name[] = "<name>yarn.resourcemanager.webapp.address</name>";
        char path[512], text[65536] = "", host[256] = "localhost:8088";
        snprintf(path, sizeof path, "%s/yarn-site.xml", getenv("YARN_CONF_DIR") ?: getenv("HADOOP_CONF_DIR") ?: "/etc/hadoop/conf");
        FILE *file = fopen(path, "re");
        text[file ? fread(text, 1, sizeof text - 1, file) : 0] = '\0';
        if (file)
                fclose(file);
        const char *at = strstr(text, name), *value = at ? strstr(at, "<value>") : NULL, *end = value ? strstr(at, "</property>") : NULL;
        if (value && end && value < end)
                snprintf(host, sizeof host, "%.*s", (int)strcspn(value + 7, " \t\r\n<"), value + 7);
        snprintf(url, len, "http://%s", host);
}

static void of_spark(char *url, size_t len)
{
        snprintf(url, len, "http://%s:%s", getenv("SPARK_MASTER_HOST") ?: "localhost", getenv("SPARK_MASTER_WEBUI_PORT") ?: "8080");
}

int cli_engine_find(struct cli_engine *engine, const char *typed)
{
        struct place place;
        if (typed)
                snprintf(engine->url, sizeof engine->url, "%s", typed);
        else if (strcmp(engine->kind, "flink") == 0)
                of_flink(engine->url, sizeof engine->url);
        else if (strcmp(engine->kind, "yarn") == 0)
                of_yarn(engine->url, sizeof engine->url);
        else
                of_spark(engine->url, sizeof engine->url);
        size_t n = strlen(engine->url);
        if (n > 0 && engine->url[n - 1] == '/')
                engine->url[n - 1] = '\0';
        return split_url(engine->url, &place);
}

/* --- the request --- */

static int left(const struct timespec *end)
{
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        long ms = (end->tv_sec - now.tv_sec) * 1000 + (end->tv_nsec - now.tv_nsec) / 1000000;
        return ms > 0 ? (int)ms : 0;
}

static int wait_for(int fd, short events, const struct timespec *end)
{
        struct pollfd p = {.fd = fd, .events = events};
        int r = poll(&p, 1, left(end));
        return r > 0 ? 0 : r == 0 ? -ETIMEDOUT : -errno;
}

static int connect_one(const struct addrinfo *to, const struct timespec *end)
{
        int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error = 0;
        socklen_t size = sizeof error;
        if (fd < 0)
                return -errno;
        int r = connect(fd, to->ai_addr, to->ai_addrlen) == 0 ? 0 : errno == EINPROGRESS ? wait_for(fd, POLLOUT, end) : -errno;
        if (r == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0)
                r = -error;
        if (r == 0)
                return fd;
        close(fd);
        return r;
}

static int dial(const struct place *place, const struct timespec *end)
{
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *all;
        if (getaddrinfo(place->host, place->port, &hints, &all) != 0)
                return -EHOSTUNREACH;
        int fd = -EHOSTUNREACH;
        for (const struct addrinfo *a = all; a && fd < 0; a = a->ai_next)
                fd = connect_one(a, end);
        freeaddrinfo(all);
        return fd;
}

/* A request fits the socket's buffer. */
static int exchange(int fd, const char *request, size_t size, const struct timespec *end, struct fg_http_reply *reply)
{
        char data[16384];
        size_t used;
        int r = send(fd, request, size, MSG_NOSIGNAL) == (ssize_t)size ? 0 : -EIO;
        while (r == 0) {
                r = wait_for(fd, POLLIN, end);
                ssize_t n = r == 0 ? read(fd, data, sizeof data) : 0;
                if (n < 0)
                        r = -errno;
                else if (r == 0)
                        r = n ? fg_http_parse(reply, data, (size_t)n, &used) : fg_http_parse_end(reply);
        }
        return r < 0 ? r : 0;
}

static int ask(const struct cli_engine *engine, const char *path, struct fg_http_reply *reply)
{
        struct place place;
        struct timespec end;
        char request[1400];
        if (split_url(engine->url, &place) != 0)
                return -EINVAL;
        int size = snprintf(request, sizeof request, "GET %s%s HTTP/1.1\r\nHost: %s:%s\r\nAccept: application/json\r\nConnection: close\r\n\r\n", place.path, path,
                            place.host, place.port);
        clock_gettime(CLOCK_MONOTONIC, &end);
        end.tv_sec += PATIENCE;
        fg_autoclose int fd = dial(&place, &end);
        return fd < 0 ? fd : exchange(fd, request, (size_t)size, &end, reply);
}

int cli_engine_get(const struct cli_engine *engine, const char *path, json_t **ret)
{
        struct fg_http_reply reply;
        fg_http_reply_init(&reply);
        int r = ask(engine, path, &reply), code = 0;
        *ret = r == 0 && reply.status == 200 ? json_loadb(reply.body ? reply.body : "", reply.size, 0, NULL) : NULL;
        if (r < 0)
                code = cli_fail(CLI_FAILED, "%s does not answer at %s: %s; say where it is by --url http://HOST:PORT", engine->manager, engine->url,
                                r == -EPROTO ? "that is not HTTP" : r == -EMSGSIZE ? "its answer is too long" : strerror(-r));
        else if (reply.status == 404)
                code = CLI_NOT_FOUND;
        else if (!*ret)
                code = cli_fail(CLI_FAILED, "%s%s answers %d and no JSON; is it %s?", engine->url, path, reply.status, engine->manager);
        fg_http_reply_clear(&reply);
        return code;
}
