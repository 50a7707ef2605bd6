/* SPDX-License-Identifier: Apache-2.0
 * Everything before the command may begin. */
#include "runner/runner.h"

#include "base/cleanup.h"
#include "base/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* The daemon took the lock and handed it over, so that there is no moment at which a runner is on its way and the lock is free. */
static int take_lock(struct fgr_runner *r, struct fg_error *err)
{
        struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        struct stat own, there;
        if (r->lock < 0)
                r->lock = openat(r->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (r->lock < 0 || fstat(r->lock, &own) < 0 || fstatat(r->dir, "lock", &there, AT_SYMLINK_NOFOLLOW) < 0)
                return fg_error_set(err, -errno, "the job's lock cannot be opened: %m");
        if (own.st_dev != there.st_dev || own.st_ino != there.st_ino)
                return fg_error_set(err, -ESTALE, "the lock is that of another folder");
        if (fcntl(r->lock, F_OFD_SETLK, &whole) < 0)
                return fg_error_set(err, errno == EAGAIN || errno == EACCES ? -EBUSY : -errno, "another runner has this job");
        return 0;
}

static int read_spec(struct fgr_runner *r, struct fg_error *err)
{
        fg_autofree char *bytes = NULL;
        size_t size;
        int result = fg_job_file_get(r->dir, "spec", FG_JOB_SPEC_MAX, &bytes, &size);
        if (result < 0)
                return fg_error_set(err, result, "the job's spec cannot be read: %m");
        return fg_job_spec_read(bytes, size, &r->spec, err);
}

static void read_boot(struct fgr_runner *r)
{
        fg_autoclose int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? 0 : read(fd, r->status.boot, sizeof r->status.boot - 1);
        r->status.boot[n < 0 ? 0 : n] = 0;
}

static int set_signals(struct fgr_runner *r)
{
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGCHLD);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        signal(SIGPIPE, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
        signal(SIGXFSZ, SIG_IGN);
        if (sigprocmask(SIG_SETMASK, &set, NULL) < 0)
                return -errno;
        r->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        r->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
        return r->signals < 0 || r->timer < 0 ? -errno : 0;
}

static int check_user(const struct fgr_runner *r, struct fg_error *err)
{
        if (geteuid() == 0 || geteuid() == r->spec.uid)
                return 0;
        return fg_error_set(err, -EPERM, "the daemon runs as uid %u and cannot run a job as uid %u", geteuid(), r->spec.uid);
}

int fgr_start(struct fgr_runner *r, const char *path, struct fg_error *err)
{
        r->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (r->dir < 0 || fchdir(r->dir) < 0)
                return fg_error_set(err, -errno, "%s: %m", path);
        int result = take_lock(r, err);
        if (result < 0)
                return result;
        if (faccessat(r->dir, "begun", F_OK, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT)
                return fg_error_set(err, -EALREADY, "the job has begun once; it is not run again");
        read_boot(r);
        result = set_signals(r);
        if (result < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
                return fg_error_set(err, result ? result : -errno, "the runner cannot watch its children: %m");
        result = read_spec(r, err);
        if (result == 0)
                result = check_user(r, err);
        if (result < 0)
                return result;
        r->listener = fg_unix_listen("control", SOCK_SEQPACKET, FGR_CONNECTIONS, 0600);
        if (r->listener < 0)
                return fg_error_set(err, r->listener, "the job's control socket cannot be made: %m");
        r->log = openat(r->dir, "log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (r->log < 0)
                return fg_error_set(err, -errno, "the job's log cannot be made: %m");
        result = fgr_group_make(r, err);
        if (result == 0 && (result = fgr_status_prepare(r)) < 0)
                fg_error_set(err, result, "the job's status cannot be written: %m");
        return result;
}
