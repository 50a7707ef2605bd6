/* SPDX-License-Identifier: Apache-2.0 */
#include "integrations/oci/oci.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int fgi_oci_read(const char *path, char **ret, size_t *ret_size, struct fg_error *err)
{
        struct stat st;
        fg_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0 || fstat(fd, &st) < 0)
                return fg_error_set(err, -errno, "%s: %m", path);
        if (!S_ISREG(st.st_mode) || st.st_size > (off_t)FGI_OCI_CONFIG_MAX)
                return fg_error_set(err, -E2BIG, "%s is no plain file of at most %u bytes", path, FGI_OCI_CONFIG_MAX);
        fg_autofree char *text = malloc(FGI_OCI_CONFIG_MAX + 1);
        size_t size = 0;
        ssize_t n = 1;
        while (text && n > 0 && size <= FGI_OCI_CONFIG_MAX) {
                n = read(fd, text + size, FGI_OCI_CONFIG_MAX + 1 - size);
                size += n > 0 ? (size_t)n : 0;
        }
        if (!text || n < 0)
                return fg_error_set(err, text ? -errno : -ENOMEM, "%s: %m", path);
        *ret_size = size;
        *ret = FG_TAKE_PTR(text);
        return 0;
}

static int fill(int fd, const struct stat *like, const json_t *config)
{
        if (fchown(fd, like->st_uid, like->st_gid) < 0 || fchmod(fd, like->st_mode & 07777) < 0)
                return -errno;
        fg_autofree char *text = json_dumps(config, JSON_COMPACT);
        ssize_t size = text ? (ssize_t)strlen(text) : 0;
        if (!text || write(fd, text, (size_t)size) != size)
                return text ? -EIO : -ENOMEM;
        return 0;
}

int fgi_oci_write(const char *path, const json_t *config, struct fg_error *err)
{
        char temporary[PATH_MAX];
        struct stat st;
        if (stat(path, &st) < 0 || snprintf(temporary, sizeof temporary, "%s.fastgpu", path) >= (int)sizeof temporary)
                return fg_error_set(err, -errno, "%s: %m", path);
        unlink(temporary);
        fg_autoclose int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        int r = fd < 0 ? -errno : fill(fd, &st, config);
        if (r == 0 && rename(temporary, path) < 0)
                r = -errno;
        if (r < 0 && fd >= 0)
                unlink(temporary);
        return r < 0 ? fg_error_set(err, r, "cannot write %s: %m", path) : 0;
}
