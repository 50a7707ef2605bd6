/* SPDX-License-Identifier: Apache-2.0
 *
 * Client of fastgpud: HTTP/1.1 + JSON over its unix socket, or over TLS to one elsewhere. One request at a time per client; not
 * thread-safe. The API itself is described in docs/api.md, remote access in docs/design/remote.md. */
#ifndef FASTGPU_CLIENT_H
#define FASTGPU_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

struct fg_client; /* one connection */

struct fg_client_reply {
        int status;  /* HTTP status, 200..599 */
        char *body;  /* NUL-terminated, never NULL; at most 64 MiB */
        size_t size; /* without the NUL */
};

enum fg_client_flags {
        FG_CLIENT_START = 1, /* starts a private daemon here when none answers (waits until it is ready, at most 20 s) */
        FG_CLIENT_BRIEF = 2, /* an answer that is not there within 2 s is not waited for */
};

/* Connects: FASTGPU_STATE_DIR's daemon if set, else the remote one of FASTGPU_URL or of the stored login, else the system's, else the
 * user's own. A remote daemon is connected to by the first request. 0 or negative errno with a sentence in `error` (size error_len,
 * may be NULL): -ECONNREFUSED no daemon, -EACCES not allowed to. */
int fg_client_open(unsigned flags, struct fg_client **ret, char *error, size_t error_len);
void fg_client_close(struct fg_client *client); /* NULL is fine */

/* One request. `json` may be NULL. The reply is the caller's: fg_client_reply_clear(). Waits at most 60 s.
 * 0 whenever the daemon answered, whatever the status; -EPIPE, -ETIMEDOUT, -EPROTO otherwise; of a remote one also -ECONNREFUSED,
 * -EHOSTUNREACH, -EKEYREJECTED (its certificate is not the one that is known; nothing was sent to it). */
int fg_client_request(struct fg_client *client, const char *method, const char *path, const char *json,
                      struct fg_client_reply *ret);
/* The same with what few requests have. A creating one (docs/api.md says which) that failed with -EPIPE or -ETIMEDOUT may have been carried
 * out; sent again with the same key, it gets the answer that was lost, and nothing is made twice. */
struct fg_client_call {
        const char *method, *path, *json; /* as above */
        const char *idempotency_key;      /* 1 to 128 printable characters without blanks, new for each thing to be made; NULL: none */
};
int fg_client_request_with(struct fg_client *client, const struct fg_client_call *call, struct fg_client_reply *ret);
void fg_client_reply_clear(struct fg_client_reply *reply);
/* Why the last request failed, as a sentence; "" where the errno is all there is to say. Valid until the next one. */
const char *fg_client_error(const struct fg_client *client);

/* The run folder of the daemon this client talks to; "" if it is elsewhere. */
const char *fg_client_run_dir(const struct fg_client *client);
/* What this client talks to: "https://host:port" or the path of a socket. */
const char *fg_client_where(const struct fg_client *client);
bool fg_client_is_remote(const struct fg_client *client);

/* --- remote daemons --- */

#define FG_CLIENT_URL_MAX         280
#define FG_CLIENT_FINGERPRINT_MAX 65
#define FG_CLIENT_TOKEN_MAX       4096

/* A remote daemon and how it and the caller are known. Set its parts by the functions below, which check them. Holds a secret:
 * fg_client_target_clear() when done. */
struct fg_client_target {
        char url[FG_CLIENT_URL_MAX];
        char fingerprint[FG_CLIENT_FINGERPRINT_MAX]; /* SHA-256 of its public key (DER SubjectPublicKeyInfo), 64 hexadecimal digits; "":
                                                      * its certificate is one that this system trusts */
        char token[FG_CLIENT_TOKEN_MAX];             /* "": none */
};

/* 0 or -EINVAL and so on with a sentence, which never holds a token. `url`: "https://HOST[:PORT]", stored in one spelling. A token file is
 * one line; "-" is standard input; others must not be able to read it. */
int fg_client_target_url(struct fg_client_target *target, const char *url, char *error, size_t error_len);
int fg_client_target_fingerprint(struct fg_client_target *target, const char *hex, char *error, size_t error_len);
int fg_client_target_token(struct fg_client_target *target, const char *token, char *error, size_t error_len);
int fg_client_target_token_file(struct fg_client_target *target, const char *path, char *error, size_t error_len);
void fg_client_target_clear(struct fg_client_target *target);

/* What fg_client_open() would talk to. 1: *ret; 0: a daemon of this machine; negative errno: the environment or the stored login is
 * not usable. */
int fg_client_target_find(struct fg_client_target *ret, char *error, size_t error_len);
int fg_client_open_target(const struct fg_client_target *target, unsigned flags, struct fg_client **ret, char *error, size_t error_len);

/* Connects to target->url, sends nothing, and tells the fingerprint of what answers and whether this system trusts its certificate. */
int fg_client_certificate(const struct fg_client_target *target, char ret_fingerprint[FG_CLIENT_FINGERPRINT_MAX], bool *ret_trusted,
                          char *error, size_t error_len);

/* The stored login, $XDG_CONFIG_HOME/fastgpu/login.json, readable by its owner alone. load: -ENOENT when there is none; forget: the same. */
int fg_client_login_load(struct fg_client_target *ret, char *error, size_t error_len);
int fg_client_login_store(const struct fg_client_target *target, char *error, size_t error_len);
int fg_client_login_forget(char *error, size_t error_len);

#endif
