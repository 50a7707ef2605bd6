/* SPDX-License-Identifier: Apache-2.0
 * suspend and resume. */
#include "cli/each.h"
#include "cli/job.h"

#include <stdio.h>
#include <string.h>

static const struct argp_option option_table[] = {CLI_OPTION_PROJECT, CLI_OPTION_JSON, {0}};

const struct argp cli_suspend_argp = {.options = option_table,
                                      .parser = cli_action_parse,
                                      .args_doc = "NAME|JOB…",
                                      .doc = "Suspend vGPUs or jobs: their programs keep their memory and wait with their next work until `fastgpu resume`. "
                                             "Their share is free for others meanwhile."};
const struct argp cli_resume_argp = {.options = option_table,
                                     .parser = cli_action_parse,
                                     .args_doc = "NAME|JOB…",
                                     .doc = "Let suspended vGPUs or jobs go on. Refused (exit code 5) while others have their share."};

static int make_path(const struct cli_words *words, const char *verb, const char *name, char *ret, size_t len)
{
        char tail[16];
        snprintf(tail, sizeof tail, "/%s", verb);
        if (cli_job_is_id(name))
                return cli_job_path(name, tail, "", ret, len);
        int code = cli_set_path(verb, name, ret, len - sizeof tail);
        return code ? code : (strcat(ret, tail), 0);
}

int cli_suspend(int argc, char **argv)
{
        static const struct cli_each each = {"suspend", "POST", "suspended", "name", "NAME (`fastgpu list` shows the names)", false, make_path};
        return cli_each(&each, &cli_suspend_argp, argc, argv);
}

int cli_resume(int argc, char **argv)
{
        static const struct cli_each each = {"resume", "POST", "resumed", "name", "NAME (`fastgpu list` shows the names)", false, make_path};
        return cli_each(&each, &cli_resume_argp, argc, argv);
}
