/* SPDX-License-Identifier: Apache-2.0
 * A full screen on the terminal, given back whatever ends the program. Plain ANSI: a curses library would cost every
 * verb its start-up. */
#ifndef CLI_TERM_H
#define CLI_TERM_H

#include <stdbool.h>
#include <stddef.h>

/* Switches to the alternate screen. The terminal is restored by cli_term_leave(), at exit and by any signal that ends
 * or stops the process. */
void cli_term_enter(void);
void cli_term_leave(void);
/* Draws text from the top: what does not fit is cut. */
void cli_term_draw(const char *text);
void cli_term_size(size_t *ret_rows, size_t *ret_columns);

enum cli_key { CLI_KEY_TIMEOUT, CLI_KEY_REDRAW, CLI_KEY_QUIT, CLI_KEY_OTHER };
/* Waits for a key or a change of the window, at most `ms`. */
enum cli_key cli_term_wait(int ms);

#endif
