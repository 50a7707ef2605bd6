/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "cli/table.h"

#include <errno.h>
#include <string.h>

struct options {
        bool json;
        const char *verb;
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
                if (o->verb) {
                        cli_fail(0, "help takes one verb, yet \"%s\" was given after \"%s\"", arg, o->verb);
                        return EINVAL;
                }
                o->verb = arg;
                return 0;
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

const struct argp cli_help_argp = {
        .options = option_table, .parser = parse, .args_doc = "[VERB]", .doc = "Explain a verb, or list all verbs."};

static const char *verb_name(const void *user, size_t i)
{
        return cli_verb_table[i].name;
}

int cli_help_unknown(const char *verb)
{
        const char *meant = cli_suggest(verb, verb_name, NULL);
        if (meant)
                return cli_fail(CLI_USAGE, "no verb \"%s\"; did you mean `fastgpu %s`?", verb, meant);
        return cli_fail(CLI_USAGE, "no verb \"%s\"; type `fastgpu help` for what there is", verb);
}

static void print_all(void)
{
        size_t width = 0;
        for (const struct cli_verb *v = cli_verb_table; v->name; v++) {
                size_t w = strlen(v->name) + 1 + cli_text_width(v->args);
                width = w > width ? w : width;
        }
        puts("Usage: fastgpu VERB …\n\n"
             "Turns physical GPUs into vGPUs, each with a memory quota and a compute share, and runs programs in "
             "them.\n");
        for (const struct cli_verb *v = cli_verb_table; v->name; v++) {
                int gap = (int)(width - strlen(v->name) - 1 - cli_text_width(v->args));
                printf("  %s %s%*s  %s\n", v->name, v->args, gap, "", v->summary);
        }
        puts("\n`fastgpu help VERB` and `man fastgpu-VERB` explain a verb, `man fastgpu` everything, with the exit "
             "codes.");
}

static void print_json(void)
{
        cli_autojson json_t *verbs = json_array();
        cli_autojson json_t *all = json_pack("{s:O}", "verbs", verbs);
        for (const struct cli_verb *v = cli_verb_table; v->name; v++)
                json_array_append_new(
                        verbs, json_pack("{s:s, s:s, s:s}", "name", v->name, "args", v->args, "summary", v->summary));
        cli_print_json(all, stdout);
}

int cli_help(int argc, char **argv)
{
        struct options o = {0};
        char title[64];
        int code = cli_parse("help", &cli_help_argp, argc, argv, &o);
        if (code)
                return code;
        if (o.json) {
                print_json();
                return 0;
        }
        if (!o.verb) {
                print_all();
                return 0;
        }
        const struct cli_verb *v = cli_verb_find(o.verb);
        if (!v)
                return cli_help_unknown(o.verb);
        snprintf(title, sizeof title, "fastgpu %s", v->name);
        argp_help(v->argp, stdout, ARGP_HELP_STD_HELP & ~(unsigned)ARGP_HELP_EXIT_OK, title);
        return 0;
}
