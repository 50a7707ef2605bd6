/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/proof.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/paths.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE (5 * FG_NSEC_PER_SEC)
#define LOADER   "libOpenCL.so.1"

/* What the child and the layer write: a letter each, then words up to the end. */
#define SAID_LAYER      'F' /* by the layer */
#define SAID_NO_LOADER  'N'
#define SAID_BAD_LAYER  'B'
#define SAID_OLD_LOADER 'O'

typedef int platforms_fn(unsigned count, void *platforms, unsigned *ret_count);

static void say(int fd, char letter, const char *words)
{
        dprintf(fd, "%c%s", letter, words ? words : "");
}

/* stdout and stderr belong to the program that is to run; a loader may print there. */
static void be_quiet(void)
{
        int null = open("/dev/null", O_RDWR);
        for (int fd = 0; fd < 3 && null >= 0; fd++)
                dup2(null, fd);
}

static void set_environment(const char *layer, const char *icd, int fd)
{
        char number[12];
        snprintf(number, sizeof number, "%d", fd);
        setenv(CLI_LAYER_ENV, layer, 1);
        setenv(CLI_PROVE_ENV, number, 1);
        /* Instead of the system's drivers, which take longer to load than all the rest, one without devices
         * (prove_icd.c): ocl-icd reads the first variable, the Khronos loader the second. */
        setenv("OCL_ICD_VENDORS", icd, 1);
        setenv("OCL_ICD_FILENAMES", icd, 1);
        unsetenv("FASTGPU_ATTACH");
}

__attribute__((noreturn)) static void run_child(const char *layer, const char *icd, int fd)
{
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        be_quiet();
        set_environment(layer, icd, fd);
        void *loader = dlopen(LOADER, RTLD_NOW | RTLD_LOCAL);
        platforms_fn *platforms = loader ? (platforms_fn *)dlsym(loader, "clGetPlatformIDs") : NULL;
        if (!platforms) {
                say(fd, SAID_NO_LOADER, dlerror());
                _exit(0);
        }
        unsigned count = 0;
        platforms(0, NULL, &count);
        /* If the layer spoke, the parent has stopped listening. */
        void *driver = dlopen(icd, RTLD_NOW | RTLD_LOCAL);
        void *alone = dlopen(layer, RTLD_NOW | RTLD_LOCAL);
        if (!driver || !alone || !dlsym(alone, "clInitLayer"))
                say(fd, SAID_BAD_LAYER, dlerror());
        else
                say(fd, SAID_OLD_LOADER, NULL);
        _exit(0);
}

static int find_file(char ret[PATH_MAX], const char *name, struct fg_error *err)
{
        char prefix[PATH_MAX];
        int r = fg_paths_prefix(prefix, sizeof prefix, err);
        if (r < 0)
                return r;
        /* Loaders split OPENCL_LAYERS there. */
        if (strchr(prefix, ':'))
                return fg_error_set(err, -EINVAL,
                                    "FastGPU is installed below %s, and no layer can have a ':' in its path", prefix);
        int n = snprintf(ret, PATH_MAX, "%s/lib/fastgpu/%s", prefix, name);
        return n < PATH_MAX ? 0 : fg_error_set(err, -ENAMETOOLONG, "the path of %s is too long", name);
}

int cli_proof_start(struct cli_proof *proof, struct fg_error *err)
{
        char icd[PATH_MAX];
        int pipes[2];
        *proof = (struct cli_proof){.pipe = -1};
        int r = find_file(proof->layer, "libfastgpu-opencl.so", err);
        if (r == 0)
                r = find_file(icd, "libfastgpu-prove-icd.so", err);
        if (r < 0)
                return r;
        if (pipe2(pipes, O_CLOEXEC) < 0)
                return fg_error_set(err, -errno, "cannot prove that the layer loads: pipe: %s", strerror(errno));
        proof->pid = fork();
        if (proof->pid == 0) {
                close(pipes[0]);
                run_child(proof->layer, icd, pipes[1]);
        }
        r = proof->pid < 0 ? -errno : 0;
        close(pipes[1]);
        proof->pipe = pipes[0];
        if (r < 0) {
                cli_proof_drop(proof);
                return fg_error_set(err, r, "cannot prove that the layer loads: fork: %s", strerror(-r));
        }
        return 0;
}

void cli_proof_drop(struct cli_proof *proof)
{
        if (proof->pid > 0) {
                kill(proof->pid, SIGKILL);
                while (waitpid(proof->pid, NULL, 0) < 0 && errno == EINTR)
                        ;
        }
        if (proof->pipe >= 0)
                close(proof->pipe);
        proof->pid = 0;
        proof->pipe = -1;
}

/* Everything up to the layer's word, the end, the bound or the deadline. */
static size_t listen_to(int fd, char *ret, size_t len)
{
        uint64_t deadline = fg_now() + PATIENCE;
        size_t at = 0;
        while (at < len && fg_now() < deadline) {
                struct pollfd p = {.fd = fd, .events = POLLIN};
                if (poll(&p, 1, (int)((deadline - fg_now()) / FG_NSEC_PER_MSEC) + 1) <= 0)
                        continue;
                ssize_t n = read(fd, ret + at, len - at);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        break;
                at += (size_t)n;
                if (ret[0] == SAID_LAYER)
                        break;
        }
        return at;
}

static enum cli_verdict judge(const struct cli_proof *proof, const char *said, struct fg_error *err)
{
        const char *path = getenv("LD_LIBRARY_PATH");
        switch (said[0]) {
        case SAID_LAYER:
                return CLI_PROOF_LOADED;
        case SAID_NO_LOADER:
                fg_error_set(err, -ENOENT, "there is no OpenCL loader (%s); install ocl-icd-libopencl1", said + 1);
                return CLI_PROOF_NO_LOADER;
        case SAID_BAD_LAYER:
                fg_error_set(err, -ELIBACC, "the layer cannot be loaded (%s); install FastGPU again", said + 1);
                return CLI_PROOF_BAD_LAYER;
        case SAID_OLD_LOADER:
                fg_error_set(err, -ENOSYS,
                             "the OpenCL loader does not load layers; it must be ocl-icd-libopencl1 2.3 or "
                             "newer, or another one that does%s%s",
                             path ? "; LD_LIBRARY_PATH is " : "", path ? path : "");
                return CLI_PROOF_OLD_LOADER;
        default:
                fg_error_set(err, -EIO,
                             "loading the layer %s was not over after 5 s, or died; `fastgpu doctor` may say more",
                             proof->layer);
                return CLI_PROOF_CRASHED;
        }
}

enum cli_verdict cli_proof_finish(struct cli_proof *proof, struct fg_error *err)
{
        char said[400];
        if (access(proof->layer, R_OK) < 0) {
                fg_error_set(err, -errno, "the layer %s: %s; install FastGPU again", proof->layer, strerror(errno));
                cli_proof_drop(proof);
                return CLI_PROOF_NO_LAYER;
        }
        said[listen_to(proof->pipe, said, sizeof said - 1)] = '\0';
        cli_proof_drop(proof);
        return judge(proof, said, err);
}
