/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/quota.h"

#include "base/size.h"
#include "cli/table.h"

#include <stdio.h>
#include <string.h>

static const char *const keys[] = {"vgpus", "memory", "share", "jobs", "queued", "weight"};
#define KEYS        (sizeof keys / sizeof keys[0])
#define PERCENT_MAX 25600 /* 256 devices */

/* "150", "70%", "12.5" to permille, also beyond one device. */
static int parse_share(const char *text, uint64_t *ret)
{
        struct fg_error err = {0};
        uint32_t permille;
        char number[16];
        size_t len = strcspn(text, "%");
        snprintf(number, sizeof number, "%.*s", (int)(len < 15 ? len : 15), text);
        if (strcmp(number, "0") == 0 && (!text[len] || !text[len + 1])) {
                *ret = 0;
                return 0;
        }
        if (fg_share_parse(text, &permille, NULL) == 0) {
                *ret = permille;
                return 0;
        }
        if ((text[len] && text[len + 1]) || fg_count_parse("share", number, 0, PERCENT_MAX, ret, &err) < 0)
                return cli_fail(CLI_USAGE, "--share \"%s\": it is a percentage up to %d, such as 70, 12.5 or 150", text, PERCENT_MAX);
        *ret *= 10;
        return 0;
}

static int parse_amount(const char *key, const char *text, uint64_t *ret)
{
        struct fg_error err = {0};
        int r = 0;
        if (strcmp(key, "share") == 0)
                return parse_share(text, ret);
        if (strcmp(key, "memory") != 0)
                r = fg_count_parse(key, text, 0, 1ull << 53, ret, &err);
        else if (strcmp(text, "0") == 0)
                *ret = 0;
        else
                r = fg_size_parse(text, 0, ret, &err);
        return r < 0 ? cli_fail(CLI_USAGE, "--%s: %s", key, err.text) : 0;
}

static int add_limits(const struct cli_words *words, json_t *body, bool *ret_any)
{
        *ret_any = false;
        for (size_t i = 0; i < KEYS; i++) {
                const char *text = cli_word(words, keys[i]);
                uint64_t amount;
                if (!text)
                        continue;
                *ret_any = true;
                int code = parse_amount(keys[i], text, &amount);
                if (code)
                        return code;
                json_object_set_new(body, keys[i], json_integer((json_int_t)amount));
        }
        return 0;
}

static void add_amount(struct cli_table *table, const char *key, const json_t *amounts, bool is_limit)
{
        uint64_t value = cli_number(amounts, key);
        if (is_limit && value == 0)
                cli_table_add(table, "-");
        else if (strcmp(key, "memory") == 0)
                cli_table_add_size(table, value);
        else if (strcmp(key, "share") == 0)
                cli_table_add_share(table, value);
        else
                cli_table_add(table, "%llu", (unsigned long long)value);
}

static int print_quotas(const json_t *quotas)
{
        static const struct cli_column columns[] = {{"OF", false}, {"WHAT", false}, {"USED", true}, {"LIMIT", true}};
        cli_autotable struct cli_table *table = cli_table_new(columns, sizeof columns / sizeof columns[0]);
        size_t i;
        const json_t *quota;
        if (!table)
                return cli_fail(CLI_FAILED, "out of memory");
        json_array_foreach(quotas, i, quota) for (size_t k = 0; k < KEYS; k++)
        {
                /* Only where one is set; nothing uses it up. */
                if (strcmp(keys[k], "weight") == 0 && !cli_number(json_object_get(quota, "limits"), keys[k]))
                        continue;
                const char *user = cli_text(quota, "user"), *project = cli_text(quota, "project");
                cli_table_add(table, "%s", *user ? user : *project ? project : "organisation");
                cli_table_add(table, "%s", keys[k]);
                add_amount(table, keys[k], json_object_get(quota, "used"), false);
                add_amount(table, keys[k], json_object_get(quota, "limits"), true);
        }
        return cli_table_print(table, stdout, 0) < 0 ? cli_fail(CLI_FAILED, "out of memory") : 0;
}

static int show(const struct cli_words *words, const char *project, const char *user)
{
        cli_autojson json_t *reply = NULL;
        char path[224] = "/v1/quotas?scope=organisation";
        if (project)
                snprintf(path, sizeof path, "/v1/quotas?project=%s%s%s", project, user ? "&user=" : "", user ? user : "");
        int code = cli_call("GET", path, NULL, NULL, &reply);
        if (code)
                return code;
        if (!words->json)
                return print_quotas(json_object_get(reply, "quotas"));
        cli_print_json(reply, stdout);
        return 0;
}

static int set(const struct cli_words *words, json_t *body)
{
        cli_autojson json_t *reply = NULL;
        int code = cli_call("PUT", "/v1/quotas", body, NULL, &reply);
        if (code)
                return code;
        if (words->json) {
                cli_print_json(reply, stdout);
                return 0;
        }
        cli_autojson json_t *one = json_pack("[O]", reply);
        return print_quotas(one);
}

static int check_names(const char *project, const char *user, bool of_all)
{
        struct fg_error err = {0};
        if (of_all ? project || user : !project)
                return cli_fail(CLI_USAGE, of_all ? "the organisation's quota is of no project and no user"
                                                  : "whose quota? Type: fastgpu project quota PROJECT, or --organisation");
        if ((project && fg_name_check(project, &err) < 0) || (user && fg_name_check(user, &err) < 0))
                return cli_fail(CLI_USAGE, "%s", err.text);
        return 0;
}

int cli_quota(const struct cli_words *words)
{
        const char *project = words->count ? words->args[0] : NULL, *user = cli_word(words, "user");
        bool of_all = cli_word(words, "organisation") != NULL, any;
        cli_autojson json_t *body = json_pack("{s:s}", "scope", of_all ? "organisation" : user ? "user" : "project");
        int code = check_names(project, user, of_all);
        if (code == 0)
                code = add_limits(words, body, &any);
        if (code)
                return code;
        if (!any)
                return show(words, project, user);
        if (project)
                json_object_set_new(body, "project", json_string(project));
        if (user)
                json_object_set_new(body, "user", json_string(user));
        return set(words, json_incref(body));
}
