/* SPDX-License-Identifier: Apache-2.0
 * A job's folder: made so that it is complete or not there, removed so that it never looks as if it were to be run. */
#include "daemon/job_internal.h"

#include "base/cleanup.h"
#include "base/size.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int fgd_job_lock(int dir, int *ret_lock)
{
        struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        fg_autoclose int fd = openat(dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        if (fcntl(fd, F_OFD_SETLK, &whole) < 0)
                return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
        *ret_lock = FG_TAKE_FD(fd);
        return 0;
}

bool fgd_job_has(int dir, const char *name)
{
        return faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

int fgd_job_read_status(int dir, struct fg_job_status *ret)
{
        fg_autofree char *bytes = NULL;
        size_t size;
        int r = fg_job_file_get(dir, "status", FG_JOB_STATUS_MAX, &bytes, &size);
        return r < 0 ? r : fg_job_status_read(bytes, size, ret);
}

static int sync_folder(const char *path)
{
        fg_autoclose int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int make_folder(const char *jobs, const char *path, struct fg_error *err)
{
        int r = mkdir(path, 0700) < 0 ? -errno : 0;
        if (r == -EEXIST) {
                fg_autoclose int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
                if (dir < 0 || fgd_job_has(dir, "spec"))
                        return fg_error_set(err, -EEXIST, "there is a job in %s", path);
                r = fgd_job_dir_remove(path, err);
                if (r < 0)
                        return r;
                r = mkdir(path, 0700) < 0 ? -errno : 0;
        }
        if (r == 0)
                r = sync_folder(jobs);
        return r < 0 ? fg_error_set(err, r, "cannot make %s: %m", path) : 0;
}

int fgd_job_dir_make(const char *jobs, const char *id, const char *spec, size_t size, struct fg_error *err)
{
        char path[PATH_MAX];
        int lock, r = fg_name_check(id, err);
        if (r < 0)
                return r;
        if (snprintf(path, sizeof path, "%s/%s", jobs, id) >= (int)sizeof path)
                return fg_error_set(err, -ENAMETOOLONG, "%.100s…/%s is too long a path", jobs, id);
        r = make_folder(jobs, path, err);
        if (r < 0)
                return r;
        fg_autoclose int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        r = dir < 0 ? -errno : fgd_job_lock(dir, &lock);
        if (r == 0) {
                close(lock);
                r = fg_job_file_put(dir, "spec", spec, size);
        }
        if (r == 0)
                return 0;
        fg_error_set(err, r, "the job cannot be written to %s: %m", path);
        fgd_job_dir_remove(path, NULL);
        return r;
}

static int remove_files(int dir)
{
        int fd = dup(dir), r = 0;
        DIR *list = fd < 0 ? NULL : fdopendir(fd);
        if (!list) {
                r = -errno;
                if (fd >= 0)
                        close(fd);
                return r;
        }
        rewinddir(list);
        for (struct dirent *e; (e = readdir(list));)
                if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && unlinkat(dir, e->d_name, 0) < 0 && errno != ENOENT)
                        r = -errno;
        closedir(list);
        return r;
}

int fgd_job_dir_remove(const char *path, struct fg_error *err)
{
        struct fg_job_status status;
        fg_autoclose int lock = -1;
        fg_autoclose int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (dir < 0)
                return errno == ENOENT ? 0 : fg_error_set(err, -errno, "cannot open %s: %m", path);
        int r = fgd_job_lock(dir, &lock);
        /* One that has ended keeps the lock for the moment that it takes to leave. */
        if (r == -EBUSY && fgd_job_read_status(dir, &status) == 0 && status.state == FG_JOB_ENDED)
                r = 0;
        if (r < 0)
                return fg_error_set(err, r, r == -EBUSY ? "the job in %s is running" : "cannot lock %s: %m", path);
        /* Without its spec nothing can be run from it, whatever a power cut leaves of the rest. */
        if ((unlinkat(dir, "spec", 0) < 0 && errno != ENOENT) || fsync(dir) < 0)
                r = -errno;
        if (r == 0)
                r = remove_files(dir);
        if (r == 0 && rmdir(path) < 0 && errno != ENOENT)
                r = -errno;
        return r < 0 ? fg_error_set(err, r, "cannot remove %s: %m", path) : 0;
}
