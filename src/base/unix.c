/* SPDX-License-Identifier: Apache-2.0
 * Unix sockets whose path may be longer than the 107 bytes of sun_path: the long part is opened, the rest is reached
 * through /proc/self/fd. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#define CONNECT_SECONDS 5

static int connect_address(const char *path, struct sockaddr_un *ret, int *ret_fd)
{
        *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
        if (strlen(path) < sizeof(ret->sun_path)) {
                strcpy(ret->sun_path, path);
                return 0;
        }
        *ret_fd = open(path, O_PATH | O_CLOEXEC);
        if (*ret_fd < 0)
                return -errno;
        snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d", *ret_fd);
        return 0;
}

/* A listener that does not accept would block us for ever once its backlog is full: the send timeout bounds connect(2)
 * too. With a timeout a signal ends the call even under SA_RESTART, and nothing has happened then. */
static int connect_bounded(int fd, const struct sockaddr_un *address)
{
        const struct timeval limit = {.tv_sec = CONNECT_SECONDS}, none = {0};
        uint64_t deadline = fg_now() + CONNECT_SECONDS * FG_NSEC_PER_SEC;
        if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
                return -errno;
        int r;
        do
                r = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
        while (r == -EINTR && fg_now() < deadline);
        if (r == -EAGAIN || r == -EINTR)
                return -ETIMEDOUT;
        if (r == 0 && setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof(none)) < 0)
                return -errno;
        return r;
}

int fg_unix_connect(const char *path, int type)
{
        fg_autoclose int file = -1, fd = -1;
        struct sockaddr_un address;
        int r = connect_address(path, &address, &file);
        if (r < 0)
                return r;
        fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        r = connect_bounded(fd, &address);
        return r < 0 ? r : FG_TAKE_FD(fd);
}

/* Opens the folder of `path` and points *ret_name at the file's name. */
static int open_folder(const char *path, const char **ret_name)
{
        char folder[PATH_MAX];
        const char *slash = strrchr(path, '/');
        size_t len = slash == path ? 1 : slash ? (size_t)(slash - path) : 0;
        *ret_name = slash ? slash + 1 : path;
        if (**ret_name == '\0')
                return -EINVAL;
        if (len >= sizeof(folder))
                return -ENAMETOOLONG;
        snprintf(folder, sizeof(folder), "%.*s", (int)len, path);
        int fd = open(len ? folder : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

/* Only a socket is anybody's leftover; a file in the way is not ours to delete. */
static int remove_stale(int folder, const char *name)
{
        struct stat st;
        if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : -errno;
        if (!S_ISSOCK(st.st_mode))
                return -EEXIST;
        return unlinkat(folder, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

static int bind_at(int fd, const char *path, int folder, const char *name)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int len = (int)strlen(path);
        if (len < (int)sizeof(address.sun_path))
                strcpy(address.sun_path, path);
        else
                len = snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", folder, name);
        if (len >= (int)sizeof(address.sun_path))
                return -ENAMETOOLONG;
        return bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
}

int fg_unix_listen(const char *path, int type, int backlog, unsigned mode)
{
        fg_autoclose int folder = -1, fd = -1;
        const char *name;
        folder = open_folder(path, &name);
        if (folder < 0)
                return FG_TAKE_FD(folder);
        fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        int r = remove_stale(folder, name);
        /* bind(2) makes the file with the descriptor's mode less the umask; the exact mode is set before anybody can
         * connect, that is before listen(2). umask(2) itself would change the mode of other threads' files. */
        if (r == 0 && fchmod(fd, mode) < 0)
                r = -errno;
        if (r == 0)
                r = bind_at(fd, path, folder, name);
        if (r < 0)
                return r;
        if (fchmodat(folder, name, mode, 0) < 0 || listen(fd, backlog) < 0) {
                r = -errno;
                unlinkat(folder, name, 0);
                return r;
        }
        return FG_TAKE_FD(fd);
}
