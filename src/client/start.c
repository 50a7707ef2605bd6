/* SPDX-License-Identifier: Apache-2.0 */
#include "client/start.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define POLL_INTERVAL 10u                   /* ms between looks while another command starts the daemon */
#define GRACE         (2 * FG_NSEC_PER_SEC) /* for the winner's daemon, after ours gave up */
#define READY_FD      3

static int join(char ret[PATH_MAX], const char *folder, const char *name, struct fg_error *err)
{
        int n = snprintf(ret, PATH_MAX, "%s/%s", folder, name);
        return n < PATH_MAX ? 0 : fg_error_set(err, -ENAMETOOLONG, "the path of %s below %s is too long", name, folder);
}

static int try_connect(const struct fg_paths *paths)
{
        char path[PATH_MAX];
        int r = join(path, paths->run, "api.sock", NULL);
        return r < 0 ? r : fg_unix_connect(path, SOCK_STREAM);
}

/* Connects as soon as a daemon listens; the last error once `deadline` has passed. */
static int connect_until(const struct fg_paths *paths, uint64_t deadline)
{
        for (;;) {
                int fd = try_connect(paths);
                if (fd >= 0 || fg_now() >= deadline)
                        return fd;
                poll(NULL, 0, POLL_INTERVAL);
        }
}

static int find_program(char ret[PATH_MAX], struct fg_error *err)
{
        char prefix[PATH_MAX];
        int r = fg_paths_prefix(prefix, sizeof prefix, err);
        if (r == 0)
                r = join(ret, prefix, "bin/fastgpud", err);
        if (r < 0)
                return r;
        if (access(ret, X_OK) < 0)
                return fg_error_set(err, -ECONNREFUSED, "no fastgpud is running and none can be started: %s: %s", ret,
                                    strerror(errno));
        return 0;
}

/* A daemon must not live in the world of the program that happened to call for it: not its signals, its descriptors,
 * its folder, nor the vGPU it may run in. */
static void clean_up_child(const struct fg_paths *paths)
{
        sigset_t none;
        sigemptyset(&none);
        for (int signo = 1; signo < NSIG; signo++)
                signal(signo, SIG_DFL);
        sigprocmask(SIG_SETMASK, &none, NULL);
        close_range(READY_FD + 1, ~0u, 0);
        unsetenv("OPENCL_LAYERS");
        unsetenv("FASTGPU_ATTACH");
        unsetenv("FASTGPU_PROVE");
        if (paths->is_private)
                setenv("FASTGPU_STATE_DIR", paths->state, 1);
        if (paths->state[0] == '/' && chdir("/") < 0)
                return;
}

__attribute__((noreturn)) static void run_child(const struct fg_paths *paths, const char *program, int ready, int log)
{
        char number[12];
        int null = open("/dev/null", O_RDONLY);
        /* Twice, so that no later dup2 overwrites a source that happens to be 0..3. */
        ready = fcntl(ready, F_DUPFD, READY_FD + 1);
        log = fcntl(log, F_DUPFD, READY_FD + 1);
        if (null < 0 || ready < 0 || log < 0 || dup2(null, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0 ||
            dup2(ready, READY_FD) < 0)
                _exit(1);
        clean_up_child(paths);
        snprintf(number, sizeof number, "%d", READY_FD);
        execl(program, "fastgpud", "--foreground", "--idle-exit", "--ready-fd", number, (char *)NULL);
        dprintf(2, "%s: %s\n", program, strerror(errno));
        _exit(1);
}

/* Two forks: the daemon must not be a child of a program that `fastgpu run` becomes. */
static int spawn(const struct fg_paths *paths, const char *program, int ready, int log, struct fg_error *err)
{
        pid_t middle = fork();
        if (middle < 0)
                return fg_error_set(err, -errno, "cannot start fastgpud: fork: %s", strerror(errno));
        if (middle == 0) {
                setsid();
                pid_t pid = fork();
                if (pid == 0)
                        run_child(paths, program, ready, log);
                _exit(pid < 0);
        }
        while (waitpid(middle, NULL, 0) < 0 && errno == EINTR)
                ;
        return 0;
}

/* 1: ready; 0: it ended without being ready; -ETIMEDOUT. */
static int wait_ready(int fd, uint64_t deadline)
{
        for (;;) {
                uint64_t now = fg_now();
                if (now >= deadline)
                        return -ETIMEDOUT;
                struct pollfd p = {.fd = fd, .events = POLLIN};
                int n = poll(&p, 1, (int)((deadline - now) / FG_NSEC_PER_MSEC) + 1);
                if (n > 0) {
                        char byte;
                        ssize_t got = read(fd, &byte, 1);
                        if (got >= 0 || errno != EINTR)
                                return got == 1;
                } else if (n < 0 && errno != EINTR) {
                        return -errno;
                }
        }
}

/* The last line that was written to the log since `from`; "" if none. */
static void last_words(int log, off_t from, char *ret, size_t len)
{
        char tail[2048];
        struct stat st;
        *ret = '\0';
        if (fstat(log, &st) < 0)
                return;
        if (st.st_size - from > (off_t)sizeof tail - 1)
                from = st.st_size - ((off_t)sizeof tail - 1);
        ssize_t n = pread(log, tail, sizeof tail - 1, from);
        while (n > 0 && tail[n - 1] == '\n')
                n--;
        if (n <= 0)
                return;
        tail[n] = '\0';
        char *line = strrchr(tail, '\n');
        line = line ? line + 1 : tail;
        if (strncmp(line, "fastgpud: ", 10) == 0)
                line += 10;
        snprintf(ret, len, "%s", line);
}

static int open_log(const struct fg_paths *paths, off_t *ret_size, struct fg_error *err)
{
        char path[PATH_MAX];
        struct stat st;
        int r = join(path, paths->run, "daemon.log", err);
        if (r < 0)
                return r;
        int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0 || fstat(fd, &st) < 0) {
                r = fg_error_set(err, -errno,
                                 "cannot write %s: %s; see that the folder is yours, or set "
                                 "FASTGPU_STATE_DIR to one that is",
                                 path, strerror(errno));
                if (fd >= 0)
                        close(fd);
                return r;
        }
        *ret_size = st.st_size;
        return fd;
}

static int start_one(const struct fg_paths *paths, uint64_t deadline, struct fg_error *err)
{
        char program[PATH_MAX], words[256];
        int pipes[2];
        off_t size = 0;
        int r = find_program(program, err);
        if (r < 0)
                return r;
        fg_autoclose int log = open_log(paths, &size, err);
        if (log < 0)
                return log;
        if (pipe2(pipes, O_CLOEXEC) < 0)
                return fg_error_set(err, -errno, "cannot start fastgpud: %s", strerror(errno));
        fg_autoclose int ready = pipes[0];
        r = spawn(paths, program, pipes[1], log, err);
        close(pipes[1]);
        if (r < 0)
                return r;
        r = wait_ready(ready, deadline);
        if (r < 0)
                return fg_error_set(err, -ETIMEDOUT,
                                    "fastgpud was started but is not ready after 20 s; see %s/daemon.log", paths->run);
        /* Not ready may also mean that another daemon holds the lock: then that one answers. */
        uint64_t grace = fg_now() + GRACE;
        int fd = connect_until(paths, grace < deadline ? grace : deadline);
        if (fd >= 0)
                return fd;
        last_words(log, size, words, sizeof words);
        return fg_error_set(err, -ECONNREFUSED, "fastgpud did not start: %s", *words ? words : "it left no word");
}

/* Commands that find no daemon at the same moment queue here, so that one starts it and the others find it running. The
 * kernel drops the lock with its holder. */
static int lock_start(const struct fg_paths *paths, uint64_t deadline, int *ret_connection, struct fg_error *err)
{
        char path[PATH_MAX];
        int r = join(path, paths->run, "start.lock", err);
        if (r < 0)
                return r;
        fg_autoclose int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return fg_error_set(err, -errno,
                                    "cannot write %s: %s; see that the folder is yours, or set "
                                    "FASTGPU_STATE_DIR to one that is",
                                    path, strerror(errno));
        while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
                if (fg_now() >= deadline)
                        return fg_error_set(err, -ETIMEDOUT,
                                            "another command has been starting fastgpud for 20 s; see "
                                            "%s/daemon.log",
                                            paths->run);
                poll(NULL, 0, POLL_INTERVAL);
                *ret_connection = try_connect(paths);
                if (*ret_connection >= 0)
                        break;
        }
        return FG_TAKE_FD(fd);
}

int fg_client_start(const struct fg_paths *paths, uint64_t deadline, struct fg_error *err)
{
        int connection = -1;
        /* The system's run folder holds a socket that others may be allowed to use. */
        int r = fg_mkdirs(paths->run, strcmp(paths->run, FG_SYSTEM_RUN) == 0 ? 0755 : 0700, err);
        if (r < 0)
                return r;
        fg_autoclose int lock = lock_start(paths, deadline, &connection, err);
        if (lock < 0 || connection >= 0)
                return lock < 0 ? lock : connection;
        connection = try_connect(paths);
        return connection >= 0 ? connection : start_one(paths, deadline, err);
}
