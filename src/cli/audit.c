/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "cli/table.h"

#include "base/size.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ROWS "50"

static const struct {
        int key;
        const char *name;
} filters[] = {{'a', "actor"}, {'A', "action"}, {'t', "target"}, {'s', "status"}, {'S', "since"}, {'U', "until"}};
#define FILTERS (sizeof filters / sizeof filters[0])

struct options {
        bool json;
        const char *filter[FILTERS];
        uint64_t rows;
};

static const struct argp_option option_table[] = {
        {"actor", 'a', "NAME", 0, "Only what this user did; \"operator\", \"uid 1000\" and \"anonymous\" are names too", 1},
        {"action", 'A', "TEXT", 0, "Only requests that contain this: DELETE, /v1/tokens", 1},
        {"target", 't', "NAME", 0, "Only what concerned this", 1},
        {"status", 's', "N", 0, "Only with this result: 201, 403", 1},
        {"since", 'S', "SECONDS", 0, "Only from this unix time on", 1},
        {"until", 'U', "SECONDS", 0, "Only before this unix time", 1},
        {"rows", 'n', "N", 0, "At most so many (" ROWS ")", 1},
        CLI_OPTION_PROJECT,
        CLI_OPTION_JSON,
        {0}};

static error_t take_filter(struct options *o, int key, const char *arg)
{
        for (size_t i = 0; i < FILTERS; i++)
                if (filters[i].key == key) {
                        o->filter[i] = arg;
                        return 0;
                }
        return ARGP_ERR_UNKNOWN;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct options *o = state->input;
        struct fg_error err = {0};
        switch (key) {
        case CLI_KEY_JSON:
                o->json = true;
                return 0;
        case CLI_KEY_PROJECT:
                return cli_project_take(arg);
        case 'n':
                if (fg_count_parse("--rows", arg, 1, 1000000, &o->rows, &err) < 0) {
                        cli_fail(0, "%s", err.text);
                        return EINVAL;
                }
                return 0;
        case ARGP_KEY_ARG:
                cli_fail(0, "audit takes no argument, yet \"%s\" was given", arg);
                return EINVAL;
        default:
                return take_filter(o, key, arg);
        }
}

const struct argp cli_audit_argp = {.options = option_table,
                                    .parser = parse,
                                    .doc = "Show who asked for what, from where and with what result, the newest first. Admins see "
                                           "all, managers what concerned their project."};

/* Percent-encodes what a query cannot hold. */
static void append(char *path, size_t size, const char *name, const char *value)
{
        size_t at = strlen(path);
        at += (size_t)snprintf(path + at, size - at, "%s%s=", strchr(path, '?') ? "&" : "?", name);
        for (; *value && at + 4 < size; value++)
                if (strchr("%&#+= ?\"", *value) || (unsigned char)*value <= ' ' || (unsigned char)*value >= 0x7f)
                        at += (size_t)snprintf(path + at, size - at, "%%%02X", (unsigned char)*value);
                else
                        path[at++] = *value;
        path[at] = 0;
}

static int build_path(const struct options *o, char *path, size_t size)
{
        const char *project;
        int code = cli_project(&project);
        snprintf(path, size, "/v1/audit");
        if (code == 0 && project)
                append(path, size, "project", project);
        for (size_t i = 0; i < FILTERS; i++)
                if (o->filter[i] && strlen(o->filter[i]) > 120)
                        return cli_fail(CLI_USAGE, "--%s: \"%s\" is too long", filters[i].name, o->filter[i]);
                else if (o->filter[i])
                        append(path, size, filters[i].name, o->filter[i]);
        return code;
}

static int print_rows(const json_t *rows)
{
        static const struct cli_column columns[] = {{"TIME", false},   {"ACTOR", false},   {"VIA", false},    {"ACTION", false},
                                                    {"TARGET", false}, {"PROJECT", false}, {"STATUS", true}, {"RESULT", false}};
        cli_autotable struct cli_table *table = cli_table_new(columns, sizeof columns / sizeof columns[0]);
        size_t i;
        const json_t *row;
        if (!table)
                return cli_fail(CLI_FAILED, "out of memory");
        json_array_foreach(rows, i, row)
        {
                static const char *const fields[] = {"actor", "via", "action", "target", "project"};
                cli_table_add(table, "%.19s", cli_text(row, "time"));
                for (size_t f = 0; f < sizeof fields / sizeof fields[0]; f++)
                        cli_table_add(table, "%s", *cli_text(row, fields[f]) ? cli_text(row, fields[f]) : "-");
                cli_table_add(table, "%llu", (unsigned long long)cli_number(row, "status"));
                cli_table_add(table, "%s", cli_text(row, "problem"));
        }
        return cli_table_print(table, stdout, 0) < 0 ? cli_fail(CLI_FAILED, "out of memory") : 0;
}

/* Pages until there are enough or no more. */
static int read_rows(const struct options *o, const char *base, json_t *all)
{
        cli_autoclient struct fg_client *client = NULL;
        uint64_t wanted = o->rows ? o->rows : strtoull(ROWS, NULL, 10);
        char after[32] = "";
        int code = cli_connect(&client);
        do {
                cli_autojson json_t *page = NULL;
                char path[2048], limit[16];
                uint64_t left = wanted - json_array_size(all);
                snprintf(path, sizeof path, "%s", base);
                snprintf(limit, sizeof limit, "%u", left < 1000 ? (unsigned)left : 1000);
                append(path, sizeof path, "limit", limit);
                if (*after)
                        append(path, sizeof path, "after", after);
                code = code ? code : cli_request(client, "GET", path, NULL, &page);
                json_array_extend(all, json_object_get(page, "audit"));
                snprintf(after, sizeof after, "%s", cli_text(page, "next"));
        } while (code == 0 && *after && json_array_size(all) < wanted);
        return code;
}

int cli_audit(int argc, char **argv)
{
        struct options o = {0};
        cli_autojson json_t *rows = json_array();
        char path[2048];
        int code = cli_parse("audit", &cli_audit_argp, argc, argv, &o);
        if (code == 0)
                code = build_path(&o, path, sizeof path);
        if (code == 0)
                code = read_rows(&o, path, rows);
        if (code)
                return code;
        if (!o.json)
                return print_rows(rows);
        cli_autojson json_t *all = json_pack("{s:O}", "audit", rows);
        cli_print_json(all, stdout);
        return 0;
}
