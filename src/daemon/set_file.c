/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/set_file.h"

#include "base/size.h"
#include "daemon/manager.h"
#include "daemon/registry.h"
#include "daemon/tenants.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *fgd_set_file(const struct fgd_manager *m, const struct fgd_set *set, int64_t index, char buf[FGD_SET_FILE_MAX])
{
        char project[24] = "", one[24] = "";
        if (set->project != m->tenants->standard)
                snprintf(project, sizeof project, "%lld:", (long long)set->project->id);
        if (index >= 0)
                snprintf(one, sizeof one, "+%lld", (long long)index);
        snprintf(buf, FGD_SET_FILE_MAX, "%s%s%s", project, set->name, one);
        return buf;
}

static const struct fgd_project *project_of(const struct fgd_manager *m, const char *number)
{
        uint64_t id;
        if (fg_count_parse("project", number, 1, INT64_MAX, &id, NULL) < 0)
                return NULL;
        return fgd_project_of_id(m, (int64_t)id);
}

struct fgd_set *fgd_set_of_file(const struct fgd_manager *m, const char *file, int64_t *ret_index)
{
        char copy[FGD_SET_FILE_MAX], name[64];
        const struct fgd_project *project = m->tenants->standard;
        if (strlen(file) >= sizeof copy || strchr(file, '/'))
                return NULL;
        strcpy(copy, file);
        char *colon = strchr(copy, ':'), *target = colon ? colon + 1 : copy, *plus = strchr(target, '+');
        if (plus)
                *plus = '/';
        if (colon) {
                *colon = 0;
                project = project_of(m, copy);
        }
        if (!project || fg_target_parse(target, name, ret_index, NULL) < 0)
                return NULL;
        struct fgd_set *set = fgd_registry_find(m, project, name);
        return set && *ret_index < (int64_t)set->count ? set : NULL;
}
