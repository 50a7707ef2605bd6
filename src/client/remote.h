/* SPDX-License-Identifier: Apache-2.0
 * HTTP over TLS is libcurl's, in a library of its own that is loaded when a remote daemon is first asked for something: loading libcurl
 * alone takes longer than all that `fastgpu run` does. */
#ifndef FG_CLIENT_REMOTE_H
#define FG_CLIENT_REMOTE_H

#include "base/error.h"
#include "fastgpu/client.h"

#include <stdint.h>

#define FG_REMOTE_LIBRARY "libfastgpu-remote.so"
#define FG_REMOTE_SYMBOL  "fg_remote_ops"
#define FG_REMOTE_VERSION 2

struct fg_remote;

struct fg_remote_ops {
        unsigned version; /* FG_REMOTE_VERSION; the functions below are of that version */
        int (*open)(const struct fg_client_target *target, struct fg_remote **ret, struct fg_error *err);
        void (*close)(struct fg_remote *remote);
        int (*request)(struct fg_remote *remote, const struct fg_client_call *call, uint64_t patience_ms, struct fg_client_reply *ret,
                       struct fg_error *err);
        int (*certificate)(const struct fg_client_target *target, char ret_fingerprint[FG_CLIENT_FINGERPRINT_MAX], bool *ret_trusted,
                           struct fg_error *err);
};

/* The functions of the library in …/lib/fastgpu, loaded once. */
int fg_remote_load(const struct fg_remote_ops **ret, struct fg_error *err);

#endif
