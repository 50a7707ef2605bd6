/* SPDX-License-Identifier: Apache-2.0
 * The screen of cli/term.h on wide curses. Signals are ours, not curses': its handlers call what is not safe in one. */
#include "cli/term.h"

#include <curses.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <term.h>
#include <termios.h>
#include <unistd.h>

#define ESCAPE_MS 50 /* an escape that nothing follows for so long is the key */

/* Handlers reach these. */
static volatile sig_atomic_t entered, changed;
static struct termios outside, inside;
static char to_enter[128], to_leave[128];
static bool have_keys, have_colours;

/* What the terminal is told, without the pauses that terminfo may ask for: "$<5>". */
static void keep(char *ret, size_t len, const char *const *names)
{
        size_t at = 0;
        for (; *names; names++) {
                const char *text = tigetstr((char *)*names);
                for (; text && text != (char *)-1 && *text && at + 1 < len; text++) {
                        if (text[0] == '$' && text[1] == '<' && strchr(text, '>'))
                                text = strchr(text, '>');
                        else
                                ret[at++] = *text;
                }
        }
        ret[at] = '\0';
}

static void emit(const char *text)
{
        for (size_t len = strlen(text); len > 0;) {
                ssize_t n = write(STDOUT_FILENO, text, len);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return;
                text += n;
                len -= (size_t)n;
        }
}

/* write(2) and tcsetattr(3) are safe in a handler. */
static void restore(void)
{
        if (!entered)
                return;
        entered = 0;
        emit(to_leave);
        if (have_keys)
                tcsetattr(STDIN_FILENO, TCSANOW, &outside);
}

static void on_end(int signo)
{
        int saved = errno;
        restore();
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
        restore();
        raise(signo);
        /* Continued. */
        handle(signo, on_stop, SA_RESETHAND | SA_NODEFER);
        if (have_keys)
                tcsetattr(STDIN_FILENO, TCSANOW, &inside);
        emit(to_enter);
        entered = 1;
        changed = 1;
        errno = saved;
}

static void on_resize(int signo)
{
        changed = 1;
}

/* Before curses: it leaves alone what has a handler. */
static void take_signals(void)
{
        static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGSEGV, SIGABRT,
                                   SIGBUS, SIGFPE,  SIGILL, SIGALRM, SIGXCPU, SIGUSR1, SIGUSR2};
        for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
                handle(ends[i], on_end, SA_RESETHAND | SA_NODEFER);
        handle(SIGTSTP, on_stop, SA_RESETHAND | SA_NODEFER);
        handle(SIGWINCH, on_resize, 0);
}

static void start_colours(bool wanted)
{
        have_colours = wanted && has_colors() && start_color() == OK && COLOR_PAIRS > 3;
        if (!have_colours)
                return;
        short back = use_default_colors() == OK ? -1 : COLOR_BLACK;
        init_pair(1, COLOR_GREEN, back);
        init_pair(2, COLOR_YELLOW, back);
        init_pair(3, COLOR_RED, back);
}

static int enter(bool colours)
{
        static const char *const on[] = {"smcup", "civis", NULL}, *const off[] = {"sgr0", "cnorm", "rmcup", NULL};
        int err = 0;
        if (setupterm(NULL, STDOUT_FILENO, &err) != OK || !tigetstr("cup") || tigetstr("cup") == (char *)-1 || !tigetstr("clear"))
                return -ENOTSUP;
        keep(to_enter, sizeof to_enter, on);
        keep(to_leave, sizeof to_leave, off);
        have_keys = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &outside) == 0;
        take_signals();
        if (!newterm(NULL, stdout, stdin))
                return -ENOTSUP;
        atexit(restore);
        cbreak();
        noecho();
        nonl();
        typeahead(-1);
        keypad(stdscr, TRUE);
        nodelay(stdscr, TRUE);
        set_escdelay(ESCAPE_MS);
        curs_set(0);
        start_colours(colours);
        entered = 1;
        refresh();
        if (have_keys)
                tcgetattr(STDIN_FILENO, &inside);
        return 0;
}

static void leave(void)
{
        if (!entered)
                return;
        endwin();
        entered = 0;
        if (have_keys)
                tcsetattr(STDIN_FILENO, TCSANOW, &outside);
}

static void size(int *ret_rows, int *ret_columns)
{
        getmaxyx(stdscr, *ret_rows, *ret_columns);
}

static void put(int row, int column, const char *text, unsigned style)
{
        attr_t attr = A_NORMAL;
        short pair = 0;
        if (style & CLI_BOLD)
                attr |= A_BOLD;
        if (style & CLI_DIM)
                attr |= A_DIM;
        if (style & CLI_REVERSE)
                attr |= A_REVERSE;
        if (have_colours)
                pair = style & CLI_BAD ? 3 : style & CLI_WARN ? 2 : style & CLI_GOOD ? 1 : 0;
        else if (style & (CLI_BAD | CLI_WARN))
                attr |= A_BOLD;
        attr_set(attr, pair, NULL);
        mvaddstr(row, column, text);
        attr_set(A_NORMAL, 0, NULL);
}

static void clear_all(void)
{
        erase();
}

static void show(void)
{
        refresh();
}

static void forget(void)
{
        clearok(curscr, TRUE);
}

static int named(wint_t key)
{
        static const struct {
                wint_t curses;
                int key;
        } table[] = {{KEY_UP, CLI_KEY_UP},       {KEY_DOWN, CLI_KEY_DOWN}, {KEY_PPAGE, CLI_KEY_PAGE_UP},       {KEY_NPAGE, CLI_KEY_PAGE_DOWN},
                     {KEY_HOME, CLI_KEY_HOME},   {KEY_END, CLI_KEY_END},   {KEY_BACKSPACE, CLI_KEY_BACKSPACE}, {KEY_BTAB, CLI_KEY_BACKTAB},
                     {KEY_RESIZE, CLI_KEY_REDRAW}, {KEY_ENTER, '\n'}};
        for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
                if (table[i].curses == key)
                        return table[i].key;
        return CLI_KEY_OTHER;
}

/* What has been typed already, or CLI_KEY_TIMEOUT. */
static int typed(void)
{
        wint_t key;
        int r = have_keys ? get_wch(&key) : ERR;
        if (r == ERR)
                return CLI_KEY_TIMEOUT;
        if (r == KEY_CODE_YES)
                return named(key);
        return key == '\r' ? '\n' : key == 0x7f || key == 8 ? CLI_KEY_BACKSPACE : (int)key;
}

static int window_changed(void)
{
        struct winsize w;
        changed = 0;
        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_row && w.ws_col && (w.ws_row != LINES || w.ws_col != COLS))
                resizeterm(w.ws_row, w.ws_col);
        clearok(curscr, TRUE);
        return CLI_KEY_REDRAW;
}

static int wait_key(int ms, int wake_fd)
{
        struct pollfd p[] = {{.fd = have_keys ? STDIN_FILENO : -1, .events = POLLIN}, {.fd = wake_fd, .events = POLLIN}};
        struct timespec timeout = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
        sigset_t some, old;
        int key = changed ? CLI_KEY_TIMEOUT : typed();
        if (key != CLI_KEY_TIMEOUT)
                return key;
        /* What arrives between the look and the wait must not be slept over. */
        sigemptyset(&some);
        sigaddset(&some, SIGWINCH);
        sigaddset(&some, SIGTSTP);
        sigprocmask(SIG_BLOCK, &some, &old);
        int n = changed ? -1 : ppoll(p, 2, &timeout, &old);
        sigprocmask(SIG_SETMASK, &old, NULL);
        if (changed || n < 0)
                return window_changed();
        if (n > 0 && p[0].revents) {
                key = typed();
                int waiting = 0;
                if (key == CLI_KEY_TIMEOUT && (p[0].revents & (POLLHUP | POLLERR) || ioctl(STDIN_FILENO, FIONREAD, &waiting) < 0 || waiting == 0))
                        return CLI_KEY_HANGUP; /* it could be read, and there was nothing */
                return key;
        }
        return n > 0 ? CLI_KEY_WAKE : CLI_KEY_TIMEOUT;
}

__attribute__((visibility("default"))) const struct cli_term_ops cli_term_ops = {
        CLI_TERM_VERSION, enter, leave, size, clear_all, put, show, forget, wait_key};
