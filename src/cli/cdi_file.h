/* SPDX-License-Identifier: Apache-2.0
 * A file in the folders where container engines look for devices (CDI): whose it is and what it names. Anybody's package writes there. */
#ifndef CLI_CDI_FILE_H
#define CLI_CDI_FILE_H

#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define CLI_CDI_SIZE_MAX (4u << 20)
#define CLI_CDI_KIND_MAX 128u

struct cli_cdi_file {
        char kind[CLI_CDI_KIND_MAX]; /* VENDOR/CLASS; "": it says none that is one */
        json_t *json;                /* an object; NULL: YAML, of which the kind alone is read */
};

/* -EINVAL: not what its name says; `err` has the place. */
int cli_cdi_parse(const char *text, size_t size, bool is_yaml, struct cli_cdi_file *ret, struct fg_error *err);
/* The same of a regular file (-ENOTSUP) of at most CLI_CDI_SIZE_MAX bytes (-EFBIG). Release ret->json. */
int cli_cdi_read(const char *path, bool is_yaml, struct cli_cdi_file *ret, struct fg_error *err);

#endif
