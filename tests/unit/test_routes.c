/* SPDX-License-Identifier: Apache-2.0
 * Over the table of requests: every row says who may; whoever may not is refused; whatever changes something leaves exactly
 * one row in the audit, and whatever creates something can be asked for again. */
#include "unit.h"

#include "base/log.h"
#include "daemon/api_internal.h"
#include "daemon/history.h"
#include "daemon/money.h"
#include "daemon/tenants.h"

#include <sys/socket.h>
#include <unistd.h>

static struct fgd_manager *manager;
static int pair[2];
static char folder[64]; /* of the money log */

struct answer {
        unsigned status;
        char *json;
};

static void add_device(void)
{
        struct fgd_device *device = calloc(1, sizeof *device);
        assert_non_null(device);
        *device = (struct fgd_device){.memory = 1ull << 30, .present = true, .model = "unit", .api = "opencl"};
        strcpy(device->key, "opencl/unit/0");
        strcpy(device->uuid, "00000000-0000-4000-8000-000000000000");
        manager->device[manager->devices++] = device;
}

static int set_up(void **state)
{
        struct fg_options options = {0};
        struct fg_paths paths = {.state = "/dev/null/state", .run = "/dev/null/run", .is_private = true};
        struct fg_error err = {0};
        fg_log_set_level(0);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        assert_int_equal(fgd_manager_new(&paths, &options, ":memory:", &manager, &err), 0);
        add_device();
        unit_make_folder(folder);
        snprintf(manager->paths.state, sizeof manager->paths.state, "%s", folder);
        assert_int_equal(fgd_money_start(manager, &err), 0);
        manager->options.value[FG_OPT_HISTORY_SIZE] = 1 << 20;
        assert_int_equal(fgd_history_start(manager, &err), 0);
        return 0;
}

static int tear_down(void **state)
{
        fgd_manager_free(manager);
        unit_remove_folder(folder);
        close(pair[0]);
        close(pair[1]);
        return 0;
}

static struct answer ask(const char *method, const char *path, const char *body, const char *token, const char *key, bool is_remote)
{
        char authorization[128];
        struct answer answer = {0};
        snprintf(authorization, sizeof authorization, "Bearer %s", token ? token : "");
        struct fgd_request request = {.method = method, .path = path, .body = body, .body_size = body ? strlen(body) : 0,
                                      .peer = is_remote ? -1 : pair[0], .remote = is_remote, .from = "unit",
                                      .authorization = token ? authorization : NULL, .idempotency_key = key};
        assert_int_equal(fgd_api_handle(manager, &request, &answer.status, &answer.json), 0);
        return answer;
}

static unsigned status_of(const char *method, const char *path, const char *body, const char *token)
{
        struct answer answer = ask(method, path, body, token, NULL, token != NULL);
        free(answer.json);
        return answer.status;
}

static unsigned rows(void)
{
        struct fgd_request request = {.method = "GET", .path = "/v1/audit", .query = "limit=1000", .peer = pair[0]};
        struct answer answer = {0};
        assert_int_equal(fgd_api_handle(manager, &request, &answer.status, &answer.json), 0);
        assert_int_equal(answer.status, 200);
        json_t *object = json_loads(answer.json, 0, NULL);
        unsigned count = (unsigned)json_array_size(json_object_get(object, "audit"));
        json_decref(object);
        free(answer.json);
        return count;
}

static void make_token(const char *user, char ret[96])
{
        char body[96];
        snprintf(body, sizeof body, "{\"user\": \"%s\"}", user);
        struct answer answer = ask("POST", "/v1/tokens", body, NULL, NULL, false);
        json_t *object = json_loads(answer.json, 0, NULL);
        assert_int_equal(answer.status, 201);
        snprintf(ret, 96, "%s", json_string_value(json_object_get(object, "secret")));
        json_decref(object);
        free(answer.json);
}

/* The route's path with something that is not there in place of every asterisk. */
static void fill_path(const char *route, char *ret, size_t size)
{
        size_t n = 0;
        for (; *route && n + 8 < size; route++)
                if (*route != '*')
                        ret[n++] = *route;
                else if (route[1] != '*')
                        n += (size_t)snprintf(ret + n, size - n, "none");
        ret[n] = 0;
}

static void every_row_says_who_may(void **state)
{
        for (size_t i = 0; i < fgd_route_count; i++) {
                const struct fgd_route *route = &fgd_routes[i];
                assert_true(route->need > FGD_NEED_UNSAID && route->need <= FGD_NEED_ADMIN);
                assert_true(route->handle && route->status >= 200 && route->status < 300);
                assert_true((route->effect == FGD_READS) == (strcmp(route->method, "GET") == 0));
                assert_true(route->need != FGD_NEED_NOTHING || strcmp(route->path, "/v1/version") == 0 ||
                            strcmp(route->path, "/v1/openapi.json") == 0);
                if (route->effect != FGD_READS)
                        assert_true(route->need >= FGD_NEED_WRITER);
        }
}

/* Without a token over the network, and as somebody who is in no project: nothing, and one row where it would change something. */
static void whoever_may_not_is_refused(void **state)
{
        char path[128], token[96];
        assert_int_equal(status_of("POST", "/v1/users", "{\"name\": \"nobody\"}", NULL), 201);
        make_token("nobody", token);
        for (size_t i = 0; i < fgd_route_count; i++) {
                const struct fgd_route *route = &fgd_routes[i];
                unsigned before = rows();
                fill_path(route->path, path, sizeof path);
                struct answer answer = ask(route->method, path, "{}", NULL, NULL, true);
                bool is_flood = answer.status == 429; /* then rows may be merged */
                assert_int_equal(answer.status, route->need == FGD_NEED_NOTHING ? 200 : is_flood ? 429 : 401);
                free(answer.json);
                if (!is_flood)
                        assert_int_equal(rows() - before, route->effect != FGD_READS);
                before = rows();
                unsigned status = status_of(route->method, path, "{}", token);
                if (route->need >= FGD_NEED_VIEWER)
                        assert_true(status == 403 || status == 404 || status == 400);
                assert_int_equal(rows() - before, route->effect != FGD_READS);
        }
}

/* One that succeeds for every row that changes something, in an order in which they do. */
static const struct step {
        const char *method, *path, *body;
} steps[] = {
        {"POST", "/v1/users", "{\"name\": \"alice\", \"uid\": 20001}"},
        {"PATCH", "/v1/users/alice", "{\"admin\": true}"},
        {"POST", "/v1/projects", "{\"name\": \"red\"}"},
        {"PATCH", "/v1/projects/red", "{\"description\": \"d\"}"},
        {"PUT", "/v1/projects/red/members/alice", "{\"role\": \"member\"}"},
        {"PUT", "/v1/quotas", "{\"scope\": \"project\", \"project\": \"red\", \"vgpus\": 9}"},
        {"PUT", "/v1/prices", "{\"csv\": \"currency,price\\nEUR,2\\n\"}"},
        {"PUT", "/v1/budgets/red", "{\"amount\": \"9\", \"currency\": \"EUR\"}"},
        {"PUT", "/v1/devices/0/calibration", "{\"native_ppm\": 990000}"},
        {"POST", "/v1/tokens", "{\"user\": \"alice\"}"},
        {"DELETE", "/v1/tokens/*", NULL},
        {"POST", "/v1/vgpus", "{\"name\": \"a\", \"project\": \"red\", \"memory\": \"1M\", \"compute\": \"1\"}"},
        {"PATCH", "/v1/vgpus/red:a", "{\"compute\": \"2\"}"},
        {"POST", "/v1/vgpus/red:a/suspend", NULL},
        {"POST", "/v1/vgpus/red:a/resume", NULL},
        {"PUT", "/v1/vgpus/red:a/payer", "{\"workload\": \"a/b/c\"}"},
        {"PATCH", "/v1/vgpus/red:a/0", "{\"compute\": \"3\"}"},
        {"POST", "/v1/open", "{\"target\": \"red:a\"}"},
        {"POST", "/v1/containers", "{\"target\": \"red:a\"}"},
        {"DELETE", "/v1/vgpus/red:a", NULL},
        {"POST", "/v1/jobs", "{\"command\": [\"true\"], \"project\": \"red\", \"memory\": \"1M\", \"budget\": {\"amount\": \"2\"}}"},
        {"PATCH", "/v1/jobs/1", "{\"budget\": {\"amount\": \"5\"}}"},
        {"POST", "/v1/jobs/1/suspend", NULL},
        {"POST", "/v1/jobs/1/resume", NULL},
        {"DELETE", "/v1/jobs/1", NULL},
        {"DELETE", "/v1/projects/red/members/alice", NULL},
        {"DELETE", "/v1/projects/red", NULL},
        {"DELETE", "/v1/users/alice", NULL},
};

static const struct fgd_route *route_of(const char *method, const char *path)
{
        struct fgd_request request = {.method = method, .path = path};
        struct fgd_call call = {.manager = manager, .request = &request};
        return fgd_route_match(&call) < 0 ? NULL : call.route;
}

/* The same request with the same key: the same answer but for a secret, nothing made, a row that says so. */
static void ask_again(const struct step *step, const char *path, const struct answer *first)
{
        unsigned before = rows();
        struct answer again = ask(step->method, path, step->body, NULL, path, false);
        assert_int_equal(again.status, first->status);
        json_t *told = json_loads(first->json, 0, NULL), *retold = json_loads(again.json, 0, NULL);
        json_object_del(told, "secret");
        assert_true(json_object_size(told) > 0 && json_equal(told, retold));
        assert_int_equal(rows() - before, 1);
        json_decref(told);
        json_decref(retold);
        free(again.json);
}

static void whatever_changes_leaves_one_row(void **state)
{
        bool done[96] = {false};
        char path[128], token[FGD_TOKEN_ID_SIZE] = "";
        assert_true(fgd_route_count <= COUNT_OF(done));
        for (size_t i = 0; i < COUNT_OF(steps); i++) {
                bool is_open = strcmp(steps[i].path, "/v1/open") == 0 || strcmp(steps[i].path, "/v1/containers") == 0;
                snprintf(path, sizeof path, "%s", steps[i].path);
                if (strchr(path, '*'))
                        snprintf(strchr(path, '*'), 20, "%s", token);
                const struct fgd_route *route = route_of(steps[i].method, path);
                unsigned before = rows();
                assert_non_null(route);
                done[route - fgd_routes] = true;
                struct answer answer = ask(steps[i].method, path, steps[i].body, NULL, route->effect == FGD_CREATES ? path : NULL, false);
                /* There is no folder to open anything in. */
                assert_int_equal(answer.status, is_open ? 500 : route->status);
                assert_int_equal(rows() - before, 1);
                if (route->effect == FGD_CREATES)
                        ask_again(&steps[i], path, &answer);
                if (strcmp(steps[i].path, "/v1/tokens") == 0)
                        snprintf(token, sizeof token, "%s", TAILQ_LAST(&manager->tenants->tokens, fgd_token_list)->id);
                free(answer.json);
        }
        for (size_t i = 0; i < fgd_route_count; i++)
                if (fgd_routes[i].effect != FGD_READS && !done[i])
                        fail_msg("%s %s changes something and is not tried here", fgd_routes[i].method, fgd_routes[i].path);
}

static void a_get_leaves_none(void **state)
{
        char path[128];
        unsigned before = rows();
        for (size_t i = 0; i < fgd_route_count; i++) {
                if (fgd_routes[i].effect != FGD_READS)
                        continue;
                fill_path(fgd_routes[i].path, path, sizeof path);
                unsigned status = status_of("GET", path, NULL, NULL);
                assert_true(status == 200 || status == 404 || status == 400);
        }
        assert_int_equal(rows(), before);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(every_row_says_who_may, set_up, tear_down),
                cmocka_unit_test_setup_teardown(whoever_may_not_is_refused, set_up, tear_down),
                cmocka_unit_test_setup_teardown(whatever_changes_leaves_one_row, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_get_leaves_none, set_up, tear_down),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
