/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "base/size.h"

#include <errno.h>
#include <string.h>

struct options {
        bool json, force;
        char **names; /* argp moves them behind the options */
        int count;
};

static const struct argp_option option_table[] = {
        {"force", 'f', NULL, 0, "End the programs that run in it: SIGTERM, after 2 s SIGKILL", 0},
        CLI_OPTION_PROJECT,
        CLI_OPTION_JSON,
        {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct options *o = state->input;
        switch (key) {
        case CLI_KEY_JSON:
                o->json = true;
                return 0;
        case CLI_KEY_PROJECT:
                return cli_project_take(arg);
        case 'f':
                o->force = true;
                return 0;
        case ARGP_KEY_ARGS:
                o->names = state->argv + state->next;
                o->count = state->argc - state->next;
                return 0;
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

const struct argp cli_delete_argp = {.options = option_table,
                                     .parser = parse,
                                     .args_doc = "NAME…",
                                     .doc = "Delete vGPUs with all that is known of them. One that programs use is "
                                            "refused unless --force is given."};

/* A set is deleted as a whole: what is left of it would carry the wrong indices. */
static int check_names(const struct options *o)
{
        struct fg_error err = {0};
        char name[64], project[64];
        int64_t index;
        for (int i = 0; i < o->count; i++) {
                if (fg_target_split(o->names[i], project, name, &index, &err) < 0)
                        return cli_fail(CLI_USAGE, "%s", err.text);
                if (index >= 0)
                        return cli_fail(CLI_USAGE,
                                        "%s is one vGPU of a set, which is deleted as a whole; type: fastgpu delete %.*s",
                                        o->names[i], (int)strcspn(o->names[i], "/"), o->names[i]);
        }
        return o->count
                       ? 0
                       : cli_fail(CLI_USAGE, "delete what? Type: fastgpu delete NAME (`fastgpu list` shows the names)");
}

static int delete_one(struct fg_client *client, const struct options *o, const char *name, json_t *deleted,
                      json_t *failed)
{
        cli_autojson json_t *problem = NULL;
        cli_autojson json_t *reply = NULL;
        char path[192];
        int64_t ignored;
        int code = cli_vgpu_path(name, path, sizeof path - 8, &ignored);
        if (code)
                return code;
        if (o->force)
                strcat(path, "?force=1");
        code = cli_ask(client, "DELETE", path, NULL, &reply, &problem);
        if (code == 0) {
                json_array_append_new(deleted, json_string(name));
                return 0;
        }
        cli_say_problem(client, problem, name);
        json_array_append_new(failed, json_pack("{s:s, s:O}", "name", name, "problem", problem));
        return code;
}

int cli_delete(int argc, char **argv)
{
        struct options o = {0};
        cli_autoclient struct fg_client *client = NULL;
        cli_autojson json_t *deleted = json_array();
        cli_autojson json_t *failed = json_array();
        int code = cli_parse("delete", &cli_delete_argp, argc, argv, &o);
        if (code == 0)
                code = check_names(&o);
        if (code == 0)
                code = cli_connect(&client);
        if (code)
                return code;
        for (int i = 0; i < o.count; i++) {
                int one = delete_one(client, &o, o.names[i], deleted, failed);
                code = code ? code : one;
        }
        if (o.json) {
                cli_autojson json_t *all = json_pack("{s:O, s:O}", "deleted", deleted, "failed", failed);
                cli_print_json(all, stdout);
        }
        return code;
}
