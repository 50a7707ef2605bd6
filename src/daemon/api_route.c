/* SPDX-License-Identifier: Apache-2.0
 * The table of requests. */
#include "daemon/api_internal.h"

#include <stdio.h>
#include <string.h>

/* Every column is said: a row that lacks one does not compile. */
#define ROUTE(method, path, handle, need, status, effect) {method, path, handle, FGD_NEED_##need, status, FGD_##effect}

/* clang-format off */
const struct fgd_route fgd_routes[] = {
        ROUTE("GET", "/v1/version", fgd_handle_version, NOTHING, 200, READS),
        ROUTE("GET", "/v1/openapi.json", fgd_handle_openapi, NOTHING, 200, READS),
        ROUTE("GET", "/metrics", fgd_handle_metrics, CALLER, 200, READS),
        ROUTE("GET", "/v1/whoami", fgd_handle_whoami, CALLER, 200, READS),
        ROUTE("GET", "/v1/devices", fgd_handle_devices, CALLER, 200, READS),
        ROUTE("GET", "/v1/vgpus", fgd_handle_list, CALLER, 200, READS),
        ROUTE("GET", "/v1/figures", fgd_handle_figures, CALLER, 200, READS),
        ROUTE("POST", "/v1/vgpus", fgd_handle_create, MEMBER, 201, CREATES),
        ROUTE("GET", "/v1/placement", fgd_handle_placement, VIEWER, 200, READS),
        ROUTE("GET", "/v1/vgpus/*", fgd_handle_inspect, VIEWER, 200, READS),
        ROUTE("PATCH", "/v1/vgpus/*", fgd_handle_resize, MEMBER, 200, CHANGES),
        ROUTE("DELETE", "/v1/vgpus/*", fgd_handle_delete, MEMBER, 204, CHANGES),
        ROUTE("POST", "/v1/vgpus/*/suspend", fgd_handle_suspend, MEMBER, 200, CHANGES),
        ROUTE("POST", "/v1/vgpus/*/resume", fgd_handle_resume, MEMBER, 200, CHANGES),
        ROUTE("PUT", "/v1/vgpus/*/payer", fgd_handle_payer, MEMBER, 200, CHANGES),
        ROUTE("GET", "/v1/vgpus/*/history", fgd_handle_history_vgpu, VIEWER, 200, READS),
        ROUTE("GET", "/v1/vgpus/*/*/history", fgd_handle_history_vgpu, VIEWER, 200, READS),
        ROUTE("GET", "/v1/vgpus/*/*", fgd_handle_inspect, VIEWER, 200, READS),
        ROUTE("PATCH", "/v1/vgpus/*/*", fgd_handle_resize, MEMBER, 200, CHANGES),
        ROUTE("POST", "/v1/open", fgd_handle_open, MEMBER, 200, CHANGES),
        ROUTE("POST", "/v1/containers", fgd_handle_container, MEMBER, 200, CHANGES),
        ROUTE("GET", "/v1/users", fgd_handle_users, CALLER, 200, READS),
        ROUTE("POST", "/v1/users", fgd_handle_user_create, ADMIN, 201, CREATES),
        ROUTE("GET", "/v1/users/*", fgd_handle_user, CALLER, 200, READS),
        ROUTE("PATCH", "/v1/users/*", fgd_handle_user_change, ADMIN, 200, CHANGES),
        ROUTE("DELETE", "/v1/users/*", fgd_handle_user_delete, ADMIN, 204, CHANGES),
        ROUTE("GET", "/v1/projects", fgd_handle_projects, CALLER, 200, READS),
        ROUTE("POST", "/v1/projects", fgd_handle_project_create, ADMIN, 201, CREATES),
        ROUTE("GET", "/v1/projects/*", fgd_handle_project, VIEWER, 200, READS),
        ROUTE("PATCH", "/v1/projects/*", fgd_handle_project_change, MANAGER, 200, CHANGES),
        ROUTE("DELETE", "/v1/projects/*", fgd_handle_project_delete, ADMIN, 204, CHANGES),
        ROUTE("GET", "/v1/projects/*/members", fgd_handle_members, VIEWER, 200, READS),
        ROUTE("PUT", "/v1/projects/*/members/*", fgd_handle_member_put, MANAGER, 200, CHANGES),
        ROUTE("DELETE", "/v1/projects/*/members/*", fgd_handle_member_delete, MANAGER, 204, CHANGES),
        ROUTE("GET", "/v1/tokens", fgd_handle_tokens, CALLER, 200, READS),
        ROUTE("POST", "/v1/tokens", fgd_handle_token_create, WRITER, 201, CREATES),
        ROUTE("DELETE", "/v1/tokens/*", fgd_handle_token_revoke, WRITER, 204, CHANGES),
        ROUTE("GET", "/v1/quotas", fgd_handle_quotas, VIEWER, 200, READS),
        ROUTE("PUT", "/v1/quotas", fgd_handle_quota_put, MANAGER, 200, CHANGES),
        ROUTE("GET", "/v1/audit", fgd_handle_audit, MANAGER, 200, READS),
        ROUTE("GET", "/v1/prices", fgd_handle_prices, CALLER, 200, READS),
        ROUTE("PUT", "/v1/prices", fgd_handle_price_put, ADMIN, 200, CHANGES),
        ROUTE("GET", "/v1/usage", fgd_handle_usage, VIEWER, 200, READS),
        ROUTE("GET", "/v1/invoices", fgd_handle_invoices, VIEWER, 200, READS),
        ROUTE("GET", "/v1/export", fgd_handle_export, VIEWER, 200, READS),
        ROUTE("GET", "/v1/budgets", fgd_handle_budgets, VIEWER, 200, READS),
        ROUTE("PUT", "/v1/budgets/*", fgd_handle_budget_put, ADMIN, 200, CHANGES),
        ROUTE("GET", "/v1/log/checkpoint", fgd_handle_checkpoint, CALLER, 200, READS),
        ROUTE("GET", "/v1/log/consistency", fgd_handle_consistency, CALLER, 200, READS),
        ROUTE("GET", "/v1/log/records", fgd_handle_records, VIEWER, 200, READS),
        ROUTE("GET", "/v1/jobs", fgd_handle_jobs, CALLER, 200, READS),
        ROUTE("POST", "/v1/jobs", fgd_handle_submit, MEMBER, 201, CREATES),
        ROUTE("GET", "/v1/jobs/*", fgd_handle_job, VIEWER, 200, READS),
        ROUTE("PATCH", "/v1/jobs/*", fgd_handle_job_change, MEMBER, 200, CHANGES),
        ROUTE("DELETE", "/v1/jobs/*", fgd_handle_job_cancel, MEMBER, 200, CHANGES),
        ROUTE("GET", "/v1/jobs/*/log", fgd_handle_job_log, VIEWER, 200, READS),
        ROUTE("POST", "/v1/jobs/*/suspend", fgd_handle_job_suspend, MEMBER, 200, CHANGES),
        ROUTE("POST", "/v1/jobs/*/resume", fgd_handle_job_resume, MEMBER, 200, CHANGES),
        ROUTE("GET", "/v1/why/**", fgd_handle_why, VIEWER, 200, READS),
        ROUTE("GET", "/v1/events", fgd_handle_events, CALLER, 200, READS),
        ROUTE("GET", "/v1/usage/now", fgd_handle_usage_now, CALLER, 200, READS),
        ROUTE("GET", "/v1/perf", fgd_handle_perf, CALLER, 200, READS),
        ROUTE("GET", "/v1/perf/**", fgd_handle_perf_vgpu, VIEWER, 200, READS),
        ROUTE("GET", "/v1/history", fgd_handle_history, VIEWER, 200, READS),
        ROUTE("GET", "/v1/history/*", fgd_handle_history_uuid, VIEWER, 200, READS),
        ROUTE("GET", "/v1/projects/*/history", fgd_handle_history_project, VIEWER, 200, READS),
        ROUTE("GET", "/v1/devices/*/history", fgd_handle_history_device, ADMIN, 200, READS),
        ROUTE("PUT", "/v1/devices/*/calibration", fgd_handle_calibration, ADMIN, 200, CHANGES),
};
/* clang-format on */
const size_t fgd_route_count = sizeof fgd_routes / sizeof fgd_routes[0];

static int hex(char c)
{
        return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool fgd_decode(const char *text, size_t len, char *ret, size_t size)
{
        size_t n = 0, i = 0;
        for (; i < len && n < size - 1; i++) {
                char c = text[i];
                if (c == '%') {
                        int high = i + 2 < len ? hex(text[i + 1]) : -1, low = high < 0 ? -1 : hex(text[i + 2]);
                        if (low < 0 || (high == 0 && low == 0))
                                return false;
                        c = (char)(high << 4 | low);
                        i += 2;
                }
                ret[n++] = c;
        }
        ret[n] = 0;
        return i == len;
}

/* One after the other, what stands for the asterisks of `route` in `path`. */
struct piece {
        const char *text;
        size_t len;
};

static bool matches(const char *route, const char *path, struct piece ret[FGD_ARGUMENTS])
{
        unsigned count = 0;
        for (; *route && *path; route++) {
                if (*route != '*') {
                        if (*route != *path++)
                                return false;
                        continue;
                }
                bool is_rest = route[1] == '*';
                size_t len = is_rest ? strlen(path) : strcspn(path, "/");
                if (len == 0)
                        return false;
                ret[count++] = (struct piece){path, len};
                path += len;
                route += is_rest;
        }
        return !*route && !*path;
}

static int take_arguments(struct fgd_call *call, const struct piece piece[FGD_ARGUMENTS])
{
        for (unsigned i = 0; i < FGD_ARGUMENTS; i++)
                if (piece[i].text && !fgd_decode(piece[i].text, piece[i].len, call->argument[i], sizeof call->argument[i]))
                        return fgd_problem_set(&call->problem, FGD_BAD_REQUEST, "the path \"%.80s\" is not properly encoded or too long",
                                               call->request->path);
        return 0;
}

/* Says what is possible instead (RFC 9110, 15.5.6). */
static void allow(struct fgd_call *call, const char *method)
{
        char *list = call->request->allow;
        size_t at = list ? strlen(list) : 0;
        if (list && !strstr(list, method))
                snprintf(list + at, FGD_ALLOW_SIZE - at, "%s%s", at ? ", " : "", method);
}

/* The first path that fits is the one, with the methods of its rows: "x/suspend" is no vGPU of x. */
int fgd_route_match(struct fgd_call *call)
{
        const struct fgd_request *request = call->request;
        const char *known = NULL;
        for (size_t i = 0; i < fgd_route_count; i++) {
                struct piece piece[FGD_ARGUMENTS] = {0};
                if (!matches(fgd_routes[i].path, request->path, piece) || (known && strcmp(known, fgd_routes[i].path) != 0))
                        continue;
                known = fgd_routes[i].path;
                if (strcmp(fgd_routes[i].method, request->method) != 0) {
                        allow(call, fgd_routes[i].method);
                        continue;
                }
                call->route = &fgd_routes[i];
                call->status = call->route->status;
                return take_arguments(call, piece);
        }
        if (known)
                return fgd_problem_set(&call->problem, FGD_METHOD, "%.16s is not possible on %.120s", request->method, request->path);
        return fgd_problem_set(&call->problem, FGD_NOT_FOUND, "there is no path \"%.120s\"; docs/api.md lists them", request->path);
}
