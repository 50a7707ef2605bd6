/* SPDX-License-Identifier: Apache-2.0
 *
 * fastgpu-runtime stands where a container engine expects an OCI runtime (runc, crun). When a container that is to have a vGPU is
 * made, it asks the daemon what belongs to it, puts that into the container's config.json, and becomes the real runtime; everything
 * else goes through as it is. Whatever is not understood about a container that asks for a vGPU: it does not start. */
#ifndef FGI_OCI_H
#define FGI_OCI_H

#include "base/error.h"

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#define FGI_OCI_ENV        "FASTGPU_VISIBLE_DEVICES"
#define FGI_OCI_ENV_NVIDIA "NVIDIA_VISIBLE_DEVICES"
#define FGI_OCI_ANNOTATION "fastgpu.dev/vgpu"
#define FGI_OCI_CONFIG_MAX (4u << 20) /* bytes of a config.json; engines write some 30 KB */
#define FGI_OCI_DEPTH_MAX  64u
#define FGI_OCI_TARGET_MAX 192u
#define FGI_OCI_SOCKET_MAX 108u /* sun_path */

/* --- argv.c: what an engine wants of its runtime --- */

struct fgi_oci_call {
        bool makes;         /* "create" or "run": config.json is read now */
        const char *bundle; /* NULL: the current folder */
        const char *log;    /* where the engine looks for the reason of a failure; NULL: nowhere */
        bool log_json;
        bool without_cgroups; /* --cgroup-manager=disabled, of podman run --cgroups=disabled */
};
void fgi_oci_argv(int argc, char *const *argv, struct fgi_oci_call *ret);

/* --- policy.c: what the operator allows, /etc/fastgpu/runtime.conf --- */

struct fgi_oci_policy {
        char runtime[256]; /* the real one; "": runc or crun, wherever they usually are */
        bool env;          /* the environment may name the vGPU; an image can set it too */
        char gpus[128];    /* the set that `docker run --gpus` is about; "": it is not about ours */
        bool gate;         /* GPUs' nodes are opened by fastgpu-gate alone, for programs that are attached to the container's vGPU */
        char nodes[512];   /* which others it opens besides those of NVIDIA's driver: paths, with blanks between them */
};
int fgi_oci_policy_load(const char *path, struct fgi_oci_policy *ret, struct fg_error *err); /* not there: what is usual */
int fgi_oci_policy_line(struct fgi_oci_policy *policy, const char *line, struct fg_error *err);

/* --- config.c: the container's config.json --- */

/* Bounded in size and depth before anything is made of it; no name twice. */
int fgi_oci_parse(const char *text, size_t size, json_t **ret, struct fg_error *err);

struct fgi_oci_wish {
        char target[FGI_OCI_TARGET_MAX];
        unsigned count; /* so many vGPUs, of `docker run --gpus N`; 0: all that the target has */
};
/* Of which vGPU the container is to be. 1: ret has it; 0: of none, nothing is to be changed; negative: it asks for what cannot be. */
int fgi_oci_wish(const json_t *config, const struct fgi_oci_policy *policy, struct fgi_oci_wish *ret, struct fg_error *err);

/* Puts the edits (containerEdits of CDI) in. Another vendor's hooks for GPUs go; -EPERM: the container has GPUs by other ways. */
int fgi_oci_apply(json_t *config, const json_t *edits, struct fg_error *err);

/* --- gate.c, seccomp.c: the open gate (docs/design/containers.md) --- */

struct fgi_oci_gate {
        const char *target; /* whose programs may open the nodes */
        const char *nodes;  /* others besides those of the edits, with blanks between them */
        const char *socket; /* fastgpu-gate's */
};
/* The nodes (deviceNodes of CDI, or NULL) are there, but the container's control group does not let them be opened: only the gate can, which the
 * seccomp profile tells of each opening that could be of one. -EPERM: other rules or another profile are such that this would not hold. */
int fgi_oci_gate_apply(json_t *config, const json_t *nodes, const struct fgi_oci_gate *gate, struct fg_error *err);
/* A container that asks for no vGPU here: -EPERM if it has one by CDI or GPUs by NVIDIA's hook, or may open a GPU or one of the nodes (with
 * blanks between them). One that may open every device (--privileged) is left alone: it is root of the machine anyway, and the machine's own
 * services are such. */
int fgi_oci_gate_refuse_others(const json_t *config, const char *nodes, struct fg_error *err);
/* Without control groups there is nothing that forbids. */
int fgi_oci_gate_refuse_call(const struct fgi_oci_call *call, struct fg_error *err);
int fgi_oci_gate_seccomp(json_t *linux_part, const char *socket, const char *metadata, struct fg_error *err);

/* --- file.c --- */

int fgi_oci_read(const char *path, char **ret, size_t *ret_size, struct fg_error *err);
/* In place, in one step, with the mode and the owner of what was there. */
int fgi_oci_write(const char *path, const json_t *config, struct fg_error *err);

/* --- ask.c --- */

/* What the daemon says belongs to a container of the wish; the edits are in its "edits". */
int fgi_oci_ask(const struct fgi_oci_wish *wish, json_t **ret_answer, struct fg_error *err);
/* Where fastgpu-gate listens, if it does. */
int fgi_oci_ask_gate(char ret_path[FGI_OCI_SOCKET_MAX], struct fg_error *err);

static inline void fgi_oci_drop(json_t **json)
{
        json_decref(*json);
}
#define fgi_autojson FG_CLEANUP(fgi_oci_drop)

#endif
