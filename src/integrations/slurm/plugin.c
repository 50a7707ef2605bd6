/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-or-later
 * What Slurm calls. The plugin may be `optional` in plugstack.conf, so that what it returns is not minded: a task whose limits cannot be
 * kept is ended here, before its program begins. */
#include "integrations/slurm/slurm.h"

#include <slurm/spank.h>

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#pragma GCC visibility push(default)
SPANK_PLUGIN(fastgpu, 1);
#pragma GCC visibility pop

#define EXPORT __attribute__((visibility("default")))

static int take_gpus(int val, const char *arg, int remote);
static int take_mode(int val, const char *arg, int remote);

static struct spank_option option_table[] = {
        {"fastgpu", "GPUS[:MEMORY[:PERCENT]]", "vGPUs on each node, each with so much memory and share of a device's time: 2:8G:25", 1, 0, take_gpus},
        {"fastgpu-mode", "share|cap", "share (the default): more when nobody else wants it; cap: never more", 1, 0, take_mode},
};

/* One process serves one job: srun, sbatch, a slurmstepd. */
static struct fgi_slurm_wish wish;
static struct fgi_slurm_config config;
/* Why this step's programs are not to start: an exit code and the sentence. */
static int refusal;
static char refusal_text[FGI_SLURM_TEXT];

static int take_gpus(int val, const char *arg, int remote)
{
        char why[FGI_SLURM_TEXT];
        if (fgi_slurm_wish_parse(arg ? arg : "", &wish, why, sizeof why) == 0)
                return 0;
        slurm_error("--fastgpu=%s", why);
        return -1;
}

static int take_mode(int val, const char *arg, int remote)
{
        char why[FGI_SLURM_TEXT];
        if (fgi_slurm_mode_parse(arg ? arg : "", &wish.mode, why, sizeof why) == 0)
                return 0;
        slurm_error("--fastgpu-mode=%s", why);
        return -1;
}

/* Of the job where there is one, else of the process: slurmd's scripts have it there. */
static const char *variable(spank_t sp, const char *name, char *ret, size_t len)
{
        const char *own = getenv(name);
        if (spank_context() == S_CTX_REMOTE && spank_getenv(sp, name, ret, (int)len) == ESPANK_SUCCESS)
                return ret;
        snprintf(ret, len, "%s", own ? own : "");
        return ret;
}

/* slurmd itself has its name of its command line, where several run on a machine. */
static bool name_of_slurmd(char *ret, size_t len)
{
        char line[4096] = "";
        FILE *file = spank_context() == S_CTX_SLURMD ? fopen("/proc/self/cmdline", "re") : NULL;
        size_t n = file ? fread(line, 1, sizeof line - 2, file) : 0;
        bool found = false;
        if (file)
                fclose(file);
        for (const char *at = line; at < line + n && !found; at += strlen(at) + 1)
                if (strncmp(at, "-N", 2) == 0) {
                        snprintf(ret, len, "%s", at[2] ? at + 2 : at + 3);
                        found = true;
                }
        return found;
}

static const char *node_name(spank_t sp, char *ret, size_t len)
{
        if (!*variable(sp, "SLURMD_NODENAME", ret, len) && !name_of_slurmd(ret, len) && gethostname(ret, len) == 0)
                ret[strcspn(ret, ".")] = '\0';
        return ret;
}

static int read_config(spank_t sp, int argc, char **argv, char *why, size_t len)
{
        char node[HOST_NAME_MAX + 1] = "", account[64] = "";
        node_name(sp, node, sizeof node);
        variable(sp, "SLURM_JOB_ACCOUNT", account, sizeof account);
        return fgi_slurm_config_read(argc, argv, node, account, &config, why, len);
}

static bool job_of(spank_t sp, struct fgi_slurm_job *ret)
{
        char restarts[16];
        *ret = (struct fgi_slurm_job){.user = FGI_SLURM_NO_USER, .config = &config};
        ret->restarts = (uint32_t)strtoul(variable(sp, "SLURM_RESTART_COUNT", restarts, sizeof restarts), NULL, 10);
        return spank_get_item(sp, S_JOB_ID, &ret->id) == ESPANK_SUCCESS;
}

/* In srun, sbatch and salloc: a mode without vGPUs is a mistake. In slurmstepd, as root: the vGPUs are made. */
EXPORT int slurm_spank_init_post_opt(spank_t sp, int argc, char **argv)
{
        struct fgi_slurm_job job;
        char device[16] = "";
        if (spank_context() != S_CTX_REMOTE && wish.mode && !wish.gpus) {
                slurm_error("--fastgpu-mode=%s: of which vGPUs? Write --fastgpu=GPUS:MEMORY:PERCENT as well", wish.mode);
                exit(1);
        }
        if (spank_context() != S_CTX_REMOTE)
                return 0;
        if (!wish.gpus)
                return 0;
        if (read_config(sp, argc, argv, refusal_text, sizeof refusal_text) < 0) {
                refusal = FGI_SLURM_NO_DAEMON;
                return 0;
        }
        if (config.devices)
                variable(sp, "SLURM_STEP_GPUS", device, sizeof device);
        if (!job_of(sp, &job) || spank_get_item(sp, S_JOB_UID, &job.user) != ESPANK_SUCCESS) {
                snprintf(refusal_text, sizeof refusal_text, "Slurm does not tell whose job this is");
                refusal = FGI_SLURM_NO_DAEMON;
                return 0;
        }
        refusal = fgi_slurm_job_make(&job, &wish, strpbrk(device, ",") ? "" : device, refusal_text, sizeof refusal_text);
        if (refusal)
                slurm_error("fastgpu: job %" PRIu32 ": %s", job.id, refusal_text);
        return 0;
}

__attribute__((noreturn)) static void refuse(int code, const char *why)
{
        dprintf(2, "fastgpu: the program was not started: %s\n", why);
        _exit(code);
}

static void put_first(spank_t sp, const char *name, const char *first)
{
        char before[PATH_MAX], value[2 * PATH_MAX];
        if (spank_getenv(sp, name, before, sizeof before) != ESPANK_SUCCESS)
                before[0] = '\0';
        if (strncmp(before, first, strlen(first)) == 0)
                return;
        snprintf(value, sizeof value, "%s%s%s", first, *before ? ":" : "", before);
        spank_setenv(sp, name, value, 1);
}

/* As `fastgpu run` leaves the environment to a program. */
static void set_environment(spank_t sp, const struct fgi_slurm_way *way)
{
        /* Slurm's choice among the machine's devices; inside there are the job's vGPUs alone, from 0. */
        static const char *const others[] = {"CUDA_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL", "ROCR_VISIBLE_DEVICES", "ZE_AFFINITY_MASK"};
        char folder[PATH_MAX], path[PATH_MAX], both[2 * PATH_MAX];
        snprintf(folder, sizeof folder, "%s/lib/fastgpu", config.prefix);
        snprintf(path, sizeof path, "%s/libfastgpu-opencl.so", folder);
        if (access(path, R_OK) < 0)
                refuse(FGI_SLURM_NO_LAYER, "its limits could not be kept, for there is no FastGPU below the plugin's prefix; see plugstack.conf");
        for (size_t i = 0; i < sizeof others / sizeof *others; i++)
                spank_unsetenv(sp, others[i]);
        spank_setenv(sp, "OPENCL_LAYERS", path, 1);
        spank_setenv(sp, "FASTGPU_ATTACH", way->attach, 1);
        if (!way->cuda)
                return;
        snprintf(both, sizeof both, "%s/libcuda.so.1:%s/libnvidia-ml.so.1", folder, folder);
        put_first(sp, "LD_PRELOAD", both);
        put_first(sp, "LD_LIBRARY_PATH", folder);
        if (*way->sim)
                spank_setenv(sp, "FASTGPU_SIM", way->sim, 1);
}

/* In the task, as the user, just before its program. */
EXPORT int slurm_spank_task_init(spank_t sp, int argc, char **argv)
{
        struct fgi_slurm_job job;
        struct fgi_slurm_way way;
        char why[FGI_SLURM_TEXT];
        if (!wish.gpus)
                return 0;
        if (refusal)
                refuse(refusal, refusal_text);
        if (!job_of(sp, &job))
                refuse(FGI_SLURM_NO_DAEMON, "Slurm does not tell which job this is");
        int code = fgi_slurm_job_open(&job, &way, why, sizeof why);
        if (code)
                refuse(code, why);
        set_environment(sp, &way);
        return 0;
}

static void account(const struct fgi_slurm_job *job, const struct fgi_slurm_use *use, void *node)
{
        char why[FGI_SLURM_TEXT];
        if (fgi_slurm_account(job, node, use, why, sizeof why) < 0)
                slurm_error("fastgpu: %s", why);
}

/* In slurmstepd, as root, for each task that has ended. */
EXPORT int slurm_spank_task_exit(spank_t sp, int argc, char **argv)
{
        static uint32_t ended;
        char node[HOST_NAME_MAX + 1] = "";
        struct fgi_slurm_job job;
        uint32_t tasks = 0;
        bool last = spank_get_item(sp, S_JOB_LOCAL_TASK_COUNT, &tasks) == ESPANK_SUCCESS && ++ended == tasks;
        if (wish.gpus && !refusal && last && job_of(sp, &job))
                account(&job, NULL, (void *)node_name(sp, node, sizeof node));
        return 0;
}

/* As root, when all of the job's programs on this node are over. A failure here would take the node out of service: it is logged. */
EXPORT int slurm_spank_job_epilog(spank_t sp, int argc, char **argv)
{
        char why[FGI_SLURM_TEXT] = "Slurm does not tell which job this is";
        struct fgi_slurm_job job;
        struct fgi_slurm_use use;
        char *arg = NULL;
        if (spank_option_getopt(sp, &option_table[0], &arg) != ESPANK_SUCCESS)
                return 0;
        if (read_config(sp, argc, argv, why, sizeof why) < 0 || !job_of(sp, &job) || fgi_slurm_job_end(&job, &use, why, sizeof why) < 0)
                slurm_error("fastgpu: epilog: %s", why);
        return 0;
}

/* slurmd starts: sets of jobs that ended while it was not there, such as when the node lost power. It is not to wait for this, nor for
 * slurmctld, which is told of their use. */
static void sweep(spank_t sp, int argc, char **argv)
{
        char why[FGI_SLURM_TEXT], node[HOST_NAME_MAX + 1] = "";
        if (read_config(sp, argc, argv, why, sizeof why) < 0) {
                slurm_error("fastgpu: %s", why);
                return;
        }
        if (fork() != 0)
                return;
        int r = fgi_slurm_job_sweep(&config, account, (void *)node_name(sp, node, sizeof node));
        if (r < 0)
                slurm_error("fastgpu: fastgpud does not answer at %s: %s; steps with --fastgpu will be refused here", config.socket, strerror(-r));
        _exit(0);
}

EXPORT int slurm_spank_init(spank_t sp, int argc, char **argv)
{
        int r = 0;
        if (spank_context() == S_CTX_SLURMD) {
                sweep(sp, argc, argv);
                return 0;
        }
        for (size_t i = 0; i < sizeof option_table / sizeof *option_table && r == 0; i++)
                r = spank_option_register(sp, &option_table[i]);
        return r;
}
