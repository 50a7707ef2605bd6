/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-or-later */
#include "integrations/slurm/slurm.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE   10 /* seconds; a job's start waits for it */
#define ANSWER_MAX (16u << 20)

static int dial(const char *path)
{
        struct sockaddr_un to = {.sun_family = AF_UNIX};
        struct timeval patience = {.tv_sec = PATIENCE};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
        if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
                int r = -errno;
                close(fd);
                return r;
        }
        return fd;
}

static int send_all(int fd, const char *data, size_t size)
{
        while (size > 0) {
                ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EPIPE;
                data += n;
                size -= (size_t)n;
        }
        return 0;
}

/* Everything up to the end, NUL-terminated. */
static int read_all(int fd, char **ret)
{
        size_t size = 0, room = 0;
        char *data = NULL;
        for (;;) {
                if (room - size < 2) {
                        room = room ? room * 2 : 4096;
                        char *more = room <= ANSWER_MAX ? realloc(data, room) : NULL;
                        if (!more) {
                                free(data);
                                return -ENOMEM;
                        }
                        data = more;
                }
                ssize_t n = read(fd, data + size, room - size - 1);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0) {
                        int r = errno == EAGAIN ? -ETIMEDOUT : -errno;
                        free(data);
                        return r;
                }
                if (n == 0)
                        break;
                size += (size_t)n;
        }
        data[size] = '\0';
        *ret = data;
        return 0;
}

/* "HTTP/1.x STATUS …", a head, an empty line, the body: HTTP/1.0 was asked for, so there are no chunks. */
static int take_apart(char *whole, struct fgi_slurm_reply *ret)
{
        char *body = strstr(whole, "\r\n\r\n");
        if (strncmp(whole, "HTTP/1.", 7) != 0 || !body || strlen(whole) < 12)
                return -EPROTO;
        ret->status = atoi(whole + 9);
        ret->body = strdup(body + 4);
        return ret->body ? 0 : -ENOMEM;
}

static int ask_here(const char *path, const char *request, size_t size, char **ret)
{
        int fd = dial(path);
        int r = fd < 0 ? fd : send_all(fd, request, size);
        if (r == 0)
                r = read_all(fd, ret);
        if (fd >= 0)
                close(fd);
        return r;
}

static int become(uid_t user)
{
        const struct passwd *who = getpwuid(user);
        if (!who)
                return -ENOENT;
        if (initgroups(who->pw_name, who->pw_gid) < 0 || setgid(who->pw_gid) < 0 || setuid(user) < 0)
                return -errno;
        return 0;
}

/* The daemon knows who asks by the process at the other end: a child becomes the user and passes on what it hears. Its first word is
 * 0 or the errno. */
static int ask_as(uid_t user, const char *path, const char *request, size_t size, char **ret)
{
        int pipes[2], r = 0;
        char *said = NULL;
        if (pipe2(pipes, 02000000 /* O_CLOEXEC */) < 0)
                return -errno;
        pid_t child = fork();
        if (child == 0) {
                char *heard = NULL;
                r = become(user);
                if (r == 0)
                        r = ask_here(path, request, size, &heard);
                dprintf(pipes[1], "%d\n%s", r, heard ? heard : "");
                _exit(0);
        }
        r = child < 0 ? -errno : 0;
        close(pipes[1]);
        if (r == 0)
                r = read_all(pipes[0], &said);
        close(pipes[0]);
        while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
                ;
        char *line = said ? strchr(said, '\n') : NULL;
        if (r == 0)
                r = line ? atoi(said) : -EPIPE;
        if (r == 0)
                *ret = strdup(line + 1);
        free(said);
        return r == 0 && !*ret ? -ENOMEM : r;
}

int fgi_slurm_ask(const char *socket, uid_t user, const char *method, const char *path, const char *json, struct fgi_slurm_reply *ret)
{
        char *request = NULL, *whole = NULL;
        int size = asprintf(&request, "%s %s HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", method, path,
                            json ? strlen(json) : 0, json ? json : "");
        *ret = (struct fgi_slurm_reply){0};
        if (size < 0)
                return -ENOMEM;
        bool other = user != FGI_SLURM_NO_USER && user != geteuid();
        int r = other ? ask_as(user, socket, request, (size_t)size, &whole) : ask_here(socket, request, (size_t)size, &whole);
        if (r == 0)
                r = take_apart(whole, ret);
        free(request);
        free(whole);
        return r;
}
