/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/report.h"

#include "base/cleanup.h"
#include "base/utf8.h"
#include "bill/when.h"
#include "cli/table.h"
#include "cli/witness.h"

#include <errno.h>
#include <string.h>
#include <time.h>

static const struct argp_option option_table[] = {
        {"month", 'm', "MONTH", 0, "This month, such as 2026-11 (the present one)", 1},
        {"output", 'o', "FILE", 0, "Write the report as a page there: one HTML file that needs nothing else (-: standard output)", 1},
        CLI_OPTION_PROJECT, CLI_OPTION_JSON, {0}};

const struct argp cli_report_argp = {.options = option_table, .parser = cli_action_parse,
                                     .doc = "Report a project's month: use, efficiency, cost, refusals, and what to do about each vGPU. "
                                            "With --output, as a page that prints well."};

static int read_month(struct cli_report *r, const char *typed)
{
        struct fg_error err = {0};
        if (typed && strlen(typed) > 20)
                return cli_fail(CLI_USAGE, "--month: \"%.40s\" is no month such as 2026-11", typed);
        fg_bill_month_of(time(NULL), &r->from_s, &r->until_s);
        if (typed && fg_bill_month_parse(typed, &r->from_s, &r->until_s, &err) < 0)
                return cli_fail(CLI_USAGE, "--month: %s", err.text);
        if (r->from_s > time(NULL))
                return cli_fail(CLI_USAGE, "--month: %s has not begun", typed);
        fg_bill_month_format(r->from_s, r->month);
        fg_bill_when_format(r->from_s, r->from);
        fg_bill_when_format(r->until_s, r->until);
        fg_bill_when_format(time(NULL), r->made);
        return 0;
}

static int read_project(struct cli_report *r)
{
        cli_autojson json_t *who = NULL;
        const char *project;
        int code = cli_project(&project);
        if (code == 0 && !project) {
                code = cli_call("GET", "/v1/whoami", NULL, NULL, &who);
                project = cli_text(who, "project");
        }
        if (code == 0)
                snprintf(r->project, sizeof r->project, "%s", *project ? project : "default");
        return code;
}

static int ask_money(struct cli_report *r)
{
        char path[512] = "/v1/invoices", days[512], usage[640], budgets[512] = "/v1/budgets";
        cli_query_add(path, sizeof path, "project", r->project);
        cli_query_add(path, sizeof path, "month", r->month);
        snprintf(days, sizeof days, "/v1/usage?from=%.10s&until=%.10s", r->from, r->until);
        cli_query_add(days, sizeof days, "project", r->project);
        snprintf(usage, sizeof usage, "%s&group_by=vgpu", days);
        strncat(days, "&group_by=day", sizeof days - strlen(days) - 1);
        cli_query_add(budgets, sizeof budgets, "project", r->project);
        int code = cli_call("GET", path, NULL, NULL, &r->invoices);
        if (code == 0)
                code = cli_call("GET", usage, NULL, NULL, &r->usage);
        if (code == 0)
                code = cli_call("GET", days, NULL, NULL, &r->days);
        if (code == 0)
                code = cli_call("GET", budgets, NULL, NULL, &r->budgets);
        return code ? code : cli_call("GET", "/v1/prices", NULL, NULL, &r->prices);
}

static int ask_vgpus(struct cli_report *r)
{
        cli_autoclient struct fg_client *client = NULL;
        cli_autojson json_t *problem = NULL;
        char path[256] = "/v1/vgpus";
        cli_query_add(path, sizeof path, "project", r->project);
        int code = cli_call("GET", "/v1/devices", NULL, NULL, &r->devices);
        if (code == 0)
                code = cli_connect(&client);
        if (code == 0 && (code = cli_ask_sets(client, path, &r->sets, &problem)))
                cli_say_problem(client, problem, NULL);
        return code;
}

static int add_page(struct fg_client *client, struct cli_report *r, char next[32], json_t **ret_problem)
{
        cli_autojson json_t *page = NULL;
        char path[256];
        snprintf(path, sizeof path, "/v1/history?from=%lld&until=%lld&limit=200", (long long)r->from_s, (long long)r->until_s);
        cli_query_add(path, sizeof path, "project", r->project);
        if (*next)
                cli_query_add(path, sizeof path, "after", next);
        int code = cli_ask(client, "GET", path, NULL, &page, ret_problem);
        if (code)
                return code;
        json_array_extend(r->history, json_object_get(page, "vgpus"));
        snprintf(next, 32, "%s", cli_text(page, "next"));
        return 0;
}

/* Without it there is a report all the same: the money is elsewhere. */
static int ask_history(struct cli_report *r)
{
        cli_autoclient struct fg_client *client = NULL;
        cli_autojson json_t *problem = NULL;
        char path[256], next[32] = "";
        int code = cli_connect(&client);
        if (code)
                return code;
        r->history = json_array();
        snprintf(path, sizeof path, "/v1/projects/%s/history?step=3600&from=%lld&until=%lld", r->project, (long long)r->from_s, (long long)r->until_s);
        code = cli_ask(client, "GET", path, NULL, &r->course, &problem);
        do
                code = code ? code : add_page(client, r, next, &problem);
        while (code == 0 && *next);
        if (code)
                snprintf(r->no_history, sizeof r->no_history, "%s", *cli_text(problem, "detail") ? cli_text(problem, "detail") : "this daemon keeps none");
        return 0;
}

/* Sums first, divided last. What ran on a device that is not calibrated has no V. */
static void find_factors(struct cli_report *r)
{
        struct fg_perf_counters sum = {.servable = (uint64_t)(cli_report_sum(r, "servable_gpu_seconds") * 1e6),
                                       .occupied = (uint64_t)(cli_report_sum(r, "occupied_gpu_seconds") * 1e6),
                                       .busy = (uint64_t)(cli_report_sum(r, "gpu_seconds") * 1e6),
                                       .native = (uint64_t)(cli_report_sum(r, "native_gpu_seconds") * 1e6),
                                       .kept = (uint64_t)(cli_report_sum(r, "kept_gpu_seconds") * 1e6)};
        size_t points = json_array_size(json_object_get(json_object_get(r->course, "series"), "gpu_seconds"));
        double busy, native;
        fg_perf_evaluate(&sum, &r->factors);
        r->is_calibrated = true;
        for (size_t i = 0; i < points; i++)
                if (cli_report_at(r, "gpu_seconds", i, &busy) && busy > 0 && !cli_report_at(r, "native_gpu_seconds", i, &native))
                        r->is_calibrated = false;
        if (!r->is_calibrated)
                r->factors.has_v = r->factors.has_alpha = r->factors.has_p = false;
}

static void add_factor(json_t *to, const char *name, bool has, double value)
{
        if (has)
                json_object_set_new(to, name, json_real(value));
}

static json_t *factors_of(const struct cli_report *r)
{
        json_t *f = json_object();
        add_factor(f, "p", r->factors.has_p, r->factors.p);
        add_factor(f, "alpha", r->factors.has_alpha, r->factors.alpha);
        add_factor(f, "u", r->factors.has_u, r->factors.u);
        add_factor(f, "s", r->factors.has_s, r->factors.s);
        add_factor(f, "v", r->factors.has_v, r->factors.v);
        return f;
}

static json_t *advice_of(const struct cli_report *r)
{
        static const char *const kind[] = {"none", "too-new", "more-memory", "more-share", "delete", "shrink"};
        json_t *all = json_array();
        for (size_t i = 0; i < r->rows; i++) {
                const struct cli_report_row *row = &r->row[i];
                char reason[512], command[256], saves[64];
                if (!cli_report_is_advised(row))
                        continue;
                cli_report_reason(row, reason, sizeof reason);
                cli_report_command(r, row, command, sizeof command);
                json_t *one = json_pack("{s:s,s:s,s:s,s:s,s:I,s:I}", "name", cli_report_name(row), "advice", kind[row->advice.kind], "reason", reason,
                                        "command", command, "memory", (json_int_t)row->advice.memory, "share", (json_int_t)row->advice.share);
                if (*row->currency) {
                        json_object_set_new(one, "saves_per_month", json_string(cli_report_nano(row->advice.saves, row->currency, saves, sizeof saves)));
                        json_object_set_new(one, "currency", json_string(row->currency));
                }
                json_array_append_new(all, one);
        }
        return all;
}

static int print_json(const struct cli_report *r)
{
        cli_autojson json_t *all = json_pack("{s:s,s:s,s:s,s:s,s:s,s:O,s:O,s:O?,s:o,s:o}", "project", r->project, "month", r->month, "from", r->from, "until",
                                             r->until, "made", r->made, "invoices", json_object_get(r->invoices, "invoices"), "usage",
                                             json_object_get(r->usage, "usage"), "history", r->history, "factors", factors_of(r), "recommendations",
                                             advice_of(r));
        if (!all)
                return cli_fail(CLI_FAILED, "out of memory");
        if (*r->no_history)
                json_object_set_new(all, "no_history", json_string(r->no_history));
        cli_print_json(all, stdout);
        return 0;
}

/* In place, for a terminal: what was cut off within a character, and what terminals obey, becomes '?'. */
static const char *clean(char *text)
{
        for (char *at = text; *at;) {
                uint32_t code = 0;
                size_t size = fg_utf8_decode(at, FG_UTF8_MAX, &code);
                if (size == 0 || code < 0x20 || (code >= 0x7f && code < 0xa0))
                        memset(at, '?', size ? size : 1);
                at += size ? size : 1;
        }
        return text;
}

static void print_invoices(const struct cli_report *r)
{
        size_t i;
        const json_t *invoice;
        char line[256];
        printf("project %s, %s\n", r->project, r->month);
        json_array_foreach(json_object_get(r->invoices, "invoices"), i, invoice)
        {
                snprintf(line, sizeof line, "%s %s %s", json_is_true(json_object_get(invoice, "draft")) ? "so far" : cli_text(invoice, "number"),
                         cli_text(invoice, "payable"), cli_text(invoice, "currency"));
                puts(clean(line));
        }
        if (i == 0)
                puts("nothing is to be paid: no price was in force, or nothing was used");
        if (*r->no_history)
                snprintf(line, sizeof line, "no history: %s", r->no_history), puts(clean(line));
        else
                printf("used %.3f of %.3f reserved GPU-hours, %.0f refusals\n", cli_report_sum(r, "gpu_seconds") / 3600,
                       cli_report_sum(r, "reserved_gpu_seconds") / 3600, cli_report_sum(r, "refusals"));
}

static int print_text(const struct cli_report *r)
{
        print_invoices(r);
        bool any = false;
        for (size_t i = 0; i < r->rows; i++) {
                const struct cli_report_row *row = &r->row[i];
                char reason[512], command[256], saves[64], name[128];
                if (!cli_report_is_advised(row))
                        continue;
                cli_report_reason(row, reason, sizeof reason);
                cli_report_command(r, row, command, sizeof command);
                snprintf(name, sizeof name, "%s", cli_report_name(row));
                printf("%s%s %s", any ? "" : "\n", clean(name), clean(reason));
                if (*row->currency && row->advice.saves)
                        printf(": %s %s %s a month", row->advice.saves > 0 ? "saves" : "costs",
                               cli_report_nano(row->advice.saves > 0 ? row->advice.saves : -row->advice.saves, row->currency, saves, sizeof saves), row->currency);
                printf("\n    %s\n", clean(command));
                any = true;
        }
        if (!any)
                puts("nothing to recommend");
        return 0;
}

static int write_page(const struct cli_report *r, const char *path)
{
        bool is_stdout = strcmp(path, "-") == 0;
        FILE *f = is_stdout ? stdout : fopen(path, "we");
        if (!f)
                return cli_fail(CLI_FAILED, "cannot write %s: %m", path);
        cli_report_page(r, f);
        if (is_stdout)
                return 0;
        bool is_bad = ferror(f);
        if (fclose(f) != 0 || is_bad)
                return cli_fail(CLI_FAILED, "cannot write %s: %m", path);
        cli_note("wrote %s", path);
        return 0;
}

static void drop(struct cli_report *r)
{
        json_t *const all[] = {r->usage, r->days, r->invoices, r->history, r->course, r->prices, r->devices, r->sets, r->budgets};
        for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
                json_decref(all[i]);
        free(r->row);
}

int cli_report(int argc, char **argv)
{
        FG_CLEANUP(drop) struct cli_report r = {0};
        struct cli_words words;
        struct cli_witness witness;
        int code = cli_words_few("report", &cli_report_argp, 0, argc, argv, &words);
        if (code == 0 && words.json && cli_word(&words, "output"))
                code = cli_fail(CLI_USAGE, "--output is a page; --json goes to standard output");
        if (code == 0)
                code = read_month(&r, cli_word(&words, "month"));
        if (code == 0)
                code = cli_witness(&witness);
        if (code == 0)
                code = read_project(&r);
        if (code == 0)
                code = ask_money(&r);
        if (code == 0)
                code = ask_vgpus(&r);
        if (code == 0)
                code = ask_history(&r);
        if (code == 0)
                code = cli_report_make_rows(&r);
        if (code)
                return code;
        find_factors(&r);
        if (words.json)
                return print_json(&r);
        return cli_word(&words, "output") ? write_page(&r, cli_word(&words, "output")) : print_text(&r);
}
