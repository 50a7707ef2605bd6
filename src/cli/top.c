/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/size.h"
#include "cli/cli.h"
#include "cli/term.h"
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
};

struct top {
        struct options o;
        struct fg_client *client;
        json_t *before; /* the last answer */
        json_t *view;
};

static const struct argp_option option_table[] = {
        {"interval", 'i', "SECONDS", 0, "Time between two looks, 0.1 to 3600 (1)", 0},
        {"once", '1', NULL, 0, "Print one table after one interval and end", 0},
        {"batch", 'b', "N", 0, "Print N tables, one each interval, and end", 0},
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
                                         "often launches had to wait, refusals and processes. q quits. Where the "
                                         "output is no terminal, tables are "
                                         "printed one after the other."};

/* One look. 0 with a new view, or the exit code with *ret_problem. */
static int look(struct top *top, json_t **ret_problem)
{
        cli_autojson json_t *devices = NULL;
        json_t *now = NULL;
        int code = cli_ask(top->client, "GET", "/v1/devices", NULL, &devices, ret_problem);
        if (code == 0)
                code = cli_ask_sets(top->client, "/v1/vgpus", &now, ret_problem);
        if (code)
                return code;
        json_decref(top->view);
        top->view = cli_top_view(devices, top->before, now);
        json_decref(top->before);
        top->before = now;
        return top->view ? 0 : CLI_FAILED;
}

static void sleep_until(uint64_t due)
{
        for (uint64_t now = fg_now(); now < due; now = fg_now())
                poll(NULL, 0, (int)((due - now) / FG_NSEC_PER_MSEC) + 1);
}

static void print_plain(const struct top *top, uint64_t n)
{
        if (top->o.json) {
                json_dumpf(top->view, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
                putchar('\n');
                return;
        }
        if (n)
                putchar('\n');
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

static void draw(const struct top *top, const char *trouble)
{
        size_t rows, columns, size;
        char *text = NULL;
        cli_term_size(&rows, &columns);
        FILE *out = open_memstream(&text, &size);
        if (!out)
                return;
        fprintf(out, "fastgpu top: every %g s, q quits%s%s\n\n", (double)top->o.interval / 1000, *trouble ? "; " : "",
                trouble);
        if (top->view)
                cli_top_draw(top->view, out, columns);
        if (fclose(out) == 0)
                cli_term_draw(text);
        free(text);
}

/* A daemon that is gone may come back: say so and go on. */
static int run_screen(struct top *top)
{
        uint64_t due = 0;
        char trouble[128] = "";
        cli_term_enter();
        for (;;) {
                uint64_t now = fg_now();
                if (now >= due) {
                        cli_autojson json_t *problem = NULL;
                        int code = look(top, &problem);
                        snprintf(trouble, sizeof trouble, "%s", code ? cli_text(problem, "detail") : "");
                        due = now + top->o.interval * FG_NSEC_PER_MSEC;
                }
                draw(top, trouble);
                now = fg_now();
                enum cli_key key = cli_term_wait(due > now ? (int)((due - now) / FG_NSEC_PER_MSEC) + 1 : 0);
                if (key == CLI_KEY_QUIT)
                        break;
        }
        cli_term_leave();
        return 0;
}

int cli_top(int argc, char **argv)
{
        struct top top = {.o.interval = 1000};
        int code = cli_parse("top", &cli_top_argp, argc, argv, &top.o);
        if (code == 0)
                code = cli_connect(&top.client);
        if (code)
                return code;
        bool screen = !top.o.plain && isatty(STDOUT_FILENO);
        code = screen ? run_screen(&top) : run_plain(&top);
        json_decref(top.view);
        json_decref(top.before);
        fg_client_close(top.client);
        return code;
}
