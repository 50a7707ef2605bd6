/* SPDX-License-Identifier: Apache-2.0 */
#include "base/job_group.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static int open_in(const char *folder, const char *file, int flags)
{
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", folder, file);
        int fd = open(path, flags | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

int fg_job_group_put(const char *folder, const char *file, const char *text)
{
        fg_autoclose int fd = open_in(folder, file, O_WRONLY);
        if (fd < 0)
                return FG_TAKE_FD(fd);
        return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

int fg_job_group_freeze(const struct fg_job_status *status, bool frozen)
{
        if (status->group == FG_JOB_GROUP_V2)
                return fg_job_group_put(status->cgroup, "cgroup.freeze", frozen ? "1" : "0");
        return fg_job_group_put(status->cgroup, "freezer.state", frozen ? "FROZEN" : "THAWED");
}

bool fg_job_group_is_frozen(const struct fg_job_status *status)
{
        bool v2 = status->group == FG_JOB_GROUP_V2;
        char text[256];
        fg_autoclose int fd = open_in(status->cgroup, v2 ? "cgroup.events" : "freezer.state", O_RDONLY);
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
        text[n < 0 ? 0 : n] = 0;
        return strstr(text, v2 ? "frozen 1" : "FROZEN") != NULL;
}

int fg_job_group_signal(const struct fg_job_status *status, int signal)
{
        int count = 0, pid;
        int fd = open_in(status->cgroup, "cgroup.procs", O_RDONLY);
        FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
        if (!file)
                return fd < 0 ? fd : -errno;
        /* 0: a process of another PID namespace, which would be the caller's own process group */
        while (fscanf(file, "%d", &pid) == 1)
                if (pid > 0) {
                        kill(pid, signal);
                        count++;
                }
        fclose(file);
        return count;
}

void fg_job_group_kill(const struct fg_job_status *status)
{
        if (status->group == FG_JOB_GROUP_V2) {
                fg_job_group_put(status->cgroup, "cgroup.kill", "1");
                return;
        }
        /* Frozen, it cannot fork faster than it is killed; a killed one dies as it thaws. */
        fg_job_group_freeze(status, true);
        fg_job_group_signal(status, SIGKILL);
        fg_job_group_freeze(status, false);
}

int fg_job_group_remove(const struct fg_job_status *status)
{
        if (status->cgroup[0] && rmdir(status->cgroup) < 0 && errno != ENOENT)
                return -errno;
        if (status->pids[0] && rmdir(status->pids) < 0 && errno != ENOENT)
                return -errno;
        return 0;
}

int fg_job_process_read(pid_t pid, struct fg_job_process *ret)
{
        char path[48], text[1024], state;
        int parent, session;
        uint64_t start;
        snprintf(path, sizeof path, "/proc/%d/stat", pid);
        fg_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
        if (n < 0)
                return -ESRCH;
        text[n] = 0;
        /* The name may contain anything, parentheses too. */
        const char *rest = strrchr(text, ')');
        if (!rest || sscanf(rest + 1, " %c %d %*d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %" SCNu64, &state, &parent,
                            &session, &start) != 4 || state == 'Z' || state == 'X')
                return -ESRCH;
        *ret = (struct fg_job_process){.parent = parent, .session = session, .start = start};
        return 0;
}
