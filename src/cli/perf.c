/* SPDX-License-Identifier: Apache-2.0
 * P = alpha * U * S * V, as the daemon counted it. */
#include "cli/cli.h"
#include "cli/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct argp_option option_table[] = {
        {"window", 'w', "WINDOW", 0, "minute, hour (the default), day or life", 1},
        {"explain", 'e', NULL, 0, "Show each counter: what it is, and who counts it", 1},
        CLI_OPTION_PROJECT,
        CLI_OPTION_JSON,
        {0}};

const struct argp cli_perf_argp = {.options = option_table,
                                   .parser = cli_action_parse,
                                   .doc = "Show how well the GPUs are used: P = alpha * U * S * V, of what was wanted the part that became useful "
                                          "work. S: of what was wanted, what was held; U: of that, what was busy; V: the speed against the bare "
                                          "device; alpha: of the work, what was kept. Without a NAME: devices and projects."};

static void add_factor(struct cli_table *table, const json_t *row, const char *key)
{
        const json_t *value = json_object_get(row, key);
        if (json_is_number(value))
                cli_table_add(table, "%.4f", json_number_value(value));
        else
                cli_table_add(table, "-");
}

/* One sentence; those that follow from others say nothing new. */
static const char *reason(const json_t *row)
{
        static const char *const first[] = {"s", "u", "v", "alpha"};
        const json_t *why = json_object_get(row, "why_not");
        for (size_t i = 0; i < sizeof first / sizeof first[0]; i++)
                if (*cli_text(why, first[i]))
                        return cli_text(why, first[i]);
        return "";
}

static int print_rows(const json_t *rows)
{
        static const struct cli_column columns[] = {{"OF", false}, {"NAME", false}, {"P", true}, {"ALPHA", true}, {"U", true},
                                                    {"S", true},   {"V", true},     {"WHY-NOT", false}};
        static const char *const factors[] = {"p", "alpha", "u", "s", "v"};
        cli_autotable struct cli_table *table = cli_table_new(columns, sizeof columns / sizeof columns[0]);
        size_t i;
        const json_t *row;
        if (!table)
                return cli_fail(CLI_FAILED, "out of memory");
        json_array_foreach(rows, i, row)
        {
                cli_table_add(table, "%s", cli_text(row, "kind"));
                cli_table_add(table, "%s", cli_text(row, "name"));
                for (size_t k = 0; k < sizeof factors / sizeof factors[0]; k++)
                        add_factor(table, row, factors[k]);
                cli_table_add(table, "%s", reason(row));
        }
        return cli_table_print(table, stdout, 0) < 0 ? cli_fail(CLI_FAILED, "out of memory") : 0;
}

static const struct {
        const char *key, *title, *about, *source;
} counters[] = {
        {"n0", "N0", "servable: what was wanted and could be had, min(demand, capacity)", "meter, queue"},
        {"n1", "N1", "occupied: what was reserved or busy, the larger, at most the GPU", "meter"},
        {"n2", "N2", "busy: device time, never more than wall time in all", "arbiter, meter"},
        {"n3", "N3", "native: what that work takes alone on the bare device", "fastgpu bench"},
        {"n4", "N4", "kept: of that, what was not done again", "jobs"},
};

/* What the neighbours of two counters lost. */
static void say_differences(const json_t *all)
{
        uint64_t n0 = cli_number(all, "n0"), n1 = cli_number(all, "n1"), n3 = cli_number(all, "n3"), n4 = cli_number(all, "n4");
        printf("waited for: %.3f GPU-seconds (N0 - N1: what jobs that waited could have used)\n", n0 > n1 ? (double)(n0 - n1) / 1e9 : 0);
        if (json_object_get(all, "n4"))
                printf("thrown away: %.3f GPU-seconds (N3 - N4: attempts that were started again)\n", n3 > n4 ? (double)(n3 - n4) / 1e9 : 0);
}

static int print_counters(const json_t *row)
{
        static const struct cli_column columns[] = {{"COUNTER", false}, {"GPU-SECONDS", true}, {"WHAT", false}, {"FROM", false}};
        cli_autotable struct cli_table *table = cli_table_new(columns, sizeof columns / sizeof columns[0]);
        const json_t *all = json_object_get(row, "counters_ns");
        if (!table)
                return cli_fail(CLI_FAILED, "out of memory");
        for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++) {
                cli_table_add(table, "%s", counters[i].title);
                if (json_object_get(all, counters[i].key))
                        cli_table_add(table, "%.3f", (double)cli_number(all, counters[i].key) / 1e9);
                else
                        cli_table_add(table, "-");
                cli_table_add(table, "%s", counters[i].about);
                cli_table_add(table, "%s", counters[i].source);
        }
        if (cli_table_print(table, stdout, 0) < 0)
                return cli_fail(CLI_FAILED, "out of memory");
        say_differences(all);
        return 0;
}

static int explain(const json_t *reply)
{
        size_t i;
        const json_t *row;
        json_array_foreach(json_object_get(reply, "perf"), i, row)
        {
                char name[128];
                snprintf(name, sizeof name, "%s %s", cli_text(row, "kind"), cli_text(row, "name"));
                printf("\n%s, %s\n", cli_clean(name), cli_text(reply, "window"));
                int code = print_counters(row);
                if (code)
                        return code;
        }
        puts("\nS = N1/N0   U = N2/N1   V = N3/N2   alpha = N4/N3   P = N4/N0");
        return 0;
}

static int make_path(const struct cli_words *words, char *ret, size_t size)
{
        static const char *const windows[] = {"minute", "hour", "day", "life", NULL};
        const char *project = NULL, *window = cli_word(words, "window") ? cli_word(words, "window") : "hour", *name = words->count ? words->args[0] : NULL;
        const char *const *known = windows;
        char vgpu[256];
        int64_t index;
        while (*known && strcmp(*known, window) != 0)
                known++;
        if (!*known)
                return cli_fail(CLI_USAGE, "--window \"%s\" is not minute, hour, day or life", window);
        if (words->count > 1)
                return cli_fail(CLI_USAGE, "perf takes one name, yet \"%s\" was given too", words->args[1]);
        int code = cli_project(&project);
        if (code)
                return code;
        if (name && (code = cli_vgpu_path(name, vgpu, sizeof vgpu, &index)))
                return code;
        snprintf(ret, size, "/v1/perf%s?window=%s%s%s", name ? vgpu + strlen("/v1/vgpus") : "", window, project ? "&project=" : "",
                 project ? project : "");
        return 0;
}

int cli_perf(int argc, char **argv)
{
        struct cli_words words;
        char path[512];
        cli_autojson json_t *reply = NULL;
        int code = cli_words("perf", &cli_perf_argp, argc, argv, &words);
        if (code == 0)
                code = make_path(&words, path, sizeof path);
        if (code == 0)
                code = cli_call("GET", path, NULL, words.count ? words.args[0] : NULL, &reply);
        if (code)
                return code;
        if (words.json) {
                cli_print_json(reply, stdout);
                return 0;
        }
        code = print_rows(json_object_get(reply, "perf"));
        return code || !cli_word(&words, "explain") ? code : explain(reply);
}
