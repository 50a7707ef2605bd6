/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/each.h"

#include <string.h>

static const struct argp_option option_table[] = {
        {"force", 'f', NULL, 0, "End the programs that run in it: SIGTERM, after 2 s SIGKILL", 0},
        CLI_OPTION_PROJECT,
        CLI_OPTION_JSON,
        {0}};

const struct argp cli_delete_argp = {.options = option_table,
                                     .parser = cli_action_parse,
                                     .args_doc = "NAME…",
                                     .doc = "Delete vGPUs with all that is known of them. One that programs use is "
                                            "refused unless --force is given."};

/* As a whole: what is left of a set would carry the wrong indices. */
static int make_path(const struct cli_words *words, const char *verb, const char *name, char *ret, size_t len)
{
        int code = cli_set_path(verb, name, ret, len - 8);
        if (code == 0 && cli_word(words, "force"))
                strcat(ret, "?force=1");
        return code;
}

int cli_delete(int argc, char **argv)
{
        static const struct cli_each each = {"delete", "DELETE", "deleted", "name", "NAME (`fastgpu list` shows the names)", false, make_path};
        return cli_each(&each, &cli_delete_argp, argc, argv);
}
