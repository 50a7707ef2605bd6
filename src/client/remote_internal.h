/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FG_CLIENT_REMOTE_INTERNAL_H
#define FG_CLIENT_REMOTE_INTERNAL_H

#include "base/error.h"
#include "fastgpu/client.h"

#include <curl/curl.h>

/* A handle that does what all of ours do. `words`: CURL_ERROR_SIZE bytes that live as long. NULL: out of memory. */
CURL *fg_remote_handle(const struct fg_client_target *target, char *words);
/* Whom to talk to: the one with that key or, with "", whoever this system trusts by that name. */
void fg_remote_trust(CURL *easy, const char *fingerprint);
/* Why it failed, in words. */
int fg_remote_explain(CURL *easy, CURLcode code, const char *url, const char *fingerprint, const char *words, struct fg_error *err);
int fg_remote_certificate(const struct fg_client_target *target, char ret_fingerprint[FG_CLIENT_FINGERPRINT_MAX], bool *ret_trusted,
                          struct fg_error *err);

#endif
