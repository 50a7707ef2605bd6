/* SPDX-License-Identifier: Apache-2.0
 * `run` becomes the program: same process, same descriptors, nothing in between. */
#include "cli/cli.h"

#include "base/cleanup.h"
#include "base/size.h"
#include "cli/dropin.h"
#include "cli/environment.h"
#include "cli/program.h"
#include "cli/proof.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ATTACH_ENV  "FASTGPU_ATTACH"
#define REFUSED_ENV "FASTGPU_REFUSED"
#define KEY_REFUSED 0x300

struct options {
        bool json, quiet;
        const char *target;
        char *refused;
        struct cli_wish wish;
};

static const struct argp_option option_table[] = {
        CLI_OPTION_MEMORY,
        CLI_OPTION_COMPUTE,
        CLI_OPTION_GPUS,
        CLI_OPTION_MODE,
        CLI_OPTION_PRIORITY,
        CLI_OPTION_DEVICE,
        CLI_OPTION_PROJECT,
        {"refused", KEY_REFUSED, "PROGRAM", 0, "Become this where the program is not started: it gets the same ARGS, and the reason in FASTGPU_REFUSED", 2},
        {"quiet", 'q', NULL, 0, "Do not say what was chosen for a vGPU made for this run", 2},
        {"json", CLI_KEY_JSON, NULL, 0,
         "Print what was opened as one line of JSON on standard error before the program starts", 10},
        {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct options *o = state->input;
        switch (key) {
        case CLI_KEY_JSON:
                o->json = true;
                return 0;
        case CLI_KEY_PROJECT:
                return cli_project_take(arg);
        case 'q':
                o->quiet = true;
                return 0;
        case KEY_REFUSED:
                o->refused = arg;
                return 0;
        case ARGP_KEY_ARG:
                if (o->target) {
                        cli_fail(0,
                                 "run takes one name before \"--\", yet \"%s\" was given after \"%s\"; is it part of "
                                 "the program? Type: fastgpu run %s -- %s …",
                                 arg, o->target, o->target, arg);
                        return EINVAL;
                }
                o->target = arg;
                return 0;
        default:
                return cli_wish_take(&o->wish, key, arg);
        }
}

const struct argp cli_run_argp = {.options = option_table,
                                  .parser = parse,
                                  .args_doc = "NAME[/I] -- PROGRAM ARGS…\n-- PROGRAM ARGS…",
                                  .doc = "Run a program in the vGPUs of NAME, which it sees as so many devices, or in "
                                         "one of them. Without NAME, vGPUs are "
                                         "made for this run and gone afterwards.\v"
                                         "The program's exit code and signals are passed through. 126: it cannot be "
                                         "executed; 127: it was not found; 7: "
                                         "its limits could not be kept, so it was not started."};

static int request_body(const struct options *o, json_t **ret)
{
        struct fg_error err = {0};
        char name[64], project[64];
        fg_autofree char *target = NULL;
        int64_t index;
        if (!o->target) {
                int code = cli_wish_body(&o->wish, ret);
                if (code == 0)
                        code = cli_wish_infer_gpus(*ret);
                return code ? code : cli_project_add(*ret);
        }
        if (!cli_wish_is_empty(&o->wish))
                return cli_fail(
                        CLI_USAGE,
                        "%s has its limits already; leave it out for a vGPU of this run's own, or change it with "
                        "`fastgpu resize`",
                        o->target);
        if (fg_target_split(o->target, project, name, &index, &err) < 0)
                return cli_fail(CLI_USAGE, "%s", err.text);
        int code = cli_project_qualify(o->target, &target);
        if (code)
                return code;
        *ret = json_pack("{s:s}", "target", target);
        return *ret ? 0 : cli_fail(CLI_FAILED, "out of memory");
}

static int check_program(const char *name)
{
        struct fg_error err = {0};
        switch (cli_program_check(name, &err)) {
        case 0:
                return 0;
        case -ENOENT:
                return cli_fail(CLI_NO_PROGRAM, "%s", err.text);
        case -EPERM:
                return cli_fail(CLI_NO_LAYER, "%s", err.text);
        default:
                return cli_fail(CLI_NOT_EXECUTABLE, "%s", err.text);
        }
}

static void say_opened(const struct options *o, const json_t *opened)
{
        if (o->json) {
                json_dumpf(opened, stderr, JSON_COMPACT);
                fputc('\n', stderr);
        } else if (!o->quiet && *cli_text(opened, "note")) {
                cli_note("%s", cli_text(opened, "note"));
        }
}

/* Kernels with automatic groups give each session the same, whatever the class of its programs. A session that is this program's own
 * may go last as a whole; a person's is left alone. */
static void place_session(const char *nice)
{
        fg_autoclose int fd = getsid(0) == getpid() ? open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC) : -1;

        if (fd >= 0 && write(fd, nice, strlen(nice)) < 0)
                cli_note("the program's session keeps its place: %s", strerror(errno));
}

static void place(int class, const char *nice)
{
        struct sched_param none = {0};
        place_session(nice);
        if (sched_setscheduler(0, class, &none) < 0)
                cli_note("the program keeps its scheduling class: %s", strerror(errno));
}

static int become(char **program, const char *layer, const char *attach)
{
        const char *before = getenv(CLI_LAYER_ENV);
        if (before && *before && strcmp(before, layer) != 0)
                cli_note("%s=%s is not passed on: a program in a vGPU has one layer", CLI_LAYER_ENV, before);
        if (setenv(CLI_LAYER_ENV, layer, 1) < 0 || setenv(ATTACH_ENV, attach, 1) < 0)
                return cli_fail(CLI_FAILED, "cannot set the environment: %s", strerror(errno));
        unsetenv(CLI_PROVE_ENV);
        execvp(program[0], program);
        int code = errno == ENOENT ? CLI_NO_PROGRAM : CLI_NOT_EXECUTABLE;
        return cli_fail(code, "%s cannot be executed: %s", program[0], strerror(errno));
}

/* The proof runs beside the request. */
static int open_and_prove(const struct options *o, json_t *body, struct cli_proof *proof, json_t **ret_opened)
{
        struct fg_error err = {0};
        int r = cli_proof_start(proof, &err);
        int code = r < 0 ? cli_fail(CLI_NO_LAYER, "%s", err.text) : 0;
        if (code)
                json_decref(body);
        else
                code = cli_call("POST", "/v1/open", body, o->target, ret_opened);
        if (code == 0 && cli_proof_finish(proof, &err) != CLI_PROOF_LOADED)
                code = cli_fail(CLI_NO_LAYER, "the program was not started, as its limits could not be kept: %s",
                                err.text);
        if (code == 0 && !*cli_text(*ret_opened, "attach"))
                code = cli_fail(CLI_NO_DAEMON, "fastgpud did not say where to attach; are both of one version?");
        cli_proof_drop(proof);
        return code;
}

/* The vGPUs are open and the layer is proven: the program takes over. */
static int enter(const struct options *o, const json_t *opened, const struct cli_proof *proof, char **program)
{
        struct fg_error err = {0};
        if (json_is_true(json_object_get(opened, "cuda")) && cli_dropin_set(cli_text(opened, "sim"), &err) < 0)
                return cli_fail(CLI_NO_LAYER, "the program was not started, as its limits could not be kept: %s", err.text);
        if (cli_environment_python(&err) < 0)
                return cli_fail(CLI_FAILED, "%s", err.text);
        say_opened(o, opened);
        /* A program of the low class on a processor: whatever else wants the processor goes first. */
        if (json_is_true(json_object_get(opened, "background")))
                place(SCHED_IDLE, "19");
        return become(program, proof->layer, cli_text(opened, "attach"));
}

int cli_job_become(int argc, char **argv)
{
        struct options o = {.quiet = true};
        struct cli_proof proof = {.pipe = -1};
        struct fg_error err = {0};
        cli_autojson json_t *opened = argc > 3 && strcmp(argv[2], "--") == 0 ? json_loads(argv[1], JSON_REJECT_DUPLICATES, NULL) : NULL;
        if (!*cli_text(opened, "attach"))
                return cli_fail(CLI_USAGE, "__job is for the daemon; type: fastgpu submit -- COMMAND");
        int code = check_program(argv[3]);
        if (code)
                return code;
        if (cli_proof_start(&proof, &err) < 0)
                return cli_fail(CLI_NO_LAYER, "%s", err.text);
        if (cli_proof_finish(&proof, &err) != CLI_PROOF_LOADED)
                code = cli_fail(CLI_NO_LAYER, "the program was not started, as its limits could not be kept: %s", err.text);
        cli_proof_drop(&proof);
        return code ? code : enter(&o, opened, &proof, argv + 3);
}

/* Splits at "--": argp would take the program's options for ours. */
static int split(int argc, char **argv, int *ret_own)
{
        for (int i = 1; i < argc; i++)
                if (strcmp(argv[i], "--") == 0) {
                        *ret_own = i;
                        return argv[i + 1] ? 0 : cli_fail(CLI_USAGE, "run what? No program follows \"--\"");
                }
        *ret_own = argc;
        return CLI_USAGE;
}

/* Returns only if the program was not started. */
static int run(struct options *o, char **program)
{
        struct cli_proof proof = {.pipe = -1};
        cli_autojson json_t *opened = NULL;
        json_t *body = NULL;
        int code = cli_need_local("run");
        if (code == 0)
                code = request_body(o, &body);
        if (code == 0)
                code = check_program(program[0]);
        if (code) {
                json_decref(body);
                return code;
        }
        code = open_and_prove(o, body, &proof, &opened);
        return code ? code : enter(o, opened, &proof, program);
}

/* Whoever has to tell somebody why: what was said is not to be picked out of what a program that was started says. */
static int become_refused(char *refused, char **program)
{
        if (setenv(REFUSED_ENV, cli_failure(), 1) < 0)
                return cli_fail(CLI_FAILED, "cannot set the environment: %s", strerror(errno));
        program[0] = refused;
        execvp(refused, program);
        return cli_fail(CLI_NO_PROGRAM, "--refused %s cannot be executed: %s", refused, strerror(errno));
}

/* What --refused says, also where other options are wrong. */
static char *find_refused(int own, char **argv)
{
        static const char option[] = "--refused", with[] = "--refused=";
        for (int i = 1; i < own; i++) {
                if (strcmp(argv[i], option) == 0 && i + 1 < own)
                        return argv[i + 1];
                if (strncmp(argv[i], with, strlen(with)) == 0)
                        return argv[i] + strlen(with);
        }
        return NULL;
}

/* The array alone: setenv() leaves the strings that were there as they are. */
static char **copy_environment(void)
{
        size_t n = 0;
        while (environ[n])
                n++;
        char **copy = malloc((n + 1) * sizeof *copy);
        return copy ? memcpy(copy, environ, (n + 1) * sizeof *copy) : NULL;
}

int cli_run(int argc, char **argv)
{
        int own, missing = split(argc, argv, &own);
        if (missing && own < argc)
                return missing;
        struct options o = {.refused = find_refused(own, argv)};
        fg_autofree char **before = copy_environment();
        int class = sched_getscheduler(0);
        if (!before)
                return cli_fail(CLI_FAILED, "out of memory");
        char **program = argv + own + 1, *end = argv[own];
        argv[own] = NULL;
        int code = cli_parse("run", &cli_run_argp, own, argv, &o);
        argv[own] = end;
        if (missing)
                return code ? code : cli_fail(CLI_USAGE, "run what? Type: fastgpu run %s -- PROGRAM ARGS…", o.target ? o.target : "NAME");
        if (code == 0)
                code = run(&o, program);
        if (!o.refused)
                return code;
        environ = FG_TAKE_PTR(before);
        if (sched_getscheduler(0) != class)
                place(class, "0");
        return become_refused(o.refused, program);
}
