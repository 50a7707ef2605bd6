/* SPDX-License-Identifier: Apache-2.0
 * What a container gets of a vGPU, in the words of CDI (Container Device Interface): an object `containerEdits` with environment, mounts
 * and device nodes, and the spec file in which engines find it by name. No hooks: whatever a hook does runs with the engine's rights. */
#ifndef FG_CDI_H
#define FG_CDI_H

#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FG_CDI_KIND "fastgpu.dev/vgpu"
#define FG_CDI_FILE "fastgpu.dev-vgpu.json"
#define FG_CDI_NAME_MAX 160u

/* Inside the container. */
#define FG_CDI_INSIDE "/usr/lib/fastgpu"
#define FG_CDI_DRIVER_INSIDE FG_CDI_INSIDE "/real" /* the vendor's own libraries, which only ours look for there */

/* What this machine has to give. */
struct fg_cdi_host {
        const char *tree;   /* …/lib/fastgpu */
        const char *work;   /* folder of the daemon's, for what is mounted from there; must exist */
        const char *sim;    /* spec of simulated GPUs; "": none */
        const char *driver; /* folder of the vendor's libraries, tried first; "": the usual ones */
        bool cuda;          /* there are NVIDIA GPUs, real or simulated */
};

/* Writes into `work` what is mounted into containers from there: the list of libraries that every program loads, an empty folder. */
int fg_cdi_prepare(const struct fg_cdi_host *host, struct fg_error *err);
/* What every container with a vGPU gets. NULL: a file is missing, or out of memory. */
json_t *fg_cdi_common(const struct fg_cdi_host *host, struct fg_error *err);

/* What one vGPU, or a set of them, adds: its socket's folder, and the nodes of the GPUs it is on. */
struct fg_cdi_view {
        const char *folder; /* on the host */
        const char *const *uuid; /* of the NVIDIA GPUs below it, as NVML writes them */
        size_t uuids;
};
json_t *fg_cdi_of_view(const struct fg_cdi_view *view, struct fg_error *err);
/* Both in one: what a runtime without CDI is to apply. Takes over neither. */
json_t *fg_cdi_merge(json_t *common, json_t *view);

/* "PROJECT:NAME::I" without what does not apply (project "", index -1). CDI knows no "/", and no name that ends in a sign: -EINVAL. */
int fg_cdi_name(const char *project, const char *name, int64_t index, char ret[FG_CDI_NAME_MAX]);

/* A device of the spec as text, which whoever writes many specs keeps; free() it. NULL: out of memory. */
char *fg_cdi_spec_device(const char *name, const json_t *edits);
/* Written in one step: engines never see half of it. `common`: what fg_cdi_common() says, as text. */
int fg_cdi_spec_write(const char *common, const char *const *device, size_t count, const char *folder, struct fg_error *err);
bool fg_cdi_spec_is_there(const char *folder);
int fg_cdi_spec_remove(const char *folder, struct fg_error *err); /* not there: fine */

/* --- driver.c --- */

/* Adds the vendor's libraries with ours over them. -ENOENT: there is no driver. */
int fg_cdi_add_driver(const struct fg_cdi_host *host, json_t *mounts, json_t *nodes, struct fg_error *err);
/* Adds /dev/nvidiaN of the GPU with this UUID. */
int fg_cdi_add_gpu(const char *uuid, json_t *nodes, struct fg_error *err);
/* FOLDER/MAJOR:MINOR -> the node, as /dev/char has it for drivers whose nodes udev makes; NVIDIA's it does not. Without, `systemctl daemon-reload`
 * takes the device from containers that run: systemd finds it by that link alone. There already: fine. */
int fg_cdi_link_node(const char *path, const char *folder);
/* One mount, read-only unless said otherwise; neither set-user-id programs nor device nodes work in it. */
int fg_cdi_add_mount(json_t *mounts, const char *host_path, const char *container_path, bool writable);
/* Both paths are formatted: FOLDER/FILE. */
int fg_cdi_add_file(json_t *mounts, const char *host_folder, const char *host_file, const char *folder, const char *file);

#endif
