/* SPDX-License-Identifier: Apache-2.0
 * logs, cancel, why. */
#include "cli/cli.h"

#include "cli/job.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct options {
        bool json, follow;
        char **names; /* argp moves them behind the options */
        int count;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct options *o = state->input;
        switch (key) {
        case CLI_KEY_JSON:
                o->json = true;
                return 0;
        case CLI_KEY_PROJECT:
                return cli_project_take(arg);
        case 'f':
                o->follow = true;
                return 0;
        case ARGP_KEY_ARGS:
                o->names = state->argv + state->next;
                o->count = state->argc - state->next;
                return 0;
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

/* --- logs --- */

static const struct argp_option log_options[] = {
        {"follow", 'f', NULL, 0, "Go on with what it writes until it ends", 1},
        {"json", CLI_KEY_JSON, NULL, 0, "Print the job as JSON on standard error behind its output", 10},
        {0}};
const struct argp cli_logs_argp = {.options = log_options,
                                   .parser = parse,
                                   .args_doc = "JOB",
                                   .doc = "Show what a job has written, standard output and error alike. Ctrl-C leaves the job running."};

int cli_logs(int argc, char **argv)
{
        struct options o = {0};
        cli_autoclient struct fg_client *client = NULL;
        cli_autojson json_t *job = NULL;
        char path[128];
        int code = cli_parse("logs", &cli_logs_argp, argc, argv, &o);
        if (code == 0 && o.count != 1)
                code = cli_fail(CLI_USAGE, "logs of what? Type: fastgpu logs [-f] JOB (`fastgpu jobs --all` shows them)");
        if (code == 0)
                code = cli_job_path(o.names[0], "", "", path, sizeof path);
        if (code == 0)
                code = cli_connect(&client);
        if (code == 0)
                code = cli_job_follow(&client, o.names[0], o.follow);
        if (code || !o.json)
                return code;
        code = cli_request(client, "GET", path, NULL, &job);
        if (code == 0)
                json_dumpf(job, stderr, JSON_COMPACT);
        return code;
}

/* --- cancel --- */

static const struct argp_option cancel_options[] = {CLI_OPTION_JSON, {0}};
const struct argp cli_cancel_argp = {.options = cancel_options,
                                     .parser = parse,
                                     .args_doc = "JOB…",
                                     .doc = "End jobs: what waits is gone at once, what runs gets SIGTERM and after 10 s SIGKILL. JOB/INDEX is one "
                                            "element of an array."};

static int cancel_one(struct fg_client *client, const char *id, json_t *done, json_t *failed)
{
        cli_autojson json_t *problem = NULL;
        cli_autojson json_t *reply = NULL;
        char path[128];
        int code = cli_job_path(id, "", "", path, sizeof path);
        if (code)
                return code;
        code = cli_ask(client, "DELETE", path, NULL, &reply, &problem);
        if (code == 0) {
                json_array_append(done, reply);
                return 0;
        }
        cli_say_problem(client, problem, NULL);
        json_array_append_new(failed, json_pack("{s:s, s:O}", "job", id, "problem", problem));
        return code;
}

int cli_cancel(int argc, char **argv)
{
        struct options o = {0};
        cli_autoclient struct fg_client *client = NULL;
        cli_autojson json_t *done = json_array();
        cli_autojson json_t *failed = json_array();
        int code = cli_parse("cancel", &cli_cancel_argp, argc, argv, &o);
        if (code == 0 && o.count == 0)
                code = cli_fail(CLI_USAGE, "cancel what? Type: fastgpu cancel JOB (`fastgpu jobs` shows them)");
        if (code == 0)
                code = cli_connect(&client);
        if (code)
                return code;
        for (int i = 0; i < o.count; i++) {
                int one = cancel_one(client, o.names[i], done, failed);
                code = code ? code : one;
        }
        if (o.json) {
                cli_autojson json_t *all = json_pack("{s:O, s:O}", "cancelled", done, "failed", failed);
                cli_print_json(all, stdout);
        }
        return code;
}

/* --- why --- */

static const struct argp_option why_options[] = {CLI_OPTION_PROJECT, CLI_OPTION_JSON, {0}};
const struct argp cli_why_argp = {.options = why_options,
                                  .parser = parse,
                                  .args_doc = "JOB|NAME",
                                  .doc = "Say why a job waits: the one reason that decides, what would let it start, and when that will be, where it "
                                         "can be told. With the name of vGPUs: in what state they are, and why."};

int cli_why(int argc, char **argv)
{
        struct options o = {0};
        cli_autojson json_t *why = NULL;
        char path[256];
        const char *project = NULL;
        int64_t index;
        int code = cli_parse("why", &cli_why_argp, argc, argv, &o);
        if (code == 0 && o.count != 1)
                code = cli_fail(CLI_USAGE, "why what? Type: fastgpu why JOB, or the name of vGPUs");
        if (code == 0)
                code = cli_project(&project);
        if (code)
                return code;
        if (cli_job_is_id(o.names[0])) {
                snprintf(path, sizeof path, "/v1/why/%.60s", o.names[0]);
        } else {
                char vgpu[192];
                code = cli_vgpu_path(o.names[0], vgpu, sizeof vgpu, &index);
                if (code == 0)
                        snprintf(path, sizeof path, "/v1/why/%s", vgpu + strlen("/v1/vgpus/"));
        }
        if (code == 0)
                code = cli_call("GET", path, NULL, cli_job_is_id(o.names[0]) ? NULL : o.names[0], &why);
        if (code)
                return code;
        if (o.json) {
                cli_print_json(why, stdout);
                return 0;
        }
        printf("%s is %s: %s.\n", cli_text(why, "name"), cli_text(why, "state"), cli_text(why, "text"));
        if (*cli_text(why, "prediction"))
                printf("How long: %s.\n", cli_text(why, "prediction"));
        if (*cli_text(why, "remedy"))
                printf("What helps: %s.\n", cli_text(why, "remedy"));
        if (*cli_text(why, "start"))
                printf("It is expected to start at %s, if what runs uses up its time limits.\n", cli_text(why, "start"));
        return 0;
}
