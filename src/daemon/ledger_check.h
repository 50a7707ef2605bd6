/* SPDX-License-Identifier: Apache-2.0
 * fastgpud --check-ledger. */
#ifndef FGD_LEDGER_CHECK_H
#define FGD_LEDGER_CHECK_H

#include "base/error.h"

#include <stdbool.h>

struct fg_paths;

#define FGD_LEDGER_FOUND  1 /* exit codes: something is wrong */
#define FGD_LEDGER_HASHES 3 /* all is well but the kept hashes */

/* Prints what is found, a line each, and a last line for a person. EXIT_SUCCESS, one of the above, -errno when the log cannot
 * be read. Changes nothing, and may be done while a daemon writes the log. is_idle: takes time that nobody wants, and ends with
 * who started it. */
int fgd_check_ledger(const struct fg_paths *paths, bool is_idle, struct fg_error *err);

#endif
