/* SPDX-License-Identifier: Apache-2.0
 * `container` says what to type to start a container in a vGPU, as arguments of the engine. */
#include "cli/cli.h"

#include "base/cleanup.h"
#include "base/size.h"

#include <stdio.h>
#include <string.h>

static const struct argp_option option_table[] = {
        {"for", 'f', "podman|docker|ctr|bwrap", 0, "Whose arguments (podman)", 1},
        CLI_OPTION_PROJECT,
        CLI_OPTION_JSON,
        {0}};

const struct argp cli_container_argp = {
        .options = option_table,
        .parser = cli_action_parse,
        .args_doc = "NAME[/I]",
        .doc = "Print what a container engine is to be told for a container with these vGPUs: podman run $(fastgpu container NAME) IMAGE. Engines "
               "know the newest vGPUs by themselves; this makes it one of them. For docker and ctr it is what `fastgpu docker enable` and "
               "fastgpu-runtime(8) need, for bwrap everything."};

static int podman(const json_t *box, const char *target)
{
        if (!*cli_text(box, "device"))
                return cli_fail(CLI_NO_LAYER, "container engines are told of no vGPUs by this daemon (option cdi-dir), or not by this name; try --for docker");
        printf("--device=fastgpu.dev/vgpu=%s\n", cli_text(box, "device"));
        return 0;
}

static int docker(const json_t *box, const char *target)
{
        printf("--runtime=fastgpu --env=FASTGPU_VISIBLE_DEVICES=%s\n", target);
        return 0;
}

static int ctr(const json_t *box, const char *target)
{
        printf("--runc-binary=fastgpu-runtime --env=FASTGPU_VISIBLE_DEVICES=%s\n", target);
        return 0;
}

static bool has_blank(const char *text)
{
        return strpbrk(text, " \t\n*?[") != NULL;
}

/* The shell splits it at blanks: what has one cannot be said this way. */
static int bwrap(const json_t *box, const char *target)
{
        const json_t *edits = json_object_get(box, "edits"), *item;
        size_t i;
        json_array_foreach(json_object_get(edits, "mounts"), i, item)
                if (has_blank(cli_text(item, "hostPath")))
                        return cli_fail(CLI_FAILED, "%s has a blank in it; take the arguments from --json", cli_text(item, "hostPath"));
        json_array_foreach(json_object_get(edits, "mounts"), i, item)
                printf("--ro-bind %s %s ", cli_text(item, "hostPath"), cli_text(item, "containerPath"));
        json_array_foreach(json_object_get(edits, "deviceNodes"), i, item)
                printf("--dev-bind %s %s ", cli_text(item, "path"), cli_text(item, "path"));
        json_array_foreach(json_object_get(edits, "env"), i, item) {
                const char *entry = json_string_value(item), *value = entry ? strchr(entry, '=') : NULL;
                if (value && !has_blank(entry))
                        printf("--setenv %.*s %s ", (int)(value - entry), entry, value + 1);
        }
        putchar('\n');
        return 0;
}

static const struct {
        const char *name;
        int (*print)(const json_t *box, const char *target);
} engine_table[] = {{"podman", podman}, {"docker", docker}, {"ctr", ctr}, {"bwrap", bwrap}};

int cli_container(int argc, char **argv)
{
        struct cli_words words;
        struct fg_error err = {0};
        fg_autofree char *target = NULL;
        cli_autojson json_t *box = NULL;
        char project[64], name[64];
        int64_t index;
        size_t at = 0, engines = sizeof engine_table / sizeof *engine_table;
        int code = cli_words("container", &cli_container_argp, argc, argv, &words);
        if (code == 0 && words.count > 1)
                code = cli_fail(CLI_USAGE, "container takes one name, yet \"%s\" was given after \"%s\"; make a set of vGPUs: fastgpu create --gpus N",
                                words.args[1], words.args[0]);
        if (code)
                return code;
        const char *engine = cli_word(&words, "for") ? cli_word(&words, "for") : "podman";
        if (!words.count)
                return cli_fail(CLI_USAGE, "a container in which vGPU? Type: fastgpu container NAME (`fastgpu list` shows the names)");
        if (fg_target_split(words.args[0], project, name, &index, &err) < 0)
                return cli_fail(CLI_USAGE, "%s", err.text);
        while (at < engines && strcmp(engine_table[at].name, engine) != 0)
                at++;
        if (at == engines)
                return cli_fail(CLI_USAGE, "--for \"%.40s\": there are podman, docker, ctr and bwrap", engine);
        code = cli_need_local("container");
        if (code == 0)
                code = cli_project_qualify(words.args[0], &target);
        if (code == 0)
                code = cli_call("POST", "/v1/containers", json_pack("{s:s}", "target", target), words.args[0], &box);
        if (code)
                return code;
        if (!words.json)
                return engine_table[at].print(box, target);
        cli_print_json(box, stdout);
        return 0;
}
