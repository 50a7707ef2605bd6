/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/size.h"
#include "cli/cli.h"
#include "cli/top_screen.h"
#include "cli/top_view.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct options {
        bool json;
        uint64_t batch;    /* tables to print; 0: no end */
        uint64_t interval; /* ms */
        bool plain;
        int view;         /* of enum cli_top_view_id; -1: vGPUs below their devices */
        const char *sort; /* NULL: the view's own */
        const char *project;
};

struct top {
        struct options o;
        struct fg_client *client;
        json_t *before; /* the last answer */
        json_t *view;
        json_t *jobs;
};

static const struct argp_option option_table[] = {
        {"interval", 'i', "SECONDS", 0, "Time between two looks, 0.1 to 3600 (1)", 0},
        {"once", '1', NULL, 0, "Print one table after one interval and end", 0},
        {"batch", 'b', "N", 0, "Print N tables, one each interval, and end", 0},
        {"view", 'v', "VIEW", 0, "vgpu, process, tenant, device or job", 0},
        {"sort", 's', "COLUMN", 0, "Sort by this column, with - in front the other way round", 0},
        CLI_OPTION_PROJECT,
        {"json", CLI_KEY_JSON, NULL, 0, "Print one JSON object a line for each interval", 10},
        {0}};

static error_t take_interval(struct options *o, const char *text)
{
        char *end;
        errno = 0;
        double seconds = strtod(text, &end);
        if (end == text || *end || !(seconds >= 0.1 && seconds <= 3600)) {
                cli_fail(0, "--interval \"%s\": write seconds from 0.1 to 3600", text);
                return EINVAL;
        }
        o->interval = (uint64_t)(seconds * 1000);
        return 0;
}

static error_t take_batch(struct options *o, const char *text)
{
        struct fg_error err = {0};
        o->plain = true;
        if (fg_count_parse("number of tables", text, 1, 1000000000, &o->batch, &err) == 0)
                return 0;
        cli_fail(0, "--batch: %s", err.text);
        return EINVAL;
}

static error_t take_view(struct options *o, const char *text)
{
        o->view = cli_top_table_find(text);
        if (o->view >= 0)
                return 0;
        cli_fail(0, "--view \"%s\": there are vgpu, process, tenant, device and job", text);
        return EINVAL;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct options *o = state->input;
        switch (key) {
        case CLI_KEY_JSON:
                o->json = o->plain = true;
                return 0;
        case 'i':
                return take_interval(o, arg);
        case 'b':
                return take_batch(o, arg);
        case 'v':
                return take_view(o, arg);
        case 's':
                o->sort = arg;
                return 0;
        case CLI_KEY_PROJECT:
                return cli_project_take(arg);
        case '1':
                return take_batch(o, "1");
        case ARGP_KEY_ARG:
                cli_fail(0, "top takes no argument, yet \"%s\" was given", arg);
                return EINVAL;
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

const struct argp cli_top_argp = {.options = option_table,
                                  .parser = parse,
                                  .doc = "Watch who uses what: for each vGPU the memory in use, the share of compute "
                                         "asked for and got, device time, how "
                                         "often launches had to wait, refusals and processes. h shows the keys, q quits. "
                                         "Where the output is no terminal, tables are printed one after the other."};

/* What is sorted by has to be a column of what is shown. 0, or CLI_USAGE, said. */
static int check_sort(const struct options *o)
{
        const struct cli_top_table *table = &cli_top_tables[o->view < 0 ? CLI_TOP_VGPU : o->view];
        char all[256] = "";
        bool ignored;
        if (!o->sort || cli_top_sort_find(table, o->sort, &ignored) >= 0)
                return 0;
        for (size_t i = 0; i < table->count; i++)
                if (table->columns[i].format != CLI_TOP_SPARK)
                        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", *all ? ", " : "", table->columns[i].title);
        return cli_fail(CLI_USAGE, "--sort \"%s\": %s can be sorted by %s", o->sort, table->title, all);
}

/* One look. 0 with a new view, or the exit code with *ret_problem. */
static int look(struct top *top, json_t **ret_problem)
{
        struct cli_top_ask ask = {.sets = top->o.view != CLI_TOP_JOB};
        struct cli_top_answer answer;
        const char *project = top->o.project;
        if (!ask.sets)
                snprintf(ask.jobs, sizeof ask.jobs, "/v1/jobs?state=unfinished&limit=1000%s%.200s", project ? "&project=" : "", project ? project : "");
        cli_top_ask(top->client, project, &ask, &answer);
        int code = answer.code;
        *ret_problem = json_incref(answer.problem);
        if (code == 0 && ask.sets) {
                json_decref(top->view);
                top->view = cli_top_view(answer.devices, top->before, answer.sets);
                json_decref(top->before);
                top->before = json_incref(answer.sets);
                code = top->view ? 0 : CLI_FAILED;
        } else if (code == 0) {
                json_decref(top->jobs);
                top->jobs = json_incref(answer.jobs);
        }
        cli_top_answer_clear(&answer);
        return code;
}

static void sleep_until(uint64_t due)
{
        for (uint64_t now = fg_now(); now < due; now = fg_now())
                poll(NULL, 0, (int)((due - now) / FG_NSEC_PER_MSEC) + 1);
}

/* One object a line. */
static void print_object(const json_t *object)
{
        json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
        putchar('\n');
}

static void print_rows(const struct top *top)
{
        const struct cli_top_table *table = &cli_top_tables[top->o.view];
        bool of_jobs = top->o.view == CLI_TOP_JOB;
        const char *sort = top->o.sort ? top->o.sort : table->sort;
        cli_autojson json_t *rows = cli_top_rows((enum cli_top_view_id)top->o.view, of_jobs ? top->jobs : top->view, !fg_client_is_remote(top->client));
        cli_top_sort_array(table, rows, sort);
        if (top->o.json) {
                cli_autojson json_t *object = json_pack("{s:s, s:O*, s:O*, s:O}", "view", table->name, "time_ns", json_object_get(top->view, "time_ns"),
                                                        "interval_ns", json_object_get(top->view, "interval_ns"), "rows", rows);
                print_object(object);
        } else {
                cli_top_print(table, rows, stdout);
        }
}

static void print_plain(const struct top *top, uint64_t n)
{
        size_t i;
        json_t *device;
        if (n && !top->o.json)
                putchar('\n');
        if (top->o.view >= 0) {
                print_rows(top);
                return;
        }
        json_array_foreach(json_object_get(top->view, "devices"), i, device)
                if (top->o.sort)
                        cli_top_sort_array(&cli_top_tables[CLI_TOP_VGPU], json_object_get(device, "vgpus"), top->o.sort);
        if (top->o.json)
                print_object(top->view);
        else
                cli_top_draw(top->view, stdout, 0);
}

/* The first look only says what counters start from. */
static int run_plain(struct top *top)
{
        uint64_t due = fg_now();
        for (uint64_t n = 0; !top->o.batch || n <= top->o.batch; n++) {
                cli_autojson json_t *problem = NULL;
                sleep_until(due);
                int code = look(top, &problem);
                if (code && problem)
                        cli_say_problem(top->client, problem, NULL);
                if (code)
                        return code;
                if (n) {
                        print_plain(top, n - 1);
                        if (fflush(stdout) != 0)
                                return CLI_FAILED;
                }
                due += top->o.interval * FG_NSEC_PER_MSEC;
        }
        return 0;
}

/* -ENOTSUP: there is no full screen here. */
static int run_screen(struct top *top)
{
        struct cli_top_screen screen = {.project = top->o.project,
                                        .local = !fg_client_is_remote(top->client),
                                        .view = top->o.view < 0 ? CLI_TOP_VGPU : (enum cli_top_view_id)top->o.view,
                                        .interval = top->o.interval,
                                        .history = cli_top_history_new()};
        struct fg_error err = {0};
        int r = cli_term_load(&screen.term, &err);
        if (r < 0) {
                cli_note("%s", err.text);
                return -ENOTSUP;
        }
        for (int i = 0; i < CLI_TOP_VIEWS; i++)
                screen.sort[i] = cli_top_sort_find(&cli_top_tables[i], cli_top_tables[i].sort, &screen.turned[i]);
        if (top->o.sort)
                screen.sort[screen.view] = cli_top_sort_find(&cli_top_tables[screen.view], top->o.sort, &screen.turned[screen.view]);
        screen.fetch = cli_top_fetch_new(top->client, top->o.project);
        if (!screen.history || !screen.fetch)
                return -ENOTSUP;
        r = cli_top_screen(&screen);
        /* The thread may wait for an answer still, and nothing is to be written: no tidying up under its feet. */
        if (r == 0)
                _exit(0);
        cli_note("this terminal (TERM=%s) has no full screen: tables follow", getenv("TERM") ? getenv("TERM") : "");
        return r;
}

int cli_top(int argc, char **argv)
{
        struct top top = {.o.interval = 1000, .o.view = -1};
        int code = cli_parse("top", &cli_top_argp, argc, argv, &top.o);
        if (code == 0)
                code = check_sort(&top.o);
        if (code == 0)
                code = cli_project(&top.o.project);
        if (code == 0)
                code = cli_connect(&top.client);
        if (code)
                return code;
        if (top.o.plain || !isatty(STDOUT_FILENO) || run_screen(&top) < 0)
                code = run_plain(&top);
        json_decref(top.view);
        json_decref(top.jobs);
        json_decref(top.before);
        fg_client_close(top.client);
        return code;
}
