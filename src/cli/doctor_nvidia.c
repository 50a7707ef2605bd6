/* SPDX-License-Identifier: Apache-2.0
 * NVIDIA GPUs, as fastgpu-probe-nvml finds them, and the drop-ins that programs on them are started with. */
#include "cli/doctor.h"

#include "base/cleanup.h"
#include "base/paths.h"
#include "cli/cli.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE 20u /* s */

static const char *simulated(void)
{
        const char *spec = getenv("FASTGPU_SIM");
        return spec && *spec ? spec : NULL;
}

__attribute__((noreturn)) static void become_probe(const char *prefix, int output)
{
        char path[PATH_MAX + 64], folder[PATH_MAX + 64];
        int null = open("/dev/null", O_RDWR);
        snprintf(path, sizeof path, "%s/lib/fastgpu/fastgpu-probe-nvml", prefix);
        snprintf(folder, sizeof folder, "%s/lib/fastgpu/sim", prefix);
        dup2(null, 0);
        dup2(null, 2);
        dup2(output, 1);
        unsetenv("LD_PRELOAD");
        alarm(PATIENCE); /* outlives exec: a driver may hang */
        if (simulated())
                execl(path, path, "--driver-path", folder, (char *)NULL);
        else
                execl(path, path, (char *)NULL);
        _exit(127);
}

/* The probe's lines; its exit status, -1: it could not be started. */
static int ask_probe(const char *prefix, char *ret, size_t size)
{
        int pipes[2], status = -1;
        size_t at = 0;
        ssize_t n;
        if (pipe2(pipes, O_CLOEXEC) < 0)
                return -1;
        pid_t pid = fork();
        if (pid == 0)
                become_probe(prefix, pipes[1]);
        close(pipes[1]);
        while (pid > 0 && at < size - 1 && ((n = read(pipes[0], ret + at, size - 1 - at)) > 0 || (n < 0 && errno == EINTR)))
                at += n > 0 ? (size_t)n : 0;
        ret[at] = 0;
        close(pipes[0]);
        while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        return status;
}

static unsigned add_line(struct cli_report *report, const json_t *line, bool *ret_problem)
{
        if (*cli_text(line, "problem")) {
                cli_report_add(report, "nvidia", CLI_FINDING_FAIL,
                               simulated() ? "mend what FASTGPU_SIM says, then try again" : "see that nvidia-smi works, then try again", "%s",
                               cli_text(line, "problem"));
                *ret_problem = true;
        }
        if (!*cli_text(line, "key"))
                return 0;
        cli_report_add(report, "nvidia", CLI_FINDING_OK, "", "%s%s, driver %s, MIG %s%s", simulated() ? "simulated: " : "", cli_text(line, "model"),
                       cli_text(line, "driver"), cli_text(line, "mig"), json_is_true(json_object_get(line, "mps")) ? ", an MPS daemon runs" : "");
        return 1;
}

static void check_dropins(struct cli_report *report, const char *prefix)
{
        static const char *const names[] = {"libcuda.so.1", "libnvidia-ml.so.1"};
        char path[PATH_MAX + 64];
        for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
                snprintf(path, sizeof path, "%s/lib/fastgpu/%s", prefix, names[i]);
                void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
                if (library)
                        cli_report_add(report, "cuda", CLI_FINDING_OK, "", "the drop-in %s loads", path);
                else
                        cli_report_add(report, "cuda", CLI_FINDING_FAIL, "install FastGPU again", "%s", dlerror());
                if (library)
                        dlclose(library);
        }
}

void cli_doctor_nvidia(struct cli_report *report)
{
        char prefix[PATH_MAX], text[65536], *state = NULL;
        struct fg_error err = {0};
        unsigned gpus = 0;
        bool problem = false;
        if (fg_paths_prefix(prefix, sizeof prefix, &err) < 0) {
                cli_report_add(report, "nvidia", CLI_FINDING_FAIL, "install FastGPU again", "%s", err.text);
                return;
        }
        int status = ask_probe(prefix, text, sizeof text);
        for (char *line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
                cli_autojson json_t *object = json_loads(line, 0, NULL);
                gpus += add_line(report, object, &problem);
        }
        if (status != 0)
                cli_report_add(report, "nvidia", CLI_FINDING_FAIL, "see that nvidia-smi works; dmesg may say more",
                               "fastgpu-probe-nvml %s", WIFSIGNALED(status) ? "hung or crashed in the NVIDIA driver" : "cannot be run");
        else if (!gpus && !problem)
                cli_report_add(report, "nvidia", CLI_FINDING_OK, "", "no NVIDIA GPU; FASTGPU_SIM=1xH100 simulates one, see fastgpu-sim(7)");
        if (gpus)
                check_dropins(report, prefix);
}
