/* SPDX-License-Identifier: Apache-2.0
 * A key and a self-signed certificate, for a daemon that was given none. */
#ifndef FGD_TLS_MAKE_H
#define FGD_TLS_MAKE_H

#include "base/error.h"

/* A new ECDSA P-256 key, mode 0600, where there is none. */
int fgd_tls_make_key(const char *path, struct fg_error *err);
/* A certificate for the key in `key_path`, in the name of this machine, its addresses and `host` ("": no other). */
int fgd_tls_make_cert(const char *key_path, const char *path, const char *host, struct fg_error *err);

#endif
