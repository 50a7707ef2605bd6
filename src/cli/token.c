/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "cli/table.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct argp_option option_table[] = {
        {"user", 'u', "USER", 0, "Whose (yours); of others only an admin may speak", 1},
        {"role", 'r', "viewer|member|manager|admin", 0, "At most this role, whatever the user has", 1},
        {"expires", 'e', "TIME", 0, "How long it holds: 30d, 12h, 10m (90d)", 1},
        {"name", 'n', "NAME", 0, "What it is for, for your own memory", 1},
        CLI_OPTION_PROJECT,
        CLI_OPTION_JSON,
        {0}};

static void add_text(json_t *body, const struct cli_words *words, const char *name)
{
        if (cli_word(words, name))
                json_object_set_new(body, name, json_string(cli_word(words, name)));
}

/* The secret alone is on standard output: fastgpu token create > file. */
static int create(const struct cli_words *words)
{
        cli_autojson json_t *token = NULL;
        cli_autojson json_t *body = json_object();
        static const char *const names[] = {"user", "role", "expires", "name"};
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
                add_text(body, words, names[i]);
        int code = cli_project_add(body);
        if (code == 0)
                code = cli_call("POST", "/v1/tokens", json_incref(body), NULL, &token);
        if (code)
                return code;
        if (words->json)
                cli_print_json(token, stdout);
        if (!*cli_text(token, "secret"))
                return cli_fail(CLI_FAILED, "token %s was made, but its secret was lost with the connection; type: fastgpu token revoke %s, and create another",
                                cli_text(token, "id"), cli_text(token, "id"));
        if (words->json)
                return 0;
        puts(cli_text(token, "secret"));
        cli_note("token %s of %s, until %s; it is shown only now", cli_text(token, "id"), cli_text(token, "user"),
                 cli_text(token, "expires"));
        return 0;
}

static int print_tokens(const json_t *tokens)
{
        static const struct cli_column columns[] = {{"ID", false},   {"USER", false},    {"NAME", false}, {"PROJECT", false},
                                                    {"ROLE", false}, {"EXPIRES", false}, {"STATE", false}};
        static const char *const fields[] = {"id", "user", "name", "project", "role", "expires", "state"};
        cli_autotable struct cli_table *table = cli_table_new(columns, sizeof columns / sizeof columns[0]);
        size_t i;
        const json_t *token;
        if (!table)
                return cli_fail(CLI_FAILED, "out of memory");
        json_array_foreach(tokens, i, token) for (size_t f = 0; f < sizeof fields / sizeof fields[0]; f++)
                cli_table_add(table, "%s", *cli_text(token, fields[f]) ? cli_text(token, fields[f]) : "-");
        return cli_table_print(table, stdout, 0) < 0 ? cli_fail(CLI_FAILED, "out of memory") : 0;
}

static int list(const struct cli_words *words)
{
        cli_autojson json_t *tokens = NULL;
        char path[128] = "/v1/tokens?limit=1000";
        const char *user = cli_word(words, "user");
        if (user && (strlen(user) > 63 || strpbrk(user, "&%?# ")))
                return cli_fail(CLI_USAGE, "--user: \"%s\" is not a name", user);
        if (user)
                snprintf(path, sizeof path, "/v1/tokens?limit=1000&user=%s", user);
        int code = cli_call_all(path, "tokens", &tokens);
        if (code)
                return code;
        if (words->json) {
                cli_autojson json_t *all = json_pack("{s:O}", "tokens", tokens);
                cli_print_json(all, stdout);
                return 0;
        }
        if (json_array_size(tokens))
                return print_tokens(tokens);
        cli_note("no tokens; make one with `fastgpu token create`");
        return 0;
}

/* Whoever pastes the whole of it means its id; the secret goes nowhere. */
static int revoke(const struct cli_words *words)
{
        cli_autojson json_t *nothing = NULL;
        char path[64], id[13] = "";
        const char *typed = words->args[0];
        if (strncmp(typed, "fgt_", 4) == 0)
                typed += 4;
        size_t len = strspn(typed, "abcdefghijklmnopqrstuvwxyz234567");
        if (len != 12 || (typed[len] && typed[len] != '_'))
                return cli_fail(CLI_USAGE, "that is not the id of a token; `fastgpu token list` shows them");
        memcpy(id, typed, 12);
        snprintf(path, sizeof path, "/v1/tokens/%s", id);
        int code = cli_call("DELETE", path, NULL, NULL, &nothing);
        if (code == 0 && words->json)
                printf("{\"revoked\": \"%s\"}\n", id);
        return code;
}

const struct cli_action cli_token_actions[] = {
        {"create", 0, 0, "[--role ROLE] [--project PROJECT] [--expires 30d] [--user USER]", "user role expires name", create},
        {"list", 0, 0, "", "user", list},
        {"revoke", 1, 1, "ID", "", revoke},
        {0},
};

const struct argp cli_token_argp = {
        .options = option_table,
        .parser = cli_action_parse,
        .args_doc = "create\nlist\nrevoke ID",
        .doc = "Manage tokens: whoever holds one is its user to the daemon, from wherever. A token can be limited to a "
               "role and a project; it may never do more than its user may at that moment. Its secret is shown once, "
               "on standard output, and kept nowhere."};

int cli_token(int argc, char **argv)
{
        return cli_action_run("token", &cli_token_argp, cli_token_actions, argc, argv);
}
