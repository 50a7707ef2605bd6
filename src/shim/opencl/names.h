/* SPDX-License-Identifier: Apache-2.0
 * Which extensions the program sees: not those whose functions would make the device work past the gate or take the
 * layer's device objects unseen. */
#ifndef FGO_NAMES_H
#define FGO_NAMES_H

#include "shim/opencl/api.h"

#include <stdbool.h>

bool fgo_names_hidden(const char *extension, size_t length);
/* Removes the hidden ones from a list separated by spaces, in place; returns the new size with the NUL. */
size_t fgo_names_filter(char *list);
/* The same for an array of cl_name_version of `size` bytes; returns the new size. */
size_t fgo_names_filter_versions(void *list, size_t size);

#endif
