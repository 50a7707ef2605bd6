/* SPDX-License-Identifier: Apache-2.0
 * The job's cgroup: unified, else the freezer of version 1, else none. */
#include "runner/runner.h"

#include "base/cleanup.h"
#include "base/job_group.h"
#include "runner/group_find.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static bool has_file(const char *folder, const char *file)
{
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", folder, file);
        return access(path, W_OK) == 0;
}

/* A folder of the job's own beside the runner in that hierarchy. The name is the job's and nobody else's, so that what a runner left
 * that was killed before anything began is found again. */
static int make_folder(const struct fgr_runner *runner, const char *controller, char *ret, size_t size)
{
        char own[512];
        struct stat job;
        int r = fgr_group_find(controller, own, sizeof own);
        if (r == 0 && fstat(runner->dir, &job) < 0)
                r = -errno;
        if (r < 0)
                return r;
        /* Moving a process takes the right to write both where it comes from and where it goes. */
        if (!has_file(own, "cgroup.procs"))
                return -EACCES;
        if (snprintf(ret, size, "%s/fastgpu-job-%s-%llx-%llx", own, runner->spec.id, (unsigned long long)job.st_dev,
                     (unsigned long long)job.st_ino) >= (int)size)
                return -ENAMETOOLONG;
        rmdir(ret);
        return mkdir(ret, 0755) < 0 ? -errno : 0;
}

static int bound_pids(const char *folder, uint64_t max)
{
        char number[24];
        snprintf(number, sizeof number, "%" PRIu64, max);
        return fg_job_group_put(folder, "pids.max", number);
}

/* The bound is in the same folder where the unified hierarchy has the controller, else in the controller's own hierarchy. A job is not
 * refused for want of it: it still cannot outrun the end. */
static void make_pids(struct fgr_runner *runner)
{
        struct fg_job_status *status = &runner->status;
        char folder[sizeof status->pids];
        if (!runner->spec.pids_max || (status->group == FG_JOB_GROUP_V2 && bound_pids(status->cgroup, runner->spec.pids_max) == 0))
                return;
        if (make_folder(runner, "pids", folder, sizeof folder) < 0)
                return;
        if (bound_pids(folder, runner->spec.pids_max) < 0)
                rmdir(folder);
        else
                strcpy(status->pids, folder);
}

static int make_v2(struct fgr_runner *runner)
{
        struct fg_job_status *status = &runner->status;
        char folder[sizeof status->cgroup];
        int r = make_folder(runner, NULL, folder, sizeof folder);
        if (r < 0)
                return r;
        if (!has_file(folder, "cgroup.kill") || !has_file(folder, "cgroup.freeze")) {
                rmdir(folder);
                return -EOPNOTSUPP;
        }
        strcpy(status->cgroup, folder);
        return 0;
}

static int make_v1(struct fgr_runner *runner)
{
        return make_folder(runner, "freezer", runner->status.cgroup, sizeof runner->status.cgroup);
}

int fgr_group_make(struct fgr_runner *runner, struct fg_error *err)
{
        static int (*const make[])(struct fgr_runner *) = {[FG_JOB_GROUP_V2] = make_v2, [FG_JOB_GROUP_V1] = make_v1};
        enum fg_job_group wanted = runner->spec.group;
        for (enum fg_job_group g = FG_JOB_GROUP_V2; g < FG_JOB_GROUP_NONE; g++) {
                if (wanted != FG_JOB_GROUP_AUTO && wanted != g)
                        continue;
                int r = make[g](runner);
                if (r == 0) {
                        runner->status.group = g;
                        make_pids(runner);
                        return 0;
                }
                runner->status.cgroup[0] = 0;
                if (wanted == g)
                        return fg_error_set(err, r, "no cgroup (%s) can be made for the job: %m", fg_job_group_names[g]);
        }
        runner->status.group = FG_JOB_GROUP_NONE;
        make_pids(runner);
        return 0;
}

int fgr_group_enter(const struct fg_job_status *status)
{
        int r = status->pids[0] ? fg_job_group_put(status->pids, "cgroup.procs", "0") : 0;
        return r == 0 && status->cgroup[0] ? fg_job_group_put(status->cgroup, "cgroup.procs", "0") : r;
}

int fgr_group_freeze(struct fgr_runner *runner, bool frozen)
{
        if (runner->status.group != FG_JOB_GROUP_NONE)
                return fg_job_group_freeze(&runner->status, frozen);
        if (frozen)
                fgr_tree_stop();
        else
                fgr_tree_signal(SIGCONT);
        return 0;
}

bool fgr_group_is_frozen(struct fgr_runner *runner)
{
        return runner->status.group == FG_JOB_GROUP_NONE || fg_job_group_is_frozen(&runner->status);
}

void fgr_group_signal(struct fgr_runner *runner, int signal)
{
        if (runner->status.group != FG_JOB_GROUP_NONE)
                fg_job_group_signal(&runner->status, signal);
        else
                fgr_tree_signal(signal);
}

bool fgr_group_end(struct fgr_runner *runner)
{
        /* Also what left the cgroup, as root's can. */
        fgr_tree_stop();
        unsigned left = fgr_tree_signal(SIGKILL);
        if (runner->status.group != FG_JOB_GROUP_NONE)
                fg_job_group_kill(&runner->status);
        fgr_reap(runner);
        return fg_job_group_remove(&runner->status) == 0 && (left == 0 || fgr_tree_signal(SIGKILL) == 0);
}

uint64_t fgr_group_cpu(const struct fgr_runner *runner)
{
        char path[PATH_MAX], line[128];
        struct rusage usage;
        uint64_t us = 0;
        snprintf(path, sizeof path, "%s/cpu.stat", runner->status.cgroup);
        FILE *file = runner->status.group == FG_JOB_GROUP_V2 ? fopen(path, "re") : NULL;
        while (file && fgets(line, sizeof line, file) && sscanf(line, "usage_usec %" SCNu64, &us) != 1) {}
        if (file)
                fclose(file);
        getrusage(RUSAGE_CHILDREN, &usage);
        uint64_t waited = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000u +
                          (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
        return us > waited ? us : waited;
}
