/* SPDX-License-Identifier: Apache-2.0
 * Between the files that read and edit config.json. */
#ifndef FGI_OCI_CONFIG_H
#define FGI_OCI_CONFIG_H

#include "integrations/oci/oci.h"

/* The value if the entry is NAME=VALUE, else NULL. */
const char *fgi_oci_variable(const char *entry, const char *name);
/* A hook of NVIDIA's container toolkit. */
bool fgi_oci_is_foreign_hook(const json_t *hook);

#endif
