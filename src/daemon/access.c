/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/access.h"

#include "base/log.h"
#include "daemon/manager.h"

#include <grp.h>
#include <sys/stat.h>

gid_t fgd_access_group(const struct fgd_manager *m)
{
        const struct group *group = m->paths.is_private || geteuid() != 0 ? NULL : getgrnam("fastgpu");
        return group ? group->gr_gid : (gid_t)-1;
}

void fgd_access_grant(const struct fgd_manager *m, const char *path, unsigned mode)
{
        gid_t group = fgd_access_group(m);
        if (group == (gid_t)-1)
                return;
        /* The mode last: what the group may do is decided once the group is right. */
        if (chown(path, 0, group) < 0 || chmod(path, mode) < 0)
                fg_log_warning("cannot open %s to the group fastgpu: %m", path);
}
