/* SPDX-License-Identifier: Apache-2.0
 * HTTP/1.1 over the API's unix socket, driven by the daemon's event loop. */
#ifndef FGD_HTTP_H
#define FGD_HTTP_H

#include "base/error.h"

#include <stdbool.h>

struct fgd_manager;
struct fgd_http;

/* Serves on a listening socket, which it takes. */
int fgd_http_new(struct fgd_manager *manager, int socket, struct fg_error *err);
/* Looks at what has come, and lets go on what may. */
void fgd_http_drive(struct fgd_http *http);
/* Somebody has asked, or begun to, and has not heard all of the answer. */
bool fgd_http_is_asked(const struct fgd_http *http);
void fgd_http_free(struct fgd_http *http); /* NULL is fine */

#endif
