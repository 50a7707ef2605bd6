/* SPDX-License-Identifier: Apache-2.0
 * The certificate and the key that remote callers know this daemon by. */
#ifndef FGD_TLS_PAIR_H
#define FGD_TLS_PAIR_H

#include "base/error.h"

#include <stddef.h>

#define FGD_FINGERPRINT_SIZE 65 /* SHA-256 in hexadecimal, and a NUL */

struct fgd_tls_pair {
        char *cert, *key; /* PEM, NUL-terminated */
        /* Of the public key (DER SubjectPublicKeyInfo), as in RFC 7469: a certificate that is made anew for the same key, with other
         * names or dates, is still known. */
        char fingerprint[FGD_FINGERPRINT_SIZE];
};

/* Reads a pair of files and checks that they belong together. */
int fgd_tls_pair_load(const char *cert_path, const char *key_path, struct fgd_tls_pair *ret, struct fg_error *err);

/* The daemon's own pair in `folder`, made when neither file is there, and the certificate alone when only the key is. `host`, if not
 * empty, is one more name or address of the daemon. A file that is there is never replaced. */
int fgd_tls_pair_own(const char *folder, const char *host, struct fgd_tls_pair *ret, struct fg_error *err);

void fgd_tls_pair_clear(struct fgd_tls_pair *pair);

#endif
