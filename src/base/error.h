/* SPDX-License-Identifier: Apache-2.0
 * Errors for people: a negative errno and one sentence that names what was typed or found and what to do.
 *
 * Functions return 0 or -errno; where the cause matters to a person, `struct fg_error *err` comes last (NULL is allowed).
 * Success leaves *err untouched. The outermost caller prints it, once. Nothing here allocates. */
#ifndef FG_BASE_ERROR_H
#define FG_BASE_ERROR_H

#define FG_ERROR_MAX 512

struct fg_error {
        int code;              /* negative errno; 0: no error */
        char text[FG_ERROR_MAX]; /* lower case, no full stop, no newline; cut if too long */
};

/* Sets *err and returns `code` (negative errno), so that failing is one line. `%m` works for code's own errno. */
__attribute__((format(printf, 3, 4), cold)) int fg_error_set(struct fg_error *err, int code, const char *format, ...);

/* Puts "context: " in front of the text; returns err->code (or `code` when err is NULL). */
__attribute__((format(printf, 3, 4), cold)) int fg_error_wrap(struct fg_error *err, int code, const char *format, ...);

#endif
