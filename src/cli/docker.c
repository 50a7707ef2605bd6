/* SPDX-License-Identifier: Apache-2.0
 * `docker enable` tells Docker of fastgpu-runtime. It changes files and restarts nothing. */
#include "cli/docker.h"

#include "base/cleanup.h"
#include "base/paths.h"
#include "base/size.h"
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HOOK "nvidia-container-runtime-hook"

static const struct argp_option option_table[] = {
        {"gpus-compat", 'g', "NAME", OPTION_ARG_OPTIONAL, "Also `docker run --gpus`: it is about the vGPUs of NAME, or of the only set there is", 1},
        {"root", 'r', "FOLDER", 0, "Change the files below FOLDER instead of /", 1},
        CLI_OPTION_JSON,
        {0}};

struct files {
        char docker[PATH_MAX], policy[PATH_MAX], unit[PATH_MAX];
};

static int find_files(const struct cli_words *words, struct files *ret)
{
        const char *root = cli_word(words, "root") ? cli_word(words, "root") : "";
        if (*root && (*root != '/' || strlen(root) > PATH_MAX - 128))
                return cli_fail(CLI_USAGE, "--root: \"%.80s\" is not the whole path of a folder", root);
        snprintf(ret->docker, sizeof ret->docker, "%s/etc/docker/daemon.json", root);
        snprintf(ret->policy, sizeof ret->policy, "%s/etc/fastgpu/runtime.conf", root);
        snprintf(ret->unit, sizeof ret->unit, "%s/etc/systemd/system/docker.service.d/fastgpu.conf", root);
        return 0;
}

/* The set that was named, or the only one there is. */
static int find_gpus(const char *typed, char ret[160])
{
        cli_autojson json_t *all = NULL;
        char project[64], name[64];
        struct fg_error err = {0};
        int64_t index;
        if (*typed) {
                if (strlen(typed) >= 160 || fg_target_split(typed, project, name, &index, &err) < 0 || index >= 0)
                        return cli_fail(CLI_USAGE, "--gpus-compat: \"%.80s\" is not the name of a set", typed);
                strcpy(ret, typed);
                return 0;
        }
        int code = cli_call("GET", "/v1/vgpus", NULL, NULL, &all);
        if (code)
                return code;
        const json_t *sets = json_object_get(all, "sets");
        if (json_array_size(sets) != 1)
                return cli_fail(CLI_USAGE, "--gpus-compat: there are %zu sets of vGPUs; say which: --gpus-compat=NAME", json_array_size(sets));
        const json_t *set = json_array_get(sets, 0);
        snprintf(ret, 160, "%s%s%s", cli_text(set, "project"), *cli_text(set, "project") ? ":" : "", cli_text(set, "name"));
        return 0;
}

static int edit_docker(const struct files *files, const char *runtime, bool is_default, struct fg_error *err)
{
        fg_autofree char *text = NULL;
        cli_autojson json_t *config = NULL;
        json_error_t where;
        int r = cli_file_read(files->docker, &text, err);
        if (r < 0)
                return r;
        config = text[strspn(text, " \t\r\n")] ? json_loads(text, JSON_REJECT_DUPLICATES, &where) : json_object();
        if (!json_is_object(config))
                return fg_error_set(err, -EINVAL, "%s is not what Docker reads (%s, line %d): mend it first", files->docker, config ? "no object" : where.text,
                                    config ? 1 : where.line);
        cli_autojson json_t *before = json_deep_copy(config);
        r = cli_docker_edit(config, runtime, is_default, err);
        if (r < 0)
                return fg_error_wrap(err, r, "%s", files->docker);
        if (json_equal(config, before))
                return 0;
        fg_autofree char *after = json_dumps(config, JSON_INDENT(4));
        fg_autofree char *line = NULL;
        if (!after || asprintf(&line, "%s\n", after) < 0)
                return fg_error_set(err, -ENOMEM, "out of memory");
        return cli_file_write(files->docker, line, err);
}

static int edit_policy(const struct files *files, const char *gpus, struct fg_error *err)
{
        fg_autofree char *before = NULL;
        int r = cli_file_read(files->policy, &before, err);
        if (r < 0)
                return r;
        fg_autofree char *after = cli_lines_set(before, "gpus", gpus);
        return after ? cli_file_write(files->policy, after, err) : fg_error_set(err, -ENOMEM, "out of memory");
}

/* dockerd refuses --gpus unless it finds a program of this name. NVIDIA's does as well as ours, which does nothing. */
static int edit_unit(const struct files *files, bool is_wanted, struct fg_error *err)
{
        static const char *const usual[] = {"/usr/bin/" HOOK, "/usr/local/bin/" HOOK, "/usr/sbin/" HOOK};
        char prefix[PATH_MAX], text[PATH_MAX + 256];
        for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
                is_wanted = is_wanted && access(usual[i], X_OK) < 0;
        int r = fg_paths_prefix(prefix, sizeof prefix, err);
        if (r < 0)
                return r;
        snprintf(text, sizeof text, "# By fastgpu docker enable --gpus-compat\n[Service]\n"
                 "Environment=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:%s/lib/fastgpu/docker\n", prefix);
        return cli_file_write(files->unit, is_wanted ? text : NULL, err);
}

static int say(const struct cli_words *words, const struct files *files, const int changed[3], bool is_on)
{
        const char *const path[] = {files->docker, files->policy, files->unit};
        cli_autojson json_t *list = json_array();
        for (int i = 0; i < 3; i++)
                if (changed[i])
                        json_array_append_new(list, json_string(path[i]));
        if (words->json) {
                cli_autojson json_t *all = json_pack("{s:b, s:O}", "enabled", is_on, "changed", list);
                cli_print_json(all, stdout);
                return 0;
        }
        for (int i = 0; i < 3; i++)
                if (changed[i])
                        printf("changed %s\n", path[i]);
        if (!json_array_size(list))
                puts("nothing was changed");
        else if (changed[0] || changed[2])
                printf("tell Docker: systemctl daemon-reload && systemctl restart docker\n");
        return 0;
}

static int change(const struct cli_words *words, const char *runtime, const char *gpus)
{
        struct files files;
        struct fg_error err = {0};
        int changed[3] = {0};
        int code = find_files(words, &files);
        if (code)
                return code;
        changed[0] = edit_docker(&files, runtime, gpus != NULL, &err);
        if (changed[0] >= 0)
                changed[1] = edit_policy(&files, gpus, &err);
        if (changed[0] >= 0 && changed[1] >= 0)
                changed[2] = edit_unit(&files, gpus != NULL, &err);
        if (changed[0] < 0 || changed[1] < 0 || changed[2] < 0)
                return cli_fail(err.code == -EACCES || err.code == -EPERM || err.code == -EROFS ? CLI_NO_DAEMON : CLI_FAILED, "%s", err.text);
        return say(words, &files, changed, runtime != NULL);
}

static int enable(const struct cli_words *words)
{
        char prefix[PATH_MAX], runtime[PATH_MAX + 32], gpus[160];
        const char *typed = cli_word(words, "gpus-compat");
        struct fg_error err = {0};
        if (fg_paths_prefix(prefix, sizeof prefix, &err) < 0)
                return cli_fail(CLI_FAILED, "%s", err.text);
        snprintf(runtime, sizeof runtime, "%s/bin/fastgpu-runtime", prefix);
        if (access(runtime, X_OK) < 0)
                return cli_fail(CLI_FAILED, "%s: %s; install FastGPU again (its package fastgpu-container)", runtime, strerror(errno));
        int code = typed ? find_gpus(typed, gpus) : 0;
        return code ? code : change(words, runtime, typed ? gpus : NULL);
}

static int disable(const struct cli_words *words)
{
        return change(words, NULL, NULL);
}

const struct cli_action cli_docker_actions[] = {
        {"enable", 0, 0, "[--gpus-compat[=NAME]]", "gpus-compat root", enable},
        {"disable", 0, 0, "", "root", disable},
        {0},
};

const struct argp cli_docker_argp = {
        .options = option_table,
        .parser = cli_action_parse,
        .args_doc = "enable\ndisable",
        .doc = "Tell Docker of FastGPU's runtime (`docker run --runtime fastgpu -e FASTGPU_VISIBLE_DEVICES=NAME`), or take it out again. "
               "With --gpus-compat it becomes the default runtime, and `docker run --gpus` gives out vGPUs. Files are changed and named, nothing is "
               "restarted. Docker 25 and newer need none of it for `--device fastgpu.dev/vgpu=NAME`."};

int cli_docker(int argc, char **argv)
{
        return cli_action_run("docker", &cli_docker_argp, cli_docker_actions, argc, argv);
}
