/* SPDX-License-Identifier: Apache-2.0
 * argp does the parsing and the help. What it would say about bad options is longer than a line and guesses nothing, so
 * options are looked at first. */
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct argp_option builtin[] = {{"help", '?', NULL, 0, NULL, 0}, {"usage", 0x200, NULL, 0, NULL, 0}};

static const struct argp_option *option_at(const struct argp *argp, size_t i)
{
        const struct argp_option *o = argp->options;
        for (; o && (o->name || o->key || o->doc); o++)
                if (i-- == 0)
                        return o;
        return i < 2 ? &builtin[i] : NULL;
}

static const char *option_name(const void *user, size_t i)
{
        const struct argp_option *o = option_at(user, i);
        return !o ? NULL : o->name ? o->name : "";
}

/* An option by its whole name or a beginning that no other shares, as getopt_long() has it. */
static const struct argp_option *find_long(const struct argp *argp, const char *name, size_t len, bool *ret_ambiguous)
{
        const struct argp_option *o, *found = NULL;
        *ret_ambiguous = false;
        for (size_t i = 0; (o = option_at(argp, i)); i++) {
                if (!o->name || strncmp(o->name, name, len) != 0)
                        continue;
                if (o->name[len] == '\0') {
                        *ret_ambiguous = false;
                        return o;
                }
                *ret_ambiguous |= found != NULL;
                found = o;
        }
        return found;
}

static const struct argp_option *find_short(const struct argp *argp, char letter)
{
        const struct argp_option *o;
        for (size_t i = 0; (o = option_at(argp, i)); i++)
                if (o->key == letter)
                        return o;
        return NULL;
}

/* argp prints no help once it is told to print no errors. */
__attribute__((noreturn)) static void help(const char *verb, const struct argp *argp, const struct argp_option *asked)
{
        char title[64];
        snprintf(title, sizeof title, "fastgpu %s", verb);
        unsigned what = asked == &builtin[0] ? ARGP_HELP_STD_HELP : ARGP_HELP_STD_USAGE;
        argp_help(argp, stdout, what & ~(unsigned)(ARGP_HELP_EXIT_OK | ARGP_HELP_EXIT_ERR), title);
        exit(cli_flush(CLI_OK));
}

static bool is_builtin(const struct argp_option *o)
{
        return o >= builtin && o < builtin + 2;
}

static int check_long(const char *verb, const struct argp *argp, const char *arg, const char *next, int *ret_taken)
{
        const char *name = arg + 2, *equals = strchr(name, '=');
        size_t len = equals ? (size_t)(equals - name) : strlen(name);
        bool ambiguous;
        const struct argp_option *o = find_long(argp, name, len, &ambiguous);
        if (ambiguous)
                return cli_fail(CLI_USAGE,
                                "option --%.*s of %s could be more than one; type `fastgpu %s --help` for them",
                                (int)len, name, verb, verb);
        if (!o) {
                char typed[65];
                snprintf(typed, sizeof typed, "%.*s", (int)(len > 64 ? 64 : len), name);
                const char *meant = cli_suggest(typed, option_name, argp);
                if (meant)
                        return cli_fail(CLI_USAGE, "%s has no option --%s; did you mean --%s?", verb, typed, meant);
                return cli_fail(CLI_USAGE, "%s has no option --%s; type `fastgpu %s --help` for those it has", verb,
                                typed, verb);
        }
        if (equals && !o->arg)
                return cli_fail(CLI_USAGE, "option --%s takes no value, yet \"%s\" was given", o->name, equals + 1);
        if (is_builtin(o))
                help(verb, argp, o);
        if (!equals && o->arg && !next)
                return cli_fail(CLI_USAGE, "option --%s needs a value: --%s %s", o->name, o->name, o->arg);
        *ret_taken = !equals && o->arg;
        return 0;
}

static int check_short(const char *verb, const struct argp *argp, const char *arg, const char *next, int *ret_taken)
{
        for (const char *p = arg + 1; *p; p++) {
                const struct argp_option *o = find_short(argp, *p == 'h' ? '?' : *p);
                if (is_builtin(o))
                        help(verb, argp, o);
                if (!o)
                        return cli_fail(CLI_USAGE, "%s has no option -%c; type `fastgpu %s --help` for those it has",
                                        verb, *p, verb);
                if (!o->arg)
                        continue;
                if (!p[1] && !next)
                        return cli_fail(CLI_USAGE, "option -%c needs a value: -%c %s", *p, *p, o->arg);
                *ret_taken = !p[1];
                return 0;
        }
        return 0;
}

int cli_parse(const char *verb, const struct argp *argp, int argc, char **argv, void *input)
{
        char title[64];
        for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
                int taken = 0, r = 0;
                if (strncmp(argv[i], "--", 2) == 0)
                        r = check_long(verb, argp, argv[i], argv[i + 1], &taken);
                else if (argv[i][0] == '-' && argv[i][1])
                        r = check_short(verb, argp, argv[i], argv[i + 1], &taken);
                if (r)
                        return r;
                i += taken;
        }
        snprintf(title, sizeof title, "fastgpu %s", verb);
        argv[0] = title;
        int r = argp_parse(argp, argc, argv, ARGP_NO_ERRS, NULL, input);
        argv[0] = (char *)verb;
        if (r == ENOMEM)
                return cli_fail(CLI_FAILED, "out of memory");
        return r ? CLI_USAGE : 0;
}
