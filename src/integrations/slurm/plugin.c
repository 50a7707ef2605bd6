/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-or-later
 * What Slurm calls. The plugin may be `optional` in plugstack.conf, so that what it returns is not minded: a task whose limits cannot be
 * kept is ended here, before its program begins. */
#include "integrations/slurm/slurm.h"

#include <slurm/slurm.h>
#include <slurm/spank.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#pragma GCC visibility push(default)
SPANK_PLUGIN(fastgpu, 1);
#pragma GCC visibility pop

#define PATIENCE 30000 /* ms that Slurm's daemons are given to learn of a job's end, or to come back */

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
/* The name of this node: a step's tasks learn it, and slurmstepd, which forks them, has it of them. */
static char (*shared_node)[HOST_NAME_MAX + 1];

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
        snprintf(ret, len, "%s", own && spank_context() != S_CTX_REMOTE ? own : "");
        return ret;
}

static int read_config(spank_t sp, int argc, char **argv, const char *node, char *why, size_t len)
{
        char account[64];
        return fgi_slurm_config_read(argc, argv, node, variable(sp, "SLURM_JOB_ACCOUNT", account, sizeof account), &config, why, len);
}

static bool job_of(spank_t sp, struct fgi_slurm_job *ret)
{
        *ret = (struct fgi_slurm_job){.config = &config};
        if (spank_context() == S_CTX_REMOTE)
                spank_get_item(sp, S_SLURM_RESTART_COUNT, &ret->restarts);
        uid_t uid = 0;
        spank_get_item(sp, S_JOB_UID, &uid);
        ret->uid = uid;
        return spank_get_item(sp, S_JOB_ID, &ret->id) == ESPANK_SUCCESS;
}

/* In srun, sbatch and salloc: a mode without vGPUs is a mistake. In slurmstepd: before it forks the tasks. */
EXPORT int slurm_spank_init_post_opt(spank_t sp, int argc, char **argv)
{
        if (spank_context() == S_CTX_REMOTE) {
                void *page = wish.gpus ? mmap(NULL, sizeof *shared_node, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) : MAP_FAILED;
                shared_node = page == MAP_FAILED ? NULL : page;
        } else if (wish.mode && !wish.gpus) {
                slurm_error("--fastgpu-mode=%s: of which vGPUs? Write --fastgpu=GPUS:MEMORY:PERCENT as well", wish.mode);
                exit(1);
        }
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

/* Slurm's number of the GPU that it gave the step; "": none, or several. */
static void device_of(spank_t sp, char *ret, size_t len)
{
        uint32_t step = 0;
        spank_get_item(sp, S_JOB_STEPID, &step);
        variable(sp, step == SLURM_BATCH_SCRIPT ? "SLURM_JOB_GPUS" : "SLURM_STEP_GPUS", ret, len);
        if (!config.devices || ret[strspn(ret, "0123456789")])
                ret[0] = '\0';
}

/* The first task to come makes the job's vGPUs on this node; all others find them. */
static int enter(spank_t sp, const struct fgi_slurm_job *job, struct fgi_slurm_way *ret, char *why, size_t len)
{
        char device[16];
        int code = fgi_slurm_job_open(job, ret, why, len);
        if (code != FGI_SLURM_NOT_FOUND)
                return code;
        device_of(sp, device, sizeof device);
        code = fgi_slurm_job_make(job, &wish, device, why, len);
        return code ? code : fgi_slurm_job_open(job, ret, why, len);
}

/* In the task, as the user, just before its program. */
EXPORT int slurm_spank_task_init(spank_t sp, int argc, char **argv)
{
        struct fgi_slurm_job job;
        struct fgi_slurm_way way;
        char why[FGI_SLURM_TEXT], node[HOST_NAME_MAX + 1];
        if (!wish.gpus)
                return 0;
        variable(sp, "SLURMD_NODENAME", node, sizeof node);
        if (read_config(sp, argc, argv, node, why, sizeof why) < 0)
                refuse(FGI_SLURM_NO_DAEMON, why);
        if (!job_of(sp, &job))
                refuse(FGI_SLURM_NO_DAEMON, "Slurm does not tell which job this is");
        int code = enter(sp, &job, &way, why, sizeof why);
        if (code)
                refuse(code, why);
        if (shared_node)
                memcpy(*shared_node, node, sizeof node);
        set_environment(sp, &way);
        return 0;
}

/* In slurmstepd, as root, for each task that has ended. */
EXPORT int slurm_spank_task_exit(spank_t sp, int argc, char **argv)
{
        static uint32_t ended;
        char node[HOST_NAME_MAX + 1], why[FGI_SLURM_TEXT];
        struct fgi_slurm_job job;
        uint32_t tasks = 0;
        bool last = spank_get_item(sp, S_JOB_LOCAL_TASK_COUNT, &tasks) == ESPANK_SUCCESS && ++ended == tasks;
        if (!last || !shared_node || !(*shared_node)[0] || !job_of(sp, &job))
                return 0;
        snprintf(node, sizeof node, "%.*s", HOST_NAME_MAX, *shared_node);
        if (read_config(sp, argc, argv, node, why, sizeof why) == 0 && fgi_slurm_account(&job, node, why, sizeof why) < 0)
                slurm_error("fastgpu: %s", why);
        return 0;
}

static int keep(const struct fgi_slurm_job *job, const struct fgi_slurm_use *use, void *node)
{
        char entry[FGI_SLURM_ENTRY];
        fgi_slurm_entry(job, node, use, entry, sizeof entry);
        int r = fgi_slurm_untold_keep(config.untold, job->uid, job->id, entry);
        if (r < 0)
                slurm_error("fastgpu: job %" PRIu32 ": its use (%s) cannot be kept in %s until Slurm takes it: %s; untold=FOLDER in plugstack.conf names another", job->id,
                            entry, config.untold, strerror(-r));
        return r;
}

static int tell(uint32_t uid, uint32_t job, const char *entry, bool last, void *teller)
{
        char why[FGI_SLURM_TEXT];
        int r = fgi_slurm_account_late(teller, uid, job, entry, why, sizeof why);
        /* What Slurm will never take; a job that it does not know may be on its way to slurmdbd. */
        bool never = r == -ENOTSUP || r == -EPERM || (last && r == -ENOENT);
        if (never || (r < 0 && last))
                slurm_error("fastgpu: %s", why);
        return never ? 0 : r;
}

static void tell_untold(void)
{
        struct fgi_slurm_teller teller = {.config = &config};
        fgi_slurm_untold_tell(config.untold, PATIENCE, tell, &teller);
        fgi_slurm_database_close(teller.database);
}

/* Of a job that was cancelled its last steps told nothing, since to slurmctld it was over. Slurm waits for an epilog, and for whoever has its
 * output, and kills its group when it ends: before that the teller is out of it. */
static void tell_later(void)
{
        pid_t teller = fgi_slurm_untold_any(config.untold) ? fork() : -1;
        if (teller > 0)
                setpgid(teller, teller);
        if (teller != 0)
                return;
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        for (int fd = 0; null >= 0 && fd < 3; fd++)
                dup2(null, fd);
        tell_untold();
        _exit(0);
}

/* As root, when all of the job's programs on this node are over. A failure here would take the node out of service: it is logged, unless it
 * is that of a node without FastGPU. */
EXPORT int slurm_spank_job_epilog(spank_t sp, int argc, char **argv)
{
        char why[FGI_SLURM_TEXT] = "Slurm does not tell which job this is", node[HOST_NAME_MAX + 1], restarts[16];
        struct fgi_slurm_job job;
        int r = read_config(sp, argc, argv, variable(sp, "SLURMD_NODENAME", node, sizeof node), why, sizeof why);
        if (r == 0 && !job_of(sp, &job))
                r = -EINVAL;
        if (r == 0) {
                /* Of a job that is to run again this is the next run's number. */
                job.restarts = (uint32_t)strtoul(variable(sp, "SLURM_JOB_RESTART_COUNT", restarts, sizeof restarts), NULL, 10);
                r = fgi_slurm_job_end(&job, keep, node, why, sizeof why);
                tell_later();
        }
        if (r < 0 && r != -ENOENT)
                slurm_error("fastgpu: epilog: %s", why);
        return 0;
}

/* slurmd has its name of its command line, where several run on a machine. */
static void name_of_slurmd(char *ret, size_t len)
{
        char line[4096] = "";
        FILE *file = fopen("/proc/self/cmdline", "re");
        size_t n = file ? fread(line, 1, sizeof line - 2, file) : 0;
        if (file)
                fclose(file);
        for (const char *at = line; at < line + n; at += strlen(at) + 1)
                if (strncmp(at, "-N", 2) == 0) {
                        snprintf(ret, len, "%s", at[2] ? at + 2 : at + 3);
                        return;
                }
        if (gethostname(ret, len) == 0)
                ret[strcspn(ret, ".")] = '\0';
}

/* slurmd starts: sets of jobs that ended while it was not there, such as when the node lost power. It is not to wait for this, nor for
 * slurmctld, which is told of their use. */
static void sweep(spank_t sp, int argc, char **argv)
{
        char why[FGI_SLURM_TEXT], node[HOST_NAME_MAX + 1] = "";
        name_of_slurmd(node, sizeof node);
        if (read_config(sp, argc, argv, node, why, sizeof why) < 0) {
                slurm_error("fastgpu: %s", why);
                return;
        }
        if (fork() != 0)
                return;
        int r = fgi_slurm_job_sweep(&config, keep, node);
        if (r < 0)
                slurm_error("fastgpu: fastgpud does not answer at %s: %s; steps with --fastgpu will be refused here", config.socket, strerror(-r));
        tell_untold();
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
