/* SPDX-License-Identifier: Apache-2.0
 * DIR/status. Two files of one size, made before the command begins, change names: saying how a job ended takes no space on the disk. */
#include "runner/runner.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define SPARE    "status.spare"
#define RETRY_MS 1000u

static void compose(const struct fgr_runner *r, char text[FG_JOB_STATUS_MAX])
{
        size_t used = fg_job_status_write(&r->status, text);
        memset(text + used, '\n', FG_JOB_STATUS_MAX - used);
}

int fgr_status_prepare(struct fgr_runner *r)
{
        char text[FG_JOB_STATUS_MAX];
        compose(r, text);
        int result = fg_job_file_put(r->dir, SPARE, text, sizeof text);
        if (result == 0)
                result = fg_job_file_put(r->dir, "status", text, sizeof text);
        r->saved = result == 0;
        return result;
}

static int exchange(struct fgr_runner *r, const char *text)
{
        fg_autoclose int fd = openat(r->dir, SPARE, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return -errno;
        ssize_t n = pwrite(fd, text, FG_JOB_STATUS_MAX, 0);
        if (n != (ssize_t)FG_JOB_STATUS_MAX)
                return n < 0 ? -errno : -ENOSPC;
        if (fdatasync(fd) < 0 || renameat2(r->dir, SPARE, r->dir, "status", RENAME_EXCHANGE) < 0 || fsync(r->dir) < 0)
                return -errno;
        return 0;
}

/* A folder that was removed under a runner: there is nobody to write to. */
static bool is_gone(const struct fgr_runner *r)
{
        struct stat folder;
        return fstat(r->dir, &folder) == 0 && folder.st_nlink == 0;
}

void fgr_status_save(struct fgr_runner *r)
{
        char text[FG_JOB_STATUS_MAX];
        compose(r, text);
        /* Some file systems cannot exchange names. */
        r->saved = exchange(r, text) == 0 || fg_job_file_put(r->dir, "status", text, sizeof text) == 0 || is_gone(r);
        r->next_save = fgr_now() + RETRY_MS;
}

void fgr_status_figures(struct fgr_runner *r)
{
        struct rusage usage;
        getrusage(RUSAGE_CHILDREN, &usage);
        uint64_t cpu = fgr_group_cpu(r);
        if (cpu > r->status.cpu)
                r->status.cpu = cpu;
        r->status.max_rss = (uint64_t)usage.ru_maxrss * 1024u;
        r->status.ran = fgr_ran(r);
}
