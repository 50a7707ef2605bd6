/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <stdio.h>

static const struct argp_option option_table[] = {CLI_OPTION_JSON, {0}};

const struct argp cli_whoami_argp = {.options = option_table,
                                     .parser = cli_action_parse,
                                     .doc = "Show who you are to the daemon, how it knows, and in which projects you are."};

static void show(const json_t *who)
{
        size_t i;
        const json_t *one;
        printf("%s, by %s\n", cli_text(who, "name"), cli_text(who, "via"));
        if (json_is_false(json_object_get(who, "tenancy")))
                puts("  there are no users: whoever can open the daemon's socket may do everything");
        else if (json_is_true(json_object_get(who, "admin")))
                puts("  may do everything");
        if (*cli_text(who, "token"))
                printf("  token     %s, at most %s, until %s\n", cli_text(who, "token"), cli_text(who, "token_role"),
                       cli_text(who, "expires"));
        if (*cli_text(who, "project"))
                printf("  works in  %s (%s)\n", cli_text(who, "project"), cli_text(who, "role"));
        json_array_foreach(json_object_get(who, "projects"), i, one)
                printf("  project   %s (%s)\n", cli_text(one, "project"), cli_text(one, "role"));
}

int cli_whoami(int argc, char **argv)
{
        struct cli_words words;
        cli_autojson json_t *who = NULL;
        int code = cli_words_few("whoami", &cli_whoami_argp, 0, argc, argv, &words);
        if (code == 0)
                code = cli_call("GET", "/v1/whoami", NULL, NULL, &who);
        if (code)
                return code;
        if (words.json)
                cli_print_json(who, stdout);
        else
                show(who);
        return 0;
}
