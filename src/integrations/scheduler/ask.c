/* SPDX-License-Identifier: Apache-2.0
 * The API server asked and waited for: by ourselves with a service account, or through kubectl with the rights of who called us. */
#include "integrations/scheduler/scheduler.h"

#include "base/clock.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define RESOURCE_API "/apis/resource.k8s.io/v1/"
#define PAGE         "100" /* of nodes with all their labels and images some 3 MiB; an answer may have 8 */
#define ITEMS_MAX    50000u
#define ANSWER_MAX   (64u << 20)

extern char **environ;

static bool is_dns(const char *text, size_t len)
{
        if (len < 1 || len > 253 || !isalnum((unsigned char)text[0]) || !isalnum((unsigned char)text[len - 1]))
                return false;
        for (size_t i = 0; i < len; i++)
                if (!islower((unsigned char)text[i]) && !isdigit((unsigned char)text[i]) && text[i] != '-' && text[i] != '.')
                        return false;
        return true;
}

bool fgi_sched_is_name(const char *text)
{
        const char *slash = strchr(text, '/');
        return slash && is_dns(text, (size_t)(slash - text)) && is_dns(slash + 1, strlen(slash + 1));
}

/* --- by ourselves --- */

struct answer {
        bool is_there;
        long status;
        char *body;
};

static void on_done(void *user, long status, const char *body)
{
        struct answer *answer = user;
        answer->is_there = true;
        answer->status = status;
        answer->body = strdup(body);
}

static int ask_server(struct fgi_kube_api *api, const char *method, const char *path, const char *body, struct answer *ret)
{
        int r = fgi_kube_api_ask(api, method, path, body, on_done, ret);
        while (r == 0 && !ret->is_there) {
                struct pollfd p = {.fd = fgi_kube_api_fd(api), .events = POLLIN};
                poll(&p, 1, -1);
                fgi_kube_api_dispatch(api);
        }
        return r;
}

static int judge(const struct answer *answer, const char *path, json_t **ret, struct fg_error *err)
{
        json_t *json = answer->body ? json_loads(answer->body, 0, NULL) : NULL;
        if ((answer->status == 200 || answer->status == 201) && json) {
                *ret = json;
                return 0;
        }
        int code = !answer->status ? -EAGAIN : answer->status == 404 ? -ENOENT : answer->status == 409 ? -EEXIST : -EIO;
        const char *message = fgi_sched_text(json, "message");
        if (!answer->status)
                fg_error_set(err, code, "%.300s", answer->body ? answer->body : "the API server does not answer");
        else
                fg_error_set(err, code, "%.100s: %.300s (%ld)", path, *message ? message : "this is no answer of an API server", answer->status);
        json_decref(json);
        return code;
}

/* --- through kubectl --- */

static char *read_all(int fd)
{
        size_t size = 0, room = 0;
        char *text = NULL;
        for (;;) {
                char *larger = size + 65536 < room ? text : size < ANSWER_MAX ? realloc(text, room = size + (1u << 20)) : NULL;
                if (!larger) {
                        free(text);
                        return NULL;
                }
                text = larger;
                ssize_t n = read(fd, text + size, room - size - 1);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        break;
                size += (size_t)n;
        }
        text[size] = 0;
        return text;
}

static int run_kubectl(const char *path, char **ret, int *ret_status)
{
        const char *const argv[] = {"kubectl", "get", "--request-timeout=10s", "--raw", path, NULL};
        posix_spawn_file_actions_t actions;
        int out[2], status;
        pid_t pid;
        if (pipe2(out, O_CLOEXEC) < 0)
                return -errno;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_adddup2(&actions, out[1], 1);
        posix_spawn_file_actions_adddup2(&actions, out[1], 2); /* its sentence is what there is when it fails */
        int r = posix_spawnp(&pid, "kubectl", &actions, NULL, (char *const *)argv, environ);
        posix_spawn_file_actions_destroy(&actions);
        close(out[1]);
        *ret = r ? NULL : read_all(out[0]);
        close(out[0]);
        if (r)
                return -r;
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        *ret_status = status;
        return *ret ? 0 : -ENOMEM;
}

static int ask_kubectl(const char *path, json_t **ret, struct fg_error *err)
{
        fg_autofree char *text = NULL;
        int status = 0, r = run_kubectl(path, &text, &status);
        if (r == -ENOENT)
                return fg_error_set(err, -EIO, "kubectl is not installed here, and no --api-server was given");
        if (r < 0)
                return fg_error_set(err, r, "kubectl: %m");
        /* A warning of kubectl's may stand before the answer. */
        const char *start = strchr(text, '{');
        *ret = status == 0 && start ? json_loads(start, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
        if (*ret)
                return 0;
        text[strcspn(text, "\n")] = 0;
        return fg_error_set(err, strstr(text, "NotFound") ? -ENOENT : -EIO, "kubectl: %.300s", *text ? text : "no answer");
}

/* --- both --- */

int fgi_sched_get(struct fgi_sched_source *source, const char *path, json_t **ret, struct fg_error *err)
{
        struct answer answer = {0};
        if (!source->api)
                return ask_kubectl(path, ret, err);
        if (ask_server(source->api, "GET", path, NULL, &answer) < 0)
                return fg_error_set(err, -EAGAIN, "too many questions to the API server wait");
        int r = judge(&answer, path, ret, err);
        free(answer.body);
        return r;
}

int fgi_sched_post(struct fgi_sched_source *source, const char *path, const json_t *body, struct fg_error *err)
{
        struct answer answer = {0};
        fgi_kube_autojson json_t *ignored = NULL;
        fg_autofree char *text = json_dumps(body, JSON_COMPACT);
        if (!text || ask_server(source->api, "POST", path, text, &answer) < 0)
                return fg_error_set(err, -EAGAIN, "too many questions to the API server wait");
        int r = judge(&answer, path, &ignored, err);
        free(answer.body);
        return r;
}

/* The token of the next page is the server's text: what is no part of a query is written as it is there. */
static void escape(const char *text, char *ret, size_t size)
{
        size_t n = 0;
        for (const unsigned char *p = (const unsigned char *)text; *p && n + 4 < size; p++)
                n += (size_t)snprintf(ret + n, size - n, isalnum(*p) || *p == '-' || *p == '_' ? "%c" : "%%%02X", *p);
        ret[n] = 0;
}

/* What is large and is not looked at goes before the next page comes. */
static void slim(json_t *list)
{
        json_t *item;
        size_t i;
        json_array_foreach(list, i, item) {
                json_object_del(json_object_get(item, "metadata"), "managedFields");
                json_object_del(json_object_get(item, "status"), "images");
        }
}

int fgi_sched_list(struct fgi_sched_source *source, const char *path, const char *query, json_t **ret, struct fg_error *err)
{
        json_t *all = json_array();
        char full[4096], next[3000] = "";
        while (all) {
                fgi_kube_autojson json_t *list = NULL;
                snprintf(full, sizeof full, "%s?limit=" PAGE "%s%s%s%s", path, *query ? "&" : "", query, *next ? "&continue=" : "", next);
                struct fg_error why = {0};
                int r = fgi_sched_get(source, full, &list, &why);
                if (r == -ENOENT) /* the server is older than what is asked for */
                        break;
                if (r < 0) {
                        json_decref(all);
                        return fg_error_set(err, r, "%s", why.text);
                }
                slim(json_object_get(list, "items"));
                json_array_extend(all, json_object_get(list, "items"));
                escape(fgi_sched_text(json_object_get(list, "metadata"), "continue"), next, sizeof next);
                if (!*next)
                        break;
                if (json_array_size(all) >= ITEMS_MAX) {
                        json_decref(all);
                        return fg_error_set(err, -E2BIG, "%.100s has more than %u items, which are more than are looked at", path, ITEMS_MAX);
                }
        }
        *ret = all;
        return all ? 0 : fg_error_set(err, -ENOMEM, "out of memory");
}

int fgi_sched_load(struct fgi_sched_source *source, bool with_nodes, struct fgi_sched_view **ret, struct fg_error *err)
{
        fgi_kube_autojson json_t *slices = NULL;
        fgi_kube_autojson json_t *claims = NULL;
        fgi_kube_autojson json_t *classes = NULL;
        fgi_kube_autojson json_t *nodes = NULL;
        int r = fgi_sched_list(source, RESOURCE_API "resourceslices", "fieldSelector=spec.driver%3D" FGI_KUBE_DOMAIN, &slices, err);
        if (r == 0)
                r = fgi_sched_list(source, RESOURCE_API "resourceclaims", "", &claims, err);
        if (r == 0)
                r = fgi_sched_list(source, RESOURCE_API "deviceclasses", "", &classes, err);
        if (r == 0 && with_nodes)
                r = fgi_sched_list(source, "/api/v1/nodes", "", &nodes, err);
        return r < 0 ? r : fgi_sched_view_new(FG_TAKE_PTR(slices), FG_TAKE_PTR(claims), FG_TAKE_PTR(classes), FG_TAKE_PTR(nodes), ret, err);
}
