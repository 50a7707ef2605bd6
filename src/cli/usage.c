/* SPDX-License-Identifier: Apache-2.0
 * usage, export and budget. */
#include "base/cleanup.h"
#include "cli/job.h"
#include "cli/table.h"
#include "cli/witness.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct argp_option usage_table[] = {
        {"from", 'f', "DAY", 0, "From this day in UTC on (the month's first)", 1},
        {"until", 'u', "DAY", 0, "Before this day", 1},
        {"group-by", 'g', "vgpu|user|project|device|day", 0, "A row for each of these (vgpu)", 1},
        {"all", 'a', NULL, 0, "Of all projects (admins)", 1},
        CLI_OPTION_PROJECT, CLI_OPTION_JSON, {0}};

const struct argp cli_usage_argp = {.options = usage_table, .parser = cli_action_parse,
                                    .doc = "Show what was used and what it costs, exactly as it is billed."};

/* The path with what was typed; 0, or the exit code. */
static int build(const struct cli_words *words, char *path, size_t size, const char *const *options)
{
        const char *project;
        int code = cli_project(&project);
        if (code)
                return code;
        if (cli_word(words, "all"))
                cli_query_add(path, size, "all", "1");
        else if (project)
                cli_query_add(path, size, "project", project);
        for (; options[0]; options += 2) {
                const char *value = cli_word(words, options[0]);
                if (value && strlen(value) > 100)
                        return cli_fail(CLI_USAGE, "--%s: \"%s\" is too long", options[0], value);
                if (value)
                        cli_query_add(path, size, options[1], value);
        }
        return 0;
}

/* Parses, refuses arguments beyond `max`, and looks at the log. */
static int begin(const char *verb, const struct argp *argp, int argc, char **argv, int max, struct cli_words *words)
{
        struct cli_witness witness;
        int code = cli_words(verb, argp, argc, argv, words);
        if (code == 0 && words->count > max)
                code = cli_fail(CLI_USAGE, "%s: \"%s\" is too much; type `fastgpu help %s`", verb, words->args[max], verb);
        return code ? code : cli_witness(&witness);
}

static int print_usage(const json_t *rows, const char *group)
{
        char head[16];
        snprintf(head, sizeof head, "%s", group);
        for (char *s = head; *s; s++)
                *s = (char)(*s >= 'a' && *s <= 'z' ? *s - 32 : *s);
        const struct cli_column columns[] = {{strcmp(group, "vgpu") == 0 ? "NAME" : head, false}, {"RESERVED h", true}, {"BURST h", true},
                                             {"CREDIT h", true}, {"BILLED h", true}, {"BUSY s", true}, {"COST", true}, {"CURRENCY", false}};
        cli_autotable struct cli_table *table = cli_table_new(columns, sizeof columns / sizeof columns[0]);
        size_t i;
        const json_t *row;
        if (!table)
                return cli_fail(CLI_FAILED, "out of memory");
        json_array_foreach(rows, i, row)
        {
                static const char *const fields[] = {"reserved_gpu_hours", "burst_gpu_hours", "credit_gpu_hours", "billed_gpu_hours",
                                                     "busy_gpu_seconds", "cost", "currency"};
                const char *name = cli_text(row, strcmp(group, "vgpu") == 0 ? "name" : group);
                cli_table_add(table, "%s", *name ? name : "-");
                for (size_t f = 0; f < sizeof fields / sizeof fields[0]; f++)
                        cli_table_add(table, "%s", *cli_text(row, fields[f]) ? cli_text(row, fields[f]) : "-");
        }
        return cli_table_print(table, stdout, 0) < 0 ? cli_fail(CLI_FAILED, "out of memory") : 0;
}

int cli_usage(int argc, char **argv)
{
        static const char *const options[] = {"from", "from", "until", "until", "group-by", "group_by", NULL};
        cli_autojson json_t *reply = NULL;
        struct cli_words words;
        char path[1024] = "/v1/usage";
        int code = begin("usage", &cli_usage_argp, argc, argv, 0, &words);
        if (code == 0)
                code = build(&words, path, sizeof path, options);
        if (code == 0)
                code = cli_call("GET", path, NULL, NULL, &reply);
        if (code)
                return code;
        if (!words.json)
                return print_usage(json_object_get(reply, "usage"), cli_word(&words, "group-by") ? cli_word(&words, "group-by") : "vgpu");
        cli_print_json(reply, stdout);
        return 0;
}

static const struct argp_option export_table[] = {
        {"focus", 'F', NULL, 0, "FOCUS 1.2, as CSV", 1},
        {"csv", 'c', NULL, 0, "Plain CSV", 1},
        {"month", 'm', "MONTH", 0, "Of this month, such as 2026-11 (the present one)", 1},
        {"metadata", 'M', "FILE", 0, "--focus: write the metadata file there", 1},
        {"all", 'a', NULL, 0, "Of all projects (admins)", 1},
        CLI_OPTION_PROJECT, CLI_OPTION_JSON, {0}};

const struct argp cli_export_argp = {.options = export_table, .parser = cli_action_parse,
                                     .doc = "Write a month's charges to standard output: --focus, --csv, or --json."};

static int write_metadata(const json_t *reply, const char *path)
{
        FILE *f = fopen(path, "we");
        if (!f)
                return cli_fail(CLI_FAILED, "cannot write %s: %m", path);
        cli_print_json(json_object_get(reply, "metadata"), f);
        bool is_bad = ferror(f);
        return fclose(f) != 0 || is_bad ? cli_fail(CLI_FAILED, "cannot write %s: %m", path) : 0;
}

int cli_export(int argc, char **argv)
{
        static const char *const options[] = {"month", "month", NULL};
        cli_autojson json_t *reply = NULL;
        struct cli_words words;
        int code = begin("export", &cli_export_argp, argc, argv, 0, &words);
        if (code)
                return code;
        bool is_focus = cli_word(&words, "focus"), is_csv = cli_word(&words, "csv");
        const char *metadata = cli_word(&words, "metadata");
        if (is_focus + is_csv + words.json != 1)
                return cli_fail(CLI_USAGE, "in what form? Type one of: fastgpu export --focus, --csv, --json");
        if (metadata && !is_focus)
                return cli_fail(CLI_USAGE, "--metadata belongs to --focus");
        char path[1024];
        snprintf(path, sizeof path, words.json ? "/v1/invoices" : "/v1/export?format=%s", is_focus ? "focus" : "csv");
        code = build(&words, path, sizeof path, options);
        if (code == 0)
                code = cli_call("GET", path, NULL, NULL, &reply);
        if (code)
                return code;
        if (words.json)
                cli_print_json(reply, stdout);
        else
                fputs(cli_text(reply, "text"), stdout);
        return metadata ? write_metadata(reply, metadata) : 0;
}

static const struct argp_option budget_table[] = {
        {"currency", 'c', "CODE", 0, "set: EUR, USD …; of a job, without it, that of the price list", 1},
        {"on-limit", 'o', "suspend|stop|notify", 0, "set: what happens when it is used up (notify)", 1},
        CLI_OPTION_PROJECT, CLI_OPTION_JSON, {0}};

const struct argp cli_budget_argp = {.options = budget_table, .parser = cli_action_parse, .args_doc = "[set PROJECT|JOB AMOUNT]",
                                     .doc = "Show what projects may spend in a month and have spent; with `set`, say it (0: no limit). A job's "
                                            "budget is for all that it takes; raising it lets the job go on."};

static int print_budgets(const json_t *budgets)
{
        static const struct cli_column columns[] = {{"PROJECT", false}, {"MONTH", false}, {"SPENT", true}, {"BUDGET", true}, {"CURRENCY", false},
                                                    {"ON LIMIT", false}};
        cli_autotable struct cli_table *table = cli_table_new(columns, sizeof columns / sizeof columns[0]);
        size_t i;
        const json_t *row;
        if (!table)
                return cli_fail(CLI_FAILED, "out of memory");
        json_array_foreach(budgets, i, row)
        {
                static const char *const fields[] = {"project", "month", "spent", "amount", "currency", "on_limit"};
                for (size_t f = 0; f < sizeof fields / sizeof fields[0]; f++)
                        cli_table_add(table, "%s", cli_text(row, fields[f]));
        }
        return cli_table_print(table, stdout, 0) < 0 ? cli_fail(CLI_FAILED, "out of memory") : 0;
}

static int set_job_budget(const struct cli_words *words)
{
        cli_autojson json_t *job = NULL;
        const char *currency = cli_word(words, "currency");
        char path[128];
        int code = cli_word(words, "on-limit") ? cli_fail(CLI_USAGE, "--on-limit is a project's: a job whose budget is used up is suspended") : 0;
        if (code == 0)
                code = cli_job_path(words->args[1], "", "", path, sizeof path);
        if (code)
                return code;
        json_t *body = json_pack("{s:{s:s, s:s*}}", "budget", "amount", words->args[2], "currency", currency);
        code = body ? cli_call("PATCH", path, body, NULL, &job) : cli_fail(CLI_USAGE, "that is not UTF-8");
        if (code)
                return code;
        const json_t *budget = json_object_get(job, "budget");
        if (words->json)
                cli_print_json(job, stdout);
        else if (budget)
                printf("job %s is %s: %s of %s %s spent\n", words->args[1], cli_text(job, "state"), cli_text(budget, "spent"), cli_text(budget, "amount"),
                       cli_text(budget, "currency"));
        else
                printf("job %s is %s, and has no budget\n", words->args[1], cli_text(job, "state"));
        return 0;
}

static int set_budget(const struct cli_words *words)
{
        cli_autojson json_t *reply = NULL;
        const char *currency = cli_word(words, "currency"), *on_limit = cli_word(words, "on-limit");
        char path[256] = "/v1/budgets/";
        if (words->count != 3 || strcmp(words->args[0], "set") != 0 || strlen(words->args[1]) > 63 || strpbrk(words->args[1], "/?#% "))
                return cli_fail(CLI_USAGE, "\"%s\": type `fastgpu budget`, `fastgpu budget set PROJECT AMOUNT --currency EUR` or `… set JOB AMOUNT`", words->args[0]);
        if (cli_job_is_id(words->args[1]))
                return set_job_budget(words);
        if (!currency)
                return cli_fail(CLI_USAGE, "in which currency? Add --currency EUR");
        strcat(path, words->args[1]);
        json_t *body = json_pack("{s:s, s:s, s:s}", "amount", words->args[2], "currency", currency, "on_limit", on_limit ? on_limit : "notify");
        int code = body ? cli_call("PUT", path, body, NULL, &reply) : cli_fail(CLI_USAGE, "that is not UTF-8");
        if (code)
                return code;
        cli_autojson json_t *one = json_pack("[O]", reply);
        if (!words->json)
                return print_budgets(one);
        cli_print_json(reply, stdout);
        return 0;
}

int cli_budget(int argc, char **argv)
{
        static const char *const none[] = {NULL};
        cli_autojson json_t *reply = NULL;
        struct cli_words words;
        char path[512] = "/v1/budgets";
        int code = begin("budget", &cli_budget_argp, argc, argv, 3, &words);
        if (code)
                return code;
        if (words.count)
                return set_budget(&words);
        code = build(&words, path, sizeof path, none);
        if (code == 0)
                code = cli_call("GET", path, NULL, NULL, &reply);
        if (code)
                return code;
        if (!words.json)
                return print_budgets(json_object_get(reply, "budgets"));
        cli_print_json(reply, stdout);
        return 0;
}
