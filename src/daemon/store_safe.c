/* SPDX-License-Identifier: Apache-2.0
 * Safe mode: the store cannot be written. What it holds is read from a copy, which refuses every change, so that programs keep
 * their limits and everybody is told why nothing else is done. */
#include "daemon/store_internal.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <unistd.h>

/* `from` may be absent. */
static int copy_file(const char *from, const char *to)
{
        unlink(to);
        fg_autoclose int in = open(from, O_RDONLY | O_CLOEXEC);
        if (in < 0)
                return errno == ENOENT ? 0 : -errno;
        fg_autoclose int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        ssize_t n = 0;
        if (out < 0)
                return -errno;
        while ((n = sendfile(out, in, NULL, 1 << 20)) > 0)
                ;
        return n < 0 ? -errno : 0;
}

int fgd_store_open_safe(const char *path, const char *run, struct fgd_store **ret, struct fg_error *err)
{
        static const char *const tail[] = {"", "-wal"};
        char from[PATH_MAX + 8], to[PATH_MAX + 32];
        int r = access(path, R_OK) < 0 ? -errno : 0;
        for (unsigned i = 0; r == 0 && i < sizeof tail / sizeof *tail; i++) {
                snprintf(from, sizeof from, "%s%s", path, tail[i]);
                snprintf(to, sizeof to, "%s/store.copy%s", run, tail[i]);
                r = copy_file(from, to);
        }
        if (r < 0)
                return fg_error_set(err, r, "cannot copy %s to %s: %m", path, run);
        snprintf(to, sizeof to, "%s/store.copy", run);
        r = fgd_store_open_file(to, ret, err);
        if (r == 0 && sqlite3_exec((*ret)->db, "PRAGMA query_only=1", NULL, NULL, NULL) != SQLITE_OK)
                r = fg_error_set(err, -EIO, "cannot open %s for reading alone", to);
        if (r < 0)
                return r;
        /* It is of no use to the next daemon: it goes when this one ends. */
        unlink(to);
        snprintf(to, sizeof to, "%s/store.copy-wal", run);
        unlink(to);
        return 0;
}
