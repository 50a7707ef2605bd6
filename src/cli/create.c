/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "cli/show.h"

#include <errno.h>

struct options {
        bool json;
        struct cli_wish wish;
};

static const struct argp_option option_table[] = {
        CLI_OPTION_GPUS,
        {"name", CLI_KEY_NAME, "NAME", 0, "Name of the set (generated)", 1},
        CLI_OPTION_MEMORY,
        CLI_OPTION_COMPUTE,
        CLI_OPTION_MODE,
        CLI_OPTION_PRIORITY,
        CLI_OPTION_DEVICE,
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
        case ARGP_KEY_ARG:
                cli_fail(0, "create takes no argument, yet \"%s\" was given; did you mean --name %s?", arg, arg);
                return EINVAL;
        default:
                return cli_wish_take(&o->wish, key, arg);
        }
}

const struct argp cli_create_argp = {
        .options = option_table,
        .parser = parse,
        .doc = "Create vGPUs: each is a quota of memory and a share of compute on a physical device. Without --memory "
               "or --compute a vGPU takes an equal part of what its device still has.\v"
               "--memory and --compute take one value for all vGPUs or one for each: --gpus 2 --compute 70,30"};

int cli_create(int argc, char **argv)
{
        struct options o = {0};
        json_t *body = NULL;
        cli_autojson json_t *set = NULL;
        int code = cli_parse("create", &cli_create_argp, argc, argv, &o);
        if (code == 0)
                code = cli_wish_body(&o.wish, &body);
        if (code == 0)
                code = cli_wish_infer_gpus(body);
        if (code == 0)
                code = cli_project_add(body);
        if (code) {
                json_decref(body);
                return code;
        }
        code = cli_call("POST", "/v1/vgpus", body, NULL, &set);
        if (code)
                return code;
        if (o.json)
                cli_print_json(set, stdout);
        else
                cli_show_made(set);
        return 0;
}
