/* SPDX-License-Identifier: Apache-2.0
 * One question to this machine's daemon. No daemon is started: an engine's runtime is no place for one. */
#include "integrations/oci/oci.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/paths.h"
#include "client/http.h"
#include "integrations/gate/gate.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define PATIENCE (20 * FG_NSEC_PER_SEC)

static int socket_path(const char *name, char ret[PATH_MAX + 16], struct fg_error *err)
{
        struct fg_paths paths;
        int r = fg_paths_find(&paths, err);
        if (r == 0)
                snprintf(ret, PATH_MAX + 16, "%s/%s", paths.run, name);
        return r;
}

static int connect_daemon(struct fg_error *err)
{
        char path[PATH_MAX + 16];
        int r = socket_path("api.sock", path, err);
        if (r < 0)
                return r;
        int fd = fg_unix_connect(path, SOCK_STREAM);
        if (fd == -EACCES || fd == -EPERM)
                return fg_error_set(err, fd, "not allowed to use the daemon at %s", path);
        return fd < 0 ? fg_error_set(err, fd, "no fastgpud answers at %s: start it (systemctl start fastgpud)", path) : fd;
}

static int receive(int fd, struct fg_http_reply *reply, struct fg_error *err)
{
        uint64_t deadline = fg_now() + PATIENCE;
        char chunk[16384];
        size_t used;
        int r = 0;
        while (r == 0) {
                struct pollfd p = {.fd = fd, .events = POLLIN};
                uint64_t now = fg_now();
                if (now >= deadline || poll(&p, 1, (int)((deadline - now) / FG_NSEC_PER_MSEC) + 1) == 0)
                        return fg_error_set(err, -ETIMEDOUT, "fastgpud does not answer");
                ssize_t n = recv(fd, chunk, sizeof chunk, MSG_DONTWAIT);
                if (n < 0 && (errno == EAGAIN || errno == EINTR))
                        continue;
                if (n <= 0)
                        r = fg_http_parse_end(reply) < 0 ? -EPROTO : 1;
                else
                        r = fg_http_parse(reply, chunk, (size_t)n, &used);
        }
        return r < 0 ? fg_error_set(err, -EPROTO, "fastgpud's answer is none") : 0;
}

static int post(const char *body, struct fg_http_reply *reply, struct fg_error *err)
{
        fg_autofree char *message = NULL;
        fg_autoclose int fd = connect_daemon(err);
        if (fd < 0)
                return fd;
        int len = asprintf(&message, "POST /v1/containers HTTP/1.1\r\nHost: fastgpu\r\nConnection: close\r\nContent-Type: application/json\r\n"
                           "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
        if (len < 0) {
                message = NULL;
                return fg_error_set(err, -ENOMEM, "out of memory");
        }
        if (send(fd, message, (size_t)len, MSG_NOSIGNAL) != len)
                return fg_error_set(err, -EPIPE, "fastgpud hung up");
        return receive(fd, reply, err);
}

static int ask(const char *target, json_t **ret, struct fg_error *err)
{
        fgi_autojson json_t *body = json_pack("{s:s}", "target", target);
        fg_autofree char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
        struct fg_http_reply reply;
        if (!text)
                return fg_error_set(err, -ENOMEM, "out of memory");
        fg_http_reply_init(&reply);
        int r = post(text, &reply, err);
        json_t *answer = r == 0 && reply.body ? json_loads(reply.body, JSON_REJECT_DUPLICATES, NULL) : NULL;
        if (r == 0 && reply.status != 200) {
                const char *detail = json_string_value(json_object_get(answer, "detail"));
                r = fg_error_set(err, -EINVAL, "%s", detail ? detail : "fastgpud refuses, and does not say why");
        } else if (r == 0 && !json_is_object(json_object_get(answer, "edits"))) {
                r = fg_error_set(err, -EPROTO, "fastgpud's answer says nothing about containers; are both of one version?");
        }
        fg_http_reply_clear(&reply);
        if (r < 0)
                json_decref(answer);
        else
                *ret = answer;
        return r;
}

int fgi_oci_ask(const struct fgi_oci_wish *wish, json_t **ret, struct fg_error *err)
{
        char first[FGI_OCI_TARGET_MAX + 4];
        int r = ask(wish->target, ret, err);
        json_int_t has = r == 0 ? json_integer_value(json_object_get(*ret, "vgpus")) : 0;
        if (r < 0 || !wish->count || wish->count == (unsigned)has)
                return r;
        json_decref(*ret);
        *ret = NULL;
        if (wish->count > 1)
                return fg_error_set(err, -EINVAL, "--gpus %u: \"%s\" has %lld; make a set of %u: fastgpu create --gpus %u --name NAME, and docker run "
                                    "--gpus '\"device=NAME\"'", wish->count, wish->target, (long long)has, wish->count, wish->count);
        snprintf(first, sizeof first, "%s/0", wish->target);
        return ask(first, ret, err);
}

int fgi_oci_ask_gate(char ret_path[FGI_OCI_SOCKET_MAX], struct fg_error *err)
{
        char path[PATH_MAX + 16];
        int r = socket_path(FGI_GATE_SOCKET, path, err);
        if (r < 0)
                return r;
        if (strlen(path) >= FGI_OCI_SOCKET_MAX)
                return fg_error_set(err, -ENAMETOOLONG, "%.200s is too long for a socket that runc and crun are to find", path);
        fg_autoclose int fd = fg_unix_connect(path, SOCK_STREAM);
        if (fd < 0)
                return fg_error_set(err, fd, "open-gate = on in runtime.conf, and no fastgpu-gate answers at %s: systemctl enable --now fastgpu-gate", path);
        strcpy(ret_path, path);
        return 0;
}
