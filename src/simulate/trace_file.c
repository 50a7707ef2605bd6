/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "simulate/trace_openb.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static int read_file(const char *path, char **ret, size_t *ret_len, struct fg_error *err)
{
        fg_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        struct stat st;
        size_t len = 0;
        if (fd < 0 || fstat(fd, &st) < 0)
                return fg_error_set(err, -errno, "%s: %s", path, strerror(errno));
        if (!S_ISREG(st.st_mode))
                return fg_error_set(err, -EINVAL, "%s: not a file", path);
        if (st.st_size > FG_REPLAY_FILE_MAX)
                return fg_error_set(err, -EFBIG, "%s: more than 256 MiB", path);
        fg_autofree char *text = malloc((size_t)st.st_size + 1);
        if (!text)
                return fg_error_set(err, -ENOMEM, "%s: out of memory", path);
        while (len < (size_t)st.st_size) {
                ssize_t n = read(fd, text + len, (size_t)st.st_size - len);
                if (n < 0)
                        return fg_error_set(err, -errno, "%s: %s", path, strerror(errno));
                if (n == 0)
                        break;
                len += (size_t)n;
        }
        *ret_len = len;
        *ret = FG_TAKE_PTR(text);
        return 0;
}

int fg_replay_read_nodes(const char *path, struct fg_replay_nodes *ret, struct fg_error *err)
{
        fg_autofree char *text = NULL;
        size_t len;
        int r = read_file(path, &text, &len, err);
        return r < 0 ? r : fg_replay_parse_nodes(path, text, len, ret, err);
}

int fg_replay_read_pods(const char *path, const struct fg_replay_nodes *nodes, struct fg_replay_pods *ret, struct fg_error *err)
{
        fg_autofree char *text = NULL;
        size_t len;
        int r = read_file(path, &text, &len, err);
        return r < 0 ? r : fg_replay_parse_pods(path, text, len, nodes, ret, err);
}
