/* SPDX-License-Identifier: Apache-2.0
 * Routes, and the requests that only read. */
#include "daemon/api_internal.h"

#include "base/clock.h"
#include "base/size.h"
#include "daemon/remote.h"
#include "daemon/watchdog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int fgd_call_target(struct fgd_call *call, const char *target, struct fgd_set **ret, int64_t *ret_index)
{
        struct fg_error err = {0};
        char name[64];
        if (fg_target_parse(target, name, ret_index, &err) < 0)
                return fgd_problem_from(&call->problem, FGD_BAD_REQUEST, &err);
        *ret = fgd_registry_find(call->manager, name);
        if (!*ret)
                return fgd_problem_set(&call->problem, FGD_NOT_FOUND, "there is no vGPU \"%s\"; \"fastgpu list\" shows what there is", name);
        if (*ret_index >= (int64_t)(*ret)->count)
                return fgd_problem_set(&call->problem, FGD_NOT_FOUND, "there is no %s/%lld: \"%s\" has %u, counted from 0", name,
                                       (long long)*ret_index, name, (*ret)->count);
        return 0;
}

int fgd_query_flag(struct fgd_call *call, const char *name, bool *ret)
{
        const char *query = call->request->query;
        size_t len = strlen(name);
        *ret = false;
        if (!query || !*query)
                return 0;
        if (strncmp(query, name, len) != 0 || query[len] != '=' || (strcmp(query + len, "=1") != 0 && strcmp(query + len, "=0") != 0))
                return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "the query \"%.80s\" is not understood; known is \"%s=1\"", query, name);
        *ret = query[len + 1] == '1';
        return 0;
}

static int no_query(struct fgd_call *call)
{
        const char *query = call->request->query;
        if (!query || !*query)
                return 0;
        return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "the query \"%.80s\" is not understood: this path takes none", query);
}

static int handle_version(struct fgd_call *call)
{
        const struct fgd_manager *m = call->manager;
        fgd_text_add(&call->text, "{");
        fgd_text_field(&call->text, "version", FASTGPU_VERSION);
        fgd_text_number(&call->text, "api", 1);
        fgd_text_number(&call->text, "pid", (uint64_t)getpid());
        fgd_text_field(&call->text, "run_dir", m->paths.run);
        fgd_text_field(&call->text, "state_dir", m->paths.state);
        fgd_text_number(&call->text, "uptime_ns", fg_now() - m->started);
        fgd_remote_write(m, &call->text);
        fgd_text_add(&call->text, "}\n");
        return 0;
}

static void write_devices(const struct fgd_manager *m, struct fgd_text *text)
{
        bool first = true;
        fgd_text_add(text, "{");
        fgd_text_name(text, "devices");
        fgd_text_add(text, "[");
        for (uint32_t i = 0; i < m->devices; i++) {
                fgd_text_add(text, i ? ", " : "");
                fgd_write_device(m, m->device[i], text);
        }
        fgd_text_add(text, "]");
        fgd_text_name(text, "problems");
        fgd_text_add(text, "[");
        for (uint32_t i = 0; i < m->notes; i++, first = false) {
                fgd_text_add(text, first ? "" : ", ");
                fgd_text_string(text, m->note[i]);
        }
        fgd_inventory_problems(m, &first, text);
        fgd_text_add(text, "]");
        fgd_watchdog_write_findings(m, text);
        fgd_text_field(text, "sim", m->options.text[FG_OPT_SIM]);
        fgd_text_add(text, "}\n");
}

struct rescan {
        struct fgd_manager *manager;
        struct fgd_later later;
};

static void rescanned(void *user)
{
        struct rescan *rescan = user;
        struct fgd_text text = {0};
        write_devices(rescan->manager, &text);
        if (text.failed)
                fgd_text_clear(&text);
        rescan->later.done(rescan->later.user, text.data ? 200 : 500, text.data);
        free(rescan);
}

static int handle_devices(struct fgd_call *call)
{
        bool again;
        struct fg_error err = {0};
        if (fgd_query_flag(call, "rescan", &again) < 0)
                return -1;
        if (!again || !call->request->later) {
                write_devices(call->manager, &call->text);
                return 0;
        }
        struct rescan *rescan = malloc(sizeof *rescan);
        if (!rescan)
                return fgd_problem_set(&call->problem, FGD_INTERNAL, "out of memory");
        *rescan = (struct rescan){call->manager, *call->request->later};
        if (fgd_inventory_scan(call->manager, rescanned, rescan, &err) < 0) {
                free(rescan);
                return fgd_problem_from(&call->problem, FGD_INTERNAL, &err);
        }
        return 1;
}

static int handle_list(struct fgd_call *call)
{
        struct fgd_set *set;
        bool first = true;
        if (no_query(call) < 0)
                return -1;
        fgd_text_add(&call->text, "{\"sets\": [");
        TAILQ_FOREACH(set, &call->manager->sets, order) {
                fgd_text_add(&call->text, first ? "" : ", ");
                fgd_write_set(set, "", &call->text);
                first = false;
        }
        fgd_text_add(&call->text, "]");
        fgd_text_number(&call->text, "now_ns", fg_now());
        fgd_text_add(&call->text, "}\n");
        return 0;
}

static int handle_inspect(struct fgd_call *call)
{
        struct fgd_set *set;
        int64_t index;
        if (no_query(call) < 0 || fgd_call_target(call, call->argument, &set, &index) < 0)
                return -1;
        fgd_write_set(set, "", &call->text);
        fgd_text_add(&call->text, "\n");
        return 0;
}

/* One row per request. A path that ends in '/' takes an argument. */
static const struct {
        const char *method, *path;
        int (*handle)(struct fgd_call *);
} routes[] = {
        {"GET", "/v1/version", handle_version},   {"GET", "/v1/devices", handle_devices},
        {"GET", "/v1/vgpus", handle_list},        {"POST", "/v1/vgpus", fgd_handle_create},
        {"GET", "/v1/vgpus/", handle_inspect},    {"PATCH", "/v1/vgpus/", fgd_handle_resize},
        {"DELETE", "/v1/vgpus/", fgd_handle_delete}, {"POST", "/v1/open", fgd_handle_open},
};
#define ROUTES (sizeof routes / sizeof routes[0])

static bool matches(const char *route, const char *path)
{
        size_t len = strlen(route);
        return route[len - 1] == '/' ? strncmp(route, path, len) == 0 && path[len] : strcmp(route, path) == 0;
}

static int hex(char c)
{
        return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Percent-decodes; false when it does not fit, is cut short or holds a NUL. */
static bool decode(const char *text, char *ret, size_t size)
{
        size_t n = 0;
        for (; *text && n < size - 1; text++) {
                char c = *text;
                if (c == '%') {
                        int high = hex(text[1]), low = high < 0 ? -1 : hex(text[2]);
                        if (low < 0 || (high == 0 && low == 0))
                                return false;
                        c = (char)(high << 4 | low);
                        text += 2;
                }
                ret[n++] = c;
        }
        ret[n] = 0;
        return !*text;
}

static int dispatch(struct fgd_call *call)
{
        const struct fgd_request *request = call->request;
        bool known = false;
        for (size_t i = 0; i < ROUTES; i++) {
                if (!matches(routes[i].path, request->path))
                        continue;
                known = true;
                if (strcmp(routes[i].method, request->method) != 0)
                        continue;
                if (!decode(request->path + strlen(routes[i].path), call->argument, sizeof call->argument))
                        return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "the path \"%.80s\" is not properly encoded or too long",
                                               request->path);
                return routes[i].handle(call);
        }
        if (known)
                return fgd_problem_set(&call->problem, FGD_METHOD, "%.16s is not possible on %.120s", request->method, request->path);
        return fgd_problem_set(&call->problem, FGD_NOT_FOUND, "there is no path \"%.120s\"; docs/api.md lists them", request->path);
}

int fgd_api_handle(struct fgd_manager *m, const struct fgd_request *request, unsigned *ret_status, char **ret_json)
{
        struct fgd_call call = {.manager = m, .request = request, .status = 200};
        int r = request->body_size > FGD_BODY_MAX
                        ? fgd_problem_set(&call.problem, FGD_TOO_LARGE, "the body has more than %u bytes", FGD_BODY_MAX)
                        : dispatch(&call);
        fgd_manager_active(m);
        if (r > 0) {
                fgd_text_clear(&call.text);
                return 1;
        }
        if (r < 0) {
                fgd_text_clear(&call.text);
                fgd_problem_write(&call.problem, &call.text);
                call.status = fgd_problem_status(&call.problem);
        }
        if (call.text.failed) {
                fgd_text_clear(&call.text);
                call.status = 500;
        }
        *ret_status = call.status;
        *ret_json = call.text.data;
        return 0;
}
