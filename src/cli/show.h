/* SPDX-License-Identifier: Apache-2.0
 * vGPUs in words. */
#ifndef CLI_SHOW_H
#define CLI_SHOW_H

#include <jansson.h>

/* A set that was made or changed: its name, then one line for each vGPU, then the daemon's note. */
void cli_show_made(const json_t *set);
/* "256 MiB, compute 70% (share), priority normal, device 0: MODEL" */
void cli_show_line(const json_t *vgpu);
/* Everything that is known of one vGPU. */
void cli_show_full(const json_t *vgpu);
/* Who pays for the set and what it runs for in a cluster; nothing where that is nobody else and nothing. */
void cli_show_payer(const json_t *set);
/* When the set ends for want of use; nothing where that is not so. */
void cli_show_lease(const json_t *set);

#endif
