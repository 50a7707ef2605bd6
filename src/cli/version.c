/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <errno.h>

struct options {
        bool json;
};

static const struct argp_option option_table[] = {CLI_OPTION_JSON, {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct options *o = state->input;
        switch (key) {
        case CLI_KEY_JSON:
                o->json = true;
                return 0;
        case ARGP_KEY_ARG:
                cli_fail(0, "version takes no argument, yet \"%s\" was given", arg);
                return EINVAL;
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

const struct argp cli_version_argp = {
        .options = option_table,
        .parser = parse,
        .doc = "Show the versions of this command and of the daemon that answers, if one does; none is started."};

int cli_version(int argc, char **argv)
{
        struct options o = {0};
        cli_autoclient struct fg_client *client = NULL;
        cli_autojson json_t *daemon = NULL;
        cli_autojson json_t *problem = NULL;
        int code = cli_parse("version", &cli_version_argp, argc, argv, &o);
        if (code)
                return code;
        if (fg_client_open(0, &client, NULL, 0) == 0)
                cli_ask(client, "GET", "/v1/version", NULL, &daemon, &problem);
        if (o.json) {
                cli_autojson json_t *all = json_pack("{s:s, s:O?}", "version", FASTGPU_VERSION, "daemon", daemon);
                if (!daemon)
                        json_object_set_new(all, "daemon", json_null());
                cli_print_json(all, stdout);
                return 0;
        }
        puts("fastgpu " FASTGPU_VERSION);
        if (daemon && !json_object_get(daemon, "pid"))
                printf("fastgpud %s, API %llu; it does not know you (`fastgpu whoami` says why)\n", cli_text(daemon, "version"),
                       (unsigned long long)cli_number(daemon, "api"));
        else if (daemon)
                printf("fastgpud %s, API %llu, pid %llu, in %s\n", cli_text(daemon, "version"),
                       (unsigned long long)cli_number(daemon, "api"), (unsigned long long)cli_number(daemon, "pid"),
                       cli_text(daemon, "run_dir"));
        else
                puts("fastgpud: none runs; it is started when needed");
        return 0;
}
