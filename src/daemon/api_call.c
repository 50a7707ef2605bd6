/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/api_internal.h"

#include "base/size.h"
#include "daemon/tenants.h"

#include <stdio.h>
#include <string.h>

static enum fgd_role needed(const struct fgd_call *call)
{
        static const enum fgd_role role[] = {[FGD_NEED_VIEWER] = FGD_ROLE_VIEWER, [FGD_NEED_MEMBER] = FGD_ROLE_MEMBER,
                                             [FGD_NEED_MANAGER] = FGD_ROLE_MANAGER, [FGD_NEED_ADMIN] = FGD_ROLE_ADMIN};
        enum fgd_need need = call->route->need;
        return need < FGD_NEED_VIEWER ? FGD_ROLE_VIEWER : role[need];
}

static int forbid(struct fgd_call *call, enum fgd_role has, enum fgd_role needs, const struct fgd_project *project)
{
        return fgd_problem_set(&call->problem, FGD_FORBIDDEN, "this needs the role %s in the project \"%s\"; %s is %s there%s",
                               fgd_role_name(needs), project->name, call->who.actor, fgd_role_name(has), call->who.token ? " with this token" : "");
}

/* NULL: there is none that he may see. */
static struct fgd_project *visible(const struct fgd_call *call, const char *name)
{
        struct fgd_project *project = name && *name ? fgd_project_find(call->manager, name) : fgd_home_project(call->manager, &call->who);
        return project && fgd_role_in(call->manager, &call->who, project) >= FGD_ROLE_VIEWER ? project : NULL;
}

int fgd_call_admit(struct fgd_call *call, const struct fgd_project *project)
{
        enum fgd_role role = fgd_role_in(call->manager, &call->who, project);
        fgd_journal_project(call->manager, project);
        if (role < needed(call))
                return forbid(call, role, needed(call), project);
        call->is_checked = true;
        return 0;
}

int fgd_call_project(struct fgd_call *call, const char *name, struct fgd_project **ret)
{
        *ret = visible(call, name);
        if (*ret)
                return fgd_call_admit(call, *ret);
        if (name && *name)
                return fgd_problem_set(&call->problem, FGD_NOT_FOUND, "there is no project \"%.80s\"; \"fastgpu project list\" shows yours", name);
        return fgd_problem_set(&call->problem, FGD_FORBIDDEN, "%s is in no project yet; an admin lets him in with: fastgpu project add PROJECT %s",
                               call->who.actor, call->who.actor);
}

int fgd_call_target(struct fgd_call *call, const char *target, const char *project, struct fgd_set **ret, int64_t *ret_index)
{
        struct fg_error err = {0};
        char name[64], own[64];
        fgd_journal_target(call->manager, "%s", target);
        if (fg_target_split(target, own, name, ret_index, &err) < 0)
                return fgd_problem_from(&call->problem, FGD_BAD_REQUEST, &err);
        struct fgd_project *in = visible(call, own[0] ? own : project);
        *ret = in ? fgd_registry_find(call->manager, in, name) : NULL;
        if (!*ret)
                return fgd_problem_set(&call->problem, FGD_NOT_FOUND, "there is no vGPU \"%s%s%s\"; \"fastgpu list\" shows what there is", own,
                                       own[0] ? ":" : "", name);
        if (*ret_index >= (int64_t)(*ret)->count)
                return fgd_problem_set(&call->problem, FGD_NOT_FOUND, "there is no %s/%lld: \"%s\" has %u, counted from 0", name,
                                       (long long)*ret_index, name, (*ret)->count);
        return fgd_call_admit(call, in);
}

int fgd_call_path_target(struct fgd_call *call, const char *project, struct fgd_set **ret, int64_t *ret_index)
{
        char target[2 * sizeof call->argument[0] + 1];
        snprintf(target, sizeof target, "%s%s%s", call->argument[0], call->argument[1][0] ? "/" : "", call->argument[1]);
        return fgd_call_target(call, target, project, ret, ret_index);
}

int fgd_call_owns(struct fgd_call *call, const struct fgd_set *set)
{
        if (set->owner == call->who.user || fgd_role_in(call->manager, &call->who, set->project) >= FGD_ROLE_MANAGER)
                return 0;
        return fgd_problem_set(&call->problem, FGD_FORBIDDEN, "\"%s\" is %s's: a member changes only what is his own, a manager of \"%s\" "
                               "everything", set->name, set->owner ? set->owner->name : "the operator", set->project->name);
}
