/* SPDX-License-Identifier: Apache-2.0
 * The program that `run` is to become, looked at before anything is made for it. */
#ifndef CLI_PROGRAM_H
#define CLI_PROGRAM_H

#include "base/error.h"

/* Finds `name` as execvp() would. 0; -ENOENT: not found; -EACCES: found but not executable; -EPERM: the kernel would
 * run it with more rights than ours, and the loader then ignores layers. */
int cli_program_check(const char *name, struct fg_error *err);

#endif
