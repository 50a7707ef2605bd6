/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/login_ask.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>

static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
#define ENDING (sizeof ending / sizeof ending[0])

static volatile sig_atomic_t came;

static void on_signal(int signo)
{
        came = signo;
}

static int read_line(int fd, char *ret, size_t len)
{
        size_t n = 0;
        for (;;) {
                char c;
                ssize_t got = came ? -1 : read(fd, &c, 1);
                if (came || got == 0 || (got < 0 && errno != EINTR))
                        return -ECANCELED;
                if (got < 0)
                        continue;
                if (c == '\n' || c == '\r')
                        break;
                if (n == len - 1)
                        return -EFBIG;
                ret[n++] = c;
        }
        ret[n] = '\0';
        return 0;
}

static int ask_at(int fd, const char *question, char *ret, size_t len)
{
        ssize_t written = write(fd, question, strlen(question));
        return written < 0 ? -errno : read_line(fd, ret, len);
}

int cli_ask_line(const char *question, char *ret, size_t len)
{
        fg_autoclose int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
        return fd < 0 ? -ENOTTY : ask_at(fd, question, ret, len);
}

/* A program that dies here would leave a terminal that shows nothing: it dies afterwards. */
static int ask_unseen(int fd, const struct termios *before, const char *question, char *ret, size_t len)
{
        struct sigaction old[ENDING], ours = {.sa_handler = on_signal};
        struct termios unseen = *before;
        unseen.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK);
        unseen.c_lflag |= ECHONL;
        came = 0;
        for (size_t i = 0; i < ENDING; i++)
                sigaction(ending[i], &ours, &old[i]);
        int r = tcsetattr(fd, TCSAFLUSH, &unseen) < 0 ? -errno : ask_at(fd, question, ret, len);
        tcsetattr(fd, TCSAFLUSH, before);
        for (size_t i = 0; i < ENDING; i++)
                sigaction(ending[i], &old[i], NULL);
        if (came)
                raise(came);
        return r;
}

int cli_ask_secret(const char *question, char *ret, size_t len)
{
        struct termios before;
        fg_autoclose int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
        if (fd < 0 || tcgetattr(fd, &before) < 0)
                return -ENOTTY;
        return ask_unseen(fd, &before, question, ret, len);
}
