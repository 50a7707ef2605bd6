/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <fcntl.h>
#include <locale.h>
#include <string.h>

const struct cli_verb cli_verb_table[] = {
        {"devices", cli_devices, &cli_devices_argp, CLI_OPERAND_NONE, "",
         "List the physical devices: memory, share, what is free"},
        {"create", cli_create, &cli_create_argp, CLI_OPERAND_NONE, "[--gpus N] [--name NAME] …",
         "Create vGPUs on a device"},
        {"list", cli_list, &cli_list_argp, CLI_OPERAND_NONE, "", "List the vGPUs and what they use"},
        {"inspect", cli_inspect, &cli_inspect_argp, CLI_OPERAND_TARGET, "NAME[/I]", "Show everything about vGPUs"},
        {"resize", cli_resize, &cli_resize_argp, CLI_OPERAND_TARGET, "NAME[/I] --memory … --compute …",
         "Change limits, also of running programs"},
        {"suspend", cli_suspend, &cli_suspend_argp, CLI_OPERAND_JOB_OR_NAME, "NAME|JOB…", "Stop the work of vGPUs or jobs, keep their memory"},
        {"resume", cli_resume, &cli_resume_argp, CLI_OPERAND_JOB_OR_NAME, "NAME|JOB…", "Let what is suspended go on"},
        {"delete", cli_delete, &cli_delete_argp, CLI_OPERAND_NAME, "NAME…", "Delete vGPUs"},
        {"run", cli_run, &cli_run_argp, CLI_OPERAND_TARGET, "[NAME[/I]] -- PROGRAM ARGS…", "Run a program in vGPUs"},
        {"container", cli_container, &cli_container_argp, CLI_OPERAND_TARGET, "NAME[/I] [--for ENGINE]",
         "Say how to start a container in vGPUs"},
        {"discover", cli_discover, &cli_discover_argp, CLI_OPERAND_TARGET, "[NAME] [--format spark|flink]", "Say what there is to Spark or Flink"},
        {"submit", cli_submit, &cli_submit_argp, CLI_OPERAND_NONE, "[--memory … --compute …] -- COMMAND ARGS…",
         "Submit a job that runs when there is room"},
        {"jobs", cli_jobs, &cli_jobs_argp, CLI_OPERAND_JOB, "[JOB]", "List the jobs"},
        {"logs", cli_logs, &cli_logs_argp, CLI_OPERAND_JOB, "[-f] JOB", "Show what a job has written"},
        {"cancel", cli_cancel, &cli_cancel_argp, CLI_OPERAND_JOB, "JOB…", "End jobs"},
        {"why", cli_why, &cli_why_argp, CLI_OPERAND_JOB_OR_NAME, "JOB|NAME|pod/NAMESPACE/NAME", "Say why a job waits, and what would help"},
        {"top", cli_top, &cli_top_argp, CLI_OPERAND_NONE, "", "Watch live who uses what"},
        {"dashboard", cli_dashboard, &cli_dashboard_argp, CLI_OPERAND_NONE, "", "Show all of it in a browser"},
        {"login", cli_login, &cli_login_argp, CLI_OPERAND_NONE, "[URL]", "Use a daemon elsewhere, or say which one is used"},
        {"logout", cli_logout, &cli_logout_argp, CLI_OPERAND_NONE, "", "Forget it: use this machine's daemon again"},
        {"whoami", cli_whoami, &cli_whoami_argp, CLI_OPERAND_NONE, "", "Show who you are to the daemon, and what you may"},
        {"user", cli_user, &cli_user_argp, CLI_OPERAND_ACTION, "create|list|show|change|delete …", "Manage users",
         cli_user_actions},
        {"project", cli_project_verb, &cli_project_argp, CLI_OPERAND_ACTION, "create|list|show|set|add|remove|quota|pay|delete …",
         "Manage projects, who is in them, and quotas", cli_project_actions},
        {"token", cli_token, &cli_token_argp, CLI_OPERAND_ACTION, "create|list|revoke …", "Manage tokens",
         cli_token_actions},
        {"price", cli_price, &cli_price_argp, CLI_OPERAND_NONE, "[set FILE] [--memory … --compute …]", "Show or set what a GPU-hour costs"},
        {"usage", cli_usage, &cli_usage_argp, CLI_OPERAND_NONE, "[--group-by …]", "Show what was used and what it costs"},
        {"invoice", cli_invoice, &cli_invoice_argp, CLI_OPERAND_NONE, "MONTH [--verify]", "Show and check invoices"},
        {"export", cli_export, &cli_export_argp, CLI_OPERAND_NONE, "--focus|--csv|--json", "Write a month's charges for other programs"},
        {"budget", cli_budget, &cli_budget_argp, CLI_OPERAND_NONE, "[set PROJECT AMOUNT]", "Show or set what projects may spend"},
        {"report", cli_report, &cli_report_argp, CLI_OPERAND_NONE, "[--output FILE.html]", "Report a project's month, and what would be cheaper"},
        {"events", cli_events, &cli_events_argp, CLI_OPERAND_NONE, "[--follow]", "Show what happened"},
        {"audit", cli_audit, &cli_audit_argp, CLI_OPERAND_NONE, "", "Show who did what"},
        {"perf", cli_perf, &cli_perf_argp, CLI_OPERAND_TARGET, "[NAME[/I]]", "Show how well the GPUs are used: P = alpha U S V"},
        {"bench", cli_bench, &cli_bench_argp, CLI_OPERAND_NONE, "[--device ID]", "Measure V of a device and keep it"},
        {"simulate", cli_simulate, &cli_simulate_argp, CLI_OPERAND_NONE, "--nodes FILE --trace FILE …",
         "Replay pods or jobs against policies, and compare them"},
        {"nodes", cli_nodes, &cli_nodes_argp, CLI_OPERAND_NONE, "", "Show what Kubernetes and this node know of each other"},
        {"docker", cli_docker, &cli_docker_argp, CLI_OPERAND_ACTION, "enable|disable …", "Tell Docker of vGPUs", cli_docker_actions},
        {"doctor", cli_doctor, &cli_doctor_argp, CLI_OPERAND_NONE, "",
         "Say what is installed, what is missing and how to mend it"},
        {"version", cli_version, &cli_version_argp, CLI_OPERAND_NONE, "",
         "Show the versions of the command and of the daemon"},
        {"help", cli_help, &cli_help_argp, CLI_OPERAND_VERB, "[VERB]", "Explain a verb"},
        {0},
};

const struct cli_verb *cli_verb_find(const char *name)
{
        for (const struct cli_verb *v = cli_verb_table; v->name; v++)
                if (strcmp(v->name, name) == 0)
                        return v;
        return NULL;
}

/* Where a standard descriptor is closed, a socket of ours would take its number, and a message for people would be sent
 * to the daemon. The program that `run` becomes finds it closed again. */
static void hold_standard_descriptors(void)
{
        for (int fd = 0; fd < 3; fd++)
                if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR | O_CLOEXEC) < 0)
                        return;
}

int main(int argc, char **argv)
{
        hold_standard_descriptors();
        setlocale(LC_CTYPE, "");
        /* argp's own rare complaints end as ours do. */
        argp_err_exit_status = CLI_USAGE;
        if (argc < 2) {
                cli_fail(CLI_USAGE, "no verb; type `fastgpu help` for what there is");
                return CLI_USAGE;
        }
        const char *verb = argv[1];
        if (strcmp(verb, "--help") == 0 || strcmp(verb, "-h") == 0 || strcmp(verb, "-?") == 0)
                verb = "help";
        else if (strcmp(verb, "--version") == 0 || strcmp(verb, "-V") == 0)
                verb = "version";
        else if (strcmp(verb, "__complete") == 0)
                return cli_complete(argc - 2, argv + 2);
        else if (strcmp(verb, "__job") == 0)
                return cli_job_become(argc - 1, argv + 1);
        const struct cli_verb *found = cli_verb_find(verb);
        if (!found)
                return cli_help_unknown(verb);
        return cli_flush(found->run(argc - 1, argv + 1));
}
