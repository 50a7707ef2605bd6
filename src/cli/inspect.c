/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "cli/show.h"

#include <string.h>

static const struct argp_option option_table[] = {CLI_OPTION_PROJECT, CLI_OPTION_JSON, {0}};

const struct argp cli_inspect_argp = {.options = option_table,
                                      .parser = cli_action_parse,
                                      .args_doc = "NAME[/I]",
                                      .doc = "Show everything about the vGPUs of NAME, or about one of them: limits, "
                                             "tier of enforcement, use so far."};

static const json_t *vgpu_at(const json_t *set, int64_t index)
{
        size_t i;
        const json_t *vgpu;
        json_array_foreach(json_object_get(set, "vgpus"), i,
                           vgpu) if ((int64_t)cli_number(vgpu, "index") == index) return vgpu;
        return NULL;
}

static void print_set(const json_t *set)
{
        size_t i;
        const json_t *vgpu;
        json_array_foreach(json_object_get(set, "vgpus"), i, vgpu)
        {
                if (i)
                        putchar('\n');
                cli_show_full(vgpu);
        }
        cli_show_payer(set);
        cli_show_lease(set);
}

static int print(const struct cli_words *words, const json_t *set, int64_t index)
{
        if (index < 0) {
                if (words->json)
                        cli_print_json(set, stdout);
                else
                        print_set(set);
                return 0;
        }
        const json_t *vgpu = vgpu_at(set, index);
        if (!vgpu)
                return cli_fail(CLI_NOT_FOUND, "%s: there are only vGPUs 0 to %zu in %s", words->args[0],
                                json_array_size(json_object_get(set, "vgpus")) - 1, cli_text(set, "name"));
        if (words->json)
                cli_print_json(vgpu, stdout);
        else
                cli_show_full(vgpu);
        return 0;
}

int cli_inspect(int argc, char **argv)
{
        struct cli_words words;
        cli_autojson json_t *set = NULL;
        char path[192];
        int64_t index;
        int code = cli_words_few("inspect", &cli_inspect_argp, 1, argc, argv, &words);
        if (code)
                return code;
        if (!words.count)
                return cli_fail(CLI_USAGE, "inspect what? Type: fastgpu inspect NAME (`fastgpu list` shows the names)");
        code = cli_vgpu_path(words.args[0], path, sizeof path, &index);
        if (code)
                return code;
        if (index >= 0)
                *strrchr(path, '/') = '\0';
        code = cli_call("GET", path, NULL, words.args[0], &set);
        return code ? code : print(&words, set, index);
}
