/* SPDX-License-Identifier: Apache-2.0
 *
 * How a process comes by its pages. The daemon listens on one SOCK_SEQPACKET socket per view in use (all vGPUs of NAME, or
 * NAME/I alone); which socket a process can reach is its identity, what it says on it is not. The daemon answers with the
 * descriptors; the connection then stays open for the life of the process image, so that its end tells the daemon, together
 * with a pidfd, that the process died or called exec.
 *
 *   tenant  -> hello
 *   daemon  -> reply {status, count}             status != 0: nothing follows, the connection is closed
 *   daemon  -> reply_vgpu {…} + 3 descriptors    `count` times: limits (read-only), usage, poke (FIFO: "look at me")
 */
#ifndef FG_LEDGER_ATTACH_H
#define FG_LEDGER_ATTACH_H

#include "ledger/ledger.h"

#define FG_ATTACH_MAGIC   0x41504746u
#define FG_ATTACH_VERSION 2u
#define FG_DRIVER_PATH_MAX 256u
#define FG_ATTACH_ENV     "FASTGPU_ATTACH" /* path of the view's socket; a wrong one only means no vGPU */

struct fg_attach_hello {
        uint32_t magic, version;
        uint32_t api;      /* enum fg_api */
        uint32_t reserved; /* 0 */
};
enum fg_api { FG_API_PROBE = 0, FG_API_OPENCL = 1, FG_API_CUDA = 2, FG_API_NVML = 3 };

struct fg_attach_reply {
        uint32_t magic, version;
        uint32_t status; /* errno */
        uint32_t count;  /* vGPUs that follow */
        char driver_path[FG_DRIVER_PATH_MAX]; /* where the vendor's libraries are looked for first, with a NUL; "": as usual */
};

struct fg_attach_reply_vgpu {
        uint32_t magic, version;
        uint32_t position; /* 0..count-1, the order in which the program sees them */
        uint32_t slot;
};

/* A descriptor in somebody else's process, who may close it and get its number back for a file of his own: kept at a high
 * number, and only used while it still is what it was. */
struct fg_own_fd {
        int fd; /* -1: none */
        uint64_t device, inode;
};

struct fg_own_fd fg_own_fd_take(int fd); /* takes over `fd`, which has another number afterwards */
void fg_own_fd_close(struct fg_own_fd *own);

/* One vGPU as a tenant process holds it. */
struct fg_session_vgpu {
        struct fg_ledger ledger;
        struct fg_own_fd poke; /* of the FIFO; see fg_session_poke() */
};

struct fg_session {
        struct fg_own_fd connection;
        char driver_path[FG_DRIVER_PATH_MAX]; /* the daemon's word, not the environment's; "": none given */
        uint32_t count;
        struct fg_session_vgpu *vgpu; /* count of them, in view order; freed by fg_session_close */
};

/* Where this process attaches: in a container the folder that was mounted there, whatever the environment says; else what the
 * environment says, or NULL. */
const char *fg_session_path(void);
/* Attaches over the socket at `path`. Blocks at most 5 s. -ECONNREFUSED/-ENOENT: no daemon; -EPROTO; -ENOSPC: no slot. */
int fg_session_open(const char *path, enum fg_api api, struct fg_session *ret);
void fg_session_close(struct fg_session *session);
/* Makes the arbiter look. Never blocks, fails silently. */
void fg_session_poke(const struct fg_own_fd *poke);
/* In a forked child: drops the parent's connection and mappings without a word to the daemon. */
void fg_session_forget(struct fg_session *session);

#endif
