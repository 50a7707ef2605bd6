/* SPDX-License-Identifier: Apache-2.0
 * The API over TLS, for callers elsewhere. */
#ifndef FGD_REMOTE_H
#define FGD_REMOTE_H

#include "daemon/text.h"

struct fgd_manager;
struct fgd_remote;

/* Listens where the option `listen` says; without it does nothing. What is in the way (a damaged certificate, an address in use) is
 * noted, and the daemon serves this machine alone: programs here should not have to wait for a certificate. */
void fgd_remote_new(struct fgd_manager *manager);
/* As fgd_http_drive(). NULL is fine. */
void fgd_remote_drive(struct fgd_remote *remote);
void fgd_remote_free(struct fgd_remote *remote); /* NULL is fine */

/* "tls": {…} of GET /v1/version; nothing without the option. */
void fgd_remote_write(const struct fgd_manager *manager, struct fgd_text *text);

#endif
