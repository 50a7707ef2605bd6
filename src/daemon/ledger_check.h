/* SPDX-License-Identifier: Apache-2.0
 * fastgpud --check-ledger. */
#ifndef FGD_LEDGER_CHECK_H
#define FGD_LEDGER_CHECK_H

#include "base/error.h"

struct fg_paths;

/* Prints what is found, a line each, and a last line for a person. EXIT_SUCCESS, EXIT_FAILURE when something is wrong,
 * -errno when the log cannot be read. Changes nothing. */
int fgd_check_ledger(const struct fg_paths *paths, struct fg_error *err);

#endif
