/* SPDX-License-Identifier: Apache-2.0
 * The parts of a target, and the file a login is kept in. */
#ifndef FG_CLIENT_LOGIN_H
#define FG_CLIENT_LOGIN_H

#include "base/error.h"
#include "fastgpu/client.h"

#include <limits.h>

#define FG_LOGIN_FILE_MAX (64u << 10)

/* "https://HOST[:PORT][/]" in one spelling: lower case, with the port. */
int fg_url_parse(const char *text, char ret[FG_CLIENT_URL_MAX], struct fg_error *err);
/* 64 hexadecimal digits; colons between them and "sha256:" in front are left out. */
int fg_fingerprint_parse(const char *text, char ret[FG_CLIENT_FINGERPRINT_MAX], struct fg_error *err);
/* Something that can stand in a header. The error does not show it. */
int fg_token_check(const char *token, struct fg_error *err);
int fg_token_read(const char *path, char ret[FG_CLIENT_TOKEN_MAX], struct fg_error *err);

/* The text of a login file, for the fuzzer too. */
int fg_login_parse(const char *text, size_t size, struct fg_client_target *ret, struct fg_error *err);
/* Its path; -ENOENT where no folder is known. */
int fg_login_path(char ret[PATH_MAX], struct fg_error *err);
int fg_login_read(struct fg_client_target *ret, struct fg_error *err);
int fg_login_write(const struct fg_client_target *target, struct fg_error *err);

/* The same as fg_client_target_find(). */
int fg_target_find(struct fg_client_target *ret, struct fg_error *err);

/* Hands a sentence to a caller of the public interface. Returns r. */
int fg_client_tell(int r, const struct fg_error *err, char *error, size_t error_len);

#endif
