/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "cli/table.h"

#include <errno.h>
#include <string.h>

struct options {
        bool json, all;
};

static const struct argp_option option_table[] = {
        {"all", 'a', NULL, 0, "Also those of jobs", 1}, CLI_OPTION_PROJECT, CLI_OPTION_JSON, {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct options *o = state->input;
        switch (key) {
        case CLI_KEY_JSON:
                o->json = true;
                return 0;
        case 'a':
                o->all = true;
                return 0;
        case CLI_KEY_PROJECT:
                return cli_project_take(arg);
        case ARGP_KEY_ARG:
                cli_fail(0, "list takes no argument, yet \"%s\" was given; did you mean `fastgpu inspect %s`?", arg,
                         arg);
                return EINVAL;
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

const struct argp cli_list_argp = {.options = option_table,
                                   .parser = parse,
                                   .doc = "List the vGPUs: their limits, what they use, and in what state they are."};

static void add_vgpu(struct cli_table *table, const json_t *set, const json_t *v, bool with_project)
{
        const json_t *usage = json_object_get(v, "usage");
        if (with_project) {
                cli_table_add(table, "%s", cli_text(set, "project"));
                cli_table_add(table, "%s", cli_text(set, "owner"));
        }
        cli_table_add(table, "%s", cli_text(v, "name"));
        cli_table_add(table, "%llu", (unsigned long long)cli_number(v, "device"));
        cli_table_add_size(table, cli_number(v, "memory"));
        cli_table_add_size(table, cli_number(usage, "memory_used"));
        cli_table_add_share(table, cli_number(v, "share"));
        cli_table_add(table, "%s", cli_text(v, "mode"));
        cli_table_add(table, "%s", cli_text(v, "priority"));
        cli_table_add(table, "%llu", (unsigned long long)cli_number(usage, "processes"));
        cli_table_add(table, "%.1f", (double)cli_number(usage, "gpu_ns") / 1e9);
        cli_table_add(table, "%s", cli_text(v, "state"));
}

/* Who is alone on his machine need not read of projects. */
static bool has_projects(const json_t *sets)
{
        size_t i;
        const json_t *set;
        json_array_foreach(sets, i, set) if (*cli_text(set, "project") &&
                                             (strcmp(cli_text(set, "project"), "default") != 0 ||
                                              strcmp(cli_text(set, "owner"), "operator") != 0)) return true;
        return false;
}

static int print_sets(const json_t *sets)
{
        static const struct cli_column columns[] = {
                {"PROJECT", false}, {"OWNER", false},    {"NAME", false},     {"DEVICE", true},
                {"MEMORY", true},   {"USED", true},      {"SHARE", true},     {"MODE", false},
                {"PRIORITY", false}, {"PROCESSES", true}, {"GPU-SECONDS", true}, {"STATE", false}};
        bool with_project = has_projects(sets);
        size_t skip = with_project ? 0 : 2, i, j;
        cli_autotable struct cli_table *table =
                cli_table_new(columns + skip, sizeof columns / sizeof columns[0] - skip);
        const json_t *set, *vgpu;
        if (!table)
                return cli_fail(CLI_FAILED, "out of memory");
        json_array_foreach(sets, i, set) json_array_foreach(json_object_get(set, "vgpus"), j, vgpu)
                add_vgpu(table, set, vgpu, with_project);
        return cli_table_print(table, stdout, 0) < 0 ? cli_fail(CLI_FAILED, "out of memory") : 0;
}

/* Those of jobs come and go by themselves; `fastgpu jobs` shows them. How many were taken out. */
static size_t hide_jobs(json_t *sets)
{
        size_t before = json_array_size(sets);
        for (size_t i = before; i-- > 0;)
                if (cli_number(json_array_get(sets, i), "job"))
                        json_array_remove(sets, i);
        return before - json_array_size(sets);
}

int cli_list(int argc, char **argv)
{
        struct options o = {0};
        cli_autojson json_t *reply = NULL;
        cli_autojson json_t *problem = NULL;
        cli_autoclient struct fg_client *client = NULL;
        char path[96] = "/v1/vgpus";
        const char *project = NULL;
        int code = cli_parse("list", &cli_list_argp, argc, argv, &o);
        if (code == 0)
                code = cli_project(&project);
        if (project)
                snprintf(path, sizeof path, "/v1/vgpus?project=%s", project);
        if (code == 0)
                code = cli_connect(&client);
        if (code == 0)
                code = cli_ask_sets(client, path, &reply, &problem);
        if (problem)
                cli_say_problem(client, problem, NULL);
        if (code)
                return code;
        json_t *sets = json_object_get(reply, "sets");
        size_t hidden = o.all || o.json ? 0 : hide_jobs(sets);
        if (o.json)
                cli_print_json(reply, stdout);
        else if (json_array_size(sets))
                code = print_sets(sets);
        else if (!hidden)
                cli_note("no vGPUs yet; make some with `fastgpu create --name NAME`");
        if (hidden)
                cli_note("%zu of jobs %s left out (--all shows %s)", hidden, hidden == 1 ? "is" : "are", hidden == 1 ? "it" : "them");
        return code;
}
