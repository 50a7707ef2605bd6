/* SPDX-License-Identifier: Apache-2.0
 * The API's description, OpenAPI 3.1 as JSON: made by tools/gen-openapi from src/daemon/openapi. */
#ifndef FGD_OPENAPI_H
#define FGD_OPENAPI_H

#include <stddef.h>

extern const char fgd_openapi_text[];
extern const size_t fgd_openapi_size; /* without its NUL */

#endif
