/* SPDX-License-Identifier: Apache-2.0
 * Files of other programs that `docker` changes: each is replaced in one step, and left alone when it says so already. */
#ifndef CLI_DOCKER_H
#define CLI_DOCKER_H

#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>

#define CLI_FILE_MAX (1u << 20)

/* All of the file; "" when it is not there. The caller frees it. */
int cli_file_read(const char *path, char **ret, struct fg_error *err);
/* 1: written; 0: it was so already. `text` NULL: the file goes. Folders are made. */
int cli_file_write(const char *path, const char *text, struct fg_error *err);

/* The text of a file of lines "name = value" in which `name` is `value`; NULL: it is not in there. The caller frees it. */
char *cli_lines_set(const char *text, const char *name, const char *value);

/* Docker's daemon.json with our runtime, or without it. -EEXIST: the default runtime is somebody else's. */
int cli_docker_edit(json_t *config, const char *runtime, bool is_default, struct fg_error *err);

#endif
