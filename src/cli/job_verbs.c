/* SPDX-License-Identifier: Apache-2.0
 * logs, cancel, why. */
#include "cli/each.h"
#include "cli/job.h"

#include <stdio.h>
#include <string.h>

/* --- logs --- */

static const struct argp_option log_options[] = {
        {"follow", 'f', NULL, 0, "Go on with what it writes until it ends", 1},
        {"json", CLI_KEY_JSON, NULL, 0, "Print the job as JSON on standard error behind its output", 10},
        {0}};
const struct argp cli_logs_argp = {.options = log_options,
                                   .parser = cli_action_parse,
                                   .args_doc = "JOB",
                                   .doc = "Show what a job has written, standard output and error alike. Ctrl-C leaves the job running."};

int cli_logs(int argc, char **argv)
{
        cli_autoclient struct fg_client *client = NULL;
        cli_autojson json_t *job = NULL;
        struct cli_words words;
        char path[128];
        int code = cli_words("logs", &cli_logs_argp, argc, argv, &words);
        if (code == 0 && words.count != 1)
                code = cli_fail(CLI_USAGE, "logs of what? Type: fastgpu logs [-f] JOB (`fastgpu jobs --all` shows them)");
        if (code == 0)
                code = cli_job_path(words.args[0], "", "", path, sizeof path);
        if (code == 0)
                code = cli_connect(&client);
        if (code == 0)
                code = cli_job_follow(&client, words.args[0], cli_word(&words, "follow"));
        if (code || !words.json)
                return code;
        code = cli_request(client, "GET", path, NULL, &job);
        if (code == 0)
                json_dumpf(job, stderr, JSON_COMPACT);
        return code;
}

/* --- cancel --- */

static const struct argp_option cancel_options[] = {CLI_OPTION_JSON, {0}};
const struct argp cli_cancel_argp = {.options = cancel_options,
                                     .parser = cli_action_parse,
                                     .args_doc = "JOB…",
                                     .doc = "End jobs: what waits is gone at once, what runs gets SIGTERM and after 10 s SIGKILL. JOB/INDEX is one "
                                            "element of an array."};

static int cancel_path(const struct cli_words *words, const char *verb, const char *id, char *ret, size_t len)
{
        return cli_job_path(id, "", "", ret, len);
}

int cli_cancel(int argc, char **argv)
{
        static const struct cli_each each = {"cancel", "DELETE", "cancelled", "job", "JOB (`fastgpu jobs` shows them)", true, cancel_path};
        return cli_each(&each, &cli_cancel_argp, argc, argv);
}

/* --- why --- */

enum { KEY_URL = 0x200 };

static const struct argp_option why_options[] = {
        {"url", KEY_URL, "URL", 0, "Where the manager of NAME's engine answers: http://HOST:PORT", 1}, CLI_OPTION_PROJECT, CLI_OPTION_JSON, {0}};
const struct argp cli_why_argp = {.options = why_options,
                                  .parser = cli_action_parse,
                                  .args_doc = "JOB|NAME|pod/NAMESPACE/NAME|spark/APP|flink/JOB|yarn/APP",
                                  .doc = "Say why a job waits: the one reason that decides, what would let it start, and when that will be, where it "
                                         "can be told. With the name of vGPUs: in what state they are, and why; slurm-17 is Slurm's job 17, also "
                                         "before it has any. With a pod of Kubernetes: which vGPUs it has on this node, or why it is pending, here or anywhere: "
                                         "what this node does not know is asked through kubectl. Applications of Spark, Flink and YARN: their managers are asked."};

/* The daemon first: squeue takes its own time to say that Slurm's controller is down. */
static int ask_why(const char *path, const char *name, json_t **ret)
{
        cli_autoclient struct fg_client *client = NULL;
        cli_autojson json_t *problem = NULL;
        int code = cli_connect(&client);
        if (code)
                return code;
        code = cli_ask(client, "GET", path, NULL, ret, &problem);
        if (code == CLI_NOT_FOUND && cli_why_slurm(name, ret))
                return 0;
        if (code)
                cli_say_problem(client, problem, cli_job_is_id(name) ? NULL : name);
        return code;
}

static int say_why(const json_t *why, bool as_json)
{
        if (as_json) {
                cli_print_json(why, stdout);
                return 0;
        }
        cli_say("%s is %s: %s.", cli_text(why, "name"), cli_text(why, "state"), cli_text(why, "text"));
        if (*cli_text(why, "prediction"))
                cli_say("How long: %s.", cli_text(why, "prediction"));
        if (*cli_text(why, "remedy"))
                cli_say("What helps: %s.", cli_text(why, "remedy"));
        if (*cli_text(why, "node"))
                cli_say("This node: %s.", cli_text(why, "node"));
        if (*cli_text(why, "start"))
                cli_say("It is expected to start at %s, if what runs uses up its time limits.", cli_text(why, "start"));
        return 0;
}

int cli_why(int argc, char **argv)
{
        cli_autojson json_t *why = NULL;
        char path[256];
        const char *project = NULL;
        int64_t index;
        struct cli_words words;
        int code = cli_words("why", &cli_why_argp, argc, argv, &words);
        if (code == 0 && words.count != 1)
                code = cli_fail(CLI_USAGE, "why what? Type: fastgpu why JOB, or the name of vGPUs");
        if (code == 0) {
                code = cli_why_engine(words.args[0], cli_word(&words, "url"), &why);
                if (code == 0)
                        return say_why(why, words.json);
                if (code < 0)
                        code = cli_word(&words, "url") ? cli_fail(CLI_USAGE, "--url is for spark/APP, flink/JOB and yarn/APP") : 0;
        }
        if (code == 0 && strncmp(words.args[0], "pod/", 4) == 0)
                return cli_nodes_why(words.args[0] + 4, words.json);
        if (code == 0)
                code = cli_project(&project);
        if (code)
                return code;
        if (cli_job_is_id(words.args[0])) {
                snprintf(path, sizeof path, "/v1/why/%.60s", words.args[0]);
        } else {
                char vgpu[192];
                code = cli_vgpu_path(words.args[0], vgpu, sizeof vgpu, &index);
                if (code == 0)
                        snprintf(path, sizeof path, "/v1/why/%s", vgpu + strlen("/v1/vgpus/"));
        }
        if (code == 0)
                code = ask_why(path, words.args[0], &why);
        return code ? code : say_why(why, words.json);
}
