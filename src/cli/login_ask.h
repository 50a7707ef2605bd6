/* SPDX-License-Identifier: Apache-2.0
 * Questions that only a person at the terminal can answer: asked there, whatever standard input is. */
#ifndef CLI_LOGIN_ASK_H
#define CLI_LOGIN_ASK_H

#include <stddef.h>

/* Shows `question` and reads a line, without its end. -ENOTTY: there is no terminal; -EFBIG: too long; -ECANCELED: no line came. */
int cli_ask_line(const char *question, char *ret, size_t len);
/* The same without showing what is typed. */
int cli_ask_secret(const char *question, char *ret, size_t len);

#endif
