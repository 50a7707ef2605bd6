/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/access.h"

#include "base/log.h"
#include "daemon/manager.h"

#include <grp.h>
#include <sys/stat.h>

void fgd_access_grant(const struct fgd_manager *m, const char *path, unsigned mode)
{
        if (m->paths.is_private || geteuid() != 0)
                return;
        const struct group *group = getgrnam("fastgpu");
        if (!group)
                return;
        /* The mode last: what the group may do is decided once the group is right. */
        if (chown(path, 0, group->gr_gid) < 0 || chmod(path, mode) < 0)
                fg_log_warning("cannot open %s to the group fastgpu: %m", path);
}
