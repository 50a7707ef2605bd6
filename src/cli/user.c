/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "cli/table.h"

#include "base/size.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct argp_option option_table[] = {
        {"uid", 'u', "UID", 0, "Who the user is on this machine: processes of this uid are his; \"none\": nobody's are", 1},
        {"account", 'a', "ACCOUNT", 0, "The account of this machine that his jobs run as", 1},
        {"admin", 'A', "yes|no", 0, "May he do everything, everywhere", 1},
        {"disabled", 'D', "yes|no", 0, "Is he kept out, with all that is his left as it is", 1},
        CLI_OPTION_JSON,
        {0}};

static int add_flag(json_t *body, const struct cli_words *words, const char *name)
{
        const char *value = cli_word(words, name);
        if (!value)
                return 0;
        bool is_yes = strcmp(value, "yes") == 0;
        if (!is_yes && strcmp(value, "no") != 0)
                return cli_fail(CLI_USAGE, "--%s \"%s\": it is yes or no", name, value);
        json_object_set_new(body, name, json_boolean(is_yes));
        return 0;
}

static int user_body(const struct cli_words *words, json_t *body)
{
        struct fg_error err = {0};
        const char *uid = cli_word(words, "uid"), *account = cli_word(words, "account");
        uint64_t number = 0;
        if (uid && strcmp(uid, "none") == 0)
                json_object_set_new(body, "uid", json_null());
        else if (uid && fg_count_parse("uid", uid, 1, UINT32_MAX - 1, &number, &err) < 0)
                return cli_fail(CLI_USAGE, "--uid: %s", err.text);
        else if (uid)
                json_object_set_new(body, "uid", json_integer((json_int_t)number));
        if (account && json_object_set_new(body, "account", json_string(account)))
                return cli_fail(CLI_USAGE, "--account: \"%s\" is not text", account);
        int code = add_flag(body, words, "admin");
        return code ? code : add_flag(body, words, "disabled");
}

static int user_path(const char *name, char *ret, size_t size)
{
        struct fg_error err = {0};
        if (fg_name_check(name, &err) < 0)
                return cli_fail(CLI_USAGE, "%s", err.text);
        snprintf(ret, size, "/v1/users/%s", name);
        return 0;
}

static void show(const json_t *user)
{
        size_t i;
        const json_t *one;
        char buf[32] = "none";
        if (json_object_get(user, "uid"))
                snprintf(buf, sizeof buf, "%llu", (unsigned long long)cli_number(user, "uid"));
        printf("%s\n  uid       %s\n", cli_text(user, "name"), buf);
        if (*cli_text(user, "account"))
                printf("  account   %s\n", cli_text(user, "account"));
        printf("  admin     %s\n  state     %s\n  created   %s\n  tokens    %llu\n  sets      %llu\n",
               json_is_true(json_object_get(user, "admin")) ? "yes" : "no",
               json_is_true(json_object_get(user, "disabled")) ? "disabled" : "active", cli_text(user, "created"),
               (unsigned long long)cli_number(user, "tokens"), (unsigned long long)cli_number(user, "sets"));
        json_array_foreach(json_object_get(user, "projects"), i, one)
                printf("  project   %s (%s)\n", cli_text(one, "project"), cli_text(one, "role"));
}

static int tell(const struct cli_words *words, const json_t *user)
{
        if (words->json)
                cli_print_json(user, stdout);
        else
                show(user);
        return 0;
}

static int send(const struct cli_words *words, const char *method, const char *path, json_t *body)
{
        cli_autojson json_t *user = NULL;
        int code = cli_call(method, path, body, NULL, &user);
        return code ? code : tell(words, user);
}

static int create(const struct cli_words *words)
{
        cli_autojson json_t *body = json_pack("{s:s}", "name", words->args[0]);
        char path[96];
        int code = user_path(words->args[0], path, sizeof path);
        if (code == 0)
                code = user_body(words, body);
        return code ? code : send(words, "POST", "/v1/users", json_incref(body));
}

static int change(const struct cli_words *words)
{
        cli_autojson json_t *body = json_object();
        char path[96];
        int code = user_path(words->args[0], path, sizeof path);
        if (code == 0)
                code = user_body(words, body);
        if (code == 0 && json_object_size(body) == 0)
                code = cli_fail(CLI_USAGE, "nothing to change in %s; add --uid, --account, --admin or --disabled", words->args[0]);
        return code ? code : send(words, "PATCH", path, json_incref(body));
}

static int show_one(const struct cli_words *words)
{
        char path[96];
        int code = user_path(words->args[0], path, sizeof path);
        return code ? code : send(words, "GET", path, NULL);
}

static int delete(const struct cli_words *words)
{
        cli_autojson json_t *nothing = NULL;
        char path[96];
        int code = user_path(words->args[0], path, sizeof path);
        if (code == 0)
                code = cli_call("DELETE", path, NULL, NULL, &nothing);
        if (code == 0 && words->json)
                printf("{\"deleted\": \"%s\"}\n", words->args[0]);
        return code;
}

static int print_users(const json_t *users)
{
        static const struct cli_column columns[] = {{"NAME", false},  {"UID", true},     {"ACCOUNT", false}, {"ADMIN", false},
                                                    {"STATE", false}, {"PROJECTS", true}, {"TOKENS", true},  {"SETS", true}};
        cli_autotable struct cli_table *table = cli_table_new(columns, sizeof columns / sizeof columns[0]);
        size_t i;
        const json_t *user;
        if (!table)
                return cli_fail(CLI_FAILED, "out of memory");
        json_array_foreach(users, i, user)
        {
                cli_table_add(table, "%s", cli_text(user, "name"));
                if (json_object_get(user, "uid"))
                        cli_table_add(table, "%llu", (unsigned long long)cli_number(user, "uid"));
                else
                        cli_table_add(table, "-");
                cli_table_add(table, "%s", *cli_text(user, "account") ? cli_text(user, "account") : "-");
                cli_table_add(table, "%s", json_is_true(json_object_get(user, "admin")) ? "yes" : "no");
                cli_table_add(table, "%s", json_is_true(json_object_get(user, "disabled")) ? "disabled" : "active");
                cli_table_add(table, "%zu", json_array_size(json_object_get(user, "projects")));
                cli_table_add(table, "%llu", (unsigned long long)cli_number(user, "tokens"));
                cli_table_add(table, "%llu", (unsigned long long)cli_number(user, "sets"));
        }
        return cli_table_print(table, stdout, 0) < 0 ? cli_fail(CLI_FAILED, "out of memory") : 0;
}

static int list(const struct cli_words *words)
{
        cli_autojson json_t *users = NULL;
        int code = cli_call_all("/v1/users?limit=1000", "users", &users);
        if (code)
                return code;
        if (words->json) {
                cli_autojson json_t *all = json_pack("{s:O}", "users", users);
                cli_print_json(all, stdout);
                return 0;
        }
        if (json_array_size(users))
                return print_users(users);
        cli_note("no users: whoever can open the daemon's socket may do everything; see fastgpu-user(1)");
        return 0;
}

const struct cli_action cli_user_actions[] = {
        {"create", 1, 1, "NAME [--uid UID] …", "uid account admin disabled", create},
        {"list", 0, 0, "", "", list},
        {"show", 1, 1, "NAME", "", show_one},
        {"change", 1, 1, "NAME --uid … --admin …", "uid account admin disabled", change},
        {"delete", 1, 1, "NAME", "", delete},
        {0},
};

const struct argp cli_user_argp = {.options = option_table,
                                   .parser = cli_action_parse,
                                   .args_doc = "create NAME\nlist\nshow NAME\nchange NAME\ndelete NAME",
                                   .doc = "Manage the users of this node. Before there is one, whoever can open the "
                                          "daemon's socket may do everything; from the first on only root, the users "
                                          "and tokens are admitted."};

int cli_user(int argc, char **argv)
{
        return cli_action_run("user", &cli_user_argp, cli_user_actions, argc, argv);
}
