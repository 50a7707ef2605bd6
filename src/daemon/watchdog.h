/* SPDX-License-Identifier: Apache-2.0
 *
 * The watchdog: outside every tenant, what the NVIDIA driver says of each process on each GPU, against quotas and
 * registrations. It also carries the driver's figure for each process into its limits page, so that the library inside
 * it can account for contexts and modules. docs/limits.md says what it stops and what not. */
#ifndef FGD_WATCHDOG_H
#define FGD_WATCHDOG_H

#include "daemon/text.h"

#include <stdbool.h>
#include <stdint.h>

struct fgd_device;
struct fgd_manager;
struct fgd_watchdog;

/* Starts or stops the helper, as options and vGPUs on NVIDIA GPUs ask for. Called when one of them changed. */
void fgd_watchdog_update(struct fgd_manager *manager);
void fgd_watchdog_free(struct fgd_watchdog *watchdog); /* NULL is fine */
/* "watch": {…} of a device, nothing when it is not watched. */
void fgd_watchdog_write_device(const struct fgd_manager *manager, const struct fgd_device *device, struct fgd_text *text);
/* "findings": [ … ] */
void fgd_watchdog_write_findings(const struct fgd_manager *manager, struct fgd_text *text);

/* How many there are of a kind (enum fgd_finding_kind) now. */
uint32_t fgd_watchdog_findings(const struct fgd_manager *manager, unsigned kind);

#endif
