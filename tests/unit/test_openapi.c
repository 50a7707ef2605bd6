/* SPDX-License-Identifier: Apache-2.0
 * The API's description against the table of requests: neither has what the other lacks, and they say the same of who may,
 * of what succeeds, and of what can be asked for again. */
#include "unit.h"

#include "daemon/api_internal.h"
#include "daemon/openapi.h"

static const char *const needs[] = {[FGD_NEED_NOTHING] = "nothing", [FGD_NEED_CALLER] = "caller", [FGD_NEED_WRITER] = "writer",
                                    [FGD_NEED_VIEWER] = "viewer",   [FGD_NEED_MEMBER] = "member", [FGD_NEED_MANAGER] = "manager",
                                    [FGD_NEED_ADMIN] = "admin"};

static json_t *document, *paths;

static int set_up(void **state)
{
        json_error_t error;
        document = json_loadb(fgd_openapi_text, fgd_openapi_size, JSON_REJECT_DUPLICATES, &error);
        if (!document)
                fail_msg("not JSON: %s at %d", error.text, error.position);
        paths = json_object_get(document, "paths");
        assert_true(json_object_size(paths) > 0);
        return 0;
}

static int tear_down(void **state)
{
        json_decref(document);
        return 0;
}

/* "/v1/vgpus/{target}" becomes "/v1/vgpus/0". */
static void fill_path(const char *path, char *ret, size_t size)
{
        size_t n = 0;
        for (; *path && n + 2 < size; path++) {
                ret[n++] = *path == '{' ? '0' : *path;
                if (*path == '{')
                        path = strchr(path, '}');
        }
        ret[n] = 0;
}

static const struct fgd_route *route_of(const char *method, const char *path)
{
        char upper[16] = "", filled[256];
        for (size_t i = 0; method[i] && i + 1 < sizeof upper; i++)
                upper[i] = (char)(method[i] - 'a' + 'A');
        fill_path(path, filled, sizeof filled);
        struct fgd_request request = {.method = upper, .path = filled};
        struct fgd_call call = {.request = &request};
        if (fgd_route_match(&call) < 0)
                fail_msg("%s %s is described and is no route: %s", method, path, call.problem.detail);
        return call.route;
}

static bool has_key(json_t *operation)
{
        size_t i;
        json_t *parameter;
        json_array_foreach (json_object_get(operation, "parameters"), i, parameter)
                if (strcmp(json_string_value(json_object_get(parameter, "$ref")), "#/components/parameters/Idempotency-Key") == 0)
                        return true;
        return false;
}

static void check(const struct fgd_route *route, json_t *operation)
{
        char status[8];
        snprintf(status, sizeof status, "%u", route->status);
        json_t *responses = json_object_get(operation, "responses");
        const char *told = json_string_value(json_object_get(operation, "x-needs"));
        if (!json_object_get(responses, status))
                fail_msg("%s %s: the answer %s is not described", route->method, route->path, status);
        if (strcmp(told, needs[route->need]) != 0)
                fail_msg("%s %s needs \"%s\", described is \"%s\"", route->method, route->path, needs[route->need], told);
        assert_int_equal(has_key(operation), route->effect == FGD_CREATES);
        assert_int_equal(json_object_get(responses, "507") != NULL || route->effect == FGD_READS, true);
        assert_non_null(json_object_get(operation, "summary"));
        static const char *const always[] = {"400", "401", "403", "413", "429", "500", "503"};
        for (size_t i = 0; i < COUNT_OF(always); i++)
                assert_non_null(json_object_get(responses, always[i]));
}

static void every_description_is_a_route_and_every_route_described(void **state)
{
        bool done[256] = {false};
        const char *path, *method;
        json_t *methods, *operation;
        assert_true(fgd_route_count <= COUNT_OF(done));
        json_object_foreach (paths, path, methods)
                json_object_foreach (methods, method, operation) {
                        const struct fgd_route *route = route_of(method, path);
                        check(route, operation);
                        done[route - fgd_routes] = true;
                }
        for (size_t i = 0; i < fgd_route_count; i++)
                if (!done[i])
                        fail_msg("%s %s is not described: add it to src/daemon/openapi/*.json", fgd_routes[i].method, fgd_routes[i].path);
}

static void every_refusal_is_listed(void **state)
{
        json_t *types = json_object_get(
                json_object_get(json_object_get(json_object_get(json_object_get(json_object_get(document, "components"), "schemas"), "problem"),
                                                "properties"),
                                "type"),
                "enum");
        size_t i, found = 0;
        json_t *type;
        json_array_foreach (types, i, type)
                for (int kind = FGD_BAD_REQUEST; kind < FGD_PROBLEM_TYPES; kind++) {
                        struct fgd_problem problem = {.type = (enum fgd_problem_type)kind};
                        found += strcmp(json_string_value(type), fgd_problem_type_name(&problem)) == 0;
                }
        assert_int_equal(found, FGD_PROBLEM_TYPES);
        assert_int_equal(json_array_size(types), FGD_PROBLEM_TYPES);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_description_is_a_route_and_every_route_described),
                cmocka_unit_test(every_refusal_is_listed),
        };
        return cmocka_run_group_tests(tests, set_up, tear_down);
}
