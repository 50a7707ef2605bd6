/* SPDX-License-Identifier: Apache-2.0
 * What the verbs of `fastgpu` share. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "base/error.h"
#include "fastgpu/client.h"

#include <argp.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* docs/design/contracts.md; the manual lists them for people. */
enum cli_exit {
        CLI_OK = 0,
        CLI_FAILED = 1,
        CLI_USAGE = 2,
        CLI_NOT_FOUND = 3,
        CLI_EXISTS = 4, /* or in use */
        CLI_NO_CAPACITY = 5,
        CLI_NO_DAEMON = 6, /* or not allowed */
        CLI_NO_LAYER = 7,
        CLI_NOT_EXECUTABLE = 126,
        CLI_NO_PROGRAM = 127,
};

/* What a verb's positional arguments are; for the completion. */
enum cli_operand { CLI_OPERAND_NONE, CLI_OPERAND_NAME, CLI_OPERAND_TARGET, CLI_OPERAND_VERB, CLI_OPERAND_ACTION, CLI_OPERAND_JOB, CLI_OPERAND_JOB_OR_NAME };

struct cli_action;

struct cli_verb {
        const char *name;
        int (*run)(int argc, char **argv); /* argv[0] is the verb; returns the exit code */
        const struct argp *argp;
        enum cli_operand operand;
        const char *args, *summary;
        const struct cli_action *actions; /* of CLI_OPERAND_ACTION; ends with a NULL name */
};

extern const struct cli_verb cli_verb_table[]; /* ends with a NULL name */
const struct cli_verb *cli_verb_find(const char *name);

/* --- say.c: one line on standard error --- */

/* "fastgpu: …"; returns `code`. Control characters of what was typed or answered never reach the terminal. */
__attribute__((format(printf, 2, 3), cold)) int cli_fail(int code, const char *format, ...);
/* What it said last, without "fastgpu: ". */
const char *cli_failure(void);
__attribute__((format(printf, 1, 2), cold)) void cli_note(const char *format, ...);
/* A line on standard output, as clean. */
__attribute__((format(printf, 1, 2))) void cli_say(const char *format, ...);
void cli_print_json(const json_t *value, FILE *out);
/* Writes out what standard output still buffers: a full disk is a failure. Returns `code`, or CLI_FAILED. */
int cli_flush(int code);
/* Replaces what is no UTF-8 and what changes the terminal or the reading of the rest (control and format characters) by '?', in place.
 * Returns text. */
char *cli_clean(char *text);

/* --- args.c --- */

/* The key of --json, which every verb has. */
#define CLI_KEY_JSON 'j'
/* clang-format off */
#define CLI_OPTION_JSON {"json", CLI_KEY_JSON, NULL, 0, "Print JSON with stable names instead of a table", 10}
/* clang-format on */

/* Parses a verb's arguments. Unknown options, missing values and so on have been reported when this is not 0: return
 * it. A parser reports what it refuses itself with cli_fail() and returns EINVAL. */
int cli_parse(const char *verb, const struct argp *argp, int argc, char **argv, void *input);

/* --- suggest.c --- */

/* Number of single-letter edits, neighbours swapped included; larger than 64 letters: a large number. */
unsigned cli_edit_distance(const char *a, const char *b);
/* The candidate that was probably meant, or NULL. next(user, i): the i-th candidate, NULL at the end. */
const char *cli_suggest(const char *typed, const char *(*next)(const void *user, size_t i), const void *user);

/* --- api.c: requests with refusals told in words --- */

/* Connects, starting a daemon where none runs. 0, or the exit code after saying why. */
int cli_connect(struct fg_client **ret);
/* For what can be done here alone. 0, or the exit code after saying that commands go elsewhere. */
int cli_need_local(const char *verb);
/* One request; `body` is consumed (NULL: none). 0 with *ret (NULL for an empty answer), or the exit code, said. */
int cli_request(struct fg_client *client, const char *method, const char *path, json_t *body, json_t **ret);
/* The same, but what failed is left in *ret_problem (its own JSON or one that says as much) for the caller to print. */
int cli_ask(struct fg_client *client, const char *method, const char *path, json_t *body, json_t **ret,
            json_t **ret_problem);
/* Says a problem, with the name that was probably meant if `name` was not found. */
void cli_say_problem(struct fg_client *client, const json_t *problem, const char *name);
/* Connects, asks once, disconnects. `name` may be NULL. */
int cli_call(const char *method, const char *path, json_t *body, const char *name, json_t **ret);
/* GET of a list of sets, all its pages as one answer. Otherwise as cli_ask(). */
int cli_ask_sets(struct fg_client *client, const char *path, json_t **ret, json_t **ret_problem);
/* All pages of a list: path with its query, then the list's name. 0 with *ret, an array, or the exit code, said. */
int cli_call_all(const char *path, const char *field, json_t **ret);
/* "/v1/vgpus/[PROJECT:]NAME[/I]". 0, or CLI_USAGE after saying what is wrong with `target`. */
int cli_vgpu_path(const char *target, char *ret, size_t len, int64_t *ret_index);

static inline void cli_cleanup_jsonp(json_t **value)
{
        json_decref(*value);
}
static inline void cli_cleanup_clientp(struct fg_client **client)
{
        fg_client_close(*client);
}
#define cli_autojson   __attribute__((cleanup(cli_cleanup_jsonp)))
#define cli_autoclient __attribute__((cleanup(cli_cleanup_clientp)))

/* Members of an object; what is missing or of another type is 0 or "". */
uint64_t cli_number(const json_t *object, const char *key);
const char *cli_text(const json_t *object, const char *key);

/* --- place.c: in which project --- */

/* clang-format off */
#define CLI_KEY_PROJECT 'P'
#define CLI_OPTION_PROJECT {"project", CLI_KEY_PROJECT, "PROJECT", 0, "The project (FASTGPU_PROJECT, else yours)", 9}
/* clang-format on */

/* Takes --project. 0, or EINVAL, said. */
error_t cli_project_take(const char *arg);
/* The project that was named, by the option or the environment; *ret NULL: none was. 0, or CLI_USAGE, said. */
int cli_project(const char **ret);
/* Puts it into a body, if one was named. */
int cli_project_add(json_t *body);
/* "PROJECT:NAME[/I]" if one was named and `target` names none itself, else `target`. The text is the caller's to free. */
int cli_project_qualify(const char *target, char **ret);

/* --- action.c: verbs that have verbs of their own --- */

#define CLI_VALUES 16

/* What was typed behind such a verb. */
struct cli_words {
        bool json;
        const struct argp_option *table;
        const char *value[CLI_VALUES]; /* by the option's place in the table; "" of one without a value */
        char **args;                   /* behind the action */
        int count;
};

struct cli_action {
        const char *name;
        int min, max;        /* arguments */
        const char *args;    /* "NAME" */
        const char *options; /* those that it takes, "role user"; --json and --project every one */
        int (*run)(const struct cli_words *words);
};

/* For .parser; input is a struct cli_words. */
error_t cli_action_parse(int key, char *arg, struct argp_state *state);
/* Parses with that parser. 0, or the exit code, said. */
int cli_words(const char *verb, const struct argp *argp, int argc, char **argv, struct cli_words *ret);
/* The same for a verb that takes no argument (`most` 0) or at most one name (1). */
int cli_words_few(const char *verb, const struct argp *argp, int most, int argc, char **argv, struct cli_words *ret);
/* Parses, checks and runs one of `actions`. */
int cli_action_run(const char *verb, const struct argp *argp, const struct cli_action *actions, int argc, char **argv);
/* The value of an option; NULL: not given. */
const char *cli_word(const struct cli_words *words, const char *option);

/* --- wish.c: what one wants of a vGPU --- */

struct cli_wish {
        const char *memory, *compute, *mode, *priority, *device, *name, *gpus;
};

enum cli_wish_key {
        CLI_KEY_MEMORY = 'm',
        CLI_KEY_COMPUTE = 'c',
        CLI_KEY_GPUS = 'g',
        CLI_KEY_NAME = 'n',
        CLI_KEY_DEVICE = 'd',
        CLI_KEY_MODE = 0x100,
        CLI_KEY_PRIORITY
};

/* clang-format off */
#define CLI_OPTION_MEMORY   {"memory", CLI_KEY_MEMORY, "SIZE[,SIZE…]", 0, "Memory of each vGPU: 256M, 1.5GiB, 25%", 1}
#define CLI_OPTION_COMPUTE  {"compute", CLI_KEY_COMPUTE, "PERCENT[,PERCENT…]", 0, \
                             "Share of the device's time of each vGPU: 70, 12.5", 1}
#define CLI_OPTION_GPUS     {"gpus", CLI_KEY_GPUS, "N", 0, "Number of vGPUs (1)", 1}
#define CLI_OPTION_MODE     {"mode", CLI_KEY_MODE, "share|cap", 0, \
                             "share: more when nobody else wants it; cap: never more", 1}
#define CLI_OPTION_PRIORITY {"priority", CLI_KEY_PRIORITY, "high|normal|low", 0, \
                             "A higher class goes first whenever it has work", 1}
#define CLI_OPTION_DEVICE   {"device", CLI_KEY_DEVICE, "SEL", 0, \
                             "The device to use: its id, key or the beginning of its uuid", 1}
/* clang-format on */

/* Takes one option. 0, or ARGP_ERR_UNKNOWN when it is none of these. */
error_t cli_wish_take(struct cli_wish *wish, int key, char *arg);
bool cli_wish_is_empty(const struct cli_wish *wish);
/* "0.60 EUR an hour": what vGPUs as in this request's body cost; "" where nothing is known. */
void cli_price_hint(struct fg_client *client, const json_t *wish, char *ret, size_t len);
/* Checks every value and builds the request's body. 0, or CLI_USAGE, said. */
int cli_wish_body(const struct cli_wish *wish, json_t **ret);
/* Where vGPUs are to be made: without --gpus, a list of values says how many. 0, or CLI_USAGE, said. */
int cli_wish_infer_gpus(json_t *body);

/* --- verbs --- */

#define CLI_VERB(name)                                                                                                 \
        int cli_##name(int argc, char **argv);                                                                         \
        extern const struct argp cli_##name##_argp
CLI_VERB(devices);
CLI_VERB(price);
CLI_VERB(usage);
CLI_VERB(invoice);
CLI_VERB(export);
CLI_VERB(report);
CLI_VERB(budget);
CLI_VERB(create);
CLI_VERB(list);
CLI_VERB(inspect);
CLI_VERB(resize);
CLI_VERB(suspend);
CLI_VERB(resume);
CLI_VERB(delete);
CLI_VERB(run);
CLI_VERB(submit);
CLI_VERB(jobs);
CLI_VERB(logs);
CLI_VERB(cancel);
CLI_VERB(why);
CLI_VERB(top);
CLI_VERB(dashboard);
CLI_VERB(login);
CLI_VERB(logout);
CLI_VERB(whoami);
CLI_VERB(nodes);
CLI_VERB(perf);
CLI_VERB(bench);
CLI_VERB(user);
CLI_VERB(token);
CLI_VERB(events);
CLI_VERB(audit);
CLI_VERB(simulate);
CLI_VERB(container);
CLI_VERB(docker);
CLI_VERB(discover);
CLI_VERB(doctor);
CLI_VERB(version);
CLI_VERB(help);
#undef CLI_VERB
int cli_project_verb(int argc, char **argv);
extern const struct argp cli_project_argp;
extern const struct cli_action cli_docker_actions[], cli_user_actions[], cli_project_actions[], cli_token_actions[];

/* No such verb: says so, and which was probably meant. Returns CLI_USAGE. */
int cli_help_unknown(const char *verb);

/* `fastgpu __job JSON -- PROGRAM ARGS…`: what a job's runner starts. JSON is as the answer to POST /v1/open; the program gets its limits
 * as under `run`, and takes this process's place. Returns the exit code when it cannot. */
int cli_job_become(int argc, char **argv);

/* Candidates for the shell, one a line; called by the completion scripts. */
int cli_complete(int argc, char **argv);

/* --- nodes.c --- */

/* `why` of a pod, "NAMESPACE/NAME". */
int cli_nodes_why(const char *pod, bool as_json);

/* --- why_pod.c --- */

/* The same, asked of the cluster: an enum cli_exit, or -1 where nobody could be asked. */
int cli_why_pod(const char *pod, bool as_json);

#endif
