/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/api_body.h"

#include "base/size.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXACT 9007199254740992.0 /* 2^53: up to here every whole number is one of a double's */

const char *fgd_body_quote(json_t *value, char *buf, size_t size)
{
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        snprintf(buf, size, "%s", text ? text : "it");
        if (text && strlen(text) >= size && size > 4)
                strcpy(buf + size - 4, "...");
        free(text);
        return buf;
}

bool fgd_body_integer(const json_t *value, int64_t *ret)
{
        double real = json_real_value(value);
        bool is_whole = json_is_real(value) && real >= -EXACT && real <= EXACT && real == (double)(int64_t)real;
        if (!json_is_integer(value) && !is_whole)
                return false;
        *ret = is_whole ? (int64_t)real : json_integer_value(value);
        return true;
}

static void list_fields(const char *const *known, char *ret, size_t size)
{
        size_t at = 0;
        ret[0] = 0;
        for (; *known && at < size; known++)
                at += (size_t)snprintf(ret + at, size - at, "%s\"%s\"", at ? ", " : "", *known);
}

static int check_fields(json_t *object, const char *const *known, struct fgd_problem *problem)
{
        const char *name, *const *at;
        char list[256];
        json_t *value;
        json_object_foreach (object, name, value) {
                for (at = known; *at && strcmp(*at, name) != 0;)
                        at++;
                if (*at)
                        continue;
                list_fields(known, list, sizeof list);
                return fgd_problem_set(problem, FGD_BAD_REQUEST, "there is no field \"%.64s\" here; known are %s", name, list);
        }
        return 0;
}

int fgd_body_parse(const char *body, size_t size, const char *const *known, json_t **ret, struct fgd_problem *problem)
{
        json_error_t error;
        if (size == 0)
                return fgd_problem_set(problem, FGD_BAD_REQUEST, "the request has no body; send a JSON object");
        json_t *object = json_loadb(body, size, JSON_REJECT_DUPLICATES, &error);
        if (!object)
                return fgd_problem_set(problem, FGD_BAD_REQUEST, "the body is not JSON: %.200s (line %d, column %d)", error.text, error.line,
                                       error.column);
        int r = json_is_object(object) ? check_fields(object, known, problem)
                                       : fgd_problem_set(problem, FGD_BAD_REQUEST, "the body must be a JSON object {...}");
        if (r < 0)
                json_decref(object);
        else
                *ret = object;
        return r;
}

int fgd_body_string(json_t *body, const char *field, const char **ret, struct fgd_problem *problem)
{
        char quoted[96];
        json_t *value = json_object_get(body, field);
        *ret = json_string_value(value);
        if (!value || *ret)
                return 0;
        return fgd_problem_set(problem, FGD_BAD_REQUEST, "\"%s\" must be a string, not %s", field, fgd_body_quote(value, quoted, sizeof quoted));
}

int fgd_body_word(json_t *body, const char *field, const char **ret, struct fgd_problem *problem)
{
        if (fgd_body_string(body, field, ret, problem) < 0)
                return -1;
        return !*ret || **ret ? 0 : fgd_problem_set(problem, FGD_BAD_REQUEST, "\"%s\" is empty: name one, or leave it out", field);
}

int fgd_body_bool(json_t *body, const char *field, bool *ret_given, bool *ret, struct fgd_problem *problem)
{
        char quoted[96];
        json_t *value = json_object_get(body, field);
        *ret_given = value != NULL;
        *ret = json_is_true(value);
        if (!value || json_is_boolean(value))
                return 0;
        return fgd_problem_set(problem, FGD_BAD_REQUEST, "\"%s\" must be true or false, not %s", field,
                               fgd_body_quote(value, quoted, sizeof quoted));
}

int fgd_body_number(json_t *body, const char *field, int64_t min, int64_t max, bool *ret_given, int64_t *ret, struct fgd_problem *problem)
{
        char quoted[96];
        json_t *value = json_object_get(body, field);
        *ret_given = value != NULL;
        *ret = 0;
        if (!value || (fgd_body_integer(value, ret) && *ret >= min && *ret <= max))
                return 0;
        return fgd_problem_set(problem, FGD_BAD_REQUEST, "\"%s\" must be a whole number from %lld to %lld, not %s", field, (long long)min,
                               (long long)max, fgd_body_quote(value, quoted, sizeof quoted));
}

int fgd_body_name(json_t *body, char ret[64], struct fgd_problem *problem)
{
        struct fg_error err = {0};
        char quoted[96];
        json_t *value = json_object_get(body, "name");
        ret[0] = 0;
        if (!value)
                return 0;
        const char *name = json_string_value(value);
        if (!name)
                return fgd_problem_set(problem, FGD_BAD_REQUEST, "\"name\" must be a string, not %s", fgd_body_quote(value, quoted, sizeof quoted));
        if (fg_name_check(name, &err) < 0)
                return fgd_problem_from(problem, FGD_BAD_REQUEST, &err);
        snprintf(ret, 64, "%s", name);
        return 0;
}

int fgd_body_count(json_t *body, uint32_t *ret, struct fgd_problem *problem)
{
        char quoted[96];
        json_t *value = json_object_get(body, "gpus");
        *ret = 1;
        if (!value)
                return 0;
        int64_t count;
        if (!fgd_body_integer(value, &count) || count < 1 || count > FGD_GPUS_MAX)
                return fgd_problem_set(problem, FGD_BAD_REQUEST, "\"gpus\" must be a whole number from 1 to %u, not %s", FGD_GPUS_MAX,
                                       fgd_body_quote(value, quoted, sizeof quoted));
        *ret = (uint32_t)count;
        return 0;
}

/* The position of a word in a list; absent: *ret_given is false. */
static int read_word(json_t *body, const char *field, const char *const *words, const char *allowed, bool *ret_given, int *ret,
                     struct fgd_problem *problem)
{
        char quoted[96];
        json_t *value = json_object_get(body, field);
        const char *word = json_string_value(value);
        *ret_given = value != NULL;
        if (!value)
                return 0;
        for (int i = 0; word && words[i]; i++)
                if (strcmp(words[i], word) == 0) {
                        *ret = i;
                        return 0;
                }
        return fgd_problem_set(problem, FGD_BAD_REQUEST, "\"%s\" must be %s, not %s", field, allowed,
                               fgd_body_quote(value, quoted, sizeof quoted));
}

int fgd_body_mode(json_t *body, bool *ret_given, enum fg_mode *ret, struct fgd_problem *problem)
{
        static const char *const words[] = {[FG_MODE_SHARE] = "share", [FG_MODE_CAP] = "cap", NULL};
        int found = FG_MODE_SHARE;
        int r = read_word(body, "mode", words, "\"share\" or \"cap\"", ret_given, &found, problem);
        *ret = (enum fg_mode)found;
        return r;
}

int fgd_body_priority(json_t *body, bool *ret_given, enum fg_priority *ret, struct fgd_problem *problem)
{
        static const char *const words[] = {[FG_PRIORITY_LOW] = "low", [FG_PRIORITY_NORMAL] = "normal", [FG_PRIORITY_HIGH] = "high", NULL};
        int found = FG_PRIORITY_NORMAL;
        int r = read_word(body, "priority", words, "\"high\", \"normal\" or \"low\"", ret_given, &found, problem);
        *ret = (enum fg_priority)found;
        return r;
}

int fgd_body_role(json_t *body, bool is_cap, bool *ret_given, enum fgd_role *ret, struct fgd_problem *problem)
{
        static const char *const words[] = {[FGD_ROLE_NONE] = "", [FGD_ROLE_VIEWER] = "viewer", [FGD_ROLE_MEMBER] = "member",
                                            [FGD_ROLE_MANAGER] = "manager", NULL};
        static const char *const caps[] = {[FGD_ROLE_NONE] = "", [FGD_ROLE_VIEWER] = "viewer", [FGD_ROLE_MEMBER] = "member",
                                           [FGD_ROLE_MANAGER] = "manager", [FGD_ROLE_ADMIN] = "admin", NULL};
        int found = FGD_ROLE_NONE;
        int r = read_word(body, "role", (is_cap ? caps : words) + 1,
                          is_cap ? "\"viewer\", \"member\", \"manager\" or \"admin\"" : "\"viewer\", \"member\" or \"manager\"", ret_given, &found,
                          problem);
        *ret = (enum fgd_role)(found + 1);
        return r;
}

static int read_memory(json_t *value, uint64_t whole, uint64_t *ret, struct fgd_problem *problem)
{
        struct fg_error err = {0};
        char quoted[96];
        int64_t bytes;
        if (fgd_body_integer(value, &bytes)) {
                if (bytes < 1 || (uint64_t)bytes > FGD_MEMORY_MAX)
                        return fgd_problem_set(problem, FGD_BAD_REQUEST, "\"memory\" must be 1 to %llu bytes, not %lld",
                                               (unsigned long long)FGD_MEMORY_MAX, (long long)bytes);
                *ret = (uint64_t)bytes;
                return 0;
        }
        if (!json_is_string(value))
                return fgd_problem_set(problem, FGD_BAD_REQUEST, "\"memory\" must be a size like \"256M\" or a number of bytes, not %s",
                                       fgd_body_quote(value, quoted, sizeof quoted));
        if (fg_size_parse(json_string_value(value), whole, ret, &err) < 0)
                return fgd_problem_set(problem, FGD_BAD_REQUEST, "\"memory\": %s", err.text);
        return 0;
}

static int read_compute(json_t *value, uint32_t *ret, struct fgd_problem *problem)
{
        struct fg_error err = {0};
        char quoted[96];
        const char *text = json_string_value(value);
        if (json_is_number(value)) {
                snprintf(quoted, sizeof quoted, "%.12g", json_number_value(value));
                text = quoted;
        }
        if (!text)
                return fgd_problem_set(problem, FGD_BAD_REQUEST, "\"compute\" must be a percentage like \"70\", not %s",
                                       fgd_body_quote(value, quoted, sizeof quoted));
        if (fg_share_parse(text, ret, &err) < 0)
                return fgd_problem_set(problem, FGD_BAD_REQUEST, "\"compute\": %s", err.text);
        return 0;
}

/* One value for all vGPUs, or a list with one for each. */
static int pick(json_t *body, const char *field, uint32_t index, uint32_t count, json_t **ret, struct fgd_problem *problem)
{
        json_t *value = json_object_get(body, field);
        *ret = value;
        if (!json_is_array(value))
                return 0;
        if (json_array_size(value) == 1)
                index = 0;
        else if (json_array_size(value) != count)
                return fgd_problem_set(problem, FGD_BAD_REQUEST, "\"%s\" has %zu values for %u vGPUs: give one for all, or one for each", field,
                                       json_array_size(value), count);
        *ret = json_array_get(value, index);
        return 0;
}

int fgd_body_wants(json_t *body, uint32_t count, const uint64_t *whole, struct fg_sched_want *ret, struct fgd_problem *problem)
{
        json_t *memory, *compute;
        for (uint32_t i = 0; i < count; i++) {
                ret[i] = (struct fg_sched_want){0};
                if (pick(body, "memory", i, count, &memory, problem) < 0 || pick(body, "compute", i, count, &compute, problem) < 0)
                        return -1;
                if (memory && read_memory(memory, whole[i], &ret[i].memory, problem) < 0)
                        return -1;
                if (compute && read_compute(compute, &ret[i].share, problem) < 0)
                        return -1;
        }
        return 0;
}
