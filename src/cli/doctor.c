/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doctor.h"

#include "base/cleanup.h"
#include "cli/cli.h"

#include <stdarg.h>

static const struct argp_option option_table[] = {CLI_OPTION_JSON, {0}};

const struct argp cli_doctor_argp = {
        .options = option_table,
        .parser = cli_action_parse,
        .doc = "Look at everything FastGPU needs and say of each what was found, what it means and how to mend it. "
               "Works without a daemon and starts none. Ends with 0 when nothing fails, else with 1."};

static const char *const verdict_names[] = {"ok", "warn", "fail"};

void cli_report_add(struct cli_report *report, const char *check, enum cli_finding verdict, const char *mend,
                    const char *format, ...)
{
        fg_autofree char *text = NULL;
        va_list args;
        va_start(args, format);
        if (vasprintf(&text, format, args) < 0)
                text = NULL;
        va_end(args);
        report->failed += verdict == CLI_FINDING_FAIL;
        report->warned += verdict == CLI_FINDING_WARN;
        json_t *words = text ? json_string(cli_clean(text)) : NULL;
        /* Not UTF-8: the check still counts. */
        json_array_append_new(report->findings,
                              json_pack("{s:s, s:s, s:o, s:s}", "check", check, "verdict", verdict_names[verdict],
                                        "text", words ? words : json_string("(unreadable)"), "mend", mend));
}

static void print_findings(const struct cli_report *report)
{
        size_t i;
        const json_t *f;
        json_array_foreach(report->findings, i, f)
        {
                printf("%-4s  %-8s  %s\n", cli_text(f, "verdict"), cli_text(f, "check"), cli_text(f, "text"));
                if (*cli_text(f, "mend"))
                        printf("      %-8s  > %s\n", "", cli_text(f, "mend"));
        }
        if (report->failed)
                printf("\n%u of %zu checks failed; FastGPU will not work as it should until they are mended.\n",
                       report->failed, json_array_size(report->findings));
        else
                printf("\nNothing is missing%s.\n", report->warned ? ", though some things could be better" : "");
}

int cli_doctor(int argc, char **argv)
{
        struct cli_words words;
        cli_autojson json_t *findings = json_array();
        struct cli_report report = {.findings = findings};
        int code = cli_words_few("doctor", &cli_doctor_argp, 0, argc, argv, &words);
        if (code)
                return code;
        cli_doctor_system(&report);
        cli_doctor_hardware(&report);
        cli_doctor_opencl(&report);
        cli_doctor_nvidia(&report);
        cli_doctor_containers(&report);
        cli_doctor_daemon(&report);
        if (words.json) {
                cli_autojson json_t *all = json_pack("{s:b, s:O}", "ok", report.failed == 0, "findings", findings);
                cli_print_json(all, stdout);
        } else {
                print_findings(&report);
        }
        return report.failed ? CLI_FAILED : 0;
}
