/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "base/cleanup.h"
#include "base/size.h"
#include "cli/job.h"
#include "cli/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define REASONS_MAX  20 /* jobs that wait whose reason is asked for */
#define ELEMENTS_MAX 1000

struct options {
        bool json, all, mine;
        const char *state, *id;
        uint64_t limit;
};

static const struct argp_option option_table[] = {
        {"state", 's', "STATE", 0, "Only those in this state: queued, running, suspended, done, failed, …", 1},
        {"all", 'a', NULL, 0, "Also those that are over, and each element of arrays", 1},
        {"mine", 'M', NULL, 0, "Only one's own", 1},
        {"limit", 'l', "N", 0, "At most so many, the newest (100)", 1},
        CLI_OPTION_PROJECT,
        CLI_OPTION_JSON,
        {0}};

const struct argp cli_jobs_argp = {.options = option_table,
                                   .parser = cli_action_parse,
                                   .args_doc = "[JOB]",
                                   .doc = "List the jobs that have not ended, newest first; or one job with the elements of its array."};

static const struct cli_column columns[] = {{"ID", false}, {"NAME", false}, {"PROJECT", false}, {"USER", false},
                                            {"STATE", false}, {"GPUS", true}, {"TIME", true}, {"REASON", false}};

static int64_t seconds(const char *text)
{
        struct tm tm = {0};
        return strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) ? (int64_t)timegm(&tm) : 0;
}

/* How long it has run; of what waits, how long it has waited. */
static void add_time(struct cli_table *table, const json_t *job, const char *submitted)
{
        const char *started = cli_text(job, "started"), *ended = cli_text(job, "ended");
        int64_t from = seconds(*started ? started : submitted), upto = *ended ? seconds(ended) : (int64_t)time(NULL);
        int64_t s = from && upto > from ? upto - from : 0;
        if (!from)
                cli_table_add(table, "-");
        else if (s >= 86400)
                cli_table_add(table, "%lldd %02lldh", (long long)s / 86400, (long long)s / 3600 % 24);
        else if (s >= 3600)
                cli_table_add(table, "%lld:%02lld:%02lld", (long long)s / 3600, (long long)s / 60 % 60, (long long)s % 60);
        else
                cli_table_add(table, "%lld:%02lld", (long long)s / 60, (long long)s % 60);
}

static void add_reason(struct cli_table *table, struct fg_client *client, const json_t *job, unsigned *asked)
{
        cli_autojson json_t *why = NULL;
        cli_autojson json_t *ignored = NULL;
        char path[64];
        const json_t *counts = json_object_get(job, "counts");
        if (counts && strcmp(cli_text(job, "state"), "queued") != 0) {
                cli_table_add(table, "%llu queued, %llu running, %llu done, %llu failed, %llu cancelled", (unsigned long long)cli_number(counts, "queued"),
                              (unsigned long long)cli_number(counts, "running"), (unsigned long long)cli_number(counts, "done"),
                              (unsigned long long)cli_number(counts, "failed"), (unsigned long long)cli_number(counts, "cancelled"));
                return;
        }
        if (strcmp(cli_text(job, "state"), "queued") == 0 && client && ++*asked <= REASONS_MAX) {
                snprintf(path, sizeof path, "/v1/why/%" PRIu64, cli_number(job, "id"));
                cli_ask(client, "GET", path, NULL, &why, &ignored);
        }
        cli_table_add(table, "%s", why ? cli_text(why, "reason") : cli_text(job, "reason"));
}

static void add_job(struct cli_table *table, struct fg_client *client, const json_t *job, unsigned *asked)
{
        if (*cli_text(job, "array"))
                cli_table_add(table, "%llu [%s]", (unsigned long long)cli_number(job, "id"), cli_text(job, "array"));
        else
                cli_table_add(table, "%llu", (unsigned long long)cli_number(job, "id"));
        cli_table_add(table, "%s", cli_text(job, "name"));
        cli_table_add(table, "%s", cli_text(job, "project"));
        cli_table_add(table, "%s", cli_text(job, "owner"));
        cli_table_add(table, "%s", cli_text(job, "state"));
        cli_table_add(table, "%llu", (unsigned long long)cli_number(job, "gpus"));
        add_time(table, job, cli_text(job, "submitted"));
        add_reason(table, client, job, asked);
}

static void add_elements(struct cli_table *table, const json_t *job, const json_t *elements)
{
        size_t i;
        const json_t *e;
        json_array_foreach(elements, i, e)
        {
                cli_table_add(table, "%llu/%llu", (unsigned long long)cli_number(job, "id"), (unsigned long long)cli_number(e, "index"));
                cli_table_add(table, "%s", cli_text(job, "name"));
                cli_table_add(table, "%s", cli_text(job, "project"));
                cli_table_add(table, "%s", cli_text(job, "owner"));
                cli_table_add(table, "%s", cli_text(e, "state"));
                cli_table_add(table, "%llu", (unsigned long long)cli_number(job, "gpus"));
                add_time(table, e, "");
                cli_table_add(table, "%s", cli_text(e, "reason"));
        }
}

/* With the elements of an array, the first of them. */
static int fetch(struct fg_client *client, const char *id, json_t **ret)
{
        char path[128], query[48];
        snprintf(query, sizeof query, "elements=1&limit=%d", ELEMENTS_MAX);
        int code = cli_job_path(id, "", strchr(id, '/') ? "" : query, path, sizeof path);
        return code ? code : cli_request(client, "GET", path, NULL, ret);
}

static int show_one(struct fg_client *client, const struct options *o)
{
        cli_autojson json_t *job = NULL;
        unsigned asked = 0;
        int code = fetch(client, o->id, &job);
        if (code)
                return code;
        if (o->json) {
                cli_print_json(job, stdout);
                return 0;
        }
        cli_autotable struct cli_table *table = cli_table_new(columns, sizeof columns / sizeof *columns);
        if (!table)
                return cli_fail(CLI_FAILED, "out of memory");
        add_job(table, client, job, &asked);
        add_elements(table, job, json_object_get(job, "elements"));
        if (cli_table_print(table, stdout, 0) < 0)
                return cli_fail(CLI_FAILED, "out of memory");
        if (*cli_text(job, "next"))
                cli_note("the first %d elements are shown; --json, or fastgpu jobs %s/INDEX, shows others", ELEMENTS_MAX, o->id);
        return 0;
}

static int read_all(struct fg_client *client, const struct options *o, const char *project, json_t *all)
{
        uint64_t limit = o->limit ? o->limit : 100;
        char path[256], after[32] = "";
        do {
                cli_autojson json_t *page = NULL;
                uint64_t left = limit - json_array_size(all);
                snprintf(path, sizeof path, "/v1/jobs?limit=%" PRIu64 "%s%.40s%s%s%s%s%s", left > 1000 ? 1000 : left, o->state || !o->all ? "&state=" : "",
                         o->state ? o->state : o->all ? "" : "unfinished", project ? "&project=" : "", project ? project : "", o->mine ? "&mine=1" : "",
                         *after ? "&after=" : "", after);
                int code = cli_request(client, "GET", path, NULL, &page);
                if (code)
                        return code;
                json_array_extend(all, json_object_get(page, "jobs"));
                snprintf(after, sizeof after, "%s", cli_text(page, "next"));
        } while (*after && json_array_size(all) < limit);
        return 0;
}

static int print_all(struct fg_client *client, const struct options *o, const json_t *all)
{
        cli_autotable struct cli_table *table = cli_table_new(columns, sizeof columns / sizeof *columns);
        unsigned asked = 0;
        size_t i;
        const json_t *job;
        int code = table ? 0 : cli_fail(CLI_FAILED, "out of memory");
        if (code)
                return code;
        json_array_foreach(all, i, job)
        {
                cli_autojson json_t *whole = NULL;
                char id[24];
                snprintf(id, sizeof id, "%llu", (unsigned long long)cli_number(job, "id"));
                add_job(table, client, job, &asked);
                if (o->all && *cli_text(job, "array") && (code = fetch(client, id, &whole)))
                        return code;
                add_elements(table, job, json_object_get(whole, "elements"));
        }
        return cli_table_print(table, stdout, 0) < 0 ? cli_fail(CLI_FAILED, "out of memory") : 0;
}

static int read_options(int argc, char **argv, struct options *ret)
{
        struct cli_words words;
        struct fg_error err = {0};
        int code = cli_words("jobs", &cli_jobs_argp, argc, argv, &words);
        if (code)
                return code;
        const char *limit = cli_word(&words, "limit");
        *ret = (struct options){.json = words.json, .all = cli_word(&words, "all"), .mine = cli_word(&words, "mine"), .state = cli_word(&words, "state"),
                                .id = words.count ? words.args[0] : NULL};
        if (limit && fg_count_parse("--limit", limit, 1, 1000000, &ret->limit, &err) < 0)
                return cli_fail(CLI_USAGE, "%s", err.text);
        if (words.count > 1)
                return cli_fail(CLI_USAGE, "jobs takes one job, yet \"%s\" was given after \"%s\"", words.args[1], words.args[0]);
        if (ret->id && !cli_job_is_id(ret->id))
                return cli_fail(CLI_USAGE, "\"%s\" is not a job: it is a number like 17, or 17/3 for an element of an array", ret->id);
        return 0;
}

int cli_jobs(int argc, char **argv)
{
        struct options o = {0};
        cli_autoclient struct fg_client *client = NULL;
        cli_autojson json_t *all = json_array();
        const char *project = NULL;
        int code = read_options(argc, argv, &o);
        if (code == 0)
                code = cli_project(&project);
        if (code == 0)
                code = cli_connect(&client);
        if (code == 0 && o.id)
                return show_one(client, &o);
        if (code == 0)
                code = read_all(client, &o, project, all);
        if (code)
                return code;
        if (o.json)
                cli_print_json(all, stdout);
        else if (json_array_size(all))
                code = print_all(client, &o, all);
        else
                cli_note("no jobs%s; submit one with `fastgpu submit -- COMMAND`", o.all || o.state ? " like that" : " that have not ended (--all shows all)");
        return code;
}
