/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FGR_GROUP_FIND_H
#define FGR_GROUP_FIND_H

#include <stddef.h>

/* Folder of the caller's cgroup in the hierarchy of a v1 controller, or in the unified one (NULL). -ENOENT: there is none. */
int fgr_group_find(const char *controller, char *ret, size_t size);

#endif
