/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "base/cleanup.h"
#include "base/size.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define AGAIN_AFTER 1 /* s */

/* The exit code of each kind of refusal (docs/api.md). */
static const struct {
        const char *type;
        int code;
} problem_table[] = {
        {"bad-request", CLI_USAGE}, {"not-found", CLI_NOT_FOUND},     {"exists", CLI_EXISTS},
        {"in-use", CLI_EXISTS},     {"no-capacity", CLI_NO_CAPACITY}, {"too-large", CLI_USAGE},
        {"ended", CLI_EXISTS},      {"budget", CLI_NO_CAPACITY},
        {"quota", CLI_NO_CAPACITY}, {"no-room", CLI_NO_CAPACITY},     {"idempotency-mismatch", CLI_EXISTS},
};

uint64_t cli_number(const json_t *object, const char *key)
{
        const json_t *value = json_object_get(object, key);
        json_int_t number = json_integer_value(value);
        return number < 0 ? 0 : (uint64_t)number;
}

const char *cli_text(const json_t *object, const char *key)
{
        const char *text = json_string_value(json_object_get(object, key));
        return text ? text : "";
}

static int problem_code(const json_t *problem, int status)
{
        for (size_t i = 0; i < sizeof problem_table / sizeof problem_table[0]; i++)
                if (strcmp(cli_text(problem, "type"), problem_table[i].type) == 0)
                        return problem_table[i].code;
        return status == 401 || status == 403 ? CLI_NO_DAEMON : CLI_FAILED;
}

int cli_connect(struct fg_client **ret)
{
        char error[FG_ERROR_MAX] = "";
        int r = fg_client_open(FG_CLIENT_START, ret, error, sizeof error);
        if (r == 0)
                return 0;
        return cli_fail(CLI_NO_DAEMON, "%s", *error ? error : strerror(-r));
}

int cli_need_local(const char *verb)
{
        struct fg_client_target target;
        char error[FG_ERROR_MAX] = "";
        int r = fg_client_target_find(&target, error, sizeof error);
        if (r < 0)
                return cli_fail(CLI_NO_DAEMON, "%s", error);
        if (r > 0) {
                cli_fail(0, "%s needs a daemon on this machine, and commands go to %s; FASTGPU_URL=local in front of it means this machine", verb,
                         target.url);
                fg_client_target_clear(&target);
                return CLI_NO_DAEMON;
        }
        return 0;
}

static json_t *problem_new(const char *type, const char *detail)
{
        return json_pack("{s:s, s:s}", "type", type, "detail", detail);
}

static int no_answer(const struct fg_client *client, int r, json_t **ret_problem)
{
        char text[FG_ERROR_MAX];
        if (*fg_client_error(client)) {
                *ret_problem = problem_new("no-answer", fg_client_error(client));
                return r == -ENOMEM ? CLI_FAILED : CLI_NO_DAEMON;
        }
        const char *what = r == -EPIPE       ? "fastgpud hung up without an answer"
                           : r == -ETIMEDOUT ? "fastgpud has not answered for 60 s"
                           : r == -EPROTO    ? "what answers is not fastgpud, or it broke off"
                                             : strerror(-r);
        snprintf(text, sizeof text, "%s (%s); the log or `fastgpu doctor` may say why", what, fg_client_where(client));
        *ret_problem = problem_new("no-answer", text);
        return r == -ENOMEM ? CLI_FAILED : CLI_NO_DAEMON;
}

/* Those that take an Idempotency-Key. */
static bool is_creating(const char *method, const char *path)
{
        static const char *const creating[] = {"/v1/vgpus", "/v1/jobs", "/v1/users", "/v1/projects", "/v1/tokens"};
        for (size_t i = 0; i < sizeof creating / sizeof creating[0]; i++)
                if (strcmp(method, "POST") == 0 && strcmp(path, creating[i]) == 0)
                        return true;
        return false;
}

/* What makes something has a key of its own, so that it can be asked for again when the answer was lost: a daemon that is being restarted is
 * back after a moment, and makes nothing twice. */
static int send(struct fg_client *client, struct fg_client_call *call, struct fg_client_reply *ret)
{
        unsigned char bytes[16];
        char key[2 * sizeof bytes + 1];
        if (is_creating(call->method, call->path) && getrandom(bytes, sizeof bytes, 0) == (ssize_t)sizeof bytes) {
                for (size_t i = 0; i < sizeof bytes; i++)
                        snprintf(key + 2 * i, 3, "%02x", bytes[i]);
                call->idempotency_key = key;
        }
        int r = fg_client_request_with(client, call, ret);
        if ((r == -EPIPE || r == -ETIMEDOUT) && call->idempotency_key) {
                sleep(AGAIN_AFTER);
                r = fg_client_request_with(client, call, ret);
        }
        call->idempotency_key = NULL;
        return r;
}

int cli_ask(struct fg_client *client, const char *method, const char *path, json_t *body, json_t **ret,
            json_t **ret_problem)
{
        struct fg_client_reply reply;
        fg_autofree char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
        bool lost = body && !text;
        json_decref(body);
        if (lost)
                return no_answer(client, -ENOMEM, ret_problem);
        int r = send(client, &(struct fg_client_call){.method = method, .path = path, .json = text}, &reply);
        if (r < 0)
                return no_answer(client, r, ret_problem);
        json_t *value = json_loadb(reply.body, reply.size, JSON_REJECT_DUPLICATES, NULL);
        size_t size = reply.size;
        int status = reply.status;
        fg_client_reply_clear(&reply);
        if (status < 300 && (value || size == 0)) {
                *ret = value;
                return 0;
        }
        if (status < 300) {
                return no_answer(client, -EPROTO, ret_problem);
        }
        if (!json_is_object(value)) {
                char words[64];
                snprintf(words, sizeof words, "fastgpud answered with status %d and no reason", status);
                json_decref(value);
                value = problem_new("internal", words);
        }
        *ret_problem = value;
        return problem_code(value, status);
}

static const char *set_name(const void *user, size_t i)
{
        const json_t *sets = user;
        const json_t *set = json_array_get(sets, i);
        return set ? cli_text(set, "name") : NULL;
}

void cli_say_problem(struct fg_client *client, const json_t *problem, const char *name)
{
        cli_autojson json_t *all = NULL;
        cli_autojson json_t *ignored = NULL;
        const char *detail = cli_text(problem, "detail"), *meant = NULL;
        char typed[64], project[64];
        int64_t index;
        if (name && strcmp(cli_text(problem, "type"), "not-found") == 0 &&
            fg_target_split(name, project, typed, &index, NULL) == 0 &&
            cli_ask(client, "GET", "/v1/vgpus", NULL, &all, &ignored) == 0)
                meant = cli_suggest(typed, set_name, json_object_get(all, "sets"));
        if (!*detail)
                detail = *cli_text(problem, "title") ? cli_text(problem, "title") : "fastgpud refused without a reason";
        if (meant && strcmp(meant, typed) != 0)
                cli_fail(0, "%s; did you mean %s?", detail, meant);
        else
                cli_fail(0, "%s", detail);
}

int cli_request(struct fg_client *client, const char *method, const char *path, json_t *body, json_t **ret)
{
        cli_autojson json_t *problem = NULL;
        int code = cli_ask(client, method, path, body, ret, &problem);
        if (code)
                cli_say_problem(client, problem, NULL);
        return code;
}

int cli_call(const char *method, const char *path, json_t *body, const char *name, json_t **ret)
{
        cli_autoclient struct fg_client *client = NULL;
        cli_autojson json_t *problem = NULL;
        int code = cli_connect(&client);
        if (code) {
                json_decref(body);
                return code;
        }
        code = cli_ask(client, method, path, body, ret, &problem);
        if (code)
                cli_say_problem(client, problem, name);
        return code;
}

static int ask_page(struct fg_client *client, const char *path, const char *after, json_t **ret)
{
        fg_autofree char *full = NULL;
        int n = *after ? asprintf(&full, "%s%cafter=%s", path, strchr(path, '?') ? '&' : '?', after) : asprintf(&full, "%s", path);
        if (n < 0) {
                full = NULL;
                return cli_fail(CLI_FAILED, "out of memory");
        }
        return cli_request(client, "GET", full, NULL, ret);
}

int cli_ask_sets(struct fg_client *client, const char *path, json_t **ret, json_t **ret_problem)
{
        cli_autojson json_t *all = NULL;
        char full[256], after[32];
        int code = cli_ask(client, "GET", path, NULL, &all, ret_problem);
        while (code == 0 && *cli_text(all, "next")) {
                cli_autojson json_t *page = NULL;
                snprintf(after, sizeof after, "%s", cli_text(all, "next"));
                snprintf(full, sizeof full, "%s%cafter=%s", path, strchr(path, '?') ? '&' : '?', after);
                code = cli_ask(client, "GET", full, NULL, &page, ret_problem);
                json_array_extend(json_object_get(all, "sets"), json_object_get(page, "sets"));
                json_object_del(all, "next");
                json_object_del(page, "sets");
                json_object_update(all, page); /* the last page's time, and what follows it */
        }
        if (code == 0)
                *ret = FG_TAKE_PTR(all);
        return code;
}

int cli_call_all(const char *path, const char *field, json_t **ret)
{
        cli_autoclient struct fg_client *client = NULL;
        cli_autojson json_t *all = json_array();
        char after[32] = "";
        int code = cli_connect(&client);
        do {
                cli_autojson json_t *page = NULL;
                code = code ? code : ask_page(client, path, after, &page);
                if (code)
                        return code;
                json_array_extend(all, json_object_get(page, field));
                snprintf(after, sizeof after, "%s", cli_text(page, "next"));
        } while (*after);
        *ret = FG_TAKE_PTR(all);
        return 0;
}

int cli_vgpu_path(const char *target, char *ret, size_t len, int64_t *ret_index)
{
        struct fg_error err = {0};
        char name[64], project[64];
        fg_autofree char *qualified = NULL;
        int code = cli_project_qualify(target, &qualified);
        if (code)
                return code;
        if (fg_target_split(qualified, project, name, ret_index, &err) < 0)
                return cli_fail(CLI_USAGE, "%s", err.text);
        if (*ret_index < 0)
                snprintf(ret, len, "/v1/vgpus/%s%s%s", project, *project ? ":" : "", name);
        else
                snprintf(ret, len, "/v1/vgpus/%s%s%s/%lld", project, *project ? ":" : "", name, (long long)*ret_index);
        return 0;
}
