/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/term.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define ENTER "\033[?1049h\033[?25l"
#define LEAVE "\033[?25h\033[?1049l"

/* Handlers reach these. */
static volatile sig_atomic_t entered, redraw;
static struct termios before;
static bool have_keys;

static void emit(const char *text, size_t len)
{
        while (len > 0) {
                ssize_t n = write(STDOUT_FILENO, text, len);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return;
                text += n;
                len -= (size_t)n;
        }
}

static void enter_screen(void)
{
        struct termios now = before;
        now.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        now.c_cc[VMIN] = 1;
        now.c_cc[VTIME] = 0;
        if (have_keys)
                tcsetattr(STDIN_FILENO, TCSANOW, &now);
        emit(ENTER, sizeof ENTER - 1);
        entered = 1;
}

/* write(2) and tcsetattr(3) are safe in a handler. */
void cli_term_leave(void)
{
        if (!entered)
                return;
        entered = 0;
        emit(LEAVE, sizeof LEAVE - 1);
        if (have_keys)
                tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

static void on_end(int signo)
{
        int saved = errno;
        cli_term_leave();
        raise(signo); /* the default is back: SA_RESETHAND */
        errno = saved;
}

static void handle(int signo, void (*handler)(int), int flags)
{
        struct sigaction action = {.sa_handler = handler, .sa_flags = flags}, old;
        sigemptyset(&action.sa_mask);
        /* What our caller chose to ignore (nohup) stays ignored. */
        if (sigaction(signo, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
                sigaction(signo, &action, NULL);
}

static void on_stop(int signo)
{
        int saved = errno;
        cli_term_leave();
        raise(signo);
        /* Continued. */
        handle(signo, on_stop, SA_RESETHAND | SA_NODEFER);
        enter_screen();
        redraw = 1;
        errno = saved;
}

static void on_resize(int signo)
{
        redraw = 1;
}

void cli_term_enter(void)
{
        static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGSEGV, SIGABRT,
                                   SIGBUS, SIGFPE,  SIGILL, SIGALRM, SIGXCPU, SIGUSR1, SIGUSR2};
        have_keys = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &before) == 0;
        for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
                handle(ends[i], on_end, SA_RESETHAND | SA_NODEFER);
        handle(SIGTSTP, on_stop, SA_RESETHAND | SA_NODEFER);
        handle(SIGWINCH, on_resize, 0);
        atexit(cli_term_leave);
        enter_screen();
}

void cli_term_size(size_t *ret_rows, size_t *ret_columns)
{
        struct winsize size;
        bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col;
        *ret_rows = known ? size.ws_row : 24;
        *ret_columns = known ? size.ws_col : 80;
}

void cli_term_draw(const char *text)
{
        size_t rows, columns, size;
        char *screen = NULL;
        cli_term_size(&rows, &columns);
        FILE *out = open_memstream(&screen, &size);
        if (!out)
                return;
        fputs("\033[H", out);
        for (size_t row = 0; row < rows && *text; row++) {
                size_t len = strcspn(text, "\n");
                fprintf(out, "%s%.*s\033[K", row ? "\r\n" : "", (int)len, text);
                text += len + (text[len] == '\n');
        }
        fputs("\033[J", out);
        if (fclose(out) == 0)
                emit(screen, size);
        free(screen);
}

enum cli_key cli_term_wait(int ms)
{
        struct pollfd p = {.fd = have_keys ? STDIN_FILENO : -1, .events = POLLIN};
        sigset_t resize, old;
        char key = 0;
        /* SIGWINCH between the look and the wait must not be slept over. */
        sigemptyset(&resize);
        sigaddset(&resize, SIGWINCH);
        sigprocmask(SIG_BLOCK, &resize, &old);
        struct timespec timeout = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
        int n = redraw ? -1 : ppoll(&p, 1, &timeout, &old);
        sigprocmask(SIG_SETMASK, &old, NULL);
        if (redraw || n < 0) {
                redraw = 0;
                return CLI_KEY_REDRAW;
        }
        if (n == 0)
                return CLI_KEY_TIMEOUT;
        if (read(STDIN_FILENO, &key, 1) <= 0) {
                have_keys = false; /* the terminal is gone */
                return CLI_KEY_QUIT;
        }
        return key == 'q' || key == 'Q' || key == 3 ? CLI_KEY_QUIT : CLI_KEY_OTHER;
}
