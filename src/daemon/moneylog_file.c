/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/moneylog_internal.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int fgd_moneylog_write_all(int fd, const void *data, size_t size, int64_t at)
{
        const char *from = data;
        while (size > 0) {
                ssize_t n = pwrite(fd, from, size, at);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                from += n, size -= (size_t)n, at += n;
        }
        return 0;
}

int fgd_moneylog_read(int folder, const char *name, char *ret, size_t room)
{
        fg_autoclose int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        struct stat st;
        size_t done = 0;
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EINVAL;
        for (;;) {
                ssize_t n = pread(fd, ret + done, room - done, (off_t)done);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                done += (size_t)n;
                if (done == room)
                        return -EFBIG;
                if (n == 0)
                        break;
        }
        ret[done] = '\0';
        return (int)done;
}

int fgd_moneylog_replace(int folder, const char *name, const void *data, size_t size)
{
        char part[64];
        snprintf(part, sizeof part, "%s.part", name);
        fg_autoclose int fd = openat(folder, part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        int r = fgd_moneylog_write_all(fd, data, size, 0);
        if (r == 0 && (fsync(fd) < 0 || renameat(folder, part, folder, name) < 0 || fsync(folder) < 0))
                r = -errno;
        if (r < 0)
                unlinkat(folder, part, 0);
        return r;
}

int fgd_moneylog_line(struct fgd_moneylog *log, uint64_t record, char ret[FG_TLOG_RECORD_MAX + 1], size_t *ret_size)
{
        struct fgd_moneylog_row row;
        if (record >= log->tree.size)
                return -ENOENT;
        int r = fgd_moneylog_row(log, record >> FGD_MONEYLOG_BLOCK, &row);
        if (r < 0)
                return r;
        for (uint64_t skip = record % (1u << FGD_MONEYLOG_BLOCK);; skip--) {
                int64_t left = log->bytes - row.at;
                size_t want = left < (int64_t)FG_TLOG_RECORD_MAX + 1 ? (size_t)left : FG_TLOG_RECORD_MAX + 1u;
                ssize_t n = left > 0 ? pread(log->records, ret, want, row.at) : 0;
                const char *end = n > 0 ? memchr(ret, '\n', (size_t)n) : NULL;
                if (!end)
                        return n < 0 ? -errno : -EIO;
                *ret_size = (size_t)(end - ret);
                row.at += (int64_t)*ret_size + 1;
                if (skip == 0)
                        break;
        }
        ret[*ret_size] = '\0';
        return 0;
}

int fgd_moneylog_hash_up(struct fgd_moneylog *log)
{
        char line[FG_TLOG_RECORD_MAX + 1];
        size_t size;
        while (log->hashed < log->tree.size) {
                struct fg_tlog_hash leaf;
                int r = fgd_moneylog_line(log, log->hashed, line, &size);
                if (r < 0)
                        return r;
                fg_tlog_leaf(line, size, &leaf);
                r = fgd_moneylog_write_all(log->hashes, &leaf, sizeof leaf, (int64_t)(log->hashed * sizeof leaf));
                if (r < 0)
                        return r;
                log->hashed++;
        }
        return 0;
}
