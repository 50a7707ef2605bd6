/* SPDX-License-Identifier: Apache-2.0
 * Where things live.
 *
 *   FASTGPU_STATE_DIR=D   state D,                run D/run            (a private daemon of its own)
 *   root                  state /var/lib/fastgpu, run /run/fastgpu
 *   anybody else          state $XDG_STATE_HOME/fastgpu (~/.local/state), run $XDG_RUNTIME_DIR/fastgpu (else state/run)
 *
 *   state/store.db        SQLite store
 *   run/api.sock          HTTP
 *   run/daemon.lock       held by the daemon for its whole life
 *   run/daemon.log        of a daemon that a command started
 *   run/vgpu/ID/          limits, usage, poke (FIFO): the pages of one vGPU
 *   run/attach/           sockets on which programs attach, one for each view (NAME or NAME/I) in use
 *   run/gate.sock         fastgpu-gate, where it runs; it holds run/gate.lock
 *   run/containers/       the same for containers: a folder for each view, with attach.sock in it; cdi/ has what all share */
#ifndef FG_BASE_PATHS_H
#define FG_BASE_PATHS_H

#include "base/error.h"

#include <stdbool.h>
#include <limits.h>
#include <stddef.h>

struct fg_paths {
        char state[PATH_MAX];
        char run[PATH_MAX];
        bool is_private; /* FASTGPU_STATE_DIR is set */
};

#define FG_SYSTEM_RUN "/run/fastgpu"

/* In a container, where the folder of its vGPU's socket is mounted: which folder that is, is the container's identity. */
#define FG_CONTAINER_FOLDER "/run/fastgpu-vgpu"
#define FG_ATTACH_FILE      "attach.sock"
#define FG_CONTAINER_SOCKET FG_CONTAINER_FOLDER "/" FG_ATTACH_FILE

int fg_paths_find(struct fg_paths *ret, struct fg_error *err);

/* The folder this program's tree starts in (…/out for …/out/bin/fastgpu), without a trailing slash. */
int fg_paths_prefix(char *ret, size_t len, struct fg_error *err);

/* connect(2) or bind(2) to a unix socket whose path may be longer than sun_path allows (through /proc/self/fd). type:
 * SOCK_STREAM or SOCK_SEQPACKET, CLOEXEC is added. Returns the descriptor or -errno.
 * connect waits at most 5 s for a listener that does not accept: -ETIMEDOUT. listen replaces a socket that is there (hold a
 * lock), but nothing else: -EEXIST; the file has exactly `mode`; the listener does not block. */
int fg_unix_connect(const char *path, int type);
int fg_unix_listen(const char *path, int type, int backlog, unsigned mode);

/* mkdir -p with the given mode for what it creates. */
int fg_mkdirs(const char *path, unsigned mode, struct fg_error *err);

#endif
