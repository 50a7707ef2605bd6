/* SPDX-License-Identifier: Apache-2.0
 * What is left of a job whose runner was killed. With a cgroup nothing is missed; without one, what still has the job's mark in the
 * environment that it was started with. */
#include "daemon/job_internal.h"

#include "base/cleanup.h"
#include "base/job_group.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#define ENVIRONMENT_MAX (256u << 10) /* bytes looked at */

/* Whether the process was started with this variable. Through the folder, so that it is one process from first to last. */
static bool has_mark(int process, const char *mark, char *buffer)
{
        size_t used = 0, length = strlen(mark) + 1;
        fg_autoclose int fd = openat(process, "environ", O_RDONLY | O_CLOEXEC);
        for (ssize_t n = 1; fd >= 0 && n > 0 && used < ENVIRONMENT_MAX; used += n > 0 ? (size_t)n : 0)
                n = read(fd, buffer + used, ENVIRONMENT_MAX - used);
        for (const char *at = buffer, *end = buffer + used; at && (size_t)(end - at) >= length;) {
                if (memcmp(at, mark, length) == 0)
                        return true;
                at = memchr(at, 0, (size_t)(end - at));
                at = at ? at + 1 : NULL;
        }
        return false;
}

static int kill_marked(const char *mark)
{
        int found = 0;
        fg_autofree char *buffer = malloc(ENVIRONMENT_MAX);
        DIR *proc = buffer ? opendir("/proc") : NULL;
        if (!proc)
                return -errno;
        for (struct dirent *e; (e = readdir(proc));) {
                pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);
                fg_autoclose int process = pid > 0 && pid != getpid() ? openat(dirfd(proc), e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
                if (process < 0 || !has_mark(process, mark, buffer))
                        continue;
                fg_autoclose int pidfd = pidfd_open(pid, 0);
                /* Still the one that was looked at: its folder answers. */
                if (pidfd >= 0 && faccessat(process, "environ", F_OK, 0) == 0 && pidfd_send_signal(pidfd, SIGKILL, NULL, 0) == 0)
                        found++;
        }
        closedir(proc);
        return found;
}

static bool is_this_boot(const struct fg_job_status *status)
{
        char boot[37] = "";
        fg_autoclose int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
        return fd >= 0 && read(fd, boot, 36) == 36 && strcmp(boot, status->boot) == 0;
}

int fgd_job_sweep(int dir, const struct fg_job_status *status)
{
        char mark[FG_JOB_MARK_MAX];
        if (!is_this_boot(status))
                return 0;
        if (status->group != FG_JOB_GROUP_NONE)
                fg_job_group_kill(status);
        else if (fg_job_mark(dir, mark) < 0 || kill_marked(mark) > 0)
                return -EBUSY;
        return fg_job_group_remove(status) == -EBUSY ? -EBUSY : 0;
}
