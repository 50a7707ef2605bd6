/* SPDX-License-Identifier: Apache-2.0
 * suspend and resume. */
#include "cli/cli.h"

#include "base/size.h"
#include "cli/job.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct options {
        bool json;
        char **names; /* argp moves them behind the options */
        int count;
};

static const struct argp_option option_table[] = {CLI_OPTION_PROJECT, CLI_OPTION_JSON, {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct options *o = state->input;
        switch (key) {
        case CLI_KEY_JSON:
                o->json = true;
                return 0;
        case CLI_KEY_PROJECT:
                return cli_project_take(arg);
        case ARGP_KEY_ARGS:
                o->names = state->argv + state->next;
                o->count = state->argc - state->next;
                return 0;
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

const struct argp cli_suspend_argp = {.options = option_table,
                                      .parser = parse,
                                      .args_doc = "NAME|JOB…",
                                      .doc = "Suspend vGPUs or jobs: their programs keep their memory and wait with their next work until `fastgpu resume`. "
                                             "Their share is free for others meanwhile."};
const struct argp cli_resume_argp = {.options = option_table,
                                     .parser = parse,
                                     .args_doc = "NAME…",
                                     .doc = "Let suspended vGPUs go on. Refused (exit code 5) while others have their share."};

static int check_names(const struct options *o, const char *verb)
{
        struct fg_error err = {0};
        char name[64], project[64];
        int64_t index;
        for (int i = 0; i < o->count; i++) {
                if (cli_job_is_id(o->names[i]))
                        continue;
                if (fg_target_split(o->names[i], project, name, &index, &err) < 0)
                        return cli_fail(CLI_USAGE, "%s", err.text);
                if (index >= 0)
                        return cli_fail(CLI_USAGE, "%s is one vGPU of a set; type: fastgpu %s %.*s", o->names[i], verb,
                                        (int)strcspn(o->names[i], "/"), o->names[i]);
        }
        return o->count ? 0 : cli_fail(CLI_USAGE, "%s what? Type: fastgpu %s NAME (`fastgpu list` shows the names)", verb, verb);
}

static int do_one(struct fg_client *client, const char *verb, const char *name, json_t *done, json_t *failed)
{
        cli_autojson json_t *problem = NULL;
        cli_autojson json_t *reply = NULL;
        char path[192];
        char tail[16];
        int64_t ignored;
        snprintf(tail, sizeof tail, "/%s", verb);
        int code = cli_job_is_id(name) ? cli_job_path(name, tail, "", path, sizeof path) : cli_vgpu_path(name, path, sizeof path - 8, &ignored);
        if (code)
                return code;
        if (!cli_job_is_id(name))
                strcat(path, tail);
        code = cli_ask(client, "POST", path, NULL, &reply, &problem);
        if (code == 0) {
                json_array_append_new(done, json_string(name));
                return 0;
        }
        cli_say_problem(client, problem, name);
        json_array_append_new(failed, json_pack("{s:s, s:O}", "name", name, "problem", problem));
        return code;
}

static int change(const char *verb, const char *participle, const struct argp *argp, int argc, char **argv)
{
        struct options o = {0};
        cli_autoclient struct fg_client *client = NULL;
        cli_autojson json_t *done = json_array();
        cli_autojson json_t *failed = json_array();
        int code = cli_parse(verb, argp, argc, argv, &o);
        if (code == 0)
                code = check_names(&o, verb);
        if (code == 0)
                code = cli_connect(&client);
        if (code)
                return code;
        for (int i = 0; i < o.count; i++) {
                int one = do_one(client, verb, o.names[i], done, failed);
                code = code ? code : one;
        }
        if (o.json) {
                cli_autojson json_t *all = json_pack("{s:O, s:O}", participle, done, "failed", failed);
                cli_print_json(all, stdout);
        }
        return code;
}

int cli_suspend(int argc, char **argv)
{
        return change("suspend", "suspended", &cli_suspend_argp, argc, argv);
}

int cli_resume(int argc, char **argv)
{
        return change("resume", "resumed", &cli_resume_argp, argc, argv);
}
