/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "base/cleanup.h"
#include "base/size.h"
#include "cli/job.h"
#include "cli/login_ask.h"
#include "cli/table.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENV_MAX 256

enum { KEY_ARRAY = 0x200, KEY_TIME, KEY_RETRIES, KEY_NOT_BEFORE, KEY_CWD, KEY_DEVICE, KEY_BUDGET, KEY_CURRENCY };

struct options {
        bool json, detach, yes;
        struct cli_wish wish;
        const char *array, *time_limit, *retries, *not_before, *cwd, *budget, *currency;
        const char *env[ENV_MAX];
        unsigned envs;
};

static const struct argp_option option_table[] = {
        CLI_OPTION_MEMORY,
        CLI_OPTION_COMPUTE,
        CLI_OPTION_GPUS,
        CLI_OPTION_MODE,
        CLI_OPTION_PRIORITY,
        {"device", KEY_DEVICE, "SEL", 0, "The device to use: its id, key or the beginning of its uuid", 1},
        {"name", CLI_KEY_NAME, "NAME", 0, "What to call the job (after its program)", 2},
        {"array", KEY_ARRAY, "FIRST-LAST[%K]", 0, "Run it once for each index, at most K at once; FASTGPU_ARRAY_INDEX says which", 2},
        {"time-limit", KEY_TIME, "TIME", 0, "End it after it has run for so long: 90s, 30m, 12h, 2d", 2},
        {"retries", KEY_RETRIES, "N", 0, "Start it again up to N times when it fails (0)", 2},
        {"not-before", KEY_NOT_BEFORE, "TIME", 0, "Start it in so long, not earlier: 30m, 12h; or a unix time", 2},
        {"budget", KEY_BUDGET, "AMOUNT", 0, "Suspend it once it has cost so much, until `fastgpu budget set` raises that", 2},
        {"currency", KEY_CURRENCY, "CODE", 0, "Of --budget: EUR, USD … (the price list's)", 2},
        {"env", 'e', "NAME[=VALUE]", 0, "Give it this variable; without VALUE the one of here", 3},
        {"cwd", KEY_CWD, "FOLDER", 0, "Where it starts (here; on a daemon elsewhere: its home)", 3},
        {"detach", 'd', NULL, 0, "Print the job's number and leave it", 4},
        {"yes", 'y', NULL, 0, "Do not ask", 4},
        CLI_OPTION_PROJECT,
        CLI_OPTION_JSON,
        {0}};

static error_t take_env(struct options *o, const char *arg)
{
        if (o->envs == ENV_MAX) {
                cli_fail(0, "--env can be given %d times; put more into a script", ENV_MAX);
                return EINVAL;
        }
        o->env[o->envs++] = arg;
        return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct options *o = state->input;
        switch (key) {
        case CLI_KEY_JSON:
                o->json = true;
                return 0;
        case CLI_KEY_PROJECT:
                return cli_project_take(arg);
        case 'd':
                o->detach = true;
                return 0;
        case 'y':
                o->yes = true;
                return 0;
        case 'e':
                return take_env(o, arg);
        case KEY_ARRAY:
                o->array = arg;
                return 0;
        case KEY_TIME:
                o->time_limit = arg;
                return 0;
        case KEY_RETRIES:
                o->retries = arg;
                return 0;
        case KEY_NOT_BEFORE:
                o->not_before = arg;
                return 0;
        case KEY_BUDGET:
                o->budget = arg;
                return 0;
        case KEY_CURRENCY:
                o->currency = arg;
                return 0;
        case KEY_DEVICE:
                return cli_wish_take(&o->wish, CLI_KEY_DEVICE, arg);
        case KEY_CWD:
                o->cwd = arg;
                return 0;
        case ARGP_KEY_ARG:
                cli_fail(0, "submit takes its command behind \"--\"; type: fastgpu submit … -- %s …", arg);
                return EINVAL;
        default:
                return cli_wish_take(&o->wish, key, arg);
        }
}

const struct argp cli_submit_argp = {.options = option_table,
                                     .parser = parse,
                                     .args_doc = "-- COMMAND ARGS…",
                                     .doc = "Submit a job: a command that runs in vGPUs of its own once there is room for all of them. Shows what "
                                            "it writes until it ends; Ctrl-C leaves it running.\v"
                                            "The exit code is the command's; 128 and more: the signal that ended it. Without --memory it gets as "
                                            "much of a device's memory as --compute has of its time, without --compute the other way round, "
                                            "without both a whole device. From this shell it gets PATH, HOME, LANG and TERM, and what --env names."};

/* --- the request --- */

static int add_env(const struct options *o, json_t *body)
{
        static const char *const always[] = {"PATH", "HOME", "LANG", "TERM"};
        json_t *env = json_object();
        for (unsigned i = 0; i < sizeof always / sizeof *always; i++)
                if (getenv(always[i]))
                        json_object_set_new(env, always[i], json_string(getenv(always[i])));
        json_object_set_new(body, "env", env);
        for (unsigned i = 0; i < o->envs; i++) {
                const char *equals = strchr(o->env[i], '=');
                fg_autofree char *name = equals ? strndup(o->env[i], (size_t)(equals - o->env[i])) : strdup(o->env[i]);
                const char *value = equals ? equals + 1 : name ? getenv(name) : NULL;
                if (!name || !*name || !value)
                        return cli_fail(CLI_USAGE, "--env \"%s\": %s", o->env[i], name && *name ? "there is no such variable here; type NAME=VALUE" : "type NAME=VALUE");
                if (json_object_set_new(env, name, json_string(value)) < 0)
                        return cli_fail(CLI_USAGE, "--env %s: the value is not UTF-8 text", name);
        }
        return 0;
}

/* Elsewhere there is no such folder: there it is the account's home. */
static int add_cwd(const struct options *o, json_t *body, bool is_remote)
{
        char here[PATH_MAX];
        if (o->cwd && *o->cwd != '/')
                return cli_fail(CLI_USAGE, "--cwd \"%s\": type the whole path, from /", o->cwd);
        if (!o->cwd && (is_remote || !getcwd(here, sizeof here)))
                return 0;
        return json_object_set_new(body, "cwd", json_string(o->cwd ? o->cwd : here)) == 0 ? 0 : cli_fail(CLI_USAGE, "the folder's name is not UTF-8 text");
}

static int add_number(json_t *body, const char *field, const char *option, const char *text, uint64_t max)
{
        struct fg_error err = {0};
        uint64_t value;
        if (!text)
                return 0;
        if (fg_count_parse(option, text, 0, max, &value, &err) < 0)
                return cli_fail(CLI_USAGE, "%s", err.text);
        json_object_set_new(body, field, json_integer((json_int_t)value));
        return 0;
}

static void add_text(json_t *body, const char *field, const char *text)
{
        if (text)
                json_object_set_new(body, field, json_string(text));
}

static int add_budget(const struct options *o, json_t *body)
{
        if (o->currency && !o->budget)
                return cli_fail(CLI_USAGE, "--currency %s: of what? Add --budget AMOUNT", o->currency);
        if (o->budget && json_object_set_new(body, "budget", json_pack("{s:s, s:s*}", "amount", o->budget, "currency", o->currency)) < 0)
                return cli_fail(CLI_USAGE, "--budget: that is not UTF-8");
        return 0;
}

static int add_command(json_t *body, char **command)
{
        json_t *words = json_array();
        json_object_set_new(body, "command", words);
        for (; *command; command++)
                if (json_array_append_new(words, json_string(*command)) < 0)
                        return cli_fail(CLI_USAGE, "the command is not UTF-8 text");
        return 0;
}

static int make_body(const struct options *o, char **command, bool is_remote, json_t **ret)
{
        cli_autojson json_t *body = NULL;
        int code = cli_wish_body(&o->wish, &body);
        if (code == 0)
                code = cli_project_add(body);
        if (code == 0)
                code = add_command(body, command);
        if (code == 0)
                code = add_env(o, body);
        if (code == 0)
                code = add_cwd(o, body, is_remote);
        if (code == 0)
                code = add_budget(o, body);
        if (code == 0)
                code = add_number(body, "retries", "--retries", o->retries, 100);
        if (code)
                return code;
        add_text(body, "array", o->array);
        add_text(body, "time_limit", o->time_limit);
        if (o->not_before && strlen(o->not_before) > 8 && strspn(o->not_before, "0123456789") == strlen(o->not_before))
                code = add_number(body, "not_before", "--not-before", o->not_before, 1ull << 40);
        else
                add_text(body, "not_before", o->not_before);
        if (code == 0)
                *ret = FG_TAKE_PTR(body);
        return code;
}

/* --- asking first --- */

static void say_wish(const json_t *body, char *ret, size_t len)
{
        const char *gpus = json_object_get(body, "gpus") ? "" : "1";
        const char *memory = cli_text(body, "memory"), *compute = cli_text(body, "compute");
        size_t n = (size_t)snprintf(ret, len, "%s", gpus);
        if (!*gpus)
                n = (size_t)snprintf(ret, len, "%llu", (unsigned long long)cli_number(body, "gpus"));
        n += (size_t)snprintf(ret + n, len - n, " vGPU%s: ", cli_number(body, "gpus") > 1 ? "s, each" : "");
        if (*memory || *compute)
                n += (size_t)snprintf(ret + n, len - n, "%s%s%s%s%s%s", *memory ? memory : "", *memory ? " of memory" : "", *memory && *compute ? ", " : "",
                                      *compute ? compute : "", *compute && !strchr(compute, '%') ? " %" : "", *compute ? " of a device's time" : "");
        else
                n += (size_t)snprintf(ret + n, len - n, "a whole device");
        if (*cli_text(body, "array") && n < len)
                n += (size_t)snprintf(ret + n, len - n, "; array %s", cli_text(body, "array"));
        const json_t *budget = json_object_get(body, "budget");
        if (budget && n < len)
                n += (size_t)snprintf(ret + n, len - n, "; at most %s%s%s", cli_text(budget, "amount"), *cli_text(budget, "currency") ? " " : "",
                                      cli_text(budget, "currency"));
        if (n < len)
                snprintf(ret + n, len - n, "; %s%s", *cli_text(body, "time_limit") ? "at most " : "no time limit", cli_text(body, "time_limit"));
}

static int confirm(const struct options *o, struct fg_client *client, const json_t *body)
{
        char wish[256], price[96], question[400], answer[16];
        if (o->yes)
                return 0;
        say_wish(body, wish, sizeof wish);
        if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
                return cli_fail(CLI_USAGE, "submit asks before it does it (%s), and there is no terminal to ask on; type: fastgpu submit -y …", wish);
        cli_price_hint(client, body, price, sizeof price);
        snprintf(question, sizeof question, "%s%s%s. Submit? [Y/n] ", wish, *price ? "; " : "", price);
        if (cli_ask_line(question, answer, sizeof answer) < 0)
                return cli_fail(CLI_USAGE, "nothing was submitted");
        if (*answer && *answer != 'y' && *answer != 'Y')
                return cli_fail(CLI_FAILED, "nothing was submitted");
        return 0;
}

/* --- and then --- */

/* Of an array the output of each is its own: how many ended how is what can be told. */
static int wait_for_array(struct fg_client **client, const char *id, const struct options *o)
{
        cli_autojson json_t *job = NULL;
        int code = cli_job_wait(client, id, &job);
        if (code)
                return code;
        const json_t *counts = json_object_get(job, "counts");
        if (o->json)
                cli_print_json(job, stdout);
        else
                cli_note("job %s: %llu done, %llu failed, %llu cancelled", id, (unsigned long long)cli_number(counts, "done"),
                         (unsigned long long)cli_number(counts, "failed"), (unsigned long long)cli_number(counts, "cancelled"));
        return cli_job_exit(job);
}

static int attend(struct fg_client **client, const json_t *job, const struct options *o)
{
        cli_autojson json_t *end = NULL;
        char id[24];
        snprintf(id, sizeof id, "%llu", (unsigned long long)cli_number(job, "id"));
        if (o->detach) {
                if (o->json)
                        cli_print_json(job, stdout);
                else
                        puts(id);
                return 0;
        }
        if (isatty(STDERR_FILENO))
                cli_note("job %s was submitted; Ctrl-C leaves it, `fastgpu why %s` says why it waits", id, id);
        if (json_object_get(job, "array"))
                return wait_for_array(client, id, o);
        int code = cli_job_follow(client, id, true);
        if (code == 0)
                code = cli_job_wait(client, id, &end);
        if (code)
                return code;
        if (o->json)
                json_dumpf(end, stderr, JSON_COMPACT);
        return cli_job_exit(end);
}

/* argp would take the command's options for ours. */
static int split(int argc, char **argv, int *ret_own)
{
        for (int i = 1; i < argc; i++)
                if (strcmp(argv[i], "--") == 0) {
                        *ret_own = i;
                        return argv[i + 1] ? 0 : cli_fail(CLI_USAGE, "submit what? No command follows \"--\"");
                }
        *ret_own = argc;
        return 0;
}

int cli_submit(int argc, char **argv)
{
        struct options o = {0};
        cli_autoclient struct fg_client *client = NULL;
        cli_autojson json_t *job = NULL;
        json_t *body = NULL;
        int own, code = split(argc, argv, &own);
        if (code)
                return code;
        char **command = own < argc ? argv + own + 1 : NULL, *end = argv[own];
        argv[own] = NULL;
        code = cli_parse("submit", &cli_submit_argp, own, argv, &o);
        argv[own] = end;
        if (code == 0 && !command)
                code = cli_fail(CLI_USAGE, "submit what? Type: fastgpu submit --memory 1G --compute 30 -- COMMAND ARGS…");
        if (code == 0)
                code = cli_connect(&client);
        if (code == 0)
                code = make_body(&o, command, fg_client_is_remote(client), &body);
        if (code == 0 && (code = confirm(&o, client, body)))
                json_decref(body);
        if (code == 0)
                code = cli_request(client, "POST", "/v1/jobs", body, &job);
        return code ? code : attend(&client, job, &o);
}
