/* SPDX-License-Identifier: Apache-2.0
 * Text for a place on the screen of so many columns. What came from elsewhere may hold anything. */
#ifndef CLI_FIT_H
#define CLI_FIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Does the locale (LC_CTYPE) print UTF-8? */
bool cli_fit_is_utf8(void);

/* Characters that are not seen, yet change what one sees: control characters, joiners, marks that turn the direction of
 * writing. */
bool cli_fit_is_format(uint32_t c);

/* Copies as much of `text` as fits `columns` of the terminal and `len` bytes; where it is cut, the last column says so.
 * Control and format characters (also those that turn the direction of writing, or that cannot be seen), what is no
 * UTF-8 and what the locale cannot print become '?'; combining marks stay with their letter, at most two.
 * Returns the columns that it takes. */
size_t cli_fit(const char *text, size_t columns, char *ret, size_t len);

#define CLI_SPARK_NONE UINT16_MAX /* nothing is known: a blank */

/* A line of bars for the last `columns` of `count` values (permille; what is above counts as full), the newest at the
 * right. ret: at least 3 * columns + 1 bytes. */
void cli_spark(const uint16_t *values, size_t count, size_t columns, char *ret);

#endif
