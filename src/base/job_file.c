/* SPDX-License-Identifier: Apache-2.0
 * Files of a job's folder. */
#include "base/job.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int write_all(int fd, const char *bytes, size_t size)
{
        while (size) {
                ssize_t n = write(fd, bytes, size);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                bytes += n;
                size -= (size_t)n;
        }
        return 0;
}

int fg_job_file_put(int dir, const char *name, const void *bytes, size_t size)
{
        char next[64];
        if (snprintf(next, sizeof next, "%s.new", name) >= (int)sizeof next)
                return -ENAMETOOLONG;
        fg_autoclose int fd = openat(dir, next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        int r = write_all(fd, bytes, size);
        if (r == 0 && fsync(fd) < 0)
                r = -errno;
        if (r == 0 && renameat(dir, next, dir, name) < 0)
                r = -errno;
        if (r < 0)
                unlinkat(dir, next, 0);
        return r < 0 ? r : fsync(dir) < 0 ? -errno : 0;
}

int fg_job_file_get(int dir, const char *name, size_t max, char **ret, size_t *ret_size)
{
        size_t used = 0;
        struct stat st;
        fg_autoclose int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EBADMSG;
        if ((uint64_t)st.st_size > max)
                return -EFBIG;
        fg_autofree char *bytes = malloc((size_t)st.st_size + 1);
        if (!bytes)
                return -ENOMEM;
        while (used < (size_t)st.st_size) {
                ssize_t n = read(fd, bytes + used, (size_t)st.st_size - used);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                used += (size_t)n;
        }
        bytes[used] = 0;
        *ret = FG_TAKE_PTR(bytes);
        *ret_size = used;
        return 0;
}

int fg_job_mark(int dir, char ret[FG_JOB_MARK_MAX])
{
        struct stat st;
        if (fstat(dir, &st) < 0)
                return -errno;
        snprintf(ret, FG_JOB_MARK_MAX, "FASTGPU_JOB_MARK=%llx-%llx", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
        return 0;
}
