/* SPDX-License-Identifier: Apache-2.0
 * Calibrates V: the same load bare and in a vGPU that has the whole device, turn by turn. */
#include "cli/cli.h"

#include "base/cleanup.h"
#include "base/paths.h"
#include "base/size.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS_MAX 99u
#define KERNEL_US  "1000"
#define OUTPUT_MAX 65536u

struct options {
        bool json, dry_run;
        uint64_t device, rounds, seconds;
        bool has_device;
};

static const struct argp_option option_table[] = {
        {"device", 'd', "ID", 0, "Which device; needed where there are several", 1},
        {"rounds", 'n', "N", 0, "So many times bare and in a vGPU (5)", 1},
        {"seconds", 's', "S", 0, "How long each time (2)", 1},
        {"dry-run", 'D', NULL, 0, "Only measure: keep nothing", 1},
        CLI_OPTION_JSON,
        {0}};

static error_t take_count(const char *name, const char *arg, uint64_t min, uint64_t max, uint64_t *ret)
{
        struct fg_error err = {0};
        if (fg_count_parse(name, arg, min, max, ret, &err) == 0)
                return 0;
        cli_fail(0, "%s", err.text);
        return EINVAL;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct options *o = state->input;
        switch (key) {
        case CLI_KEY_JSON:
                o->json = true;
                return 0;
        case 'd':
                o->has_device = true;
                return take_count("--device", arg, 0, 255, &o->device);
        case 'n':
                return take_count("--rounds", arg, 1, ROUNDS_MAX, &o->rounds);
        case 's':
                return take_count("--seconds", arg, 1, 600, &o->seconds);
        case 'D':
                o->dry_run = true;
                return 0;
        case ARGP_KEY_ARG:
                cli_fail(0, "bench takes no argument, yet \"%s\" was given; devices are chosen with --device", arg);
                return EINVAL;
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

const struct argp cli_bench_argp = {.options = option_table,
                                    .parser = parse,
                                    .doc = "Measure how fast work is in a vGPU that has a whole device, against the same work without "
                                           "FastGPU, and let the daemon keep the ratio: it is V in `fastgpu perf`. The device must carry "
                                           "no vGPU meanwhile."};

/* What one bench needs. */
struct bench {
        const struct options *options;
        char program[PATH_MAX], self[PATH_MAX];
        char device[24], bare[24], seconds[24], iterations[24];
};

static void become(const char *const *argv, int out)
{
        dup2(out, STDOUT_FILENO);
        unsetenv("OPENCL_LAYERS"); /* bare is bare */
        execv(argv[0], (char *const *)argv);
        _exit(127);
}

/* Runs it to its end; its one line of JSON. */
static int run(const char *const *argv, json_t **ret)
{
        char text[OUTPUT_MAX];
        size_t size = 0;
        int pipes[2], status = 0;
        ssize_t n;
        if (pipe2(pipes, O_CLOEXEC) < 0)
                return cli_fail(CLI_FAILED, "cannot start %s: %s", argv[0], strerror(errno));
        pid_t pid = fork();
        if (pid == 0)
                become(argv, pipes[1]);
        close(pipes[1]);
        while (pid > 0 && size < sizeof text - 1 && ((n = read(pipes[0], text + size, sizeof text - 1 - size)) > 0 || (n < 0 && errno == EINTR)))
                size += n > 0 ? (size_t)n : 0;
        close(pipes[0]);
        while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        text[size] = 0;
        *ret = pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? json_loads(text, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
        if (*ret)
                return 0;
        return cli_fail(pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == CLI_NO_CAPACITY ? CLI_NO_CAPACITY : CLI_FAILED,
                        "%s did not come to its end: nothing is kept", argv[0]);
}

static int find_iterations(struct bench *b)
{
        const char *const argv[] = {b->program, "--device", b->bare, "--kernel-us", KERNEL_US, "--calibrate", NULL};
        cli_autojson json_t *reply = NULL;
        int code = run(argv, &reply);
        if (code)
                return code;
        snprintf(b->iterations, sizeof b->iterations, "%llu", (unsigned long long)cli_number(reply, "iterations"));
        return 0;
}

static int measure(struct bench *b, bool in_vgpu, double *ret)
{
        const char *const bare[] = {b->program, "--device", b->bare, "--iterations", b->iterations, "--seconds", b->seconds, NULL};
        const char *const vgpu[] = {b->self,    "run",          "--quiet",     "--compute", "100",      "--device",
                              b->device,  "--",           b->program,    "--iterations", b->iterations, "--seconds",
                              b->seconds, NULL};
        cli_autojson json_t *reply = NULL;
        int code = run(in_vgpu ? vgpu : bare, &reply);
        if (code)
                return code;
        *ret = json_number_value(json_object_get(reply, "rate"));
        return *ret > 0 ? 0 : cli_fail(CLI_FAILED, "the load did nothing: nothing is kept");
}

static int by_size(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;
        return (x > y) - (x < y);
}

/* Turn by turn, the first one in turns too: what drifts, drifts for both. */
static int measure_all(struct bench *b, double *ret)
{
        double ratio[ROUNDS_MAX], rate[2];
        uint64_t rounds = b->options->rounds;
        for (uint64_t i = 0; i < rounds; i++) {
                for (int turn = 0; turn < 2; turn++) {
                        bool in_vgpu = turn ^ (i & 1);
                        int code = measure(b, in_vgpu, &rate[in_vgpu]);
                        if (code)
                                return code;
                }
                ratio[i] = rate[1] / rate[0];
                if (!b->options->json)
                        cli_note("%llu of %llu: bare %.1f, in a vGPU %.1f kernels/s: %.4f", (unsigned long long)i + 1,
                                 (unsigned long long)rounds, rate[0], rate[1], ratio[i]);
        }
        qsort(ratio, rounds, sizeof ratio[0], by_size);
        *ret = rounds % 2 ? ratio[rounds / 2] : (ratio[rounds / 2 - 1] + ratio[rounds / 2]) / 2;
        return 0;
}

/* Where the bare load finds it: among the OpenCL devices, in the order of the daemon's. */
static unsigned bare_index(const json_t *devices, uint64_t id)
{
        size_t i;
        const json_t *d;
        unsigned index = 0;
        json_array_foreach(devices, i, d)
                index += strcmp(cli_text(d, "api"), "opencl") == 0 && strcmp(cli_text(d, "state"), "ok") == 0 && cli_number(d, "id") < id;
        return index;
}

static int check_device(const json_t *d)
{
        unsigned long long id = cli_number(d, "id");
        if (strcmp(cli_text(d, "state"), "ok") != 0)
                return cli_fail(CLI_FAILED, "device %llu (%s) is lost", id, cli_text(d, "model"));
        if (strcmp(cli_text(d, "api"), "opencl") != 0)
                return cli_fail(CLI_FAILED, "device %llu (%s) is driven by %s, and the load is OpenCL's: it cannot be measured yet", id,
                                cli_text(d, "model"), cli_text(d, "api"));
        if (cli_number(d, "vgpus"))
                return cli_fail(CLI_EXISTS, "device %llu (%s) is busy: %llu vGPUs are on it (`fastgpu list`); delete them first, or choose another "
                                            "with --device",
                                id, cli_text(d, "model"), (unsigned long long)cli_number(d, "vgpus"));
        return 0;
}

static int choose(const struct options *o, const json_t *devices, struct bench *ret)
{
        size_t i;
        const json_t *d, *found = NULL;
        if (!o->has_device && json_array_size(devices) > 1)
                return cli_fail(CLI_USAGE, "there are %zu devices: say which with --device (`fastgpu devices`)", json_array_size(devices));
        json_array_foreach(devices, i, d)
                if (!o->has_device || cli_number(d, "id") == o->device)
                        found = d;
        if (!found)
                return cli_fail(CLI_NOT_FOUND, "there is no device %llu (`fastgpu devices`)", (unsigned long long)o->device);
        snprintf(ret->device, sizeof ret->device, "%llu", (unsigned long long)cli_number(found, "id"));
        snprintf(ret->bare, sizeof ret->bare, "%u", bare_index(devices, cli_number(found, "id")));
        return check_device(found);
}

static int find_programs(struct bench *b)
{
        struct fg_error err = {0};
        char prefix[PATH_MAX];
        if (fg_paths_prefix(prefix, sizeof prefix, &err) < 0)
                return cli_fail(CLI_FAILED, "%s", err.text);
        if (snprintf(b->program, sizeof b->program, "%s/lib/fastgpu/bench/burn", prefix) >= PATH_MAX ||
            snprintf(b->self, sizeof b->self, "%s/bin/fastgpu", prefix) >= PATH_MAX)
                return cli_fail(CLI_FAILED, "the path %s is too long", prefix);
        return access(b->program, X_OK) == 0 ? 0 : cli_fail(CLI_FAILED, "the load generator %s is missing: %s", b->program, strerror(errno));
}

static int keep(const struct bench *b, double ratio)
{
        cli_autojson json_t *reply = NULL;
        char path[64];
        long long ppm = (long long)(ratio * 1e6 + 0.5);
        snprintf(path, sizeof path, "/v1/devices/%s/calibration", b->device);
        int code = b->options->dry_run ? 0 : cli_call("PUT", path, json_pack("{s:I}", "native_ppm", (json_int_t)ppm), NULL, &reply);
        if (code)
                return code;
        if (b->options->json)
                printf("{\"device\": %s, \"native_ppm\": %lld, \"kept\": %s}\n", b->device, ppm, b->options->dry_run ? "false" : "true");
        else
                printf("device %s: V = %.4f%s\n", b->device, ratio, b->options->dry_run ? " (not kept)" : "");
        return 0;
}

int cli_bench(int argc, char **argv)
{
        struct options o = {.rounds = 5, .seconds = 2};
        cli_autojson json_t *reply = NULL;
        struct bench b = {.options = &o};
        double ratio = 0;
        int code = cli_parse("bench", &cli_bench_argp, argc, argv, &o);
        if (code == 0)
                code = cli_need_local("bench");
        if (code == 0)
                code = find_programs(&b);
        if (code == 0)
                code = cli_call("GET", "/v1/devices", NULL, NULL, &reply);
        if (code == 0)
                code = choose(&o, json_object_get(reply, "devices"), &b);
        if (code)
                return code;
        snprintf(b.seconds, sizeof b.seconds, "%llu", (unsigned long long)o.seconds);
        code = find_iterations(&b);
        if (code == 0)
                code = measure_all(&b, &ratio);
        return code ? code : keep(&b, ratio);
}
