/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "cli/show.h"

#include <errno.h>

struct options {
        bool json;
        const char *target;
        struct cli_wish wish;
};

static const struct argp_option option_table[] = {CLI_OPTION_MEMORY,   CLI_OPTION_COMPUTE, CLI_OPTION_MODE,
                                                  CLI_OPTION_PRIORITY, CLI_OPTION_PROJECT, CLI_OPTION_JSON,
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
                if (o->target) {
                        cli_fail(0, "resize takes one name, yet \"%s\" was given after \"%s\"", arg, o->target);
                        return EINVAL;
                }
                o->target = arg;
                return 0;
        default:
                return cli_wish_take(&o->wish, key, arg);
        }
}

const struct argp cli_resize_argp = {.options = option_table,
                                     .parser = parse,
                                     .args_doc = "NAME[/I]",
                                     .doc = "Change the limits of the vGPUs of NAME, or of one of them, also while "
                                            "programs run in them. All change or "
                                            "none. A quota below what is in use is refused."};

int cli_resize(int argc, char **argv)
{
        struct options o = {0};
        cli_autojson json_t *set = NULL;
        json_t *body;
        char path[192];
        int64_t index;
        int code = cli_parse("resize", &cli_resize_argp, argc, argv, &o);
        if (code)
                return code;
        if (!o.target)
                return cli_fail(CLI_USAGE, "resize what? Type: fastgpu resize NAME --memory SIZE --compute PERCENT");
        if (cli_wish_is_empty(&o.wish))
                return cli_fail(CLI_USAGE, "nothing to change in %s; add --memory, --compute, --mode or --priority",
                                o.target);
        code = cli_vgpu_path(o.target, path, sizeof path, &index);
        if (code == 0)
                code = cli_wish_body(&o.wish, &body);
        if (code == 0)
                code = cli_call("PATCH", path, body, o.target, &set);
        if (code)
                return code;
        if (o.json)
                cli_print_json(set, stdout);
        else
                cli_show_made(set);
        return 0;
}
