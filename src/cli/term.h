/* SPDX-License-Identifier: Apache-2.0
 * A full screen on the terminal, given back whatever ends the program. curses draws it, from a library that is loaded
 * when a screen is wanted: linked, it would cost every verb its start-up. */
#ifndef CLI_TERM_H
#define CLI_TERM_H

#include "base/error.h"

#include <stdbool.h>

#define CLI_TERM_LIBRARY "libfastgpu-curses.so"
#define CLI_TERM_SYMBOL  "cli_term_ops"
#define CLI_TERM_VERSION 1

/* Styles can be joined by |. The last three are colours; where there are none, GOOD looks plain and the others bold. */
enum cli_style { CLI_PLAIN, CLI_BOLD = 1, CLI_DIM = 2, CLI_REVERSE = 4, CLI_GOOD = 8, CLI_WARN = 16, CLI_BAD = 32 };

/* What is no character. */
enum cli_key {
        CLI_KEY_TIMEOUT = 0x200000,
        CLI_KEY_REDRAW, /* the window has changed, or the program goes on after a stop */
        CLI_KEY_WAKE,   /* `wake_fd` can be read */
        CLI_KEY_HANGUP, /* no more keys will come */
        CLI_KEY_UP,
        CLI_KEY_DOWN,
        CLI_KEY_PAGE_UP,
        CLI_KEY_PAGE_DOWN,
        CLI_KEY_HOME,
        CLI_KEY_END,
        CLI_KEY_BACKSPACE,
        CLI_KEY_BACKTAB,
        CLI_KEY_OTHER,
};

struct cli_term_ops {
        unsigned version; /* CLI_TERM_VERSION; the functions below are of that version */
        /* Switches to the alternate screen. It is restored by leave(), at exit and by any signal that ends or stops the
         * process. -ENOTSUP: this terminal (TERM) cannot place its cursor. */
        int (*enter)(bool colours);
        void (*leave)(void);
        void (*size)(int *ret_rows, int *ret_columns);
        /* A picture is: clear(), put() for each piece, show(). Text must have been through cli_fit(). */
        void (*clear)(void);
        void (*put)(int row, int column, const char *text, unsigned style);
        void (*show)(void);
        void (*forget)(void); /* somebody else has written on the screen: the next show() draws all of it */
        /* A character or one of enum cli_key; waits at most `ms`. */
        int (*key)(int ms, int wake_fd);
};

/* 0, or -ELIBACC with the reason. */
int cli_term_load(const struct cli_term_ops **ret, struct fg_error *err);

#endif
