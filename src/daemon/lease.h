/* SPDX-License-Identifier: Apache-2.0
 *
 * Idle leases: a set that was charged no device time for as long as its project's lease says is deleted when nothing is attached,
 * else suspended. docs/design/tenancy.md.
 *
 * Time is the daemon's own: ms of CLOCK_BOOTTIME while a daemon ran, kept in the store, so that neither a restart nor the time
 * between two daemons counts as idle, and a restart does not begin anew. Equation: idle == up - set->active_at. */
#ifndef FGD_LEASE_H
#define FGD_LEASE_H

#include "base/error.h"

#include <stdint.h>

struct fgd_manager;
struct fgd_project;
struct fgd_set;
struct fgd_text;

#define FGD_LEASE_DEFAULT (-1) /* of a project: the daemon's option */
#define FGD_LEASE_MAX     (10ll * 366 * 86400) /* s */

/* After the store was read. */
int fgd_lease_new(struct fgd_manager *manager, struct fg_error *err);
void fgd_lease_free(struct fgd_manager *manager); /* writes the time */
void fgd_lease_set_active(struct fgd_set *set, int64_t boot_ms);
/* The set is used now: made, resumed, suspended, opened. */
void fgd_lease_touch(struct fgd_manager *manager, struct fgd_set *set);
/* Works out project->lease_seconds from what was set for it. */
void fgd_lease_resolve(const struct fgd_manager *manager, struct fgd_project *project);
/* A lease was set: looks as soon as it wants. */
void fgd_lease_changed(struct fgd_manager *manager);
/* "idle_lease": {"seconds", "ends", "then"}; nothing where there is none. */
void fgd_lease_write(const struct fgd_set *set, struct fgd_text *text);
/* CLOCK_BOOTTIME. */
int64_t fgd_boot_ms(void);

#endif
