/* SPDX-License-Identifier: Apache-2.0
 *
 * Client of fastgpud: HTTP/1.1 + JSON over its unix socket. One request at a time per client; not thread-safe.
 * The API itself is described in docs/api.md. */
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

/* How to reach a daemon. FG_CLIENT_START starts a private one when none answers (waits until it is ready, at most 20 s). */
enum fg_client_flags { FG_CLIENT_START = 1 };

/* Connects: FASTGPU_STATE_DIR's daemon if set, else the system's, else the user's own. 0 or negative errno with
 * a sentence in `error` (size error_len, may be NULL): -ECONNREFUSED no daemon, -EACCES not allowed to. */
int fg_client_open(unsigned flags, struct fg_client **ret, char *error, size_t error_len);
void fg_client_close(struct fg_client *client); /* NULL is fine */

/* One request. `json` may be NULL. The reply is the caller's: fg_client_reply_clear(). Waits at most 60 s.
 * 0 whenever the daemon answered, whatever the status; -EPIPE, -ETIMEDOUT, -EPROTO otherwise. */
int fg_client_request(struct fg_client *client, const char *method, const char *path, const char *json,
                      struct fg_client_reply *ret);
void fg_client_reply_clear(struct fg_client_reply *reply);

/* The run folder of the daemon this client talks to. */
const char *fg_client_run_dir(const struct fg_client *client);

#endif
