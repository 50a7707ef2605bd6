/* SPDX-License-Identifier: Apache-2.0
 * Projects, who is in them, and quotas. */
#include "daemon/jobs.h"
#include "daemon/journal.h"
#include "daemon/lease.h"
#include "daemon/manager.h"
#include "daemon/quota.h"
#include "daemon/store_lease.h"
#include "daemon/store_tenants.h"
#include "daemon/users.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

int fgd_project_create(struct fgd_manager *m, const char *name, const char *description, int64_t lease, struct fgd_problem *problem)
{
        struct fg_error err = {0};
        if (fgd_project_find(m, name))
                return fgd_problem_set(problem, FGD_EXISTS, "the project \"%s\" exists already", name);
        if (m->tenants->project_count >= FGD_TENANTS_MAX)
                return fgd_problem_set(problem, FGD_NO_ROOM, "there are %u projects already, and more are not possible",
                                       m->tenants->project_count);
        fg_autofree struct fgd_project *project = calloc(1, sizeof *project);
        if (!project || fgd_tenants_reserve(m) < 0)
                return fgd_problem_set(problem, FGD_INTERNAL, "out of memory");
        snprintf(project->name, sizeof project->name, "%s", name);
        snprintf(project->description, sizeof project->description, "%s", description);
        project->created = time(NULL);
        project->idle_lease = lease;
        fgd_lease_resolve(m, project);
        fgd_event_stage(m, NULL, "project.created", name, "the project \"%s\" was made", name);
        fgd_journal_ready(m, project);
        if (fgd_store_add_project(m->store, project, &err) < 0)
                return fgd_problem_set(problem, FGD_STORAGE, "the project \"%s\" was not made: %s", name, err.text);
        fgd_project_add(m, FG_TAKE_PTR(project));
        return 0;
}

int fgd_project_describe(struct fgd_manager *m, struct fgd_project *project, const char *description, struct fgd_problem *problem)
{
        struct fg_error err = {0};
        fgd_event_stage(m, project, "project.changed", project->name, "the project \"%s\" was changed", project->name);
        if (fgd_store_describe_project(m->store, project, description, &err) < 0)
                return fgd_problem_set(problem, FGD_STORAGE, "the project \"%s\" was not changed: %s", project->name, err.text);
        snprintf(project->description, sizeof project->description, "%s", description);
        return 0;
}

int fgd_project_lease(struct fgd_manager *m, struct fgd_project *project, int64_t seconds, struct fgd_problem *problem)
{
        struct fg_error err = {0};
        fgd_event_stage(m, project, "project.changed", project->name, "the idle lease of the project \"%s\" was set", project->name);
        if (fgd_store_lease_of(m->store, project, seconds, &err) < 0)
                return fgd_problem_set(problem, FGD_STORAGE, "the project \"%s\" was not changed: %s", project->name, err.text);
        project->idle_lease = seconds;
        fgd_lease_resolve(m, project);
        fgd_lease_changed(m);
        return 0;
}

int fgd_project_delete(struct fgd_manager *m, struct fgd_project *project, struct fgd_problem *problem)
{
        const struct fgd_set *set;
        struct fg_error err = {0};
        if (project == m->tenants->standard)
                return fgd_problem_set(problem, FGD_IN_USE, "the project \"" FGD_DEFAULT_PROJECT "\" is always there");
        if (project->sets)
                return fgd_problem_set(problem, FGD_IN_USE, "the project \"%s\" has %u set%s of vGPUs: delete them first", project->name,
                                       project->sets, project->sets == 1 ? "" : "s");
        TAILQ_FOREACH(set, &m->sets, order)
                if (set->payer == project)
                        return fgd_problem_set(problem, FGD_IN_USE, "the project \"%s\" pays for \"%s\" of \"%s\": let that one pay (fastgpu project pay %s %s:%s)",
                                               project->name, set->name, set->project->name, set->project->name, set->project->name, set->name);
        if (fgd_jobs_of(m, project, NULL))
                return fgd_problem_set(problem, FGD_IN_USE, "the project \"%s\" has jobs that have not ended: cancel them first", project->name);
        fgd_event_stage(m, NULL, "project.deleted", project->name, "the project \"%s\" was deleted", project->name);
        if (fgd_store_delete_project(m->store, project, &err) < 0)
                return fgd_problem_set(problem, FGD_STORAGE, "the project \"%s\" was not deleted: %s", project->name, err.text);
        fgd_jobs_forget_project(m, project);
        fgd_project_remove(m, project);
        return 0;
}

static int expel(struct fgd_manager *m, struct fgd_member *member, struct fgd_problem *problem)
{
        struct fg_error err = {0};
        const char *user = member->user->name, *project = member->project->name;
        fgd_event_stage(m, member->project, "member.removed", user, "\"%s\" left the project \"%s\"", user, project);
        if (fgd_store_delete_member(m->store, member, &err) < 0)
                return fgd_problem_set(problem, FGD_STORAGE, "\"%s\" was not removed from \"%s\": %s", user, project, err.text);
        fgd_member_set_role(m, member, FGD_ROLE_NONE);
        memset(member->account.limit, 0, sizeof member->account.limit);
        fgd_member_settle(m, member);
        return 0;
}

int fgd_project_admit(struct fgd_manager *m, struct fgd_project *project, struct fgd_user *user, enum fgd_role role,
                      struct fgd_problem *problem)
{
        struct fg_error err = {0};
        struct fgd_member *member = role == FGD_ROLE_NONE ? fgd_member_find(m, user, project) : fgd_member_get(m, user, project);
        if (role == FGD_ROLE_NONE) {
                if (!member || member->role == FGD_ROLE_NONE)
                        return fgd_problem_set(problem, FGD_NOT_FOUND, "\"%s\" is not in the project \"%s\"", user->name, project->name);
                return expel(m, member, problem);
        }
        if (!member)
                return fgd_problem_set(problem, FGD_NO_ROOM, "there are too many memberships: at most %u are possible", FGD_MEMBERS_MAX);
        fgd_event_stage(m, project, "member.set", user->name, "\"%s\" is %s in the project \"%s\"", user->name, fgd_role_name(role), project->name);
        if (fgd_store_put_member(m->store, member, role, &err) < 0) {
                fgd_member_settle(m, member);
                return fgd_problem_set(problem, FGD_STORAGE, "\"%s\" was not added to \"%s\": %s", user->name, project->name, err.text);
        }
        fgd_member_set_role(m, member, role);
        return 0;
}

const struct fgd_account *fgd_quota_account(const struct fgd_manager *m, const struct fgd_project *project, const struct fgd_user *user)
{
        const struct fgd_member *member;
        if (!project)
                return &m->tenants->organisation;
        if (!user)
                return &project->account;
        member = fgd_member_find(m, user, project);
        return member ? &member->account : NULL;
}

static void stage_quota(struct fgd_manager *m, const struct fgd_quota_change *c)
{
        if (!c->project)
                fgd_event_stage(m, NULL, "quota.set", "organisation", "the quota of the organisation was set");
        else if (!c->user)
                fgd_event_stage(m, c->project, "quota.set", c->project->name, "the quota of the project \"%s\" was set", c->project->name);
        else
                fgd_event_stage(m, c->project, "quota.set", c->user->name, "the quota of \"%s\" in the project \"%s\" was set", c->user->name,
                                c->project->name);
}

int fgd_quota_set(struct fgd_manager *m, const struct fgd_quota_change *change, struct fgd_problem *problem)
{
        struct fg_error err = {0};
        struct fgd_member *member = change->user ? fgd_member_get(m, change->user, change->project) : NULL;
        struct fgd_account *account = member ? &member->account : change->project ? &change->project->account : &m->tenants->organisation;
        if (change->user && !member)
                return fgd_problem_set(problem, FGD_NO_ROOM, "there are too many memberships: at most %u are possible", FGD_MEMBERS_MAX);
        stage_quota(m, change);
        int r = fgd_store_put_quota(m->store, change, &err);
        for (int i = 0; r == 0 && i < FGD_QUOTA_KEYS; i++)
                if (change->has[i])
                        account->limit[i] = change->limit[i];
        fgd_member_settle(m, member);
        fgd_jobs_kick(m);
        return r < 0 ? fgd_problem_set(problem, FGD_STORAGE, "the quota was not set: %s", err.text) : 0;
}
