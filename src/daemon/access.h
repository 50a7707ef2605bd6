/* SPDX-License-Identifier: Apache-2.0
 * Who may reach the daemon: its own user; for the system's daemon also the group "fastgpu", where there is one. */
#ifndef FGD_ACCESS_H
#define FGD_ACCESS_H

#include <sys/types.h>

struct fgd_manager;

/* The group that may reach the system's daemon; (gid_t)-1: there is none. */
gid_t fgd_access_group(const struct fgd_manager *manager);
/* Opens `path` to the group with `mode`; leaves it alone when there is none. */
void fgd_access_grant(const struct fgd_manager *manager, const char *path, unsigned mode);

#endif
