/* SPDX-License-Identifier: Apache-2.0
 * fastgpu-gate opens the nodes of GPUs for programs in containers whose control group forbids it: for those that are attached to the
 * container's vGPU. runc and crun hand it each container's seccomp listener; one process serves one container, so that a
 * container that keeps it busy keeps its own programs waiting and no others. */
#ifndef FGI_GATE_H
#define FGI_GATE_H

#include "base/error.h"

#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define FGI_GATE_SOCKET      "gate.sock" /* in the daemon's run folder */
#define FGI_GATE_NODES_MAX   32u
#define FGI_GATE_PATH_MAX    64u
#define FGI_GATE_TARGET_MAX  192u
#define FGI_GATE_MESSAGE_MAX (1u << 20)

/* --- message.c: what a runtime says of a container --- */

/* Written by fastgpu-runtime as the profile's listenerMetadata: {"target", "nodes"}. */
struct fgi_gate_box {
        char project[64], name[64]; /* project "": the standard one */
        char target[FGI_GATE_TARGET_MAX];
        char node[FGI_GATE_NODES_MAX][FGI_GATE_PATH_MAX];
        unsigned nodes;
};
/* The state that OCI's runtimes send along with the listener. -EAGAIN: there may be more of it. */
int fgi_gate_parse(const char *text, size_t size, struct fgi_gate_box *ret, struct fg_error *err);

/* --- call.c: what a program asks the kernel for --- */

struct fgi_gate_call {
        uint64_t path; /* where it is in the program's memory */
        int flags; /* without O_LARGEFILE, which says nothing about a node */
};
/* false: not a call that could open a node of ours. */
bool fgi_gate_call(const struct seccomp_data *data, struct fgi_gate_call *ret);
/* -ENAMETOOLONG: longer than any node's; -EFAULT: not there. What is read may be another text by now. */
int fgi_gate_read_path(pid_t thread, uint64_t at, char ret[FGI_GATE_PATH_MAX]);

/* --- grant.c: may it? --- */

struct fg_client;

struct fgi_gate_asker {
        struct fg_client *client; /* NULL: not connected */
        uint64_t last;            /* when the daemon was asked last */
};
/* A descriptor of the node; -EPERM: its process is not attached to the container's vGPU; -EACCES: the node's mode is against it. */
int fgi_gate_open(struct fgi_gate_asker *asker, const struct fgi_gate_box *box, const char *node, pid_t thread, int flags, struct fg_error *err);
/* Whether the daemon's answer about a set of vGPUs has the process among those attached. */
bool fgi_gate_is_attached(const char *answer, size_t size, pid_t pid);

/* --- serve.c --- */

/* Until the container's last process has ended. */
int fgi_gate_serve(int listener, const struct fgi_gate_box *box, struct fg_error *err);

#endif
