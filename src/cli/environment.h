/* SPDX-License-Identifier: Apache-2.0
 * What `run` puts in front of lists in the program's environment. */
#ifndef CLI_ENVIRONMENT_H
#define CLI_ENVIRONMENT_H

#include "base/error.h"

/* NAME=first, then what it was before unless that begins the same. */
int cli_environment_first(const char *name, const char *first, struct fg_error *err);
/* PYTHONPATH, so that a Python program finds the package fastgpu and its Keras the layer VirtualGPU (python/enter). Where that is not
 * installed, or below a path that no such list can hold, nothing: it is a convenience. */
int cli_environment_python(struct fg_error *err);

#endif
