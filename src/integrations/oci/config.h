/* SPDX-License-Identifier: Apache-2.0
 * Between the files that read and edit config.json. */
#ifndef FGI_OCI_CONFIG_H
#define FGI_OCI_CONFIG_H

#include "integrations/oci/oci.h"

/* The value if the entry is NAME=VALUE, else NULL. */
const char *fgi_oci_variable(const char *entry, const char *name);
/* A hook of NVIDIA's container toolkit. */
bool fgi_oci_is_foreign_hook(const json_t *hook);
/* Whether such a hook brings a GPU: the environment says which. */
bool fgi_oci_has_foreign_gpu(const json_t *config);
/* An object's member, made where it is not; NULL: it is of another kind, or out of memory. */
json_t *fgi_oci_member(json_t *object, const char *name, json_type type);
/* linux.devices and linux.resources.devices. */
int fgi_oci_devices(json_t *config, json_t **ret_devices, json_t **ret_rules, struct fg_error *err);
/* rules NULL: the node is there, and nobody may open it. */
int fgi_oci_add_node(json_t *devices, json_t *rules, const char *path, struct fg_error *err);
/* Whether a list of texts has this one. */
bool fgi_oci_lists(const json_t *list, const char *text);

#endif
