/* SPDX-License-Identifier: Apache-2.0
 * Verbs that have verbs of their own: `fastgpu project add …`. One table of options serves all actions of a verb; each action
 * says which it takes. */
#include "cli/cli.h"

#include <errno.h>
#include <string.h>

error_t cli_action_parse(int key, char *arg, struct argp_state *state)
{
        struct cli_words *words = state->input;
        if (key == CLI_KEY_JSON) {
                words->json = true;
                return 0;
        }
        if (key == CLI_KEY_PROJECT)
                return cli_project_take(arg);
        if (key == ARGP_KEY_ARGS) {
                words->args = state->argv + state->next;
                words->count = state->argc - state->next;
                return 0;
        }
        for (int i = 0; i < CLI_VALUES && words->table[i].name; i++)
                if (words->table[i].key == key) {
                        words->value[i] = arg ? arg : "";
                        return 0;
                }
        return ARGP_ERR_UNKNOWN;
}

const char *cli_word(const struct cli_words *words, const char *option)
{
        for (int i = 0; i < CLI_VALUES && words->table[i].name; i++)
                if (strcmp(words->table[i].name, option) == 0)
                        return words->value[i];
        return NULL;
}

int cli_words(const char *verb, const struct argp *argp, int argc, char **argv, struct cli_words *ret)
{
        *ret = (struct cli_words){.table = argp->options};
        return cli_parse(verb, argp, argc, argv, ret);
}

int cli_words_few(const char *verb, const struct argp *argp, int most, int argc, char **argv, struct cli_words *ret)
{
        int code = cli_words(verb, argp, argc, argv, ret);
        if (code || ret->count <= most)
                return code;
        if (most == 0)
                return cli_fail(CLI_USAGE, "%s takes no argument, yet \"%s\" was given", verb, ret->args[0]);
        return cli_fail(CLI_USAGE, "%s takes one name, yet \"%s\" was given after \"%s\"", verb, ret->args[1], ret->args[0]);
}

static bool takes(const struct cli_action *action, const char *option)
{
        size_t len = strlen(option);
        for (const char *at = action->options; (at = strstr(at, option)); at += len)
                if ((at == action->options || at[-1] == ' ') && (at[len] == ' ' || !at[len]))
                        return true;
        return false;
}

static const char *action_name(const void *user, size_t i)
{
        return ((const struct cli_action *)user)[i].name;
}

static int no_action(const char *verb, const struct cli_action *actions, const char *typed)
{
        char list[128] = "";
        for (const struct cli_action *a = actions; a->name; a++) {
                size_t at = strlen(list);
                snprintf(list + at, sizeof list - at, "%s%s", a == actions ? "" : a[1].name ? ", " : " or ", a->name);
        }
        if (!typed)
                return cli_fail(CLI_USAGE, "%s what? Type: fastgpu %s %s", verb, verb, list);
        const char *meant = cli_suggest(typed, action_name, actions);
        if (meant)
                return cli_fail(CLI_USAGE, "no \"%s %s\"; did you mean `fastgpu %s %s`?", verb, typed, verb, meant);
        return cli_fail(CLI_USAGE, "no \"%s %s\"; there is %s", verb, typed, list);
}

static int check(const char *verb, const struct cli_action *action, const struct cli_words *words)
{
        for (int i = 0; i < CLI_VALUES && words->table[i].name; i++)
                if (words->value[i] && !takes(action, words->table[i].name))
                        return cli_fail(CLI_USAGE, "%s %s takes no --%s", verb, action->name, words->table[i].name);
        if (words->count < action->min || words->count > action->max)
                return cli_fail(CLI_USAGE, "type: fastgpu %s %s%s%s", verb, action->name, *action->args ? " " : "", action->args);
        return 0;
}

int cli_action_run(const char *verb, const struct argp *argp, const struct cli_action *actions, int argc, char **argv)
{
        struct cli_words words;
        int code = cli_words(verb, argp, argc, argv, &words);
        if (code)
                return code;
        if (words.count == 0)
                return no_action(verb, actions, NULL);
        const struct cli_action *action = actions;
        while (action->name && strcmp(action->name, words.args[0]) != 0)
                action++;
        if (!action->name)
                return no_action(verb, actions, words.args[0]);
        words.args++;
        words.count--;
        code = check(verb, action, &words);
        return code ? code : action->run(&words);
}
